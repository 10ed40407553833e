"""How a detector's boxes differ from labels: whom a box shows, and a mixture found again."""

import numpy as np
import pytest

from fastpose_mtn.data.box_offsets import add_offsets, fit_axis, fit_table, offsets_of
from fastpose_mtn.skeletons import COCO_WHOLEBODY133, POSETRACK15
from fastpose_mtn.structures import PersonDetections, PersonTargets


def test_a_known_mixture_is_found_again():
    rng = np.random.default_rng(1)
    which = rng.random(20000) < 0.3
    first = rng.multivariate_normal([-0.3, 0.2], [[0.01, 0.004], [0.004, 0.01]], 20000)
    second = rng.multivariate_normal([0.2, 0.5], [[0.02, 0], [0, 0.005]], 20000)
    fit = fit_axis(np.where(which[:, None], first, second))
    order = np.argsort(fit.means[:, 0])
    assert len(order) == 2
    assert fit.boxes == 20000
    assert fit.weights[order] == pytest.approx([0.3, 0.7], abs=0.01)
    assert fit.means[order] == pytest.approx(np.array([[-0.3, 0.2], [0.2, 0.5]]), abs=0.01)
    assert fit.covariances[order[0]] == pytest.approx(np.array([[0.01, 0.004], [0.004, 0.01]]), abs=0.001)
    assert fit.covariances[order[1]] == pytest.approx(np.array([[0.02, 0], [0, 0.005]]), abs=0.001)
    assert fit.ranges[0, 0] < -0.3 < 0.2 < fit.ranges[0, 1]


def test_boxes_that_are_always_the_same_have_a_narrow_distribution():
    fit = fit_axis(np.tile([0.1, -0.2], (50, 1)))
    assert len(fit.weights) == 1
    assert fit.means[0] == pytest.approx([0.1, -0.2])
    assert fit.covariances[0] == pytest.approx(1e-4 * np.eye(2))


def test_offsets_are_shares_of_the_labelled_sides():
    offsets = offsets_of(np.array([[10.0, 20, 60, 220]]), np.array([[5.0, 40, 80, 200]]))
    assert offsets[0] == pytest.approx(np.array([[-0.1, 0.4], [0.1, -0.1]]))


def detections(*boxes, scores):
    return PersonDetections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.zeros((len(boxes), 0, 3), np.float32),
    )


def targets(*boxes, keypoints, ignore=()):
    n = len(boxes)
    return PersonTargets(
        np.array(boxes, np.float32), keypoints, np.full(n, -1), np.array(list(ignore) or [False] * n)
    )


def test_the_best_scored_box_shows_a_person_and_no_two_do():
    none = np.zeros((3, 15, 3), np.float32)
    people = targets(
        [0, 0, 100, 200], [300, 0, 400, 200], [600, 0, 700, 200], keypoints=none, ignore=[False, False, True]
    )
    found = detections(
        [0, 0, 100, 190],
        [0, 0, 100, 200],
        [600, 0, 700, 200],
        [340, 0, 440, 200],
        scores=[0.9, 0.8, 0.9, 0.9],
    )
    offsets = {}
    assert add_offsets(offsets, people, found, POSETRACK15) == (1, 2)  # the last box overlaps by 3/7
    assert np.array(offsets["whole"]) == pytest.approx(np.array([[[0, 0], [0, -0.05]]]))
    assert add_offsets(offsets, people, detections(scores=[]), POSETRACK15) == (0, 2)
    assert add_offsets(offsets, people[:0], found, POSETRACK15) == (0, 0)


def test_parts_are_compared_with_the_box_of_their_person():
    keypoints = np.zeros((1, 133, 3), np.float32)
    hand = [i for i in COCO_WHOLEBODY133.parts["hands"] if COCO_WHOLEBODY133.joints[i].startswith("right_")]
    keypoints[0, hand] = np.column_stack((np.linspace(60, 70, 21), np.linspace(100, 120, 21), np.full(21, 2)))
    offsets = {}
    add_offsets(
        offsets, targets([0, 0, 100, 200], keypoints=keypoints), detections([0, 0, 100, 200], scores=[0.9]),
        COCO_WHOLEBODY133,
    )  # fmt: skip
    assert offsets.keys() == {"whole", "right_hand"}
    assert offsets["right_hand"][0] == pytest.approx(np.array([[-6, 3], [-5, 4]]))
    many = {"whole": [offsets["whole"][0]] * 12, "right_hand": [offsets["right_hand"][0]] * 9}
    assert fit_table(many).keys() == {"whole"}  # of a hand there are too few
    with pytest.raises(ValueError, match=r"expected 10 or more boxes that show labelled people .*, got 0"):
        fit_table({})
