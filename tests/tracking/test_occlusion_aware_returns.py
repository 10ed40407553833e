"""Who was lost and comes back, and who is new instead."""

import pytest
from tracked_people import ANNA, BERT, CARL, FRAME, hide, ids, make, person

from fastpose_mtn.tracking.parameters import STRATEGIES


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_short_gap_costs_nobody_their_id(strategy):
    tracker = make(strategy)
    ids(tracker, 0.0, person(100))
    assert ids(tracker, FRAME) == []
    assert ids(tracker, 2 * FRAME, person(101)) == [0]


def test_a_return_far_from_the_old_place_by_appearance_alone():
    for strategy, back in (("iou", [2, 3]), ("reid", [1, 0]), ("occlusion_aware", [1, 0])):
        tracker = make(strategy)
        assert ids(tracker, 0.0, person(100, ANNA), person(600, BERT)) == [0, 1]
        hide(tracker, FRAME, 1.0)
        assert ids(tracker, 1.0, person(840, BERT), person(340, ANNA)) == back, strategy


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("seen", [15, 5])  # in full view, and so that the overlap alone counts
@pytest.mark.parametrize(
    "elsewhere",
    [
        {"x": 450, "height": 30.0, "width": 12.0},
        {"x": 900},
        {"x": 100, "y": 190, "height": 300.0, "width": 40.0},  # overlaps by a third
        {"x": 100, "y": 75, "height": 50.0},  # overlaps by a half
    ],
    ids=["a third as high", "far", "three times as high", "half as high"],
)
def test_an_id_does_not_jump_across_the_picture(strategy, seen, elsewhere):
    """Nor to somebody at the same place who is not as high, in any stage of any strategy."""
    tracker = make(strategy)
    ids(tracker, 0.0, person(100, ANNA))
    hide(tracker, FRAME, 0.6)
    assert ids(tracker, 0.6, person(**{"look": ANNA, "seen": seen, **elsewhere})) == [1]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_who_is_half_hidden_but_was_not_lost_keeps_their_id(strategy):
    tracker = make(strategy)
    ids(tracker, 0.0, person(100, ANNA))
    assert ids(tracker, FRAME, person(100, ANNA, seen=5, y=75, height=50.0)) == [0]


def test_somebody_else_at_the_place_of_a_lost_person_is_new():
    tracker = make()
    ids(tracker, 0.0, person(100, ANNA))
    hide(tracker, FRAME, 1.0)
    assert ids(tracker, 1.0, person(100, BERT)) == [1]
    assert ids(tracker, 1.0 + FRAME, person(100, BERT), person(180, ANNA)) == [1, 0]


def test_lost_people_are_forgotten_after_seconds_of_video_not_frames():
    for fps in (5, 50):
        for gap_s, back in ((1.9, 0), (2.1, 1)):
            tracker = make(max_lost_seconds=2.0)
            ids(tracker, 0.0, person(100))
            for i in range(1, int(gap_s * fps) + 1):
                ids(tracker, i / fps)
            assert ids(tracker, gap_s + 0.01, person(100)) == [back], (fps, gap_s)


def test_a_break_in_the_video_ends_all_tracks():
    tracker = make(max_lost_seconds=2.0)
    ids(tracker, 0.0, person(100))
    assert ids(tracker, 2.5, person(100)) == [1]


def test_without_a_time_for_lost_people_those_of_the_last_frame_are_followed():
    tracker = make(max_lost_seconds=0.0)
    ids(tracker, 0.0, person(100))
    assert ids(tracker, 0.5, person(100)) == [0]
    ids(tracker, 0.6)
    assert ids(tracker, 0.7, person(100)) == [1]


def test_a_person_who_comes_out_of_hiding_in_parts():
    """Anna walks behind a wall at 150 px a second; only her head and chest show when she comes out."""
    for strategy, back in (("iou", 1), ("occlusion_aware", 0)):
        tracker = make(strategy)
        for i in range(25):
            assert ids(tracker, i * FRAME, person(100 + 6 * i, ANNA)) == [0]
        hide(tracker, 1.0, 1.8)
        # after 0.8 s at most 364 px; the visible part is narrower, and off its middle
        assert ids(tracker, 1.8, person(330, CARL, seen=5, width=16)) == [back], strategy


def test_a_hidden_person_out_of_reach_is_new():
    tracker = make()
    ids(tracker, 0.0, person(100, ANNA))
    hide(tracker, FRAME, 0.4)
    # two heights a second and 0.4 at once are 120 px
    assert ids(tracker, 0.4, person(260, ANNA, seen=5)) == [1]
    tracker.reset()
    ids(tracker, 0.0, person(100, ANNA))
    hide(tracker, FRAME, 0.4)
    assert ids(tracker, 0.4, person(210, ANNA, seen=5)) == [0]


def test_a_hidden_person_of_another_size_is_new():
    tracker = make()
    ids(tracker, 0.0, person(100, ANNA))
    hide(tracker, FRAME, 0.4)
    assert ids(tracker, 0.4, person(140, ANNA, seen=5, height=55)) == [1]


def test_of_two_lost_people_in_reach_the_more_similar_comes_back():
    for look, back in ((ANNA, 0), (BERT, 1)):
        tracker = make()
        assert ids(tracker, 0.0, person(100, ANNA), person(180, BERT)) == [0, 1]
        hide(tracker, FRAME, 0.6)
        assert ids(tracker, 0.6, person(140, look, seen=8, width=20)) == [back]


def test_one_lost_person_cannot_be_two():
    tracker = make()
    ids(tracker, 0.0, person(100, ANNA))
    hide(tracker, FRAME, 0.5)
    assert ids(tracker, 0.5, person(100, ANNA), person(400, ANNA)) == [0, 1]
