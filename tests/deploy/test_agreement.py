import math

import numpy as np
import pytest

from fastpose_mtn.deploy.agreement import agreement
from fastpose_mtn.structures import PersonDetections


def people(boxes, *, scores=None, shift=0.0, vectors=None):
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    keypoints = np.zeros((len(boxes), 15, 3), np.float32)
    keypoints[..., 0] = shift
    return PersonDetections(
        boxes=boxes,
        scores=np.asarray([0.9] * len(boxes) if scores is None else scores, np.float32),
        keypoints=keypoints,
        embeddings=vectors,
    )


def test_the_same_people_agree_wholly():
    frame = people([[0, 0, 10, 30], [50, 0, 60, 30]])
    assert agreement([frame], [frame]) == (2, 1.0, 0.0, pytest.approx(math.nan, nan_ok=True))
    assert agreement([frame], [frame]).within_guard


def test_lost_moved_and_weak_people():
    reference = people([[0, 0, 100, 100], [200, 0, 300, 100], [400, 0, 500, 100]], scores=[0.9, 0.8, 0.4])
    other = people([[200, 0, 300, 90], [1, 0, 100, 100]], scores=[0.9, 0.2], shift=2.0)
    people_, found, distance, _ = agreement([reference], [other])
    assert people_ == 2, "a weak reference was counted"
    assert found == 0.5, "an overlap of 0.9 is not found, one of 0.99 is"
    assert distance == pytest.approx(2.0)


def test_vectors():
    a, b = np.zeros((1, 128), np.float32), np.zeros((1, 128), np.float32)
    a[0, 0], b[0, 1] = 1, 1
    box = [[0, 0, 10, 10]]
    assert agreement([people(box, vectors=a)], [people(box, vectors=b)]).embedding_distance == pytest.approx(
        math.sqrt(2)
    )


def test_nobody():
    nobody = people([])
    assert math.isnan(agreement([nobody], [nobody]).found)
    assert agreement([people([[0, 0, 9, 9]])], [nobody]).found == 0
    with pytest.raises(ValueError, match="as many frames in both, got 1 and 0"):
        agreement([nobody], [])
