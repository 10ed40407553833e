"""The tracker frame by frame, on people placed by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpose_mtn.config import get_cfg
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.tracking.tracker import STRATEGIES, OcclusionAwareTracker

FPS = 25.0


def people(*persons):
    """People from (x, identity) or (x, identity, seen): 40 x 100 boxes whose vector is the identity's axis."""
    n = len(persons)
    boxes, joints = np.zeros((n, 4), np.float32), np.ones((n, 15, 3), np.float32)
    vectors = np.zeros((n, 128), np.float32)
    for row, (x, identity, *seen) in enumerate(persons):
        boxes[row] = x, 50, x + 40, 150
        joints[row, :, 2] = 0.9
        joints[row, seen[0] if seen else 15 :, 2] = 0.05
        vectors[row, identity] = 1
    return PersonDetections(boxes, np.linspace(0.99, 0.9, n, dtype=np.float32), joints, vectors)


def run(tracker, frames, start=0.0):
    """The ids of each frame, in the order of its people."""
    return [tracker.update(frame, start + i / FPS).track_ids.tolist() for i, frame in enumerate(frames)]


@pytest.fixture(params=STRATEGIES)
def tracker(request):
    return OcclusionAwareTracker(strategy=request.param)


def test_people_are_born_in_order_of_score_and_keep_their_ids(tracker):
    frames = [people((10 + i, 0), (200 - i, 1)) for i in range(10)]
    assert run(tracker, frames) == [[0, 1]] * 10


def test_whoever_scores_low_begins_no_track(tracker):
    low = people((10, 0))
    low = PersonDetections(low.boxes, np.array([0.6], np.float32), low.keypoints, low.embeddings)
    assert run(tracker, [low, low]) == [[], []]


def test_a_track_goes_on_with_a_low_score(tracker):
    first = people((10, 0))
    low = PersonDetections(first.boxes, np.array([0.6], np.float32), first.keypoints, first.embeddings)
    assert run(tracker, [first, low]) == [[0], [0]]


def test_a_person_who_was_lost_for_too_long_is_new(tracker):
    assert run(tracker, [people((10, 0))]) == [[0]]
    assert run(tracker, [people((10, 0))], start=2.5) == [[1]]


def test_time_passes_on_empty_frames(tracker):
    run(tracker, [people((10, 0))])
    for second in (1.0, 2.0):
        assert tracker.update(PersonDetections.empty(15, 128), second).track_ids.tolist() == []
    assert run(tracker, [people((10, 0))], start=2.1) == [[1]]


@pytest.mark.parametrize("strategy", ["reid", "occlusion_aware"])
def test_a_return_after_occlusion_far_away_is_found_by_appearance(strategy):
    tracker = OcclusionAwareTracker(strategy=strategy)
    run(tracker, [people((10, 0), (400, 1))] * 5)
    run(tracker, [people((400, 1))] * 20, start=0.2)
    assert run(tracker, [people((90, 0), (400, 1))], start=1.0) == [[0, 1]]


def test_overlap_alone_does_not_find_a_return_far_away():
    tracker = OcclusionAwareTracker(strategy="iou")
    run(tracker, [people((10, 0), (400, 1))] * 5)
    run(tracker, [people((400, 1))] * 20, start=0.2)
    assert run(tracker, [people((90, 0), (400, 1))], start=1.0) == [[2, 1]]


@pytest.mark.parametrize("strategy", ["reid", "occlusion_aware"])
def test_people_who_cross_and_are_seen_keep_their_ids(strategy):
    """They meet at 100 and turn back, so motion alone would exchange them."""
    path = [*range(60, 100, 4), *range(96, 56, -4)]
    frames = [people((x, 0), (200 - x, 1)) for x in path]
    assert run(OcclusionAwareTracker(strategy=strategy), frames) == [[0, 1]] * len(frames)


def test_a_hidden_person_does_not_change_the_tracklets_vector():
    """Hidden behind person 1, person 0 shows person 1's colours; afterwards it must still be found as 0."""
    tracker = OcclusionAwareTracker(strategy="occlusion_aware")
    run(tracker, [people((100, 0))] * 5)
    run(tracker, [people((100, 1, 4))] * 20, start=0.2)  # 4 of 15 joints seen
    np.testing.assert_allclose(tracker._tracklets.vectors[0].argmax(), 0)


def test_ten_of_fifteen_joints_are_not_enough():
    """Theta_valid: more than 10 of 15, as the paper has it."""
    tracker = OcclusionAwareTracker(strategy="occlusion_aware")
    run(tracker, [people((100, 0, 10))])
    assert not tracker._tracklets.has_vector.any()
    run(tracker, [people((100, 0, 11))], start=0.1)
    assert tracker._tracklets.has_vector.all()


@pytest.mark.parametrize("strategy", ["reid", "occlusion_aware"])
def test_look_alikes_are_told_apart_by_place(strategy):
    frames = [people((10 + 2 * i, 0), (300 - 2 * i, 0)) for i in range(20)]
    assert run(OcclusionAwareTracker(strategy=strategy), frames) == [[0, 1]] * 20


def test_two_trackers_share_nothing(tracker):
    other = OcclusionAwareTracker(strategy=tracker.strategy)
    run(tracker, [people((10, 0), (100, 1))])
    assert run(other, [people((300, 2))]) == [[0]]


def test_reset_forgets_everything(tracker):
    run(tracker, [people((10, 0))], start=5.0)
    tracker.reset()
    assert run(tracker, [people((500, 3))]) == [[0]]


def test_a_hundred_people(tracker):
    frames = [people(*((60 * k + i, k) for k in range(100))) for i in range(5)]
    assert run(tracker, frames) == [list(range(100))] * 5


def test_without_vectors_overlap_decides(tracker):
    def bare(x):
        found = people((x, 0))
        return PersonDetections(found.boxes, found.scores, found.keypoints)

    assert run(tracker, [bare(10), bare(12), bare(14)]) == [[0]] * 3


def test_memory_is_bounded(tracker):
    """A new person somewhere else every second: none is kept for longer than the lost are."""
    for second in range(200):
        tracker.update(people((50 * (second % 40), second % 128)), float(second))
    assert len(tracker._tracklets) <= 4


def test_bad_input_leaves_the_tracker_as_it_was(tracker):
    run(tracker, [people((10, 0))], start=1.0)
    with pytest.raises(ValueError, match=r"0\.5 s comes after 1\.0 s; give frames in order, or reset\(\)"):
        tracker.update(people((10, 0)), 0.5)
    short = people((10, 0))
    short = PersonDetections(short.boxes, short.scores, short.keypoints, np.ones((1, 64), np.float32))
    with pytest.raises(ValueError, match="embeddings: 64 values a person, but 128 in earlier frames"):
        tracker.update(short, 1.1)
    assert run(tracker, [people((10, 0))], start=1.1) == [[0]]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"strategy": "magic"}, "strategy: expected one of iou, reid, occlusion_aware, got 'magic'"),
        ({"min_similarity": 0.0}, "min_similarity: expected a number above 0"),
        ({"birth_score": 1.5}, "birth_score: expected a number from 0 to 1, got 1.5"),
        ({"max_distance": 0.0}, "max_distance: expected a distance above 0"),
        ({"max_lost_seconds": -1.0}, "max_lost_seconds: expected 0 or more"),
    ],
)
def test_bad_settings(changes, expected):
    with pytest.raises(ValueError, match=expected):
        OcclusionAwareTracker(**changes)


def test_from_config():
    cfg = get_cfg()
    cfg.TRACKER.STRATEGY, cfg.TRACKER.BIRTH_SCORE = "reid", 0.8
    tracker = OcclusionAwareTracker.from_config(cfg)
    assert (tracker.strategy, tracker.birth_score, tracker.position_weight) == ("reid", 0.8, 0.5)


crowds = st.lists(
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 5), st.integers(0, 15)), max_size=6), max_size=12
)


@settings(max_examples=60, deadline=None)
@given(crowds, st.sampled_from(STRATEGIES))
def test_ids_are_unique_dense_and_the_same_again(crowd, strategy):
    frames = [people(*frame) if frame else PersonDetections.empty(15, 128) for frame in crowd]
    first = run(OcclusionAwareTracker(strategy=strategy), frames)
    assert first == run(OcclusionAwareTracker(strategy=strategy), frames)
    assert all(len(set(ids)) == len(ids) for ids in first)
    seen = {track for ids in first for track in ids}
    assert seen == set(range(len(seen)))
