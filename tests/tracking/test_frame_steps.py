"""What trackers do alike with a frame: embeddings of one length, and weak joints left out of what is reported."""

import numpy as np
import pytest

from fastpose_mtn.structures import PersonDetections, TrackedPersons
from fastpose_mtn.tracking.frame_steps import check_embeddings, without_weak_joints
from fastpose_mtn.tracking.msim import MSIMTracker
from fastpose_mtn.tracking.occlusion_aware import OcclusionAwareTracker


def people(count, embedding_dim=4):
    left = 50.0 * np.arange(count, dtype=np.float32)
    keypoints = np.tile(np.array([10.0, 20.0, 0.9], np.float32), (count, 15, 1))
    keypoints[:, ::2, 2] = 0.3
    return PersonDetections(
        boxes=np.stack((left, 0 * left, left + 30, 0 * left + 80), axis=1),
        scores=np.full(count, 0.9, np.float32),
        keypoints=keypoints,
        embeddings=np.eye(count, embedding_dim, dtype=np.float32),
    )


@pytest.mark.parametrize("tracker", [OcclusionAwareTracker(), MSIMTracker()], ids=["occlusion_aware", "msim"])
def test_embeddings_of_another_length_are_told_and_change_nothing(tracker):
    tracker.update(people(2, 4), 0.0)
    told = (
        r"embeddings: 5 values a person, but 4 in earlier frames; reset\(\) before people of another network"
    )
    with pytest.raises(ValueError, match=told):
        tracker.update(people(2, 5), 0.1)
    assert tracker.update(people(2, 4), 0.1).track_ids.tolist() == [0, 1]


@pytest.mark.parametrize("tracker", [OcclusionAwareTracker(), MSIMTracker()], ids=["occlusion_aware", "msim"])
def test_what_is_no_time_and_nobody_is_told_by_name(tracker):
    with pytest.raises(ValueError, match="time_s: expected a number, got None"):
        tracker.update(people(1), None)
    with pytest.raises(ValueError, match="time_s: expected a number, got '0.5'"):
        tracker.update(people(1), "0.5")
    with pytest.raises(TypeError, match="detections: expected PersonDetections, got list"):
        tracker.update([], 0.0)


def test_nobody_has_embeddings_of_no_length():
    check_embeddings(people(0, 5), 4)
    check_embeddings(people(2, 5), 0)


def test_weak_joints_are_left_out_and_the_people_stay_as_they_were():
    found = people(2)
    tracked = TrackedPersons(found, np.array([3, 5]), np.array([False, True]))
    shown = without_weak_joints(tracked, 0.5)
    assert (shown.keypoints[:, ::2] == 0).all()
    np.testing.assert_array_equal(shown.keypoints[:, 1::2], found.keypoints[:, 1::2])
    assert (shown.track_ids.tolist(), shown.interpolated.tolist()) == ([3, 5], [False, True])
    assert without_weak_joints(tracked, 0.0) is tracked
