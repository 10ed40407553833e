"""Datasets of faces and of hands alone: 300W and FreiHAND."""

import json

import numpy as np
import pytest
from convert_300w import convert_300w, read_points
from convert_300w import main as main_300w
from convert_freihand import convert_freihand
from convert_freihand import main as main_freihand
from matlab_files import draw

from fastpose_mtn.data.catalog import build_dataset
from fastpose_mtn.skeletons import HALPE136

FACE = np.stack([10 + np.arange(68.0), 20 + 2 * np.arange(68.0)], axis=1)


@pytest.fixture
def faces(tmp_path):
    root = tmp_path / "300w"
    for folder, name in (("helen/trainset", "a.jpg"), ("afw", "b.png"), ("lfpw/testset", "c.jpg")):
        draw(root / folder, name)
        lines = "\n".join(f"{x:.3f} {y:.3f}" for x, y in FACE + 1)
        (root / folder / name).with_suffix(".pts").write_text(f"version: 1\nn_points: 68\n{{\n{lines}\n}}\n")
    return root


def test_faces_are_split_as_the_benchmark_splits_them(faces, monkeypatch, capsys):
    (train, summary), (test, _) = convert_300w(faces)
    content = json.loads(train.read_text())
    assert [image["file_name"] for image in content["images"]] == ["afw/b.png", "helen/trainset/a.jpg"]
    assert summary == "2 images, 2 people, 0 ignored boxes"
    assert content["annotations"][0]["bbox"] == [10.5, 20.5, 67, 134]
    assert content["annotations"][0]["keypoints"][:6] == [10, 20, 2, 11, 22, 2]  # from 0
    assert [image["file_name"] for image in json.loads(test.read_text())["images"]] == ["lfpw/testset/c.jpg"]
    monkeypatch.setenv("FASTPOSE_DATASETS", str(faces.parent))
    main_300w([])
    assert "300w_test.json: 1 images" in capsys.readouterr().out
    dataset = build_dataset("300w_train", training=True)
    assert dataset.tasks == {"keypoints"}
    joints = dataset.skeleton.convert(dataset[0].targets.keypoints, HALPE136)[0]
    assert np.flatnonzero(joints[:, 2]).tolist() == list(HALPE136.parts["face"])
    np.testing.assert_allclose(joints[list(HALPE136.parts["face"]), :2], FACE + 0.5)


def test_points_that_are_none(faces, tmp_path):
    (faces / "afw" / "b.pts").write_text("version: 1\n{\n1 2\n3 4\n}\n")
    with pytest.raises(ValueError, match=r"b\.pts: expected \{ x y \.\.\. \} of 68 points, got 2"):
        convert_300w(faces)
    (faces / "afw" / "b.pts").write_text("{ 1 two }")
    with pytest.raises(ValueError, match="of 68 points, got 0"):
        read_points(faces / "afw" / "b.pts")
    with pytest.raises(ValueError, match=r"no NAME\.pts in it or below"):
        convert_300w(tmp_path / "elsewhere")


def test_a_face_without_its_picture(faces):
    (faces / "afw" / "b.png").unlink()
    with pytest.raises(
        ValueError, match=r"1 of 2 images cannot be read, the first: .*b\.jpg.*--skip-missing"
    ):
        convert_300w(faces)
    assert convert_300w(faces, skip_missing=True)[0][1].startswith("1 images, 1 people")


@pytest.fixture
def hands(tmp_path):
    root = tmp_path / "freihand"
    points = np.zeros((2, 21, 3))
    points[..., 0], points[..., 1] = 0.01 * np.arange(21), 0.02 * np.arange(21)
    points[0, :, 2], points[1, :, 2] = 1.0, 2.0
    camera = [[100.0, 0, 50], [0, 200.0, 60], [0, 0, 1]]
    draw(root / "training" / "rgb", *(f"{i:08d}.jpg" for i in range(8)), size_wh=(224, 224))
    (root / "training_xyz.json").write_text(json.dumps(points.tolist()))
    (root / "training_K.json").write_text(json.dumps([camera, camera]))
    return root


def test_hands_are_projected_and_seen_before_four_backgrounds(hands, monkeypatch, capsys):
    monkeypatch.setenv("FASTPOSE_DATASETS", str(hands.parent))
    main_freihand([])
    assert "8 images, 8 people" in capsys.readouterr().out
    content = json.loads((hands / "freihand_train.json").read_text())
    first, second, third = (annotation["keypoints"] for annotation in content["annotations"][:3])
    assert first[3:6] == [51, 64, 2]  # 100 * 0.01 / 1 + 50, 200 * 0.02 / 1 + 60
    assert second[3:6] == [50.5, 62, 2]  # twice as far
    assert third == first
    dataset = build_dataset("freihand_train", training=True)
    joints = dataset.skeleton.convert(dataset[0].targets.keypoints, HALPE136)[0]
    named = {HALPE136.joints[i] for i in np.flatnonzero(joints[:, 2])}
    assert len(named) == 21
    assert {"right_hand_root", "right_thumb1", "right_pinky_finger4"} <= named
    assert dataset.skeleton.joints[5] == "right_forefinger1"  # FreiHAND's order


def test_hands_that_are_none(hands):
    points = json.loads((hands / "training_xyz.json").read_text())
    points[1][4][2] = -1.0
    (hands / "training_xyz.json").write_text(json.dumps(points))
    with pytest.raises(ValueError, match="hand 1: a point is not in front of the camera"):
        convert_freihand(hands)
    (hands / "training_xyz.json").write_text(json.dumps(points[:1]))
    with pytest.raises(ValueError, match=r"training_K\.json: expected a camera for each of 1 hands, got 2"):
        convert_freihand(hands)
    for content in ("[[1, 2], [3]]", "[[[1, 2, 3]]]"):
        (hands / "training_xyz.json").write_text(content)
        with pytest.raises(ValueError, match=r"training_xyz\.json: expected a list of 21x3 numbers"):
            convert_freihand(hands)
    (hands / "training_xyz.json").unlink()
    with pytest.raises(ValueError, match=r"training_xyz\.json: no such file"):
        convert_freihand(hands)
