"""Frame by frame, with detections made by hand: 100 px high people, 15 joints, embeddings of 4 values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpose_mtn.config import get_cfg
from fastpose_mtn.ops.overlap import iou_matrix
from fastpose_mtn.skeletons import COCO17, HALPE136, POSETRACK15
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.tracking.occlusion_aware import OcclusionAwareTracker
from fastpose_mtn.tracking.parameters import STRATEGIES, TrackerParameters

ANNA, BERT, CARL = np.eye(4, dtype=np.float32)[:3]  # at right angles: as unlike as can be
FRAME = 0.04  # seconds


def person(x, look=ANNA, *, seen=15, score=0.9, y=100.0, height=100.0, width=40.0):
    """One detection: (box, score, keypoints, embedding); ``seen`` of its 15 joints are visible."""
    box = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    joints = np.zeros((15, 3), np.float32)
    joints[:, :2] = x, y
    joints[:seen, 2] = 0.9
    return box, score, joints, look


def frame(*people, embeddings=True):
    if not people:
        return PersonDetections.empty(15, 4 if embeddings else None)
    boxes, scores, joints, looks = zip(*people, strict=True)
    return PersonDetections(
        boxes=np.array(boxes, np.float32),
        scores=np.array(scores, np.float32),
        keypoints=np.array(joints, np.float32),
        embeddings=np.array(looks, np.float32) if embeddings else None,
    )


def ids(tracker, time_s, *people, embeddings=True):
    return tracker.update(frame(*people, embeddings=embeddings), time_s).track_ids.tolist()


def make(strategy="occlusion_aware", *, skeleton=POSETRACK15, **parameters):
    return OcclusionAwareTracker(TrackerParameters(strategy=strategy, **parameters), skeleton=skeleton)


def hide(tracker, start_s, end_s, *others):
    """Frames from one time to another with only ``others`` in them."""
    for time_s in np.arange(start_s, end_s - 1e-9, FRAME):
        ids(tracker, float(time_s), *others)


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


def test_one_lost_person_cannot_be_two():
    tracker = make()
    ids(tracker, 0.0, person(100, ANNA))
    hide(tracker, FRAME, 0.5)
    assert ids(tracker, 0.5, person(100, ANNA), person(400, ANNA)) == [0, 1]


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


coordinates = st.floats(0, 300, width=32)
shares = st.floats(0, 1, width=32)


@st.composite
def videos(draw):
    """Some frames of up to 6 people anywhere, looking like one of three, seen well or not."""
    one = st.builds(
        lambda x, y, height, look, seen, score: person(
            x, (ANNA, BERT, CARL)[look], seen=seen, score=score, y=y, height=height
        ),
        coordinates, coordinates, st.floats(0, 200, width=32), st.integers(0, 2), st.integers(0, 15), shares,
    )  # fmt: skip
    crowd = draw(st.lists(st.lists(one, max_size=6), min_size=1, max_size=8))
    steps = draw(st.lists(st.floats(0, 3), min_size=len(crowd), max_size=len(crowd)))
    times = np.cumsum(steps).tolist()
    return [(frame(*people), time_s) for people, time_s in zip(crowd, times, strict=True)]


@settings(max_examples=60, deadline=None)
@given(videos(), st.sampled_from(STRATEGIES))
def test_ids_are_unique_dense_and_repeatable(video, strategy):
    tracker, again = make(strategy), make(strategy)
    seen: set[int] = set()
    for people, time_s in video:
        found = tracker.update(people, time_s)
        assert found.track_ids.tolist() == again.update(people, time_s).track_ids.tolist()
        assert (found.scores >= tracker.parameters.min_score).all()
        seen |= set(found.track_ids.tolist())
        assert seen == set(range(len(seen)))  # 0, 1, 2, ... without a gap


@settings(max_examples=60, deadline=None)
@given(videos(), st.floats(0.05, 0.95))
def test_no_matched_pair_is_below_its_gate(video, gate):
    tracker = make("iou", min_similarity=gate, motion=False)
    last: dict[int, np.ndarray] = {}
    for people, time_s in video:
        found = tracker.update(people, time_s)
        for track_id, box in zip(found.track_ids.tolist(), found.boxes, strict=True):
            if track_id in last:
                assert iou_matrix(last[track_id][None], box[None])[0, 0] >= gate
            last[track_id] = box


@settings(max_examples=60, deadline=None)
@given(videos())
def test_clearly_seen_people_never_take_the_id_of_somebody_unlike_elsewhere(video):
    """Where boxes do not overlap and looks are at right angles, S is 0, and nothing may make up for it."""
    tracker = make(motion=False)
    last: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for people, time_s in video:
        clear = people[(people.keypoints[..., 2] > 0.2).sum(axis=1) > 10]
        found = tracker.update(clear, time_s)
        for track_id, box, look in zip(found.track_ids.tolist(), found.boxes, found.embeddings, strict=True):
            if track_id in last:
                place, looked = last[track_id]
                assert looked @ look > 0 or iou_matrix(place[None], box[None])[0, 0] > 0
            last[track_id] = box, look
