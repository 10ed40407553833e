"""Behind a scene cut places say nothing, and looks say who is who."""

import numpy as np
from tracked_people import ANNA, BERT, CARL, FRAME, frame, hide, ids, make, person


def cut(tracker, time_s, *people):
    return tracker.update(frame(*people), time_s, scene_cut=True).track_ids.tolist()


def test_behind_a_scene_cut_appearance_alone_finds_people_again():
    """Anna is far away, and twice as high; who stands in her place is Carl."""
    for strategy, found in (("iou", [2, 3, 4]), ("reid", [2, 0, 1]), ("occlusion_aware", [2, 0, 1])):
        tracker = make(strategy)
        assert ids(tracker, 0.0, person(100, ANNA), person(300, BERT)) == [0, 1]
        people = person(100, CARL), person(900, ANNA, height=200.0, width=80.0), person(500, BERT)
        assert cut(tracker, FRAME, *people) == found, strategy
        assert tracker.scene_cut
        # places count again: here who overlaps is who was there
        assert ids(tracker, 2 * FRAME, *people) == found
        assert not tracker.scene_cut


def test_behind_a_scene_cut_places_say_nothing():
    """Who is not seen well enough, at the very place where somebody else was, is new."""
    for look, seen in ((ANNA, 5), (BERT, 15)):
        tracker = make()
        ids(tracker, 0.0, person(100, ANNA))
        assert cut(tracker, FRAME, person(100, look, seen=seen)) == [1]
    tracker = make()
    ids(tracker, 0.0, person(100, ANNA), embeddings=False)
    assert tracker.update(frame(person(100), embeddings=False), FRAME, scene_cut=True).track_ids.tolist() == [
        1
    ]


def test_a_person_of_the_scene_before_can_come_back_later_but_not_too_late():
    for gap_s, back in ((1.9, 0), (2.1, 1)):
        tracker = make(max_lost_seconds=2.0)
        ids(tracker, 0.0, person(100, ANNA))
        cut(tracker, FRAME)
        hide(tracker, 2 * FRAME, gap_s)
        assert ids(tracker, gap_s, person(700, ANNA, height=60.0, width=24.0)) == [back]


def test_who_comes_back_behind_a_cut_moves_as_if_new():
    """Anna ran to the right; behind the cut she stands, and is not looked for where she would have run to."""
    tracker = make()
    for i in range(20):
        ids(tracker, i * FRAME, person(100 + 12 * i, ANNA))
    assert cut(tracker, 0.8, person(600, ANNA, y=300)) == [0]
    np.testing.assert_allclose(tracker._tracklets.predicted_boxes(1.8), [[580, 250, 620, 350]])


def test_how_alike_people_must_be_behind_a_cut():
    """Embeddings 60 degrees apart are at distance 1: alike by 1 - 1 / 1.414."""
    look = np.array([0.5, 0.75**0.5, 0, 0], np.float32)
    for threshold, found in ((0.29, 0), (0.3, 1)):
        tracker = make(cut_appearance=threshold, min_similarity=0.01)
        ids(tracker, 0.0, person(100, ANNA))
        assert cut(tracker, FRAME, person(100, look)) == [found]


def test_a_scene_cut_is_seen_in_the_frames():
    rng = np.random.default_rng(0)
    scenes = [
        np.kron(rng.integers(0, 255, (9, 16, 1), np.uint8), np.ones((20, 20, 3), np.uint8)) for _ in "ab"
    ]
    for correlation, found in ((0.6, 1), (0.0, 0)):
        tracker = make("iou", cut_correlation=correlation)
        for i, image in enumerate((scenes[0], scenes[0], None, scenes[0])):
            assert tracker.update(frame(person(100)), i * FRAME, image).track_ids.tolist() == [0]
        assert tracker.update(frame(person(100)), 4 * FRAME, scenes[1]).track_ids.tolist() == [found]
        assert tracker.scene_cut == bool(found)
        tracker.reset()
        assert not tracker.scene_cut
        tracker.update(frame(person(100)), 0.0, scenes[0])  # a new video's first frame
        assert not tracker.scene_cut
