"""Ways of labelling drawn people: joints by hand, and through a dataset's name."""

import numpy as np
import pytest

from fastpose_mtn.data.annotation_standard import STANDARDS, relabel
from fastpose_mtn.data.catalog import build_dataset
from fastpose_mtn.errors import InputError
from fastpose_mtn.skeletons import COCO17, MPII16, POSETRACK15
from fastpose_mtn.structures import PersonTargets

SCENES = "synthetic://a?seeds=5&frames=2&size=160x120&people=3"


def person(height=200.0, **places):
    """Somebody 200 pixels tall; joints by name, (x, y, v), the others unlabelled."""
    keypoints = np.zeros((1, 15, 3), np.float32)
    for name, place in places.items():
        keypoints[0, POSETRACK15.index(name)] = place
    box = np.array([[0, 0, 80, height]], np.float32)
    return PersonTargets(box, keypoints, np.array([3]), np.array([False]))


def labels(people, standard):
    out = relabel(people, POSETRACK15, STANDARDS[standard], np.random.default_rng(0))
    return {
        name: out.keypoints[0, number].tolist()
        for number, name in enumerate(STANDARDS[standard].skeleton.joints)
    }


def test_joints_lie_where_another_dataset_has_them():
    found = labels(
        person(
            left_shoulder=(60, 40, 2), right_shoulder=(20, 40, 1), left_hip=(50, 100, 2), right_hip=(30, 100, 2),
            left_knee=(50, 140, 2), left_ankle=(50, 190, 2), head_bottom=(40, 30, 2), nose=(40, 20, 2),
        ),
        "mpii",
    )  # fmt: skip
    assert found["left_shoulder"] == pytest.approx([54, 40, 2])  # 3 % of 200 towards the other one
    assert found["right_shoulder"] == pytest.approx([26, 40, 1])
    assert found["left_hip"] == pytest.approx([50, 108, 2])
    assert found["left_ankle"] == pytest.approx([50, 186, 2])
    assert found["left_knee"] == pytest.approx([50, 140, 2])
    assert found["pelvis"] == pytest.approx(
        [40, 100, 2]
    )  # of where the hips are, not of where they are labelled
    assert found["thorax"] == pytest.approx([40, 40, 1])
    assert found["upper_neck"] == pytest.approx([40, 30, 2])
    assert found["right_hip"] == [0, 0, 0]  # whose knee is not labelled
    assert found["head_top"] == [0, 0, 0]


def test_a_joint_is_not_moved_beyond_its_neighbour():
    found = labels(person(left_hip=(50, 100, 2), left_knee=(50, 103, 2)), "mpii")
    assert found["left_hip"] == pytest.approx([50, 103, 2])


def test_careless_labels_are_off_by_shares_of_the_height():
    keypoints = np.full((2000, 15, 3), 2.0, np.float32)
    keypoints[:, 0, 2] = 1
    people = PersonTargets(
        np.tile(np.float32([0, 0, 50, 100]), (2000, 1)), keypoints, np.full(2000, -1), np.zeros(2000, bool)
    )
    out = relabel(people, POSETRACK15, STANDARDS["coco"], np.random.default_rng(0)).keypoints
    known = out[..., 2] == 2
    away = np.linalg.norm(out[..., :2] - 2, axis=-1)[known]
    assert (away > 0).mean() == pytest.approx(0.06, abs=0.01)
    assert away[away > 0].mean() == pytest.approx(2 * np.sqrt(np.pi / 2), rel=0.05)  # 2 % along each axis
    assert np.allclose(out[out[..., 2] == 1][:, :2], 2)  # hidden joints stay


def test_a_datasets_name_says_how_it_is_labelled():
    exact = build_dataset(SCENES, training=False)
    mpii = build_dataset(f"{SCENES}&standard=mpii", training=False)
    coco = build_dataset(f"{SCENES}&standard=coco&domain=other", training=False)
    assert (mpii.skeleton, mpii.domain, coco.skeleton, coco.domain) == (MPII16, "mpii", COCO17, "other")
    assert exact.has_sequences
    assert not mpii.has_sequences
    assert mpii.sequences(warn=print) == []
    one, other = exact[1], mpii[1]
    assert np.array_equal(one.image, other.image)
    assert other.posetrack is None
    knee, ankle = (
        [image.targets.keypoints[:, s.index(name), :2] for image, s in ((one, POSETRACK15), (other, MPII16))]
        for name in ("left_knee", "left_ankle")
    )
    assert np.array_equal(*knee)
    assert not np.array_equal(*ankle)
    again = build_dataset(f"{SCENES}&standard=mpii", training=True)
    assert np.array_equal(again[1].targets.keypoints, other.targets.keypoints)  # the same every time
    with pytest.raises(InputError, match="standard: expected one of coco, mpii, posetrack, got 'crowdpose'"):
        build_dataset(f"{SCENES}&standard=crowdpose", training=True)
