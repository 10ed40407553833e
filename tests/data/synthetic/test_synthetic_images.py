import numpy as np
import pytest

from fastpose_mtn.data.catalog import build_dataset
from fastpose_mtn.data.sample import TASKS
from fastpose_mtn.data.synthetic.images import SyntheticSpec

SMALL = "synthetic://small?seeds=3-5&frames=7&size=128x96&people=1-4"


def test_a_name_says_everything():
    spec = SyntheticSpec.parse(
        "synthetic://mine?seeds=3-9&frames=12&size=320x180&people=5&occlusion=0.1-0.2&stride=4&tasks=boxes+keypoints"
    )
    assert spec == SyntheticSpec(
        "mine", (3, 9), 12, (320, 180), (5, 5), (0.1, 0.2), 4, frozenset({"boxes", "keypoints"})
    )
    assert SyntheticSpec.parse("synthetic://a?seeds=7") == SyntheticSpec("a", (7, 7))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("synthetic://a", "seeds are missing; expected synthetic://LABEL"),
        ("synthetic://a?seeds=5-2", "seeds: expected FIRST-LAST, got '5-2'"),
        ("synthetic://a?seeds=1&colour=red", "unknown part 'colour'"),
        ("synthetic://a?seeds=1&size=640", "size: expected WIDTHxHEIGHT, got '640'"),
        ("synthetic://a?seeds=1&frames=0", "frames, stride and size must be positive"),
        ("synthetic://a?seeds=1&tasks=masks", r"tasks are \['masks'\], expected some of"),
    ],
)
def test_a_name_that_cannot_be_read(name, text):
    with pytest.raises(ValueError, match=text):
        SyntheticSpec.parse(name)


def test_acceptance_scenes_are_not_trained_on():
    name = "synthetic://a?seeds=899999-900000&size=64x64"
    with pytest.raises(ValueError, match="kept for acceptance and must not be trained on"):
        build_dataset(name, training=True)
    assert len(build_dataset(name, training=False)) == 120
    assert len(build_dataset("synthetic://a?seeds=899999", training=True)) == 60


def test_identities_are_unique_over_scenes_and_counted_beforehand():
    dataset = build_dataset(SMALL, training=True)
    people = [dataset.spec.scene(seed).people for seed in (3, 4, 5)]
    assert dataset.num_identities == sum(people)
    assert dataset.group_sizes.tolist() == [7, 7, 7]
    for scene in range(3):
        first = sum(people[:scene])
        seen = np.concatenate([dataset[7 * scene + t].targets.identities for t in range(7)])
        assert set(seen.tolist()) <= set(range(first, first + people[scene]))


def test_a_frame_does_not_depend_on_what_was_asked_before():
    dataset, again = (build_dataset(SMALL, training=True) for _ in range(2))
    first = dataset[9]
    for index in (0, 20, 3):
        again[index]
    second = again[9]
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.targets.boxes, second.targets.boxes)
    assert first.file_name == second.file_name == "000004/000002"
    assert first.tasks == TASKS


def test_a_stride_leaves_frames_out():
    every = build_dataset(SMALL, training=False)
    third = build_dataset(f"{SMALL}&stride=3", training=False)
    assert len(third) == 9  # frames 0, 3 and 6 of three scenes
    a, b = every[7 + 3], third[3 + 1]
    assert np.array_equal(a.image, b.image)
    assert np.array_equal(a.targets.keypoints, b.targets.keypoints)


def test_no_image_beyond_the_last():
    with pytest.raises(IndexError, match="image 21 of 21"):
        build_dataset(SMALL, training=True)[21]


def test_unknown_names_list_the_known():
    with pytest.raises(
        ValueError, match=r"unknown dataset 'cocoo'; known: synthetic://..., json://..., crops://..., key"
    ):
        build_dataset("cocoo", training=True)
    with pytest.raises(ValueError, match=r"expected json://ANNOTATIONS\?images=FOLDER"):
        build_dataset("json://a.json", training=True)
