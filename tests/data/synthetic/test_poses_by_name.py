"""Files of poses where a user names them: in a dataset's address, in the check and in the command that draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from real_poses import standing, write_json, write_npz

from fastpose_mtn.commands.draw import main
from fastpose_mtn.data.catalog import build_dataset
from fastpose_mtn.data.check import check_dataset
from fastpose_mtn.data.synthetic import SyntheticScene
from fastpose_mtn.data.synthetic.images import SyntheticSpec
from fastpose_mtn.data.synthetic.pose_prior_file import read_pose_prior
from fastpose_mtn.skeletons import COCO17

SIZE = (320, 240)
PAIR = [standing(90, 210, 150, "walk", 0.8), standing(220, 200, 120, "wave", -0.4)]


def test_an_address_names_the_file(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a+b.npz", [PAIR], [SIZE])
    name = f"synthetic://posed?seeds=0-1&frames=4&people=2&size=320x240&occlusion=0&poses={path}"
    assert SyntheticSpec.parse(name).poses == path
    dataset, plain = (build_dataset(n, training=True) for n in (name, name.partition("&poses")[0]))
    scene = SyntheticScene(1, dataset.spec.scene(1), read_pose_prior(path, "test"))
    assert np.array_equal(dataset[6].image, scene.frame(2).image)
    assert not np.array_equal(dataset[6].image, plain[6].image)
    assert dataset.num_identities == plain.num_identities == 4
    with pytest.raises(ValueError, match=r"poses: expected a label file, got ''; expected synthetic://"):
        SyntheticSpec.parse("synthetic://a?seeds=1&poses=")
    with pytest.raises(ValueError, match=r"^dataset synthetic://a\?seeds=1&poses=none\.json: poses: "):
        build_dataset("synthetic://a?seeds=1&poses=none.json", training=True)


def test_the_check_reads_the_file(tmp_path: Path) -> None:
    path = write_json(tmp_path / "poses.json", [PAIR], [SIZE])
    report = check_dataset(f"synthetic://a?seeds=1&poses={path}", COCO17)
    assert (report.errors, report.summary) == (0, f"drawn when it is asked for; poses are those of {path}")
    path.write_text("{}")
    report = check_dataset(f"synthetic://a?seeds=1&poses={path}", COCO17)
    assert report.errors == 1
    assert "expected COCO-style JSON" in str(report)


def test_the_command_draws_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_json(tmp_path / "poses.json", [PAIR], [SIZE])
    small = ["--size", "96x72", "--frames", "1", "--people", "2", "--sequences", "1"]
    pictures = []
    for name, more in (("plain", []), ("posed", ["--poses", str(path)])):
        main(["--output", str(tmp_path / name), *small, *more])
        main(["--contact-sheet", str(tmp_path / f"{name}.png"), *small, *more])
        pictures.append((tmp_path / name / "images/000000_mpii_test/000000.jpg").read_bytes())
        pictures.append((tmp_path / f"{name}.png").read_bytes())
    assert pictures[0] != pictures[2]
    assert pictures[1] != pictures[3]
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(["--output", str(tmp_path / "out"), "--poses", str(tmp_path / "none.npz")])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("error: --poses: poses: no such file, got ")
    assert not (tmp_path / "out").exists()
