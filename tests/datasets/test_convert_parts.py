"""Datasets of faces and of hands alone: 300W, FreiHAND and InterHand2.6M."""

import json

import numpy as np
import pytest
from convert_300w import convert_300w, read_points
from convert_300w import main as main_300w
from convert_freihand import convert_freihand
from convert_freihand import main as main_freihand
from convert_interhand import convert_interhand
from convert_interhand import main as main_interhand
from matlab_files import draw

from fastpose_mtn.data.catalog import build_dataset
from fastpose_mtn.data.person_parts import shown_part
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


@pytest.fixture
def pairs(tmp_path):
    """Two hands in one image, one of them in another; the second camera looks from 500 mm to the right."""
    root = tmp_path / "interhand"
    points = np.zeros((42, 3))
    points[:, 0], points[:, 1], points[:, 2] = 2 * np.arange(42), np.arange(42), 1000
    turned = [[0, 0, -1], [0, 1, 0], [1, 0, 0]]  # along the world's x
    camera = {
        "campos": {"410001": [0, 0, 0], "410002": [-500.0, 0, 1000]},
        "camrot": {"410001": np.eye(3).tolist(), "410002": turned},
        "focal": {"410001": [1000.0, 2000.0], "410002": [1000.0, 1000.0]},
        "princpt": {"410001": [100.0, 50.0], "410002": [160.0, 120.0]},
    }
    images = [
        {
            "id": 7,
            "file_name": "Capture3/a/cam410001/image1.jpg",
            "capture": 3,
            "camera": "410001",
            "frame_idx": 1,
        },
        {
            "id": 9,
            "file_name": "Capture3/a/cam410002/image1.jpg",
            "capture": 3,
            "camera": "410002",
            "frame_idx": 1,
        },
    ]
    left = [0] * 21 + [1] * 20 + [0]  # without the left wrist
    labels = [{"image_id": 9, "joint_valid": left}, {"image_id": 7, "joint_valid": [[1]] * 42}]
    for image in images:
        path = root / "images" / "val" / image["file_name"]
        draw(path.parent, path.name)
    folder = root / "annotations" / "val"
    folder.mkdir(parents=True)
    contents = {
        "data": {"images": images, "annotations": labels},
        "joint_3d": {"3": {"1": {"world_coord": points.tolist(), "joint_valid": [1] * 42}}},
        "camera": {"3": camera},
    }
    for kind, content in contents.items():
        (folder / f"InterHand2.6M_val_{kind}.json").write_text(json.dumps(content))
    return root


def test_both_hands_are_seen_by_their_cameras(pairs, monkeypatch, capsys):
    monkeypatch.setenv("FASTPOSE_DATASETS", str(pairs.parent))
    main_interhand([])
    assert "interhand_val.json: 2 images, 3 people, 0 ignored boxes" in capsys.readouterr().out
    dataset = build_dataset("interhand_val", training=True)
    assert dataset.tasks == {"keypoints"}
    first, second = (dataset.skeleton.convert(dataset[i].targets.keypoints, HALPE136) for i in range(2))
    assert [(hand[:, 2] > 0).sum() for hand in (*first, *second)] == [21, 21, 20]
    at = HALPE136.joints.index
    # the first point is the thumb's tip, the 21st the wrist, and the left hand's follow
    assert first[0, at("right_thumb4"), :2].tolist() == [100.5, 50.5]
    assert first[0, at("right_thumb1"), :2].tolist() == [106.5, 56.5]  # 1000 * 6 / 1000, 2000 * 3 / 1000
    assert first[0, at("right_hand_root"), :2].tolist() == [140.5, 90.5]
    assert first[1, at("left_pinky_finger1"), :2].tolist() == [180.5, 130.5]
    # 1000 - z = 0 to the side, 21 down, 500 + 42 ahead
    assert second[0, at("left_thumb4"), :2] == pytest.approx([160.5, 120.5 + 1000 * 21 / 542], abs=1e-3)
    assert second[0, at("left_hand_root"), 2] == 0
    assert [shown_part(hand, HALPE136)[0] for hand in first] == ["right_hand", "left_hand"]


@pytest.mark.parametrize(
    ("kind", "change", "problem"),
    [
        (
            "data",
            lambda c: c["annotations"][0].update(joint_valid=[1]),
            r"joint_valid: expected 42 numbers, got \[1\]",
        ),
        (
            "data",
            lambda c: c["images"][1].pop("file_name"),
            r"images\[1\]: file_name: expected text, got None",
        ),
        ("joint_3d", lambda c: c["3"].pop("1"), r"joint_3d\.json: 3: 1: no 1, which .*images\[0\] names"),
        (
            "camera",
            lambda c: c["3"]["focal"].update({"410001": "far"}),
            r"camera\.json: 3: focal: 410001: expected 2",
        ),
        ("camera", lambda c: c.pop("3"), r"camera\.json: no 3, which .*images\[0\] names"),
    ],
)
def test_pairs_of_hands_that_are_none(pairs, kind, change, problem):
    path = pairs / "annotations" / "val" / f"InterHand2.6M_val_{kind}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=problem):
        convert_interhand(pairs)


def test_images_that_nobody_labelled_and_no_split_at_all(pairs, tmp_path):
    path = pairs / "annotations" / "val" / "InterHand2.6M_val_data.json"
    content = json.loads(path.read_text())
    content["annotations"][1]["joint_valid"] = [1, 1] + [0] * 40
    del content["annotations"][0]
    path.write_text(json.dumps(content))
    ((_, summary),) = convert_interhand(pairs)
    assert summary.splitlines()[0] == "1 images, 0 people, 0 ignored boxes"
    assert "1 images without labels left out, first Capture3/a/cam410002/image1.jpg" in summary
    assert "1 hands of fewer than 3 joints left out, first Capture3/a/cam410001/image1.jpg" in summary
    with pytest.raises(
        ValueError, match=r"InterHand2\.6M_train_data\.json: no such file, nor that of another"
    ):
        convert_interhand(tmp_path / "elsewhere")
