import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpose_mtn.data.sample import TASKS, LabelledImage
from fastpose_mtn.data.transforms.occlusion import OcclusionPaste, hide
from fastpose_mtn.structures import PersonTargets


def crowd(seed, people=4, size_hw=(120, 160)):
    """Noise with people of any size and joints of any visibility, all inside the image."""
    rng = np.random.default_rng(seed)
    height, width = size_hw
    low = rng.uniform(0, [width - 12, height - 12], (people, 2))
    high = low + rng.uniform(4, [width, height], (people, 2))
    boxes = np.concatenate([low, np.minimum(high, [width, height])], axis=1).astype(np.float32)
    keypoints = np.zeros((people, 15, 3), np.float32)
    keypoints[..., :2] = rng.uniform(0, [width, height], (people, 15, 2))
    keypoints[..., 2] = rng.integers(0, 3, (people, 15))
    keypoints[keypoints[..., 2] == 0] = 0
    targets = PersonTargets(boxes, keypoints, np.arange(people), rng.random(people) < 0.2)
    image = rng.integers(0, 256, (*size_hw, 3), np.uint8)
    return LabelledImage(image, targets, TASKS, 1, "a.jpg")


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_only_covered_visible_joints_become_hidden(seed):
    """What changes is what lies under changed pixels; nothing is moved, uncovered or invented."""
    before = crowd(seed)
    pixels = before.image.copy()
    after = OcclusionPaste(probability=0.8)(before, np.random.default_rng(seed + 1))
    assert np.array_equal(before.image, pixels)  # the argument is as it was
    a, b = before.targets.keypoints, after.targets.keypoints
    assert np.array_equal(a[..., :2], b[..., :2])
    assert np.array_equal(after.targets.boxes, before.targets.boxes)
    assert np.array_equal(after.targets.identities, before.targets.identities)
    hidden = a[..., 2] != b[..., 2]
    assert (a[hidden][:, 2] == 2).all()
    assert (b[hidden][:, 2] == 1).all()
    changed = (after.image != before.image).any(axis=2)
    visible = b[b[..., 2] == 2]
    assert not changed[visible[:, 1].astype(int), visible[:, 0].astype(int)].any()
    assert (after.targets.ignore | ~before.targets.ignore).all()


def test_people_are_covered_as_often_as_asked_for_and_ignored_ones_never():
    alone = crowd(0, people=1)
    paste = OcclusionPaste(probability=0.3)
    done = [paste(alone, np.random.default_rng(seed)) is not alone for seed in range(300)]
    assert 60 < sum(done) < 120
    crowd_of_one = LabelledImage(
        alone.image, PersonTargets(*(alone.targets.boxes, alone.targets.keypoints, alone.targets.identities, np.ones(1, bool))),
        TASKS, 1, "a.jpg",
    )  # fmt: skip
    assert OcclusionPaste(1.0)(crowd_of_one, np.random.default_rng(0)) is crowd_of_one


def test_pieces_come_from_where_nobody_is():
    """The person's half is 0, the background 200: a piece is background, or of one colour."""
    image = np.zeros((60, 100, 3), np.uint8)
    image[:, 50:] = 200
    targets = PersonTargets(
        np.array([[0, 0, 50, 60]], np.float32),
        np.zeros((1, 15, 3), np.float32),
        np.array([0]),
        np.zeros(1, bool),
    )
    labelled = LabelledImage(image, targets, TASKS, 1, "a.jpg")
    seen = set()
    for seed in range(40):
        out = OcclusionPaste(1.0)(labelled, np.random.default_rng(seed)).image
        colours = np.unique(out[(out != image).any(axis=2)], axis=0)
        assert len(colours) <= 1
        seen |= {tuple(colour) for colour in colours.tolist()}
    assert (200, 200, 200) in seen


def test_who_is_covered_wholly_is_ignored():
    boxes = np.array([[0, 0, 100, 100], [40, 40, 50, 50], [40, 40, 80, 80]], np.float32)
    keypoints = np.zeros((3, 2, 3), np.float32)
    keypoints[0] = [[45, 45, 2], [10, 10, 2]]
    targets = PersonTargets(boxes, keypoints, np.arange(3), np.zeros(3, bool))
    out = hide(targets, (38, 38, 60, 60), np.ones((22, 22), bool))
    assert out.ignore.tolist() == [False, True, False]
    assert out.keypoints[0, :, 2].tolist() == [1, 2]
    assert targets.keypoints[0, 0, 2] == 2


def test_what_is_no_probability():
    with pytest.raises(ValueError, match="INPUT.AUG.OCCLUSION: expected a probability, got 2"):
        OcclusionPaste(2)
