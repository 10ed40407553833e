"""Scenes: the same bytes for the same seed, in any order; labels that hold for every frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fastpose_mtn.data.synthetic import SceneConfig, SyntheticFrame, SyntheticScene
from fastpose_mtn.data.synthetic.appearance import draw_cast
from fastpose_mtn.data.synthetic.body import POINT
from fastpose_mtn.data.synthetic.truth import MIN_HEIGHT, MIN_VISIBLE_SHARE
from fastpose_mtn.skeletons import POSETRACK15

SMALL = SceneConfig(size_wh=(320, 180), frame_count=12)
HEAD_JOINTS = [POSETRACK15.index(name) for name in ("nose", "head_bottom", "head_top")]


def same(a: SyntheticFrame, b: SyntheticFrame) -> bool:
    pairs = [
        (a.image, b.image), (a.targets.boxes, b.targets.boxes), (a.targets.keypoints, b.targets.keypoints),
        (a.targets.identities, b.targets.identities), (a.targets.ignore, b.targets.ignore),
        (a.head_boxes, b.head_boxes), (a.visible_share, b.visible_share),
    ]  # fmt: skip
    return all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in pairs)


def test_same_seed_gives_the_same_bytes_in_any_order() -> None:
    in_order = list(SyntheticScene(7, SMALL).frames())
    assert len(in_order) == 12
    backwards = SyntheticScene(7, SMALL)
    for index in (11, 3, 0, 11):
        assert same(backwards.frame(index), in_order[index]), (
            f"frame {index} depends on what was drawn before"
        )


def test_another_seed_is_another_scene() -> None:
    a, b = SyntheticScene(1, SMALL).frame(0), SyntheticScene(2, SMALL).frame(0)
    assert (a.image != b.image).mean() > 0.5


def test_a_longer_scene_begins_like_a_shorter_one() -> None:
    longer = SyntheticScene(3, replace(SMALL, frame_count=20))
    assert np.array_equal(longer.courses[2].position[:12], SyntheticScene(3, SMALL).courses[2].position)


@pytest.mark.parametrize("seed", range(20, 26))
def test_labels_hold_together(seed: int) -> None:
    width, height = 480, 270
    config = SceneConfig(size_wh=(width, height), frame_count=40, occlusion=0.6)
    scene = SyntheticScene(seed, config)
    for index in (0, 20, 39):
        frame = scene.frame(index)
        assert frame.image.shape == (height, width, 3)
        assert frame.image.dtype == np.uint8
        assert frame.image.flags["C_CONTIGUOUS"]
        targets = frame.targets
        assert targets.keypoints.shape[1:] == (15, 3)
        ids = targets.identities.tolist()
        assert len(set(ids)) == len(ids)
        assert set(ids) <= set(range(config.people))
        assert (targets.boxes >= 0).all()
        assert (targets.boxes <= [width, height, width, height]).all()
        assert (targets.boxes[:, 2:] > targets.boxes[:, :2]).all()
        heights = targets.boxes[:, 3] - targets.boxes[:, 1]
        hidden_or_tiny = (frame.visible_share < MIN_VISIBLE_SHARE) | (heights < MIN_HEIGHT)
        assert np.array_equal(targets.ignore, hidden_or_tiny)
        assert (frame.visible_share > 0).all()
        assert (frame.visible_share <= 1).all()
        x, y, v = np.moveaxis(targets.keypoints, -1, 0)
        assert (x[v == 0] == 0).all()
        assert (y[v == 0] == 0).all()
        margin = 0.03 * heights[:, None] + 3
        x1, y1, x2, y2 = (targets.boxes[:, i, None] for i in range(4))
        within = (x >= x1 - margin) & (x <= x2 + margin) & (y >= y1 - margin) & (y <= y2 + margin)
        assert within[v == 2].all(), "a visible joint lies outside its person's box"
        hx1, hy1, hx2, hy2 = (frame.head_boxes[:, i, None] for i in range(4))
        in_head = (x >= hx1 - 0.01) & (x <= hx2 + 0.01) & (y >= hy1 - 0.01) & (y <= hy2 + 0.01)
        assert (in_head | (v == 0))[:, HEAD_JOINTS].all(), "a head joint lies outside the head box"


def test_joints_are_out_of_the_image_exactly_when_v_is_zero() -> None:
    scene = SyntheticScene(31, replace(SMALL, frame_count=30))
    checked = 0
    for index in range(0, 30, 5):
        targets = scene.frame(index).targets
        for person, joints in zip(targets.identities, targets.keypoints, strict=True):
            ankle = scene.pose(int(person), index).xy[POINT["l_ankle"]]
            outside = not (0 <= ankle[0] < 320 and 0 <= ankle[1] < 180)
            assert (joints[POSETRACK15.index("left_ankle"), 2] == 0) == outside
            checked += 1
    assert checked > 10


def test_people_pass_behind_things_and_come_out_again() -> None:
    """Somebody who could be labelled is not for a while, and then is again: what re-identification is for."""
    returns = 0
    for seed in range(3):
        scene = SyntheticScene(seed, SceneConfig(size_wh=(160, 90), frame_count=180, occlusion=0.8))
        labelled = np.zeros((30, 6), bool)
        for row, index in enumerate(range(0, 180, 6)):
            targets = scene.frame(index).targets
            labelled[row, targets.identities[~targets.ignore]] = True
        for person in labelled.T:
            seen = np.flatnonzero(person)
            returns += int((np.diff(seen) >= 2).sum()) if len(seen) else 0
    assert returns >= 2


def test_nobody_and_nothing() -> None:
    frame = SyntheticScene(0, replace(SMALL, people=0, occlusion=0.0)).frame(5)
    assert len(frame.targets) == 0
    assert frame.head_boxes.shape == (0, 4)
    assert frame.image.std() > 5  # the place itself is still there


def test_without_occlusion_there_are_no_occluders() -> None:
    assert SyntheticScene(5, replace(SMALL, occlusion=0.0)).occluders == []
    assert len(SyntheticScene(5, replace(SMALL, occlusion=1.0)).occluders) >= 1


def test_clothes_stay_the_same_and_people_differ() -> None:
    cast = [look for seed in range(40) for look in draw_cast(seed, 6)]
    assert len(set(cast)) == len(cast) == 240
    assert SyntheticScene(9, SMALL).cast == SyntheticScene(9, SMALL).cast


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"people": -1}, "people: expected 0 to 200 persons, got -1"),
        ({"occlusion": 1.5}, "occlusion: expected a number from 0 to 1, got 1.5"),
        ({"occlusion": float("nan")}, "occlusion: expected a number from 0 to 1, got nan"),
        ({"size_wh": (32, 360)}, "size_wh: expected 64 to 8192 pixels a side, got 32x360"),
        ({"frame_count": 0}, "frame_count: expected at least 1 frame, got 0"),
        ({"fps": 0.0}, "fps: expected a rate above 0, got 0.0"),
        ({"noise": -1.0}, "noise: expected a factor of 0 or more, got -1.0"),
    ],
)
def test_impossible_settings_are_named(change: dict, text: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        SceneConfig(**change)
    assert str(error.value) == text


def test_impossible_seeds_and_frames_are_named() -> None:
    with pytest.raises(ValueError, match=r"^seed: expected 0 or more, got -3$"):
        SyntheticScene(-3)
    with pytest.raises(IndexError, match=r"^frame 12: the scene has frames 0 to 11$"):
        SyntheticScene(0, SMALL).frame(12)
    with pytest.raises(IndexError, match=r"^frame -1: "):
        SyntheticScene(0, SMALL).frame(-1)
