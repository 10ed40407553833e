import cv2
import numpy as np
import pytest
import torch

from fastpose_mtn.config import get_cfg
from fastpose_mtn.estimators.adapter import FrameAdapter
from fastpose_mtn.estimators.views import View, merge_views, mirror, views_from_config
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.systems.mtn.estimator import MTNEstimator
from fastpose_mtn.systems.mtn.network import build_model


def people(boxes, scores, first_x=0.0, embeddings=True):
    keypoints = np.zeros((len(boxes), 15, 3), np.float32)
    keypoints[..., 0] = first_x + np.arange(15)
    return PersonDetections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.array(scores, np.float32),
        keypoints=keypoints,
        embeddings=np.full((len(boxes), 2), first_x, np.float32) if embeddings else None,
    )


def test_each_person_once_with_the_joints_of_the_best_view():
    one = people([[0, 0, 10, 20], [50, 0, 60, 20]], [0.9, 0.3], first_x=100)
    other = people([[1, 0, 11, 20], [51, 0, 61, 20], [80, 0, 90, 20]], [0.8, 0.7, 0.5], first_x=200)
    merged = merge_views([one, other], nms_thresh=0.5, count=10)
    assert merged.scores.tolist() == pytest.approx([0.9, 0.7, 0.5])
    assert merged.boxes[:, 0].tolist() == [0, 51, 80]
    assert merged.keypoints[:, 0, 0].tolist() == [100, 200, 200]
    assert merged.embeddings[:, 0].tolist() == [100, 200, 200]
    assert len(merge_views([one, other], nms_thresh=0.5, count=2)) == 2
    assert len(merge_views([one, other], nms_thresh=0.9, count=10)) == 5
    none = merge_views([people([], [], embeddings=False)] * 2, nms_thresh=0.5, count=2)
    assert (len(none), none.embeddings) == (0, None)


def test_a_mirrored_person_by_hand():
    out = mirror(people([[10, 5, 30, 45]], [0.5]), 100, POSETRACK15)
    assert out.boxes.tolist() == [[70, 5, 90, 45]]
    left, right = POSETRACK15.index("left_wrist"), POSETRACK15.index("right_wrist")
    assert out.keypoints[0, left, 0] == 100 - right
    assert out.keypoints[0, right, 0] == 100 - left


def test_what_the_configuration_asks_for():
    cfg = get_cfg()
    assert views_from_config(cfg) == [View(600, 1000)]
    cfg.merge_from_list(
        ["TEST.AUG.ENABLED", "True", "TEST.AUG.MIN_SIZES", "(608, 640)", "TEST.AUG.MAX_SIZE", "1333"]
    )
    assert views_from_config(cfg) == [
        View(608, 1333), View(608, 1333, True), View(640, 1333), View(640, 1333, True)
    ]  # fmt: skip
    cfg.TEST.AUG.FLIP = False
    assert views_from_config(cfg) == [View(608, 1333), View(640, 1333)]
    cfg.TEST.AUG.MAX_SIZES = (700, 1333)
    assert views_from_config(cfg) == [View(608, 700), View(640, 1333)]
    cfg.TEST.AUG.MAX_SIZES = (700,)
    with pytest.raises(ValueError, match=r"TEST.AUG.MAX_SIZES: expected 2 numbers, one for each of .* got 1"):
        views_from_config(cfg)
    cfg.TEST.AUG.MIN_SIZES = ()
    with pytest.raises(ValueError, match="TEST.AUG.MIN_SIZES is empty"):
        views_from_config(cfg)


def test_the_estimator_merges_its_views(cfg):
    """Two sizes and their mirror images give what four estimators give, merged."""
    torch.manual_seed(0)
    model = build_model(cfg)
    cfg.merge_from_list(
        ["TEST.AUG.ENABLED", "True", "TEST.AUG.MIN_SIZES", "(64, 96)", "TEST.AUG.MAX_SIZE", "200"]
    )
    frame = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    (merged,) = MTNEstimator.from_config(cfg, model, precision="fp32").estimate([frame])
    each = []
    for size in (64, 96):
        single = MTNEstimator(model, frames=FrameAdapter(POSETRACK15, (View(size, 200),)), precision="fp32")
        each += single.estimate([frame])
        (flipped,) = single.estimate([cv2.flip(frame, 1)])
        each.append(mirror(flipped, 96, POSETRACK15))
    wanted = merge_views(each, nms_thresh=0.5, count=5)
    np.testing.assert_allclose(merged.boxes, wanted.boxes, atol=1e-2)
    np.testing.assert_allclose(merged.keypoints, wanted.keypoints, atol=2e-2)
    assert not np.array_equal(merged.boxes, each[0].boxes)


def test_leaving_out_low_scores_in_each_view_changes_nobody_above(cfg):
    """As who scores lower suppresses nobody, neither among views nor by pose, and is the first to be cut off."""
    torch.manual_seed(0)
    cfg.merge_from_list(
        ["TEST.AUG.ENABLED", "True", "TEST.AUG.MIN_SIZES", "(64, 96)", "TEST.AUG.MAX_SIZE", "200",
         "MODEL.ROI_HEADS.SCORE_THRESH_TEST", "0.0001"]
    )  # fmt: skip
    model = build_model(cfg)
    torch.nn.init.normal_(model.roi_heads.box_predictor.cls_score.weight, std=6.0)  # boxes of all scores
    estimator = MTNEstimator.from_config(cfg, model, precision="fp32")
    seen = []
    head = estimator._model.roi_heads.keypoint_head
    head.register_forward_hook(lambda _, args, __: seen.append(len(args[0])))
    frame = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    (everyone,) = estimator.estimate([frame])
    before, best = sum(seen), 0
    for least in everyone.scores:
        seen.clear()
        (some,) = estimator.estimate([frame], float(least))
        a, b = (people[people.scores >= least] for people in (everyone, some))
        for name in ("boxes", "scores", "keypoints", "embeddings"):
            np.testing.assert_allclose(getattr(b, name), getattr(a, name), atol=1e-4)
        assert 0 < sum(seen) <= before
        best = best or sum(seen)  # at the highest score
    assert best < before
