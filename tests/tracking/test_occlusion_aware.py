"""Frame by frame, with detections made by hand: who is whose, and what is refused."""

import numpy as np
import pytest
from tracked_people import ANNA, BERT, CARL, FRAME, frame, hide, ids, make, person

from fastpose_mtn.config import get_cfg
from fastpose_mtn.skeletons import COCO17, HALPE136
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.tracking.occlusion_aware import OcclusionAwareTracker
from fastpose_mtn.tracking.parameters import STRATEGIES, TrackerParameters


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_ids_are_born_in_order_of_the_scores_and_kept(strategy):
    tracker = make(strategy)
    assert ids(tracker, 0.0, person(50, ANNA, score=0.8), person(200, BERT, score=0.9)) == [1, 0]
    # in the order of the detections, whatever their scores are now
    assert ids(tracker, FRAME, person(202, BERT, score=0.75), person(52, ANNA, score=0.95)) == [0, 1]


def test_equal_scores_are_born_in_order_of_the_detections():
    assert ids(make(), 0.0, person(50), person(200), person(350)) == [0, 1, 2]


def test_who_is_born_and_who_takes_part():
    tracker = make(birth_score=0.7, min_score=0.5)
    assert ids(tracker, 0.0, person(50, score=0.69), person(200, score=0.71)) == [0]
    # a weak detection goes on with a track, one below the least score does not
    assert ids(tracker, FRAME, person(50, score=0.69), person(200, score=0.51)) == [0]
    assert ids(tracker, 2 * FRAME, person(200, score=0.49)) == []


def test_the_people_that_come_out_are_those_that_went_in():
    people = frame(person(50, score=0.4), person(200, BERT, score=0.9), person(350, CARL, score=0.8))
    tracked = make().update(people, 0.0)
    assert tracked.track_ids.tolist() == [0, 1]
    for name in ("boxes", "scores", "keypoints", "embeddings"):
        np.testing.assert_array_equal(getattr(tracked, name), getattr(people, name)[1:])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_who_walks_keeps_their_id(strategy):
    tracker = make(strategy)
    for i in range(50):
        assert ids(tracker, i * FRAME, person(50 + 6 * i)) == [0]


def test_a_pair_below_the_gate_is_no_match():
    """Boxes 20 of 60 px apart overlap by 1/2, 30 apart by 1/3, 40 apart by 1/5."""
    for gate, second in ((0.3, 1), (0.19, 0)):
        tracker = make("iou", min_similarity=gate)
        ids(tracker, 0.0, person(100, width=60))
        assert ids(tracker, FRAME, person(140, width=60)) == [second]


def test_similarity_weighs_position_and_appearance():
    """The same place, unlike looks: S is 0.5 * 1 + 0.5 * 0."""
    for gate, second in ((0.51, 1), (0.49, 0)):
        tracker = make("reid", min_similarity=gate, max_distance=1.0)
        ids(tracker, 0.0, person(100, ANNA))
        assert ids(tracker, FRAME, person(100, BERT)) == [second]


def test_a_hidden_persons_embedding_is_not_valid():
    """10 of 15 joints are not enough: S is the overlap, 1; with 11, S is 0.5."""
    for seen, second in ((10, 0), (11, 1)):
        tracker = make(min_similarity=0.6)
        ids(tracker, 0.0, person(100, ANNA))
        assert ids(tracker, FRAME, person(100, BERT, seen=seen)) == [second]


def test_an_embedding_is_valid_by_the_body_alone():
    """Of 136 joints the 26 of body and feet are seen, or 14 of the body, or 13; the rest of them is 110."""
    body = HALPE136.parts["body"]
    for seen, hands, second in ((range(26), 0.0, 1), (body[:14], 0.0, 1), (body[:13], 1.0, 0)):
        tracker = make(skeleton=HALPE136, min_similarity=0.6)
        for time_s, look, expected in ((0.0, ANNA, 0), (FRAME, BERT, second)):
            joints = np.zeros((136, 3), np.float32)
            joints[26:, 2] = hands
            joints[list(seen), 2] = 0.9
            box, score, _, _ = person(100)
            assert ids(tracker, time_s, (box, score, joints, look)) == [expected]


def test_people_of_another_skeleton_are_refused():
    tracker = make(skeleton=COCO17)
    with pytest.raises(
        ValueError, match="keypoints: 15 joints a person, but the tracker's skeleton COCO17 has 17; give the"
    ):
        ids(tracker, 0.0, person(100))
    assert ids(tracker, 0.0) == []  # nobody has no joints
    box, score, joints, look = person(100)
    assert ids(tracker, 0.0, (box, score, joints[:0], look)) == [
        0
    ]  # nor have people of whom only boxes are known


def test_every_embedding_counts_for_reid():
    tracker = make("reid", min_similarity=0.6)
    ids(tracker, 0.0, person(100, ANNA))
    assert ids(tracker, FRAME, person(100, BERT, seen=3)) == [1]


@pytest.mark.parametrize("strategy", ["reid", "occlusion_aware"])
def test_an_embedding_of_zeros_says_nothing(strategy):
    """As long as it is, it would be as far from every look, and take half of the similarity of equal places."""
    tracker = make(strategy, min_similarity=0.51, max_distance=1.0)
    nothing = np.zeros_like(ANNA)
    assert ids(tracker, 0.0, person(100, ANNA), person(300, nothing)) == [0, 1]
    assert ids(tracker, FRAME, person(100, nothing), person(300, nothing)) == [0, 1]
    assert ids(tracker, 2 * FRAME, person(100, ANNA), person(300, BERT)) == [0, 1]


def test_a_hidden_persons_embedding_does_not_change_the_tracklet():
    """Carl stands in front of Anna for a second; the embeddings of her boxes are his."""
    far = 230
    for strategy, back in (("occlusion_aware", 0), ("reid", 1)):
        tracker = make(strategy)
        ids(tracker, 0.0, person(100, ANNA))
        for i in range(1, 26):
            assert ids(tracker, i * FRAME, person(100, CARL, seen=5)) == [0]
        hide(tracker, 26 * FRAME, 1.4)
        assert ids(tracker, 1.4, person(far, ANNA)) == [back], strategy


def test_a_tracklet_that_was_never_seen_clearly_is_matched_by_position():
    tracker = make()
    assert ids(tracker, 0.0, person(100, CARL, seen=4)) == [0]
    assert ids(tracker, FRAME, person(101, ANNA)) == [0]
    hide(tracker, 2 * FRAME, 1.0)
    assert ids(tracker, 1.0, person(330, ANNA)) == [0]  # the first clear look was taken whole


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_crossing(strategy):
    """Anna walks to the right in front of Bert, who walks to the left and is hidden for 5 frames."""
    tracker = make(strategy)
    for i in range(41):
        anna, bert = person(100 + 5 * i, ANNA), person(300 - 5 * i, BERT)
        hidden = abs(100 + 5 * i - (300 - 5 * i)) <= 20
        found = ids(tracker, i * FRAME, anna) if hidden else ids(tracker, i * FRAME, anna, bert)
        assert found == ([0] if hidden else [0, 1]), i


def test_a_turn_behind_somebody_is_told_by_the_looks():
    """Bert meets Anna, is hidden for 10 frames and turns back."""
    tracker = make()
    path = [300 - 8 * i for i in range(20)]
    for i, x in enumerate(path):
        assert ids(tracker, i * FRAME, person(140, ANNA), person(x, BERT)) == [0, 1]
    hide(tracker, 20 * FRAME, 30 * FRAME, person(140, ANNA))
    assert ids(tracker, 30 * FRAME, person(140, ANNA), person(200, BERT)) == [0, 1]


def test_look_alikes_are_told_apart_by_their_places():
    tracker = make()
    for i in range(30):
        assert ids(tracker, i * FRAME, person(100 + 2 * i, ANNA), person(200 - 2 * i + 60, ANNA)) == [0, 1]


def test_a_person_found_twice_is_born_once():
    tracker = make()
    assert ids(tracker, 0.0, person(100, score=0.9), person(101, score=0.8)) == [0]
    assert ids(tracker, FRAME, person(100), person(101)) == [0]
    # boxes that overlap less are two people: 10 of 40 px apart
    assert ids(tracker, 2 * FRAME, person(100), person(110, BERT)) == [0, 1]


def test_all_strategies_are_given_the_same_people():
    """Whoever cleans detections does it before: of two people in one pose each has a track, whatever the strategy."""
    for strategy in STRATEGIES:
        assert ids(make(strategy), 0.0, person(100, ANNA), person(106, BERT, score=0.8)) == [0, 1]


def test_two_trackers_share_nothing():
    first, second = make(), make()
    assert ids(first, 0.0, person(100), person(200, BERT)) == [0, 1]
    assert ids(second, 0.0, person(500, CARL)) == [0]
    assert ids(first, FRAME, person(100), person(200, BERT), person(500, CARL)) == [0, 1, 2]
    assert ids(second, FRAME, person(500, CARL), person(100)) == [0, 1]


def test_reset_forgets_everything():
    tracker = make()
    ids(tracker, 5.0, person(100), person(200, BERT))
    tracker.reset()
    assert ids(tracker, 0.0, person(200, BERT)) == [0]
    tracker.reset()
    assert ids(tracker, 0.0) == []


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_without_embeddings_position_decides(strategy):
    tracker = make(strategy)
    for i in range(10):
        found = ids(tracker, i * FRAME, person(100 + i), person(300 - i), embeddings=False)
        assert found == [0, 1]
    assert ids(tracker, 0.5, embeddings=False) == []


def test_a_frame_without_embeddings_between_others():
    tracker = make()
    ids(tracker, 0.0, person(100, ANNA))
    assert ids(tracker, FRAME, person(101), embeddings=False) == [0]
    assert ids(tracker, 2 * FRAME, embeddings=False) == []
    assert ids(tracker, 3 * FRAME, person(170, ANNA)) == [0]
    # nobody's embeddings may be of any length
    assert len(tracker.update(PersonDetections.empty(15, embedding_dim=3), 4 * FRAME)) == 0
    assert ids(tracker, 5 * FRAME, person(170, ANNA)) == [0]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_hundred_people(strategy):
    rng = np.random.default_rng(0)
    looks = rng.normal(size=(100, 4)).astype(np.float32)
    looks /= np.linalg.norm(looks, axis=1, keepdims=True)
    speed = rng.uniform(-60, 60, 100)
    tracker = make(strategy)
    for i in range(10):
        order = rng.permutation(100)
        people = [
            person(100 + 200 * (n % 10) + speed[n] * i * FRAME, looks[n], y=100 + 150 * (n // 10), score=0.9)
            for n in order
        ]
        found = ids(tracker, i * FRAME, *people)
        if i == 0:
            of_person = dict(zip(order.tolist(), found, strict=True))
            assert sorted(found) == list(range(100))
        assert found == [of_person[n] for n in order.tolist()]


def test_memory_is_bounded():
    tracker = make(max_lost=20, max_lost_seconds=1e6)
    for i in range(50):
        ids(tracker, float(i), *(person(1000 * i + 100 * k, seen=0) for k in range(5)))
        assert len(tracker._tracklets) <= 20 + 5 + 5  # kept, lost in this frame, new
    # the longest lost went first
    assert ids(tracker, 50.0, person(1000 * 46)) == [46 * 5]
    assert ids(tracker, 51.0, person(1000 * 3, seen=0)) == [250]


def test_motion_earns_its_place():
    """Somebody speeds up from 20 to 38 px a frame; beyond 21 px, boxes 40 px wide overlap by less than 0.3."""
    path = np.cumsum([100, 20, 20, 20, 20, *range(22, 40, 2)]).tolist()
    for motion, last in ((True, [0]), (False, [9])):
        tracker = make("iou", motion=motion)
        found = [ids(tracker, i * FRAME, person(x)) for i, x in enumerate(path)]
        assert found[-1] == last


def test_from_config():
    cfg = get_cfg()
    cfg.merge_from_list(["TRACKER.MAX_LOST_SECONDS", "9.0", "MODEL.SKELETON", "HALPE136"])
    tracker = OcclusionAwareTracker.from_config(cfg)
    assert (tracker.parameters, tracker.skeleton) == (TrackerParameters(max_lost_seconds=9.0), HALPE136)


def test_time_must_not_go_back():
    tracker = make()
    ids(tracker, 1.0, person(100))
    assert ids(tracker, 1.0, person(100)) == [0]  # the same time is fine
    with pytest.raises(
        ValueError, match=r"time_s: 0\.5 s comes after 1\.0 s; give frames in order, or reset"
    ):
        ids(tracker, 0.5, person(100))
    with pytest.raises(ValueError, match="time_s: expected seconds of video, got nan"):
        ids(tracker, float("nan"), person(100))
    assert ids(tracker, 1.1, person(100)) == [0]  # and the tracker is as it was


def test_embeddings_must_keep_their_length():
    tracker = make()
    ids(tracker, 0.0, person(100))
    longer = person(100, np.ones(5, np.float32))
    with pytest.raises(ValueError, match="embeddings: 5 values a person, but 4 in earlier frames; reset"):
        ids(tracker, 1.0, longer)
    assert ids(tracker, 0.5, person(100)) == [0]
    tracker.reset()
    assert ids(tracker, 0.0, longer) == [0]


def test_torch_people_are_tracked_too():
    tracker = make()
    assert tracker.update(frame(person(100)).to("cpu"), 0.0).track_ids.tolist() == [0]
    assert ids(tracker, FRAME, person(100)) == [0]
