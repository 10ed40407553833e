"""The whole job on a Ray cluster, with a small network: a machine that goes away, a signal, what goes on and what not."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

pytest.importorskip("ray", reason="ray is not installed: pip install -e '.[corpus]'")

import pyarrow.parquet as pq
from networks_to_export import network
from ray_nodes import add_node
from rectangles import moving, write_video

from fastpose_mtn.checkpoints.loading import save_weights
from fastpose_mtn.commands import corpus, track
from fastpose_mtn.corpus.run import STAGING


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A small network's file."""
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    model, cfg = network()
    save_weights(path, model, cfg)
    return path


@pytest.fixture
def run(monkeypatch, capsys, tmp_path, weights):
    """Runs the command; gives its exit status, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, command=corpus):
        with pytest.raises(SystemExit) as stop:
            command.main([*map(str, arguments), "--weights", str(weights), "--device", "cpu"])
        captured = capsys.readouterr()
        return SimpleNamespace(status=stop.value.code, out=captured.out, err=captured.err)

    return run


def clips(folder, count, frames):
    folder.mkdir()
    for number in range(count):
        write_video(folder / f"{number}.mp4", [moving(i + 5 * number, (96, 128)) for i in range(frames)])


def rows(folder):
    return pq.read_table(folder / "manifest.parquet").to_pylist()


def wait_for(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_a_machine_that_goes_away_costs_no_video_and_doubles_none(run, cluster, tmp_path):
    clips(tmp_path / "v", 5, 40)
    (tmp_path / "v" / "bad.mp4").write_text("no video\n" * 50)
    node, staging = add_node(cluster), tmp_path / "out" / STAGING

    def go_away():  # when both machines are in the middle of a video
        wait_for(lambda: staging.is_dir() and sum(path.is_dir() for path in staging.iterdir()) == 2)
        cluster.remove_node(node, allow_graceful=False)

    killer = threading.Thread(target=go_away)
    killer.start()
    done = run("v", "--output", "out", "--workers", "2", "--formats", "jsonl", "--no-video")
    killer.join()
    assert done.status == 2
    assert "6 videos: 5 done, 1 failed" in done.out
    assert done.err.count("bad.mp4: not a video, or one that is cut off or damaged") == 1
    table = rows(tmp_path / "out")
    assert [row["name"] for row in table] == ["0", "1", "2", "3", "4", "bad"]
    assert [row["frames"] for row in table] == [40] * 5 + [0]
    assert sorted(row["attempts"] for row in table) == [
        1,
        1,
        1,
        1,
        1,
        2,
    ]  # one was lost, and no other was done again
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "0.jsonl", "1.jsonl", "2.jsonl", "3.jsonl", "4.jsonl", "manifest.parquet",
    ]  # fmt: skip

    # the same as without a cluster, the video that was begun twice too
    assert (
        run("--input", "v", "--output", "alone", "--formats", "jsonl", "--no-video", command=track).status
        == 2
    )
    for number in range(5):
        with_ray, alone = ((tmp_path / where / f"{number}.jsonl").read_text() for where in ("out", "alone"))
        assert len(alone.splitlines()) >= 40
        assert with_ray == alone

    # again: nothing is left to do but what failed, and other results are not mixed with these
    (tmp_path / "v" / "bad.mp4").unlink()
    again = run("v", "--output", "out", "--formats", "jsonl", "--no-video")
    assert (again.status, again.err) == (0, "")
    assert "5 of 5 videos are done already" in again.out
    other = run("v", "--output", "out", "--formats", "jsonl", "--no-video", "--strategy", "iou")
    assert other.status == 2
    assert (
        "its results were made with TRACKER.STRATEGY occlusion_aware, now iou; ask for the same, or"
        in other.err
    )
    assert rows(tmp_path / "out") == table


def test_a_signal_ends_it_with_whole_results_and_the_next_run_goes_on(run, cluster, tmp_path, weights):
    clips(tmp_path / "v", 3, 60)
    command = [sys.executable, "-m", "fastpose_mtn.corpus", "v", "--output", "out", "--weights", str(weights)]
    process = subprocess.Popen(
        [*command, "--device", "cpu", "--workers", "1"],
        cwd=tmp_path,
        env={**os.environ, "RAY_ADDRESS": cluster.address},
        stderr=subprocess.PIPE,
        text=True,
    )
    out = tmp_path / "out"
    wait_for(lambda: process.poll() is not None or (out / "0.json").exists())
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 143
    assert "interrupted; the same command goes on where it stopped" in errors
    before = rows(out)
    assert [row["status"] for row in before][::2] == ["done", "waiting"]
    whole = {file for row in before for file in row["files"]}
    assert {path.name for path in out.iterdir()} == {*whole, "manifest.parquet"}

    done = run("v", "--output", "out")
    assert done.status == 0
    assert "3 videos: 3 done" in done.out
    after = rows(out)
    assert after[0] == before[0]
    assert [(row["status"], row["frames"]) for row in after] == [("done", 60)] * 3
    assert len(json.loads((out / "2.json").read_text())["images"]) == 60
