"""Suppression by pose, worked out by hand: people of 100 px whose joints lie on a line 20 px into their boxes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpose_mtn.config import get_cfg
from fastpose_mtn.ops.pose_nms import PoseNMS, extent_nms, oks_nms, pose_nms
from fastpose_mtn.skeletons import COCO17, HALPE136, POSETRACK15
from fastpose_mtn.structures import PersonDetections


def joints(x, moved=0.0):
    """15 joints of a box that begins at ``x``; 8 of them moved aside."""
    keypoints = np.zeros((15, 3), np.float32)
    keypoints[:, 0], keypoints[:, 1] = x + 20, np.linspace(0, 100, 15)
    keypoints[:8, 0] += moved
    return keypoints


def box(x):
    return [x, 0, x + 40, 100]


def people(*people):
    """Of (x, score) or (x, score, moved)."""
    return PersonDetections(
        boxes=np.array([box(x) for x, *_ in people], np.float32).reshape(-1, 4),
        scores=np.array([score for _, score, *_ in people], np.float32),
        keypoints=np.array([joints(x, *moved) for x, _, *moved in people], np.float32).reshape(-1, 15, 3),
    )


def kept(found, reach=0.08, share=0.5):
    return pose_nms(found.boxes, found.scores, found.keypoints, reach=reach, share=share).tolist()


def test_the_best_of_those_in_one_pose_is_kept():
    # the first has the joints of the second, which is better; the third overlaps as much but is in another pose
    assert kept(people((0, 0.6), (2, 0.9), (4, 0.8, 30), (300, 0.7))) == [False, True, True, True]


def test_a_suppressed_detection_suppresses_nobody():
    """Neighbours in the chain are 6 px apart, within reach; its ends are 12 px apart, which is not."""
    assert kept(people((0, 0.9), (6, 0.8), (12, 0.7))) == [True, False, True]


def test_of_equal_scores_the_first_is_kept():
    assert kept(people((0, 0.9), (1, 0.9), (2, 0.9))) == [True, False, False]


@pytest.mark.parametrize(("share", "expected"), [(0.4, False), (7 / 15 + 1e-6, True)])
def test_how_many_joints_make_one_person(share, expected):
    """7 of 15 joints coincide."""
    assert kept(people((0, 0.9), (2, 0.8, 30)), share=share) == [True, expected]


def test_the_reach_grows_with_the_higher_box():
    found = people((0, 0.9), (9, 0.8))
    assert kept(found) == [True, True]  # 9 px at 100 px
    higher = found.boxes.copy()
    higher[1, 3] = 120
    assert pose_nms(higher, found.scores, found.keypoints, reach=0.08, share=0.5).tolist() == [True, False]


def test_nobody_and_people_without_joints():
    assert kept(people()) == []
    boxes = np.array([box(0), box(0)], np.float32)
    nothing = np.zeros((2, 0, 3), np.float32)
    assert pose_nms(boxes, np.array([0.5, 0.6]), nothing, reach=0.08, share=0.5).all()


def test_joints_of_the_body_decide():
    """Two faces close together, 68 of Halpe's 136 joints, are not one person where the bodies are in other places."""
    two = np.zeros((2, 136, 3), np.float32)
    body = list(HALPE136.parts["body"])
    two[:, body, 0] = np.linspace(0, 40, len(body))
    two[1, body, 0] += 20
    boxes = np.array([box(0), box(4)], np.float32)
    both = PersonDetections(boxes, np.array([0.9, 0.8], np.float32), two)
    assert len(PoseNMS(HALPE136)(both)) == 2
    two[1, body, 0] -= 20
    assert len(PoseNMS(HALPE136)(both)) == 1


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 30), st.floats(0, 1))
def test_a_tracker_that_looks_at_good_detections_sees_the_same_people(seed, count, min_score):
    """Leaving out low scores before suppression, as the tracker did when it suppressed, or after it; and twice is once."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 20, count) / 20  # equal ones among them
    crowd = people(*zip(rng.uniform(0, 120, count), scores, rng.choice([0, 30], count), strict=True))
    suppress = PoseNMS(POSETRACK15)
    before = suppress(crowd[crowd.scores >= min_score])
    after = suppress(crowd)
    np.testing.assert_array_equal(after[after.scores >= min_score].keypoints, before.keypoints)
    assert len(suppress(after)) == len(after)


def test_the_configuration():
    cfg = get_cfg()
    assert PoseNMS.from_config(cfg) == PoseNMS(POSETRACK15, reach=0.08, share=1 / 3)
    cfg.merge_from_list(["TEST.POSE_NMS.REACH", "0.1", "TEST.POSE_NMS.SHARE", "0.5"])
    assert PoseNMS.from_config(cfg, COCO17) == PoseNMS(COCO17, 0.1, 0.5)
    cfg.TEST.POSE_NMS.ENABLED = False
    assert PoseNMS.from_config(cfg) is None
    with pytest.raises(ValueError, match=r"TEST\.POSE_NMS\.REACH: expected heights above 0, got 0"):
        PoseNMS(POSETRACK15, reach=0.0)
    with pytest.raises(ValueError, match=r"TEST\.POSE_NMS\.SHARE: expected a share from 0 to below 1, got 1"):
        PoseNMS(POSETRACK15, share=1.0)


def by_whole_matrix(keypoints, scores, sigmas, threshold):
    """PoseDet's OKS-NMS by its definition: loops over pairs, all similarities."""
    kept = []
    for i in np.argsort(-scores, kind="stable"):
        for j in kept:
            extents = [max(1024.0, float(np.ptp(keypoints[n, :, :2], axis=0).prod())) for n in (i, j)]
            square = ((keypoints[i, :, :2] - keypoints[j, :, :2]) ** 2).sum(axis=1)
            if np.exp(-square / ((2 * sigmas) ** 2 * sum(extents) / 2)).mean() > threshold:
                break
        else:
            kept.append(i)
    return kept


@pytest.mark.parametrize("threshold", [0.01, 0.2, 0.3, 0.9])
def test_oks_nms_is_that_of_the_whole_matrix(threshold):
    rng = np.random.default_rng(int(threshold * 100))
    for _ in range(5):
        people = rng.uniform(0, 200, (6, 1, 2)) + rng.uniform(-40, 40, (6, 17, 2))
        keypoints = people[rng.integers(0, 6, 60)] + rng.normal(0, 4, (60, 17, 2))
        scores, sigmas = rng.uniform(0, 1, 60).round(1), np.array(COCO17.sigmas)
        wanted = by_whole_matrix(keypoints, scores, sigmas, threshold)
        assert oks_nms(keypoints, scores, sigmas, threshold=threshold).tolist() == wanted
        assert oks_nms(keypoints, scores, sigmas, threshold=threshold, count=3).tolist() == wanted[:3]
    assert oks_nms(keypoints[:0], scores[:0], sigmas, threshold=threshold).tolist() == []


def by_public_loop(people, sigmas, threshold):
    """OKS-NMS as public projects have it: of all joints, areas the boxes' times COCO's share of a body, one by one."""
    joints, boxes = people.keypoints[..., :2].astype(np.float64), people.boxes.astype(np.float64)
    areas = 0.53 * (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    left, kept = list(np.argsort(-people.scores, kind="stable")), []
    while left:
        best, *rest = left
        kept.append(best)
        left = []
        for other in rest:
            square = ((joints[best] - joints[other]) ** 2).sum(axis=1)
            oks = np.exp(-square / (2 * (2 * sigmas) ** 2 * (areas[best] + areas[other]) / 2)).mean()
            if oks <= threshold:
                left.append(other)
    return sorted(kept)


def test_the_kind_oks_is_the_public_loop_on_two_hundred_frames():
    rng, sigmas, removed = np.random.default_rng(0), np.array(COCO17.sigmas), 0
    for number in range(200):
        count = int(rng.integers(1, 30))
        bodies = rng.uniform(0, 300, (max(1, count // 3), 17, 2))[rng.integers(0, max(1, count // 3), count)]
        xy = bodies + rng.normal(0, rng.uniform(1, 20), bodies.shape)
        found = PersonDetections(
            np.hstack([xy.min(axis=1), xy.max(axis=1)]).astype(np.float32),
            rng.permutation(count).astype(np.float32) / count,
            np.concatenate([xy, np.ones((count, 17, 1))], axis=2).astype(np.float32),
        )
        threshold = (0.2, 0.4, 0.9)[number % 3]
        stays = PoseNMS(COCO17, kind="oks", oks=threshold)(found)
        wanted = by_public_loop(found, sigmas, threshold)
        np.testing.assert_array_equal(stays.scores, found.scores[wanted])
        removed += count - len(stays)
    assert removed > 1000


def test_extents_that_overlap_are_one_person():
    keypoints = np.array([[[0, 0], [10, 10]], [[0, 0], [10, 8]], [[9, 9], [20, 20]]], np.float64)
    scores = np.array([0.5, 0.9, 0.7])
    assert extent_nms(keypoints, scores, threshold=0.5).tolist() == [1, 2]
    assert extent_nms(keypoints, scores, threshold=0.9).tolist() == [1, 2, 0]
