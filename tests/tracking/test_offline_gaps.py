import numpy as np
import pytest

from fastpose_mtn.structures import PersonDetections, TrackedPersons
from fastpose_mtn.tracking.detections_file import SavedFrame
from fastpose_mtn.tracking.offline_gaps import fill_gaps


def person(x, *, score=0.8, joint=(5, 5, 0.9), embedding=True):
    boxes = np.array([[x, 0, x + 10, 20]], np.float32)
    joints = np.array([[[x + joint[0], joint[1], joint[2]], [0, 0, 0]]], np.float32)
    looks = np.ones((1, 4), np.float32) if embedding else None
    return PersonDetections(boxes, np.array([score], np.float32), joints, looks)


def frames(*people, times=None):
    out = []
    for i, detections in enumerate(people):
        detections = PersonDetections.empty(2, 4) if detections is None else detections
        saved = SavedFrame(i, i / 10 if times is None else times[i], (48, 64), detections)
        out.append((saved, TrackedPersons(detections, np.full(len(detections), 3, np.int64))))
    return out


def test_a_person_between_two():
    """A third of the way in time, not in frames: at 0.1 s of 0.3 s."""
    video = frames(person(0), None, person(30, score=0.6, joint=(8, 11, 0.5)), times=[0, 0.1, 0.3])
    _, filled = fill_gaps(video, 0.5)[1]
    assert filled.track_ids.tolist() == [3]
    assert filled.interpolated.tolist() == [True]
    np.testing.assert_allclose(filled.boxes, [[10, 0, 20, 20]], atol=1e-5)
    np.testing.assert_allclose(
        filled.keypoints, [[[16, 7, 0], [0, 0, 0]]], atol=1e-5
    )  # nobody saw its joints
    np.testing.assert_allclose(filled.scores, [0.3])  # half of the lower
    assert not filled.embeddings.any()


def test_those_who_were_found_stay_as_they_are():
    video = frames(person(0), None, person(20))
    other = TrackedPersons(person(50), np.array([8]))
    video[1] = video[1][0], other
    _, filled = fill_gaps(video, 0.5)[1]
    assert filled.track_ids.tolist() == [8, 3]
    assert filled.interpolated.tolist() == [False, True]
    np.testing.assert_array_equal(filled.boxes[0], other.boxes[0])
    assert fill_gaps(video, 0.5)[0][1] is video[0][1]


@pytest.mark.parametrize(("longest_s", "count"), [(0.19, 0), (0.21, 1)])
def test_longer_gaps_stay(longest_s, count):
    assert len(fill_gaps(frames(person(0), None, person(20)), longest_s)[1][1]) == count


def test_people_without_embeddings():
    _, filled = fill_gaps(frames(person(0, embedding=False), None, person(20, embedding=False)), 0.5)[1]
    assert len(filled) == 1
    assert filled.embeddings is None


def test_frames_at_one_time():
    _, filled = fill_gaps(frames(person(0), None, person(20), times=[1, 1, 1]), 0.5)[1]
    np.testing.assert_allclose(filled.boxes, [[0, 0, 10, 20]])
