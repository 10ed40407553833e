"""What is told of saved detections that can be tracked all the same."""

import dataclasses

import numpy as np
import pytest

from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.tracking.detections_file import SavedDetections, SavedFrame
from fastpose_mtn.tracking.saved_remarks import remarks


def saved(times=(0.0, 0.1, 0.2), *, at=10.0, look=1.0, independent=False):
    """A person in each frame of 64x48 pixels, from the second on."""
    person = PersonDetections(
        boxes=np.array([[at, 5, at + 10, 25]], np.float32),
        scores=np.ones(1, np.float32),
        keypoints=np.ones((1, 15, 3), np.float32),
        embeddings=np.full((1, 4), look, np.float32),
    )
    frames = [SavedFrame(7 + i, t, (48, 64), person) for i, t in enumerate(times)]
    frames[0] = dataclasses.replace(frames[0], detections=PersonDetections.empty(15, 4))
    return SavedDetections("walk", POSETRACK15, tuple(frames), independent)


def test_what_is_as_it_should_be_is_not_remarked():
    assert remarks(saved(), 1.0) == []
    assert remarks(saved([0.0]), 1.0) == []
    assert remarks(saved([0.0, 50.0, 100.0], independent=True), 1.0) == []
    assert remarks(saved(at=-5), 1.0) == []  # cut by the border


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"times": [0, 33.3, 66.6]}, "more than 1 s (TRACKER.MAX_FRAME_SECONDS) after the one before, the second one 33.3 s"),
        ({"times": [0, 0.1, 3600]}, "frames are more than 1 s (TRACKER.MAX_FRAME_SECONDS) apart, 1 times, first 3599.9 s after frame 8"),
        ({"times": [4, 4, 4]}, "times_s: all 3 frames are at 4 s"),
        ({"at": 64}, "boxes: all 2 lie outside their frames"),
        ({"at": -10}, "boxes: all 2 lie outside their frames"),
        ({"look": 0.0}, "embeddings: those of 2 of 2 people are zeros"),
    ],
)  # fmt: skip
def test_what_is_odd_is_named(given, told):
    (remark,) = remarks(saved(**given), 1.0)
    assert told in remark
