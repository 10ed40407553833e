"""The runner of experiments, end to end with tiny networks, and after a kill."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import experiments
import numpy as np
import pytest
import tiny_experiment
from experiment_drawn import drawn_dataset, true_poses
from experiment_figures import statistic
from tiny_experiment import write_table
from tiny_posedet import posedet_config

from fastpose_mtn.data.catalog import build_dataset
from fastpose_mtn.systems.topdown.network import TopDownNetwork

HELPERS = Path(tiny_experiment.__file__)
ROOT = HELPERS.parents[2]


@pytest.fixture
def steps(monkeypatch):
    """Counts steps of trainings."""
    taken, before = [], TopDownNetwork.losses
    monkeypatch.setattr(TopDownNetwork, "losses", lambda self, batch: taken.append(1) or before(self, batch))
    return taken


@pytest.fixture(autouse=True)
def _one_thread(threads):
    threads(1)


def run(folder, *options, output="runs", **changes):
    experiments.main([str(write_table(folder, **changes)), *options, "--output", str(folder / output)])


def rows(text):
    """The cells of each row by the arm's name, of the last table."""
    lines = [
        [c.strip() for c in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")
    ]
    heads = [number for number, cells in enumerate(lines) if cells[0] == "arm"]
    return {cells[0].split(" (")[0]: cells for cells in lines[heads[-1] + 1 :]}


def images_of(path):
    return json.loads(path.read_text())["images"]


def test_arms_are_trained_tested_and_compared(tmp_path, capsys, steps):
    run(tmp_path, "T1", "--steps", "4", "--seeds", "1", "2")
    assert len(steps) == 2 * (4 + 2 + 2)  # of each seed plain and argmax together, and both stages
    out = capsys.readouterr().out
    assert "**T1**: Does it run? (paper: yes)" in out
    table = rows(out)
    assert list(table) == ["plain", "argmax", "two-stages"]
    assert [cells[1] for cells in table.values()] == ["", "plain", "plain"]
    assert re.fullmatch(r"two-stages \(chosen: [05], [05]\)", table["two-stages"][0])
    folder = tmp_path / "runs" / "tiny" / "T1"
    errors = {
        (arm, seed): statistic("joints/error", images_of(folder / f"{arm}-{seed}.json"))(np.ones(6))
        for arm in ("plain", "argmax")
        for seed in (1, 2)
    }
    mean = np.mean([errors["plain", 1], errors["plain", 2]])
    assert table["plain"][2].startswith(f"{mean:.2f} ± ")
    difference = np.mean([errors["argmax", s] - errors["plain", s] for s in (1, 2)])
    assert re.fullmatch(
        rf"{re.escape(f'{difference:+.2f}')} \[[+-].*, [+-].*\], [12] of 2", table["argmax"][3]
    )
    assert errors["plain", 1] != errors["argmax", 1]

    run(tmp_path, "T1", "--steps", "4", "--seeds", "1", "2")
    assert len(steps) == 16  # nothing was made again
    assert rows(capsys.readouterr().out) == table
    run(tmp_path, "T1", "--show", "--steps", "5")  # other trainings, which are not there
    assert rows(capsys.readouterr().out)["plain"][0] == "plain (0 of 3 seeds)"
    assert len(steps) == 16


def test_a_run_that_is_killed_goes_on_where_it_was(tmp_path, steps):
    table = write_table(tmp_path)
    environment = {**os.environ, "KILL_AT": "6", "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(
        str(ROOT / part) for part in ("", "tests/helpers", "benchmarks"))}  # fmt: skip
    killed = subprocess.run(
        [sys.executable, str(HELPERS), str(tmp_path / "runs"), str(table)], env=environment, capture_output=True,
        check=False, timeout=300,
    )  # fmt: skip
    assert killed.returncode == -9, killed.stderr.decode()
    assert not list((tmp_path / "runs").rglob("plain-1.json"))
    # without the other arms, which were not begun
    arms = {"plain": None}
    only = {"T1": {**tiny_experiment.TABLE["experiments"]["T1"], "arms": arms}}
    run(tmp_path, "--seeds", "1", experiments=only)
    assert len(steps) == 5
    run(tmp_path, "--seeds", "1", output="unbroken", experiments=only)
    assert len(steps) == 15
    one, other = (
        images_of(tmp_path / name / "tiny" / "T1" / "plain-1.json") for name in ("runs", "unbroken")
    )
    assert one == other


def test_true_poses_need_no_training(tmp_path, capsys, steps):
    run(tmp_path, "T2", "--seeds", "1", "2")
    table = rows(capsys.readouterr().out)
    assert table["oks"][2] == "100.00"  # a similarity of 1 or less suppresses nobody
    assert len(list((tmp_path / "runs" / "tiny" / "T2").iterdir())) == 2  # the same for every seed
    assert not steps


def test_true_poses_lose_whom_suppression_takes_for_another():
    address = "synthetic://held-out?seeds=800001&frames=1&size=160x120&people=3"
    cfg = posedet_config("MODEL.SKELETON", "POSETRACK15", "MODEL.POSEDET.NMS_THRESH", "1.0")
    (everybody,) = true_poses(address, cfg)
    people = everybody.targets[~everybody.targets.ignore]
    labelled = people.keypoints[..., 2] > 0
    assert len(everybody.found) == len(people) >= 2
    assert np.array_equal(everybody.found.keypoints[labelled][:, :2], people.keypoints[labelled][:, :2])
    cfg.MODEL.POSEDET.NMS_THRESH = 0.0
    (alone,) = true_poses(address, cfg)
    assert len(alone.found) < len(people)


def test_what_trains_is_drawn_once_as_it_is(tmp_path):
    address = (
        "synthetic://a?seeds=3-4&frames=4&stride=2&size=160x120&people=2-3&tasks=keypoints+boxes&domain=x"
    )
    written = build_dataset(drawn_dataset(address, tmp_path), training=True)
    drawn = build_dataset(address, training=True)
    assert (len(written), written.domain, written.tasks) == (4, "x", {"boxes", "keypoints"})
    assert written.skeleton.joints == drawn.skeleton.joints
    for index in range(4):
        one, other = written[index], drawn[index]
        assert np.abs(one.image.astype(int) - other.image).mean() < 5  # JPEG's
        assert one.targets.boxes == pytest.approx(other.targets.boxes, abs=1e-3)
        assert np.array_equal(one.targets.ignore, other.targets.ignore)
        labelled = other.targets.keypoints[..., 2] > 0
        assert one.targets.keypoints[labelled] == pytest.approx(other.targets.keypoints[labelled], abs=1e-3)
        assert np.array_equal(one.targets.keypoints[..., 2], other.targets.keypoints[..., 2])
    (place,) = tmp_path.iterdir()
    cv2.imwrite(str(place / "000000.jpg"), np.zeros((120, 160, 3), np.uint8))
    assert build_dataset(drawn_dataset(address, tmp_path), training=True)[0].image.max() < 5


def test_unknown_experiments_are_said(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(tmp_path, "T9")
    assert "T9: expected experiments of " in capsys.readouterr().err
