import math

import pytest
import torch

from fastpose_mtn.modeling.box_head import BoxHead, BoxPredictor


def test_named_as_in_detectron2():
    head = BoxHead(in_channels=2, resolution=3, num_fc=2, fc_dim=5)
    assert list(head.state_dict()) == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]
    assert head(torch.randn(4, 2, 3, 3)).shape == (4, 5)
    assert list(BoxPredictor(in_channels=5).state_dict()) == [
        "cls_score.weight", "cls_score.bias", "bbox_pred.weight", "bbox_pred.bias",
    ]  # fmt: skip


def test_losses_by_hand():
    predictor = BoxPredictor(in_channels=1, smooth_l1_beta=0.5, bbox_reg_loss_weight=2.0)
    logits = torch.zeros(4, 2)
    deltas = torch.zeros(4, 4)
    proposals = torch.tensor([[0.0, 0, 10, 10]] * 4)
    matched = torch.tensor([[1.0, 0, 11, 10], [0.2, 0, 10.2, 10], [5, 5, 6, 6], [0, 0, 10, 10]])
    classes = torch.tensor([0, 0, 1, 1])
    losses = predictor.losses(logits, deltas, proposals, classes, matched)
    assert losses["loss_cls"].item() == pytest.approx(math.log(2))
    # dx is 10 * 0.1 = 1 (1 - 0.5 / 2) and 10 * 0.02 = 0.2 (0.04 / (2 * 0.5)), over 4 proposals, weighted 2
    assert losses["loss_box_reg"].item() == pytest.approx(2 * (0.75 + 0.04) / 4)


def test_person_is_class_zero():
    predictor = BoxPredictor(in_channels=1)
    boxes, scores = predictor.inference(
        torch.tensor([[2.0, 0.0], [0.0, 2.0]]),
        torch.zeros(2, 4),
        torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30]]),
        (100, 100),
    )
    assert boxes.tolist() == [[0, 0, 10, 10], [20, 20, 30, 30]]
    assert scores.tolist() == pytest.approx([1 / (1 + math.exp(-2)), 1 / (1 + math.exp(2))])


def test_inference_clips_suppresses_thresholds_and_limits():
    predictor = BoxPredictor(in_channels=1, score_thresh=0.3, nms_thresh=0.5, detections_per_image=2)
    proposals = torch.tensor(
        [[0.0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 200], [70, 70, 80, 80], [30, 30, 40, 40]]
    )
    logits = torch.tensor([[3.0, 0], [2.0, 0], [2.5, 0], [1.0, 0], [-3.0, 0]])
    boxes, scores = predictor.inference(logits, torch.zeros(5, 4), proposals, (100, 100))
    assert boxes.tolist() == [[0, 0, 10, 10], [50, 50, 60, 100]]
    assert (scores.diff() < 0).all()


def test_not_finite_predictions_are_left_out():
    predictor = BoxPredictor(in_channels=1)
    logits = torch.tensor([[torch.nan, 0.0], [3.0, 0.0]])
    boxes, _ = predictor.inference(logits, torch.zeros(2, 4), torch.tensor([[0.0, 0, 5, 5]] * 2), (9, 9))
    assert boxes.tolist() == [[0, 0, 5, 5]]


def test_no_proposals():
    predictor = BoxPredictor(in_channels=3)
    logits, deltas = predictor(torch.zeros(0, 3))
    boxes, scores = predictor.inference(logits, deltas, torch.zeros(0, 4), (9, 9))
    assert boxes.shape == (0, 4)
    assert scores.shape == (0,)


def test_one_box_for_all_classes():
    predictor = BoxPredictor(in_channels=3, num_classes=2, cls_agnostic_bbox_reg=True)
    logits, deltas = predictor(torch.zeros(5, 3))
    assert logits.shape == (5, 3)
    assert deltas.shape == (5, 4)
