"""Multi-stage identity matching, worked out by hand: people of 40x100 px, 30 frames a second."""

import numpy as np
import pytest

from fastpose_mtn.build import build_tracker
from fastpose_mtn.config import get_cfg
from fastpose_mtn.ops.pose_similarity import PoseParameters, pose_distance
from fastpose_mtn.skeletons import COCO17
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.tracking.msim import MSIMTracker
from fastpose_mtn.tracking.msim_parameters import MSIMParameters

A, B = [1, 0, 0, 0], [0, 1, 0, 0]  # what people look like


def people(*at, looks=None, scores=None, poses=None):
    """People at x; ``poses`` says how far their left half leans, in shares of the box's width."""
    count = len(at)
    boxes = np.array([[x, 0, x + 40, 100] for x in at], np.float32).reshape(-1, 4)
    keypoints = np.zeros((count, 15, 3), np.float32)
    for i, x in enumerate(at):
        keypoints[i, :, 0], keypoints[i, :, 1], keypoints[i, :, 2] = x + 20, np.linspace(5, 95, 15), 0.9
        keypoints[i, ::2, 0] += 0 if poses is None else 40 * poses[i]
    return PersonDetections(
        boxes=boxes,
        scores=np.array(scores or [0.9] * count, np.float32),
        keypoints=keypoints,
        embeddings=None if looks is None else np.array(looks, np.float32),
    )


def ids(tracker, frame, *at, **given):
    return tracker.update(people(*at, **given), frame / 30).track_ids.tolist()


def test_a_birth_a_walk_and_a_loss():
    tracker = MSIMTracker()
    assert ids(tracker, 0, 0, 200) == [0, 1]
    for frame in range(1, 10):
        assert ids(tracker, frame, 3 * frame, 200) == [0, 1]
    assert ids(tracker, 10, 200) == [1]
    assert ids(tracker, 11) == []
    assert ids(tracker, 11.5, looks=np.zeros((0, 4))) == []
    assert ids(tracker, 12, 200) == [2]  # lost people are found by embeddings alone, and there are none
    assert ids(tracker, 13, 500, scores=[0.45]) == []  # too weak for a birth


def test_who_was_seen_once_only_is_reported_and_forgotten():
    tracker = MSIMTracker()
    assert ids(tracker, 0, 0) == [0]
    assert ids(tracker, 1) == []
    assert ids(tracker, 2, 0) == [1]
    sure = MSIMTracker(MSIMParameters(report_tentative=False))
    assert ids(sure, 0, 0) == []
    assert ids(sure, 1, 0) == [0]


def test_a_return_after_four_seconds_by_the_embedding():
    tracker = MSIMTracker()
    for frame in range(5):
        ids(tracker, frame, 0, looks=[A])
    for frame in range(5, 125):
        ids(tracker, frame)
    assert ids(tracker, 125, 30, looks=[A]) == [0]
    for frame in range(126, 130):
        ids(tracker, frame, 30, looks=[A])
    assert ids(tracker, 131) == []
    assert ids(tracker, 130 + 9 * 30, 30, looks=[A]) == [1]  # lost for more than 8 seconds


def test_of_two_in_one_place_the_embedding_decides():
    tracker = MSIMTracker()
    for frame in range(4):
        ids(tracker, frame, 0, 20, looks=[A, B])
    assert ids(tracker, 4, 10, 10, looks=[B, A]) == [1, 0]


def test_of_two_who_look_alike_motion_decides():
    """They walk through each other, 6 px a frame, in the same clothes."""
    tracker = MSIMTracker()
    for frame in range(11):
        found = ids(tracker, frame, 6 * frame, 120 - 6 * frame, looks=[A, A], poses=[0.2, -0.2])
        assert found == [0, 1] or frame == 10  # they coincide in frame 10
    assert ids(tracker, 12, 72, 48, looks=[A, A], poses=[0.2, -0.2]) == [0, 1]


def test_the_pose_decides_where_places_do_not():
    tracker = MSIMTracker()
    for frame in range(4):
        ids(tracker, frame, 0, 10, poses=[0.3, -0.3])
    assert ids(tracker, 4, 5, 5, poses=[-0.3, 0.3]) == [1, 0]


def test_a_person_who_is_far_away_is_not_the_same_for_looking_alike():
    tracker = MSIMTracker()
    for frame in range(4):
        ids(tracker, frame, 0, looks=[A])
    assert ids(tracker, 4, 600, looks=[A]) == [1]


@pytest.mark.parametrize(("gate", "after"), [(0.0, 0), (9.4877, 1)])
def test_whose_legs_come_into_sight_is_the_same_without_a_gate(gate, after):
    """The box is a third higher, and a third of its width to the side, from one frame to the next."""
    tracker = MSIMTracker(MSIMParameters(gate=gate))
    half, whole = people(0, looks=[A]), people(13, looks=[A])
    half.boxes[:, 3] = 75
    for frame in range(8):
        assert tracker.update(half, frame / 30).track_ids.tolist() == [0]
    assert tracker.update(whole, 8 / 30).track_ids.tolist() == [after]


def test_behind_a_cut_people_are_found_by_looks_alone():
    tracker = MSIMTracker()
    for frame in range(4):
        ids(tracker, frame, 0, 200, looks=[A, B])
    after = tracker.update(people(200, 600, looks=[A, [0, 0, 1, 0]]), 4 / 30, scene_cut=True)
    assert after.track_ids.tolist() == [0, 2]
    assert tracker.scene_cut


def test_time_may_jump_and_stand_still_and_not_go_back():
    tracker = MSIMTracker()
    ids(tracker, 0, 0, looks=[A])
    assert ids(tracker, 0, 0, looks=[A]) == [0]
    assert ids(tracker, 90, 0, looks=[A]) == [0]
    with pytest.raises(ValueError, match="time_s: 0.0 s comes after 3.0 s; give frames in order"):
        ids(tracker, 0, 0)
    tracker.reset()
    assert ids(tracker, 0, 0) == [0]


def test_a_break_in_the_video_ends_all_tracks():
    tracker = MSIMTracker()
    ids(tracker, 0, 0, looks=[A])
    assert ids(tracker, 30 * 7, 0, looks=[A]) == [0]
    assert ids(tracker, 30 * 16, 0, looks=[A]) == [1]
    assert ids(tracker, 1e300, 0, looks=[A]) == [2]
    slow = MSIMTracker(MSIMParameters(max_lost_seconds=0.0))
    assert [ids(slow, frame, 0) for frame in (0, 15, 30, 75)] == [[0], [0], [0], [1]]


def test_two_trackers_share_nothing():
    one, two = MSIMTracker(), MSIMTracker()
    assert (ids(one, 0, 0, 100), ids(two, 0, 0)) == ([0, 1], [0])


def test_people_without_joints_and_with_too_hidden_ones():
    tracker = MSIMTracker()
    boxes_only = PersonDetections(
        people(0).boxes, np.array([0.9], np.float32), np.zeros((1, 0, 3), np.float32)
    )
    assert tracker.update(boxes_only, 0.0).track_ids.tolist() == [0]
    assert tracker.update(boxes_only, 0.1).track_ids.tolist() == [0]
    careful = MSIMTracker(MSIMParameters(valid_joints=10 / 15))
    for frame in range(3):
        ids(careful, frame, 0, looks=[A])
    hidden = people(0, looks=[B])
    hidden.keypoints[..., 2] = 0.1
    for frame in range(3, 12):
        assert careful.update(hidden, frame / 30).track_ids.tolist() == [0]
    assert careful._tracks.embeddings[0].tolist() == A
    with pytest.raises(
        ValueError, match="keypoints: 15 joints a person, but the tracker's skeleton COCO17 has 17"
    ):
        MSIMTracker(skeleton=COCO17).update(people(0), 0.0)


def test_filtered_boxes_lag_and_detected_ones_do_not():
    for boxes in ("detected", "filtered"):
        tracker = MSIMTracker(MSIMParameters(boxes=boxes))
        for frame in range(3):
            tracker.update(people(10 * frame), frame / 30)
        found = tracker.update(people(40), 3 / 30)
        assert found.track_ids.tolist() == [0]
        assert (found.boxes[0, 0] == 40) == (boxes == "detected")
        assert found.boxes[0, 0] == pytest.approx(40, abs=10)


def test_memory_is_bounded():
    rng = np.random.default_rng(0)
    tracker = MSIMTracker()
    for frame in range(1000):
        tracker.update(people(*rng.uniform(0, 5000, 5), looks=rng.normal(size=(5, 128))), frame / 30)
    assert len(tracker._tracks) < 5 * 8 * 30 + 25


def test_the_distance_of_poses():
    pose = np.concatenate(
        (np.random.default_rng(0).uniform(0, 1, (1, 15, 2)), np.full((1, 15, 1), 0.9)), axis=2
    )
    far = pose + np.array([0.5, 0.5, 0])
    found = pose_distance(pose, np.concatenate((pose, far)), PoseParameters())
    assert found[0] == pytest.approx([0, 1], abs=1e-6)


def test_by_the_configuration_and_out_of_range():
    cfg = get_cfg()
    cfg.merge_from_list(
        ["TRACKER.NAME", "msim", "TRACKER.MSIM.POSE_WEIGHT", "0.0", "TRACKER.BIRTH_SCORE", "0.6"]
    )
    tracker = build_tracker(cfg)
    assert isinstance(tracker, MSIMTracker)
    assert (tracker.parameters.pose_weight, tracker.parameters.birth_score) == (0.0, 0.6)
    cfg.TRACKER.MSIM.BOXES = "smooth"
    with pytest.raises(
        ValueError, match=r"TRACKER\.MSIM\.BOXES: expected detected or filtered, got 'smooth'"
    ):
        build_tracker(cfg)
    with pytest.raises(ValueError, match=r"TRACKER\.MSIM\.EMB_THRESH: expected a cost above 0 and below 2"):
        MSIMParameters(emb_thresh=2.5)
