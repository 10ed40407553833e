"""Parametric pose NMS and OKS-NMS: values worked out before, and what must not matter."""

import numpy as np
import pytest
import torch

from fastpose_mtn.config import get_cfg
from fastpose_mtn.ops import pose_similarity
from fastpose_mtn.ops.oks import object_keypoint_similarity
from fastpose_mtn.ops.pose_nms import PoseNMS
from fastpose_mtn.ops.pose_similarity import (
    PoseParameters,
    alike_by_oks,
    merge_poses,
    oks_between,
    parametric_similarity,
    released_similarity,
    released_whole_similarity,
)
from fastpose_mtn.skeletons import COCO17, COCO_WHOLEBODY133, HALPE136
from fastpose_mtn.structures import PersonDetections

WEIGHTS = np.full(17, 1 / 17)


def copies(*shifts, confidences=(0.9, 0.6), size=(100.0, 200.0), scale=1.0):
    """One pose several times, each moved along x, in boxes of their own."""
    rng = np.random.default_rng(0)
    pose = np.column_stack((rng.uniform(0, 1, (17, 2)) * size, np.zeros(17)))
    poses = np.stack([pose + np.array([shift, 0, c]) for shift, c in zip(shifts, confidences, strict=True)])
    boxes = np.array([[shift, 0, shift + size[0], size[1]] for shift in shifts])
    poses[..., :2] *= scale
    return (boxes * scale).astype(np.float32), poses.astype(np.float32)


@pytest.mark.parametrize(
    ("shift", "similarity", "many"),
    [
        (0, 35.4397, True), (1, 26.3556, True), (2, 13.5872, True), (3, 9.3163, True), (4, 6.3879, True),
        (5, 4.3800, True),
        (8, 1.4120, False),
    ],
)  # fmt: skip
def test_the_released_similarity_in_pixels(shift, similarity, many):
    found, second = released_similarity(*copies(0, shift))
    assert found[0, 1] == pytest.approx(similarity, abs=1e-3)
    assert found[0, 0] == pytest.approx(37.6224, abs=1e-3)
    assert second[0, 1] == many


@pytest.mark.parametrize(("shift", "many"), [(7, True), (7.125, False)])
def test_the_released_reach_is_seven_pixels_and_these_too(shift, many):
    boxes, poses = copies(0, 0)
    poses[..., :2] = poses[..., :2].round()
    poses[1, :, 0] += shift
    assert released_similarity(boxes, poses)[1][0, 1] == many


def whole_bodies(*shifts, skeleton=HALPE136, confidence=0.9):
    """The same for a whole body."""
    pose = np.zeros((len(shifts), len(skeleton), 3), np.float32)
    pose[..., :2] = np.random.default_rng(0).uniform(0, 1, (len(skeleton), 2)) * (100, 200)
    pose[..., 0] += np.array(shifts, np.float32)[:, None]
    pose[..., 2] = confidence
    return np.array([[s, 0, s + 100, 200] for s in shifts], np.float32), pose


@pytest.mark.parametrize("skeleton", [HALPE136, COCO_WHOLEBODY133])
@pytest.mark.parametrize(("shift", "many"), [(0, True), (5, True), (8, False)])
def test_the_released_similarity_of_whole_bodies_weighs_their_parts(skeleton, shift, many):
    """The mean of the body's joints and of the face's, and half as much again of the hands'; all of them sure."""
    found, second = released_whole_similarity(
        *whole_bodies(0, shift, skeleton=skeleton), skeleton.parts, 0.05
    )
    parts = np.exp(-shift / 8) + np.exp(-shift / (8 * 1.9)) + 1.5 * np.exp(-shift / (8 * 0.55))
    assert found[0, 1] == pytest.approx(1.65 * parts, abs=1e-3)
    assert second[0, 1] == many


def test_the_released_similarity_of_whole_bodies_keeps_its_codes_slips():
    boxes, poses = whole_bodies(0, 0)
    feet = list(HALPE136.parts["foot"])
    poses[1, feet, 2] = 0.01  # 6 of the 26 joints of body and feet; below the floor
    found, _ = released_whole_similarity(boxes, poses, HALPE136.parts, 0.05)
    by_confidence = 6 / 26 * np.tanh(0.9) * np.tanh(0.01)
    assert found[0, 1] == pytest.approx(1.65 * (20 / 26 + 1 + 1.5) + by_confidence, abs=1e-4)
    assert found[1, 0] == pytest.approx(1.65 * 3.5, abs=1e-4)  # the other's joints are sure
    # 34 joints over the number of people: 17 of two, 3.1 of eleven, 2.8 of twelve
    for count, left_out in ((2, True), (11, True), (12, False)):
        places = [0, 5, *(300 * n for n in range(1, count - 1))]
        _, second = released_whole_similarity(*whole_bodies(*places), HALPE136.parts, 0.05)
        assert second[0, 1] == left_out
        assert not second[0, 2:].any()


def test_released_pose_nms_knows_whole_bodies_by_their_parts():
    boxes, poses = whole_bodies(0, 3, 300)
    people = PersonDetections(boxes, np.array([0.5, 0.9, 0.8], np.float32), poses)
    assert len(PoseNMS(HALPE136, kind="released")(people)) == 2
    # twelve people: by the similarity alone, 3.6 and more: 3.74 at 3 pixels, 3.27 at 4
    for shift, kept in ((3, 11), (4, 12)):
        boxes, poses = whole_bodies(0, shift, *(300 * n for n in range(1, 11)))
        people = PersonDetections(boxes, np.full(12, 0.9, np.float32), poses)
        assert len(PoseNMS(HALPE136, kind="released")(people)) == kept


def test_the_parametric_similarity():
    found = parametric_similarity(*copies(0, 0), WEIGHTS, PoseParameters())
    assert found[0, 1] == pytest.approx(np.tanh(0.9) * np.tanh(0.6) + 1.7, abs=1e-5)
    assert found[0, 0] == pytest.approx(2.2131, abs=1e-3)
    six = parametric_similarity(*copies(0, 6), WEIGHTS, PoseParameters())  # beyond the window of 100 / 20
    assert six[0, 1] == pytest.approx(1.7 * np.exp(-36 / (100 * 200) / 0.01), abs=1e-5)


def test_size_matters_to_the_released_variant_only():
    paper, released = PoseNMS(COCO17, kind="parametric"), PoseNMS(COCO17, kind="released")
    kept = {}
    for scale in (0.5, 1, 2, 4):
        boxes, poses = copies(0, 4, scale=scale)
        people = PersonDetections(boxes, np.array([0.5, 0.9], np.float32), poses)
        kept[scale] = len(paper(people)), len(released(people))
    assert [paper for paper, _ in kept.values()] == [1, 1, 1, 1]
    assert [released for _, released in kept.values()] == [1, 1, 2, 2]


def crowd(skeleton, scale=1.0):
    """Thirty people of a few scores and confidences, each near others."""
    rng, count = np.random.default_rng(3), 30
    boxes = np.tile([0.0, 0, 100, 200], (count, 1))
    poses = np.tile(rng.uniform(0, 1, (len(skeleton), 3)) * (100, 200, 0), (count, 1, 1))
    shifts = rng.integers(0, 60, count) / 2
    boxes[:, ::2] += shifts[:, None]
    poses[..., 0] += shifts[:, None]
    poses[..., 2] = rng.choice([0.3, 0.6], (count, 1))
    scores = rng.choice([0.5, 0.75], count)
    poses[..., :2] *= scale
    return PersonDetections(*(a.astype(np.float32) for a in (scale * boxes, scores, poses)))


def test_the_same_people_are_kept_at_every_size():
    suppress = PoseNMS(COCO17, kind="parametric", merge=False)
    kept = suppress(crowd(COCO17)).boxes
    assert 2 < len(kept) < 15
    for scale in (0.5, 2, 4):
        assert (suppress(crowd(COCO17, scale)).boxes == scale * kept).all()


@pytest.mark.parametrize("kind", ["joints", "parametric", "released", "oks"])
def test_people_and_who_is_kept_are_as_they_were_whatever_ran_before(kind):
    """AlphaPose's code keeps the constants of the last whole body."""
    people = crowd(COCO17)
    given = [array.copy() for array in (people.boxes, people.scores, people.keypoints)]
    before = PoseNMS(COCO17, kind=kind)(people)
    PoseNMS(HALPE136, kind=kind)(crowd(HALPE136))
    after = PoseNMS(COCO17, kind=kind)(people)
    for name, array in zip(("boxes", "scores", "keypoints"), given, strict=True):
        assert (getattr(people, name) == array).all()
        assert (getattr(after, name) == getattr(before, name)).all()


@pytest.mark.parametrize("kind", ["joints", "parametric", "released", "oks"])
def test_of_people_who_are_as_good_the_first_is_kept(kind):
    """Forty of two scores in five places, a hundredth of a pixel apart in each."""
    scores = np.random.default_rng(0).choice([0.5, 0.75], 40)
    shifts = 300.0 * (np.arange(40) % 5) + np.arange(40) / 100
    boxes, poses = copies(*shifts, confidences=scores)
    suppress = PoseNMS(COCO17, kind=kind, merge=False)
    found = suppress(PersonDetections(boxes, scores.astype(np.float32), poses))
    first = sorted(place + 5 * int(np.argmax(scores[place::5])) for place in range(5))
    assert found.boxes[:, 0] == pytest.approx(shifts[first], abs=1e-3)


def test_a_pose_and_its_copy_are_merged_by_confidence():
    pose = np.zeros((17, 3))
    pose[:, 2] = 0.9
    moved = pose + np.array([3, 3, -0.3])
    merged = merge_poses(np.stack((pose, moved)), 20.0)
    assert merged == pytest.approx(np.tile([1.2, 1.2, 0.78], (17, 1)))
    assert merge_poses(np.stack((pose, moved + np.array([9, 9, 0]))), 30.0) == pytest.approx(
        pose
    )  # 17 px are too far
    assert merge_poses(np.stack((pose, moved)), 4.0) == pytest.approx(pose)
    assert merge_poses(np.zeros((2, 17, 3)), 20.0).tolist() == np.zeros((17, 3)).tolist()


def test_the_best_pose_stays_with_its_own_box_and_score_and_nothing_is_changed():
    boxes, poses = copies(0, 3)
    people = PersonDetections(boxes, np.array([0.9, 0.5], np.float32), poses)
    before = poses.copy()
    one = PoseNMS(COCO17, kind="parametric")(people)
    assert one.boxes.tolist() == [[0, 0, 100, 200]]
    assert one.scores == pytest.approx([0.9])
    assert one.keypoints[0, :, 0] == pytest.approx(poses[0, :, 0] + 1.2, abs=1e-4)
    assert (poses == before).all()
    plain = PoseNMS(COCO17, kind="parametric", merge=False)(people)
    assert (plain.keypoints[0] == poses[0]).all()
    unsure = PersonDetections(boxes, people.scores, poses * np.float32([1, 1, 0.01]))
    assert len(PoseNMS(COCO17, kind="parametric")(unsure)) == 0


def test_who_is_best_is_said_by_the_score_and_in_the_released_variant_by_the_joints():
    """Of equal scores by the joints too."""
    boxes, poses = copies(0, 3, confidences=(0.9, 0.6))
    people = PersonDetections(boxes, np.array([0.5, 0.8], np.float32), poses)
    assert PoseNMS(COCO17, kind="parametric")(people).scores == pytest.approx([0.8])
    assert PoseNMS(COCO17, kind="released")(people).scores == pytest.approx([0.5])
    equal = PersonDetections(boxes[::-1].copy(), np.full(2, 0.5, np.float32), poses[::-1].copy())
    assert PoseNMS(COCO17, kind="parametric")(equal).boxes.tolist() == [[0, 0, 100, 200]]


def test_people_below_a_score_change_nobody_above_it():
    """So that whom a tracker never asks for need not be looked at."""
    rng = np.random.default_rng(5)
    boxes, poses = copies(*rng.uniform(0, 60, 30), confidences=rng.uniform(0.3, 0.9, 30))
    people = PersonDetections(boxes, rng.random(30).astype(np.float32), poses)
    suppress = PoseNMS(COCO17, kind="parametric", merge=False)
    high = people.scores >= 0.5
    after = suppress(people)
    assert 1 < len(after) < 30
    assert suppress(people[high]).scores.tolist() == after.scores[after.scores >= 0.5].tolist()


def test_faces_and_hands_do_not_outvote_the_body():
    boxes = np.tile(np.float32([[0, 0, 100, 200]]), (2, 1))
    poses = np.zeros((2, 136, 3), np.float32)
    poses[..., 2] = 0.9
    poses[1, list(HALPE136.parts["body"] + HALPE136.parts["foot"]), 0] = 60
    people = PersonDetections(boxes, np.array([0.5, 0.9], np.float32), poses)
    assert len(PoseNMS(HALPE136, kind="parametric")(people)) == 2


def test_oks_is_that_of_the_evaluation():
    boxes, poses = copies(0, 3, confidences=(0.9, 0.9))
    area = 0.53 * 100 * 200
    import torch

    truth = torch.from_numpy(poses[1:].copy())
    wanted = object_keypoint_similarity(
        torch.from_numpy(poses[:1]), truth, torch.tensor([area]), COCO17.sigmas
    )
    found, _ = oks_between(boxes, poses, boxes, poses, np.array(COCO17.sigmas))
    assert found[0, 1] == pytest.approx(float(wanted), abs=1e-6)
    assert found.diagonal() == pytest.approx(1.0)
    poses[0, :, 2] = 0.1
    assert oks_between(boxes, poses, boxes, poses, np.array(COCO17.sigmas))[0][0, 1] == 0


@pytest.mark.parametrize("threshold", [0.02, 0.4, 0.9, 1.0])
def test_whom_oks_calls_alike_is_not_changed_by_who_is_compared(threshold):
    rng, sigmas, many = np.random.default_rng(0), np.array(COCO17.sigmas), 0
    for _ in range(20):
        corners = rng.uniform(0, 300, (30, 2))
        boxes = np.concatenate((corners, corners + rng.uniform(5, 200, (30, 2))), axis=1).astype(np.float32)
        poses = np.concatenate(
            (rng.uniform(0, 300, (30, 17, 2)), rng.uniform(0, 1, (30, 17, 1))), axis=2
        ).astype(np.float32)
        poses[20:, :, :2] = poses[:10, :, :2] + rng.normal(0, 2, (10, 17, 2)) * rng.integers(0, 2, (10, 1, 1))
        poses[:3, :, 2] = 0.1
        wanted = oks_between(boxes, poses, boxes, poses, sigmas)[0] >= threshold
        found = alike_by_oks(boxes, poses, sigmas, threshold)
        assert (found == wanted).all()
        many += (wanted.sum() - 27) // 2
    assert many >= 20


def test_oks_nms_of_a_thousand_people_compares_neighbours_alone(monkeypatch):
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 2000, (1000, 2))
    boxes = np.concatenate((corners, corners + np.array([80, 160])), axis=1).astype(np.float32)
    poses = corners[:, None] + rng.uniform(0, 1, (1000, 17, 2)) * (80, 160)
    poses = np.concatenate((poses, np.full((1000, 17, 1), 0.8)), axis=2).astype(np.float32)
    people = PersonDetections(boxes, rng.uniform(0, 1, 1000).astype(np.float32), poses)
    compared = []
    oks = pose_similarity._oks
    monkeypatch.setattr(pose_similarity, "_oks", lambda *of: compared.append(len(of[0])) or oks(*of))
    assert len(PoseNMS(COCO17, kind="oks")(people)) == 1000
    assert 0 < sum(compared) < 1000 * 999 / 2 / 20


def test_oks_nms_keeps_the_best_scored():
    boxes, poses = copies(0, 1, 50, confidences=(0.9, 0.9, 0.9))
    people = PersonDetections(boxes, np.array([0.6, 0.9, 0.7], np.float32), poses)
    assert PoseNMS(COCO17, kind="oks")(people).scores == pytest.approx([0.9, 0.7])


@pytest.mark.parametrize("kind", ["parametric", "released", "oks"])
def test_nobody_and_three_hundred(kind):
    suppress = PoseNMS(COCO17, kind=kind)
    assert len(suppress(PersonDetections.empty(17))) == 0
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 2000, (300, 2))
    boxes = np.concatenate((corners, corners + np.array([80, 160])), axis=1).astype(np.float32)
    poses = np.concatenate(
        (corners[:, None] + rng.uniform(0, 1, (300, 17, 2)) * (80, 160), np.full((300, 17, 1), 0.8)), axis=2
    ).astype(np.float32)
    people = PersonDetections(boxes, rng.uniform(0, 1, 300).astype(np.float32), poses)
    once = suppress(people)
    assert 250 < len(once) <= 300
    assert (suppress(people).keypoints == once.keypoints).all()


def test_the_configuration_of_kinds():
    cfg = get_cfg()
    cfg.merge_from_list(["TEST.POSE_NMS.KIND", "parametric", "TEST.POSE_NMS.ETA", "1.5"])
    made = PoseNMS.from_config(cfg)
    assert (made.kind, made.parameters.threshold) == ("parametric", 1.5)
    cfg.TEST.POSE_NMS.KIND = "soft"
    with pytest.raises(ValueError, match=r"POSE_NMS\.KIND: expected one of joints, .*, oks, got 'soft'"):
        PoseNMS.from_config(cfg)
    with pytest.raises(ValueError, match=r"POSE_NMS\.OKS: expected a similarity above 0, at most 1, got 0"):
        PoseNMS(COCO17, oks=0.0)


def test_oks_between_two_frames_is_pycocotools_where_areas_are_equal():
    """Of other people; joints that one of two lacks do not count, and how many both have is told."""
    boxes, poses = copies(0, 4, 9, confidences=(0.9, 0.9, 0.9))
    poses[1, 5:, 2] = 0.3
    found, common = oks_between(
        boxes[:1], poses[:1], boxes[1:], poses[1:], np.array(COCO17.sigmas), seen_above=0.5
    )
    assert common.tolist() == [[5, 17]]
    for column, joints in enumerate((5, 17)):
        expected = object_keypoint_similarity(
            torch.from_numpy(poses[:1, :joints]),
            torch.from_numpy(poses[1 + column : 2 + column, :joints]),
            torch.tensor([0.53 * 100 * 200]),
            COCO17.sigmas[:joints],
        )
        assert found[0, column] == pytest.approx(float(expected[0, 0]), abs=1e-6)
