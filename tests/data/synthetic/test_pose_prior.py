"""Files of real poses: what is read of them, who can be used, and which images a seed takes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from real_poses import standing, write_json, write_npz

from fastpose_mtn.data.problems import LEFT_OUT, Problems
from fastpose_mtn.data.synthetic.pose_completion import complete_poses, drawn_poses
from fastpose_mtn.data.synthetic.pose_prior_file import read_pose_prior
from fastpose_mtn.skeletons import COCO17

WIDE, HIGH = (640, 427), (375, 500)
LEGS = [COCO17.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("knee", "ankle")]
IMAGES = [
    [standing(100, 400, 250), standing(300, 380, 200, "walk", 1.4)],
    [standing(150, 450, 300, "wave")],
    [standing(120 * (i + 1), 400, 150, "point") for i in range(4)],
]
SIZES = [WIDE, HIGH, WIDE]
MIDDLE = np.array([0.5, 0.5, 0])  # of the pixel that a label names


def unlabelled(person: np.ndarray, joints: list[int]) -> np.ndarray:
    out = person.copy()
    out[joints] = 0
    return out


def test_arrays_and_json_of_the_same_people_are_the_same_poses(tmp_path: Path) -> None:
    """The arrays do not say that the images are 640x427 and 375x500: their joints, whole pixels, do."""
    arrays = read_pose_prior(write_npz(tmp_path / "a.npz", IMAGES, SIZES), "test")
    labels = read_pose_prior(write_json(tmp_path / "a.json", IMAGES, SIZES), "test")
    assert sorted(arrays.counts.tolist()) == sorted(labels.counts.tolist()) == [1, 2, 4]
    for image in range(3):
        own = labels.image(image)
        same = arrays.image(2 - image)  # the arrays' images go by number
        assert own.size_wh == same.size_wh == SIZES[image]
        expected = np.array(IMAGES[image]) + MIDDLE
        assert own.keypoints == pytest.approx(expected, abs=1e-3)
        assert same.keypoints == pytest.approx(expected, abs=0.01)


def test_people_with_too_few_joints_are_left_out(tmp_path: Path) -> None:
    whole = standing(100, 400, 250)
    face_only = unlabelled(whole, list(range(5, 17)))
    four = unlabelled(whole, [*range(5), *range(9, 17)])
    without_trunk = unlabelled(
        whole, [COCO17.index(f"{s}_{j}") for s in ("left", "right") for j in ("shoulder", "hip")]
    )
    one_point = np.tile([100.0, 100.0, 2.0], (17, 1))
    people = [face_only, four, without_trunk, one_point, whole]
    prior = read_pose_prior(write_npz(tmp_path / "a.npz", [people], [WIDE]), "test")
    assert prior.counts.tolist() == [1]
    assert prior.image(0).keypoints[0] == pytest.approx(whole + MIDDLE, abs=0.01)
    with pytest.raises(
        ValueError,
        match=r"^test: poses: .*b\.npz: expected people with 5 labelled joints, shoulders or hips among them, got nobody of 4",
    ):
        read_pose_prior(write_npz(tmp_path / "b.npz", [people[:4]], [WIDE]), "test")


def test_an_image_shows_all_that_are_wanted_or_several_do(tmp_path: Path) -> None:
    prior = read_pose_prior(write_json(tmp_path / "a.json", IMAGES, SIZES), "test")

    def counts(people: int) -> list[int]:
        rng = np.random.default_rng(0)
        return [len(found.keypoints) for found in prior.arrangements(rng, people)]

    assert [counts(n) for n in (0, 1, 2, 3, 4, 7, 9)] == [[], [1], [2], [2, 1], [4], [4, 2, 1], [4, 4, 1]]
    crowd = read_pose_prior(write_json(tmp_path / "b.json", IMAGES[2:], SIZES[2:]), "test")
    (some,) = crowd.arrangements(np.random.default_rng(1), 3)
    assert len(some.keypoints) == 3
    everybody = crowd.image(0).keypoints.tolist()
    assert all(person in everybody for person in some.keypoints.tolist())


def test_hidden_legs_are_those_of_somebody_who_holds_the_rest_alike() -> None:
    sitting = standing(100, 300, 250)
    hips = sitting[[COCO17.index("left_hip"), COCO17.index("right_hip")], 1].mean()
    for joint, (x, y) in zip(
        LEGS, ((150, hips), (150, hips + 60), (140, hips), (140, hips + 60)), strict=True
    ):
        sitting[joint, :2] = x, y
    walking = standing(100, 300, 250, "walk", 1.4)
    examples = np.concatenate([sitting[None], walking[None], drawn_poses()])
    for example in (sitting, walking):
        # Half as large, elsewhere.
        whole = example * (0.5, 0.5, 1) + np.array([400, 20, 0])
        seen = unlabelled(whole, LEGS)
        (completed,) = complete_poses(seen[None], examples)
        assert completed[LEGS, :2] == pytest.approx(whole[LEGS, :2], abs=0.01)
        assert completed[LEGS, 2].tolist() == [1, 1, 1, 1]
        rest = sorted(set(range(17)) - set(LEGS))
        assert np.array_equal(completed[rest], seen[rest])


def test_somebody_without_an_example_stands_or_walks() -> None:
    upper = unlabelled(standing(100, 300, 250), [*LEGS, COCO17.index("left_hip"), COCO17.index("right_hip")])
    (completed,) = complete_poses(upper[None], drawn_poses())
    assert (completed[5:, 2] > 0).all()
    rows = [completed[COCO17.index(f"left_{joint}"), 1] for joint in ("shoulder", "hip", "knee", "ankle")]
    # Shoulders to hips 0.28 of the height, thigh 0.245, shin 0.24; 250 pixels are the height.
    assert np.diff(rows) == pytest.approx([70, 61, 60], abs=12)


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"image_id": np.zeros(1, int)}, "expected the arrays image_id and keypoints_xyv, got image_id"),
        (
            {"image_id": np.zeros(2, int), "keypoints_xyv": np.zeros((2, 15, 3), np.uint16)},
            r"keypoints_xyv: expected \(N, 17, 3\) uint16, .* got \(2, 15, 3\) uint16; give COCO-style JSON",
        ),
        (
            {"image_id": np.zeros(2, int), "keypoints_xyv": np.zeros((2, 17, 3), np.float32)},
            r"keypoints_xyv: expected \(N, 17, 3\) uint16, .* got \(2, 17, 3\) float32",
        ),
        (
            {"image_id": np.zeros(3, int), "keypoints_xyv": np.zeros((2, 17, 3), np.uint16)},
            r"image_id: expected \(2,\) whole numbers, one a person, got \(3,\) int64",
        ),
        (
            {"image_id": np.zeros(1, int), "keypoints_xyv": np.full((1, 17, 3), 7, np.uint16)},
            "keypoints_xyv: expected v of 0, 1 or 2, got 7",
        ),
        (
            {"image_id": np.zeros(0, int), "keypoints_xyv": np.zeros((0, 17, 3), np.uint16)},
            "got nobody of 0; give labels of whole people",
        ),
    ],
)
def test_other_arrays_are_named(tmp_path: Path, arrays: dict[str, np.ndarray], text: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=r"^--poses: poses: .*a\.npz: .*" + text):
        read_pose_prior(tmp_path / "a.npz", "--poses")


def test_files_that_are_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no such file, got .*none\.npz; expected \.npz or COCO-style JSON"):
        read_pose_prior(tmp_path / "none.npz", "test")
    with pytest.raises(ValueError, match=r"annotations not found: .*none\.json"):
        read_pose_prior(tmp_path / "none.json", "test")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(ValueError, match=r"text\.npz: expected NumPy's \.npz, which this is not"):
        read_pose_prior(tmp_path / "text.npz", "test")


def test_json_without_sizes_or_without_known_joints_is_named(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", IMAGES, SIZES)
    record = json.loads(path.read_text())
    del record["images"][2]["width"], record["images"][2]["height"]
    path.write_text(json.dumps(record))
    problems = Problems()
    assert sorted(read_pose_prior(path, "test", problems).counts.tolist()) == [1, 2]
    assert problems.count(LEFT_OUT) == 1
    record["categories"][0]["keypoints"] = [f"whisker{i}" for i in range(17)]
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match="expected joints called as COCO's, got whisker0, whisker1"):
        read_pose_prior(path, "test")
