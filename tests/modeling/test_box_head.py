import math

import pytest
import torch

from fastpose_mtn.errors import InputError
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
    predictor = BoxPredictor(
        in_channels=1, score_thresh=0.3, nms_thresh=0.5, vote_thresh=1.0, detections_per_image=2
    )
    proposals = torch.tensor(
        [[0.0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 200], [70, 70, 80, 80], [30, 30, 40, 40]]
    )
    logits = torch.tensor([[3.0, 0], [2.0, 0], [2.5, 0], [1.0, 0], [-3.0, 0]])
    boxes, scores = predictor.inference(logits, torch.zeros(5, 4), proposals, (100, 100))
    assert boxes.tolist() == [[0, 0, 10, 10], [50, 50, 60, 100]]
    assert (scores.diff() < 0).all()


def test_boxes_that_agree_are_averaged():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 5], [50, 50, 60, 60]])
    logits = torch.tensor([[3.0, 0], [2.0, 0], [2.0, 0], [1.0, 0]])
    predictor = BoxPredictor(in_channels=1, nms_thresh=0.4, vote_thresh=0.8)
    found, scores = predictor.inference(logits, torch.zeros(4, 4), boxes, (100, 100))
    # of IoU 1 and 0.9; 0.5 has no vote
    weights = torch.sigmoid(torch.tensor([3.0, 2.0])) * torch.tensor([0.2, 0.1])
    bottom = (weights * torch.tensor([10.0, 9.0])).sum() / weights.sum()
    torch.testing.assert_close(found, torch.tensor([[0.0, 0, 10, bottom], [50, 50, 60, 60]]))
    assert scores.tolist() == pytest.approx([1 / (1 + math.exp(-3)), 1 / (1 + math.exp(-1))])


def test_a_class_does_not_vote_on_another():
    predictor = BoxPredictor(in_channels=1, num_classes=2, cls_agnostic_bbox_reg=True, vote_thresh=0.5)
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9]])
    found, _ = predictor.inference(
        torch.tensor([[9.0, 0, 0], [0, 9.0, 0]]), torch.zeros(2, 4), boxes, (100, 100)
    )
    assert sorted(found.tolist()) == sorted(boxes.tolist())


def test_half_precision_around_it_moves_no_box():
    predictor = BoxPredictor(in_channels=1, vote_thresh=0.5)
    boxes = torch.tensor([[100.3, 200.7, 301.1, 403.9], [100.5, 200.9, 300.9, 404.1]])
    given = (torch.tensor([[3.0, 0], [2.0, 0]]), torch.zeros(2, 4), boxes, (500, 500))
    with torch.autocast("cpu", torch.bfloat16):
        halved, _ = predictor.inference(*given)
    torch.testing.assert_close(halved, predictor.inference(*given)[0])


def test_an_empty_box_stays():
    predictor = BoxPredictor(in_channels=1, vote_thresh=0.5)
    empty = torch.tensor([[100.0, 5, 120, 15]])  # right of the image
    found, _ = predictor.inference(torch.tensor([[3.0, 0]]), torch.zeros(1, 4), empty, (50, 50))
    assert found.tolist() == [[50, 5, 50, 15]]


def test_not_finite_predictions_are_left_out():
    predictor = BoxPredictor(in_channels=1)
    logits = torch.tensor([[torch.nan, 0.0], [3.0, 0.0]])
    boxes, _ = predictor.inference(logits, torch.zeros(2, 4), torch.tensor([[0.0, 0, 5, 5]] * 2), (9, 9))
    assert boxes.tolist() == [[0, 0, 5, 5]]
    with pytest.raises(InputError, match="the box head: expected finite .* try --precision fp32"):
        predictor.inference(logits[:1], torch.zeros(1, 4), torch.tensor([[0.0, 0, 5, 5]]), (9, 9))


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


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_of_nobody_is_refused(limit):
    with pytest.raises(InputError, match=f"TEST.DETECTIONS_PER_IMAGE: expected 1 or more, got {limit}"):
        BoxPredictor(in_channels=4, num_classes=1, detections_per_image=limit)
