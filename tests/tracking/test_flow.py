"""Textured people before a textured wall, small enough to be computed at once."""

import dataclasses
import gc
import json
import tracemalloc

import cv2
import numpy as np
import pytest

from fastpose_mtn.build import build_tracker
from fastpose_mtn.config import get_cfg
from fastpose_mtn.data.posetrack.file18 import PoseTrack18File
from fastpose_mtn.protocols import needs_frames
from fastpose_mtn.skeletons import COCO17, POSETRACK15
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.tracking import flow
from fastpose_mtn.tracking.flow import FlowTracker
from fastpose_mtn.tracking.flow_parameters import FlowParameters
from fastpose_mtn.tracking.msim import MSIMTracker
from fastpose_mtn.tracking.occlusion_aware import OcclusionAwareTracker
from fastpose_mtn.tracking.parameters import TrackerParameters

SIZE = 48, 80  # of a person
FRAME = 0.04  # seconds
RNG = np.random.default_rng(2)


def noise(height, width, levels=(0, 255)):
    image = cv2.GaussianBlur(RNG.integers(0, 255, (height, width, 3), np.uint8), (0, 0), 3)
    return cv2.normalize(image, None, *levels, cv2.NORM_MINMAX)


WALL = noise(160, 320, (80, 140))
CLOTHES = [noise(SIZE[1], SIZE[0]) for _ in range(3)]
POSE = RNG.uniform(0.15, 0.85, (15, 2))


def picture(*places, wall=WALL):
    """People by the left upper corners (x, y) of their boxes, None: not there."""
    image = wall.copy()
    for place, cloth in zip(places, CLOTHES, strict=False):
        if place is not None:
            x, y = place
            image[y : y + SIZE[1], x : x + SIZE[0]] = cloth
    return image


def people(*places, scores=None, seen=15, skeleton=POSETRACK15):
    """Detections at these corners, each with the same pose."""
    if not places:
        return PersonDetections.empty(len(skeleton))
    corners = np.array(places, np.float32)
    joints = np.zeros((len(places), len(skeleton), 3), np.float32)
    joints[:, :15, :2] = corners[:, None] + POSE * SIZE
    joints[:, :seen, 2] = 0.9
    return PersonDetections(
        np.hstack([corners, corners + SIZE]).astype(np.float32),
        np.array(scores or [0.9] * len(places), np.float32),
        joints,
    )


def make(*, tracking=None, **parameters):
    return FlowTracker(FlowParameters(**parameters), tracking=TrackerParameters(**(tracking or {})))


def ids(tracker, number, *places, image=None, **options):
    there = picture(*places) if image is None else image
    return tracker.update(people(*places, **options), number * FRAME, there).track_ids.tolist()


def test_ids_are_born_in_order_of_the_scores_and_kept():
    tracker = make()
    assert ids(tracker, 0, (20, 30), (200, 40), scores=[0.7, 0.9]) == [1, 0]
    assert ids(tracker, 1, (24, 30), (196, 40), scores=[0.9, 0.7]) == [1, 0]
    assert ids(tracker, 2, image=picture((28, 30), (192, 40))) == []
    assert ids(tracker, 3, (32, 30), (188, 40))[1:] == [0]


@pytest.mark.parametrize(
    ("method", "pixels", "second"), [("dis", 24, 0), ("farneback", 14, 0), ("none", 12, 0), ("none", 14, 1)]
)
def test_flow_carries_a_pose_where_none_is_lost(method, pixels, second):
    """24 pixels are half the person's width: no joint is near where it was."""
    tracker = make(method=method, min_oks=0.2)
    assert needs_frames(tracker) == (method != "none")
    assert ids(tracker, 0, (100, 30)) == [0]
    assert ids(tracker, 1, (100 + pixels, 30)) == [second]


@pytest.mark.parametrize(("method", "second", "third"), [("dis", [0, 1], [0, 1]), ("none", [1, 2], [2, 3])])
def test_who_comes_to_where_another_was_keeps_the_id_by_flow_alone(method, second, third):
    """Two walk one behind the other, each to where the other was a frame ago; scores decide who is born first."""
    tracker = make(method=method)
    walk = [[(100 + 24 * step, 30), (124 + 24 * step, 30)] for step in range(3)]
    assert ids(tracker, 0, *walk[0], scores=[0.9, 0.8]) == [0, 1]
    assert ids(tracker, 1, *walk[1], scores=[0.9, 0.8]) == second
    assert ids(tracker, 2, *walk[2], scores=[0.9, 0.8]) == third


@pytest.mark.parametrize(("method", "after"), [("dis", [0, 1]), ("none", [1, 0])])
def test_two_who_cross_keep_their_ids_by_flow_and_exchange_them_without(method, after):
    """In one pose, the second in front; by a sixth of their width a frame, so that who is behind is soon seen again."""
    tracker = make(method=method)
    for step in range(20):
        found = ids(tracker, step, (40 + 8 * step, 30), (192 - 8 * step, 34))
        assert found == [0, 1] or step >= 9  # from frame 10 on each is past the other
    assert found == after


def test_the_whole_is_matched_and_not_the_nearest_pair_first(monkeypatch):
    """The best pair would leave the others 18 pixels apart, which is nobody's match."""
    before, now = [(100, 30), (110, 30)], [(106, 30), (118, 30)]
    tracker = make(method="none", min_oks=0.2)
    assert [ids(tracker, number, *places) for number, places in enumerate((before, now))] == [[0, 1], [0, 1]]
    monkeypatch.setattr(flow, "match", greedily)
    tracker = make(method="none", min_oks=0.2)
    assert [ids(tracker, number, *places) for number, places in enumerate((before, now))] == [[0, 1], [1, 2]]


def greedily(similarity, gate):
    """As Simple Baselines matches: the best pair, then the best of those left."""
    left, pairs = similarity.copy(), []
    while left.size and left.max() >= gate:
        row, column = np.unravel_index(left.argmax(), left.shape)
        pairs.append((row, column))
        left[row], left[:, column] = -1, -1
    return tuple(np.array(pairs, np.intp).reshape(-1, 2).T)


def test_where_nothing_moves_flow_changes_nothing():
    """Ids without pixels, with pixels that are not looked at, and with pixels that stand still."""
    rng = np.random.default_rng(3)
    unseen, unread, still = make(method="none"), make(method="none"), make(method="dis")
    given = set()
    for number in range(40):
        places = [tuple(corner) for corner in 60 * np.arange(4)[:, None] + rng.uniform(0, 30, (4, 2))]
        wanted = unseen.update(people(*places), number * FRAME).track_ids.tolist()
        assert ids(unread, number, *places, image=WALL) == wanted
        assert ids(still, number, *places, image=WALL) == wanted
        given |= set(wanted)
    assert 4 < len(given) < 100  # some were found again and some were not


@pytest.mark.parametrize(("hidden", "found"), [(7, 0), (8, 1)])
def test_a_person_is_found_again_within_the_history(hidden, found):
    """Nobody is detected while the camera turns: the flows of all the frames between are chained."""
    tracker, place = make(history=8), (60, 30)
    assert ids(tracker, 0, place) == [0]
    for number in range(1, hidden + 2):
        turned = np.roll(picture(place), 6 * number, axis=1)
        if number <= hidden:
            tracker.update(people(), number * FRAME, turned)
    now = (60 + 6 * (hidden + 1), 30)
    assert ids(tracker, hidden + 1, now, image=turned) == [found]


def test_who_is_seen_once_is_not_reported_before_it_is_confirmed():
    tracker = make(confirm=2)
    assert ids(tracker, 0, (20, 30), (200, 40)) == []
    assert ids(tracker, 1, (22, 30)) == [0]
    assert ids(tracker, 2, (24, 30), (200, 40)) == [0, 1]
    assert ids(tracker, 3, (120, 40)) == []


def test_fewer_than_three_joints_leave_the_boxes():
    tracker = make()
    assert ids(tracker, 0, (100, 30), seen=2) == [0]
    assert ids(tracker, 1, (118, 30), seen=2) == [0]
    boxes_only = FlowTracker()
    for number in range(3):
        x = 100 + 18 * number
        found = people((x, 30))
        found = dataclasses.replace(found, keypoints=np.zeros((1, 0, 3), np.float32))
        assert boxes_only.update(found, number * FRAME, picture((x, 30))).track_ids.tolist() == [0]


def test_behind_a_scene_cut_everybody_is_new_and_frames_may_have_another_size():
    tracker = make()
    assert ids(tracker, 0, (100, 30)) == [0]
    other = np.random.default_rng(9).integers(0, 255, (4, 5, 1), np.uint8)
    other = np.kron(other, np.ones((60, 60, 3), np.uint8))
    assert ids(tracker, 1, (100, 30), image=other) == [1]
    assert tracker.scene_cut
    assert ids(tracker, 2, (100, 30), image=other) == [1]
    assert not tracker.scene_cut
    assert tracker.update(people((100, 30)), 1.0, other, scene_cut=True).track_ids.tolist() == [2]


def test_a_break_ends_all_tracks():
    tracker = make(tracking={"max_frame_seconds": 0.5})
    assert ids(tracker, 0, (100, 30)) == [0]
    assert tracker.update(people((100, 30)), 0.5, picture((100, 30))).track_ids.tolist() == [0]
    assert tracker.update(people((100, 30)), 1.1, picture((100, 30))).track_ids.tolist() == [1]


def test_a_frame_of_another_size_is_told_and_the_tracks_stay():
    tracker = make()
    assert ids(tracker, 0, (100, 30)) == [0]
    with pytest.raises(ValueError, match="frame: 160x80 pixels, but 320x160 before it"):
        ids(tracker, 1, (100, 30), image=cv2.resize(picture((100, 30)), (160, 80)))
    assert ids(tracker, 1, (104, 30)) == [0]


def test_missing_pixels_are_told_where_they_are_needed():
    tracker = make()
    assert ids(tracker, 0, (100, 30)) == [0]
    with pytest.raises(ValueError, match=r"frame: .* got None; .*--images SOURCE.*TRACKER.FLOW.METHOD none"):
        tracker.update(people((100, 30)), FRAME)
    assert len(tracker.update(people(), FRAME)) == 0  # of a frame that could not be decoded
    assert ids(tracker, 2, (112, 30)) == [0]
    assert make(method="none").update(people((100, 30)), 0.0).track_ids.tolist() == [0]


@pytest.mark.parametrize("tracker", [FlowTracker, MSIMTracker, OcclusionAwareTracker])
def test_what_cannot_be_tracked_is_named(tracker):
    tracker = tracker()
    tracker.update(people((100, 30)), 1.0, picture((100, 30)))
    with pytest.raises(ValueError, match=r"time_s: 0\.5 s comes after 1\.0 s"):
        tracker.update(people(), 0.5, picture())
    with pytest.raises(ValueError, match="time_s: expected seconds of video, got nan"):
        tracker.update(people(), float("nan"), picture())
    with pytest.raises(
        ValueError, match="keypoints: 17 joints a person, but the tracker's skeleton POSETRACK15"
    ):
        tracker.update(people((100, 30), skeleton=COCO17), 1.0, picture())


def test_two_trackers_share_nothing_and_one_can_begin_again():
    first, second = make(), make()
    assert ids(first, 0, (20, 30), (200, 40)) == [0, 1]
    assert ids(second, 9, (200, 40)) == [0]
    first.reset()
    assert first.update(people((20, 30)), 0.0, np.zeros((40, 40, 3), np.uint8)).track_ids.tolist() == [0]


def test_memory_is_flat_over_a_thousand_frames():
    """Two people a frame who never come again, each frame another one: neither tracks nor frames pile up."""
    tracker, wall = make(), WALL[:64, :64]
    tracemalloc.start()
    try:
        for number in range(1000):
            found = people((100 * number, 0), (100 * number, 200))
            frame = np.roll(wall, number, axis=1)
            assert tracker.update(found, number * FRAME, frame).track_ids.tolist() == [
                2 * number,
                2 * number + 1,
            ]
            if number == 99:
                early = held_bytes()
        late = held_bytes()
    finally:
        tracemalloc.stop()
    assert late - early < 20_000  # 900 grey frames have 3.7 MB, 1,800 tracks 0.8 MB


def held_bytes():
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def test_low_scores_and_duplicates_begin_nothing():
    tracker = make(tracking={"birth_score": 0.5, "min_score": 0.4})
    assert ids(tracker, 0, (20, 30), (100, 30), (200, 40), scores=[0.3, 0.45, 0.9]) == [0]
    assert ids(tracker, 1, (200, 40), (201, 40), scores=[0.45, 0.9]) in ([0], [0, 0])


@pytest.mark.parametrize("tracker", [FlowTracker, MSIMTracker, OcclusionAwareTracker])
def test_joints_below_the_threshold_are_absent_from_posetracks_file(tmp_path, tracker):
    cfg = get_cfg()
    names = {FlowTracker: "flow", MSIMTracker: "msim", OcclusionAwareTracker: "occlusion_aware"}
    cfg.TRACKER.NAME = names[tracker]
    cfg.TRACKER.JOINT_OUTPUT_THRESH = 0.5
    made = build_tracker(cfg)
    assert isinstance(made, tracker)
    found = people((100, 30))
    found.keypoints[0, 3:5, 2] = 0.49, 0.5
    tracked = made.update(found, 0.0, picture((100, 30)))
    assert found.keypoints[0, 3, 2] == np.float32(0.49)  # the detections stay
    assert not tracked.keypoints[0, 3].any()
    with PoseTrack18File(tmp_path / "a.json") as file:
        file.add_tracked("a", 0, (160, 320), tracked, POSETRACK15)
    person = json.loads((tmp_path / "a.json").read_text())["annotations"][0]
    assert person["num_keypoints"] == 14
    assert person["keypoints"].count(0) == 3 * 3  # the joint, and the format's two slots for ears


def test_the_configurations_defaults_are_those_of_the_parameters():
    cfg = get_cfg()
    assert FlowParameters.from_config(cfg) == FlowParameters()
    assert {name.upper() for name in FlowParameters.__dataclass_fields__} == set(cfg.TRACKER.FLOW)


@pytest.mark.parametrize(
    ("parameter", "value", "expected"),
    [
        ("method", "magic", "one of dis, farneback, raft, none"),
        ("max_side", 10, "at least 64 pixels"),
        ("window", 4, "an odd number of pixels"),
        ("min_oks", 0.0, "a number above 0 and up to 1"),
        ("history", 0, "at least 1 frame"),
        ("confirm", 0, "at least 1 frame"),
    ],
)
def test_a_bad_parameter_is_named_with_its_key(parameter, value, expected):
    with pytest.raises(
        ValueError, match=rf"^{parameter} \(TRACKER\.FLOW\.{parameter.upper()}\): expected {expected}"
    ):
        FlowParameters(**{parameter: value})
