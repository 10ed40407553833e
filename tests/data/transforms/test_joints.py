"""A dataset's people in the network's skeleton."""

import numpy as np
import pytest
from labelled_images import labelled

from fastpose_mtn.data.catalog import build_dataset
from fastpose_mtn.data.loader import AugmentedImages
from fastpose_mtn.data.transforms.joints import convert_people, tasks_in, warn_without_joints
from fastpose_mtn.skeletons import COCO17, MPII16, POSETRACK15, skeleton_of

OWN = skeleton_of(
    ["left_wrist", "top_head", "left_ear"]
)  # the second is POSETRACK15's head_top, the third it lacks
DRAWN = "synthetic://joints?seeds=3&frames=1&size=96x64&people=2&occlusion=0"


def person(skeleton, joints):
    keypoints = np.array([joints], np.float32)
    assert keypoints.shape == (1, len(skeleton), 3)
    return labelled(np.zeros((30, 40, 3), np.uint8), [[5, 4, 25, 28]], keypoints)


def test_joints_are_matched_by_name():
    image = person(OWN, [[12, 22, 2], [14, 24, 1], [16, 26, 2]])
    joints = convert_people(image, OWN, POSETRACK15).targets.keypoints[0]
    assert joints[POSETRACK15.index("left_wrist")].tolist() == [12, 22, 2]
    assert joints[POSETRACK15.index("head_top")].tolist() == [14, 24, 1]
    assert (joints[:, 2] > 0).sum() == 2
    assert image.targets.keypoints.shape == (1, 3, 3)
    assert convert_people(image, OWN, POSETRACK15).tasks == image.tasks


def test_people_in_the_networks_skeleton_stay_as_they_are():
    image = person(POSETRACK15, np.ones((15, 3)))
    assert convert_people(image, POSETRACK15, POSETRACK15) is image


def test_an_image_that_names_none_of_the_networks_joints_trains_none():
    other = skeleton_of(["l_wrist", "tail"])
    image = convert_people(person(other, [[1, 2, 2], [3, 4, 2]]), other, POSETRACK15)
    assert image.tasks == {"boxes", "identities"}
    assert not image.targets.keypoints.any()


@pytest.mark.parametrize("skeleton", [COCO17, MPII16, POSETRACK15])
def test_a_training_sample_is_in_the_networks_skeleton(skeleton):
    dataset = build_dataset(DRAWN, training=True)
    assert dataset.skeleton is POSETRACK15
    sample = AugmentedImages([dataset], [], seed=0, skeleton=skeleton)[0, 0]
    expected = POSETRACK15.convert(dataset[0].targets.keypoints, skeleton)
    np.testing.assert_array_equal(sample.targets.keypoints.numpy(), expected)


def test_joints_that_match_none_are_told(caplog):
    dataset = build_dataset(DRAWN, training=True)
    feet = skeleton_of(["left_big_toe", "right_big_toe"])
    assert tasks_in(dataset, feet) == {"boxes", "identities"}
    warn_without_joints(dataset, feet)
    assert f"dataset {DRAWN}: trains no joints: of its joints (nose, head_bottom, " in caplog.text
    caplog.clear()
    warn_without_joints(build_dataset(f"{DRAWN}&tasks=boxes", training=True), feet)
    warn_without_joints(dataset, COCO17)
    assert caplog.text == ""
    images = AugmentedImages([dataset], [], seed=0, skeleton=feet)
    assert images[0, 0].tasks == {"boxes", "identities"}
