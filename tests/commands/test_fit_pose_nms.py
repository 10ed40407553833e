"""The command that fits the parametric pose NMS."""

import json
import subprocess
import sys

import numpy as np
import pytest
from crowded_poses import coco_labels, crowded_image

from fastpose_mtn.commands.fit_pose_nms import main
from fastpose_mtn.config import get_cfg
from fastpose_mtn.ops.pose_nms import PoseNMS
from fastpose_mtn.skeletons import COCO17, POSETRACK15
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.tracking.detections_file import SavedFrame, save


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    images = [crowded_image(rng) for _ in range(12)]
    (tmp_path / "labels.json").write_text(json.dumps(coco_labels(images)))
    frames = [
        SavedFrame(n, n / 30, image.size_hw, image.found, f"{n}.jpg") for n, image in enumerate(images, 1)
    ]
    save(tmp_path / "photos.detections.npz", frames, source="photos", skeleton=COCO17)
    return tmp_path


def test_parameters_are_found_and_written_as_a_configuration(folder, capsys):
    arguments = ["--detections", str(folder), "--gt", str(folder / "labels.json")]
    written = folder / "made" / "nms.yaml"
    main([*arguments, "--output", str(written), "TEST.POSE_NMS.MERGE", "False"])
    out = capsys.readouterr().out
    assert "12 labelled frames, 60 people, 120 found" in out
    rows = [line.split() for line in out.splitlines()[3:] if line.strip() and not line.startswith("written")]
    assert rows[0][-1] == "start"
    assert float(rows[0][0]) < 90
    assert float(rows[-1][0]) == 100.0
    cfg = get_cfg()
    cfg.merge_from_file(str(written))
    from_file = PoseNMS.from_config(cfg, COCO17)
    cfg = get_cfg()
    cfg.merge_from_list(out[out.index("TEST.POSE_NMS.KIND") :].split())
    assert PoseNMS.from_config(cfg, COCO17) == from_file
    assert from_file.kind == "parametric"
    assert from_file.parameters.threshold == pytest.approx(float(rows[-1][4]), rel=1e-3)


def test_its_page_comes_without_waiting_for_the_search():
    command = [sys.executable, "-X", "importtime", "-m", "fastpose_mtn.evaluation.pose_nms", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: python -m fastpose_mtn.evaluation.pose_nms ")
    assert "fastpose_mtn.commands.fit_pose_nms" in done.stderr
    assert "numpy" not in done.stderr


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"--output": "nms.txt"}, "nms.txt: expected a name that ends in .yaml"),
        ({"--rounds": "0"}, "--rounds 0: expected 1 or more"),
        ({"--gt": "none.json"}, "expected none.json, ground truth of photos.detections.npz; it is not there"),
        ({"--detections": "nowhere"}, "nowhere: no such file or folder"),
    ],
)
def test_what_cannot_be_used(folder, capsys, change, problem):
    words = {
        "--detections": str(folder),
        "--gt": str(folder / "labels.json"),
        "--output": str(folder / "n.yaml"),
    }
    with pytest.raises(SystemExit) as stop:
        main([word for pair in (words | change).items() for word in pair])
    assert stop.value.code == 2
    assert problem in capsys.readouterr().err


def test_people_of_other_images_are_told_and_nothing_is_written(folder, capsys):
    """Of images of the same names, where nobody stands where somebody is labelled."""
    with np.load(folder / "photos.detections.npz") as archive:
        arrays = dict(archive)
    arrays["boxes"][:, ::2] += 9000
    arrays["keypoints"][..., 0] += 9000
    np.savez(folder / "photos.detections.npz", **arrays)
    output = folder / "n.yaml"
    with pytest.raises(SystemExit):
        main(["--detections", str(folder), "--gt", str(folder / "labels.json"), "--output", str(output)])
    assert "nobody found is near anybody labelled in" in capsys.readouterr().err
    assert not output.exists()


def test_files_of_two_skeletons(folder, capsys):
    frames = [SavedFrame(0, 0.0, (10, 10), PersonDetections.empty(15))]
    save(folder / "z.detections.npz", frames, source="z", skeleton=POSETRACK15)
    with pytest.raises(SystemExit):
        main(
            [
                "--detections",
                str(folder),
                "--gt",
                str(folder / "labels.json"),
                "--output",
                str(folder / "n.yaml"),
            ]
        )
    assert "expected one skeleton in all files, got COCO17, POSETRACK15" in capsys.readouterr().err
