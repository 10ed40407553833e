import math

import pytest
import torch

from fastpose_mtn.errors import InputError
from fastpose_mtn.modeling.anchors import AnchorGenerator
from fastpose_mtn.modeling.rpn import RPN, Candidates, RPNHead
from fastpose_mtn.structures import PersonTargets


def build(**arguments):
    anchors = AnchorGenerator(sizes=[[16]], aspect_ratios=[[1.0]], strides=[8])
    head = RPNHead(in_channels=4, num_anchors=1)
    return RPN(head=head, anchor_generator=anchors, in_features=["p3"], **arguments)


def features():
    torch.manual_seed(0)
    return {"p3": torch.randn(2, 4, 8, 8)}


SIZES = [(64, 64), (50, 60)]


def test_head_is_named_as_in_detectron2():
    head = RPNHead(in_channels=4, num_anchors=3)
    assert list(head.state_dict()) == [
        "conv.weight", "conv.bias", "objectness_logits.weight", "objectness_logits.bias",
        "anchor_deltas.weight", "anchor_deltas.bias",
    ]  # fmt: skip
    deeper = RPNHead(in_channels=4, num_anchors=3, conv_dims=(6, -1))
    assert deeper.conv[1].in_channels == 6
    assert "conv.conv1.weight" in deeper.state_dict()


def test_head_orders_predictions_as_the_anchors():
    head = RPNHead(in_channels=1, num_anchors=2)
    with torch.no_grad():
        for p in head.parameters():
            p.zero_()
        head.conv.weight[0, 0, 1, 1] = 1
        head.objectness_logits.weight[:, 0, 0, 0] = torch.tensor([1.0, 100.0])
    feature = torch.arange(6.0).view(1, 1, 2, 3)
    logits, deltas = head([feature])
    assert logits[0].tolist() == [[0, 0, 1, 100, 2, 200, 3, 300, 4, 400, 5, 500]]
    assert deltas[0].shape == (1, 12, 4)


def test_merged_predictions_are_the_same():
    torch.manual_seed(0)
    head = RPNHead(in_channels=4, num_anchors=3)
    levels = [torch.randn(2, 4, 5, 6), torch.randn(2, 4, 3, 3)]
    with torch.no_grad():
        expected = head(levels)
        head.merge_predictions()
        found = head(levels)
    torch.testing.assert_close(found, expected)


def test_losses_by_hand(people):
    """With zero predictions the objectness loss of each anchor is log 2 and the L1 loss the targets' sum."""
    rpn = build(batch_size_per_image=8, smooth_l1_beta=0.0, loss_weight=2.0, bbox_reg_loss_weight=0.5).train()
    with torch.no_grad():
        for p in rpn.parameters():
            p.zero_()
    # anchors are 16x16 around multiples of 8: this person is one of them, moved by 2 pixels
    target = people([18, 16, 34, 32])
    _, losses = rpn(features(), SIZES, [target, target])
    assert losses["loss_rpn_cls"].item() == pytest.approx(2 * math.log(2))
    # the anchor [16, 16, 32, 32] alone exceeds IoU 0.7: |dx| = 2/16, of 8 samples an image
    assert losses["loss_rpn_loc"].item() == pytest.approx(2 * 0.5 * (2 / 16) / 8)


def test_image_without_the_task_gives_no_gradient_and_no_weight(people):
    rpn = build(batch_size_per_image=8).train()
    target = people([18, 16, 34, 32])
    maps = {"p3": features()["p3"].requires_grad_()}
    _, losses = rpn(maps, SIZES, [target, target], [True, False])
    (grad,) = torch.autograd.grad(sum(losses.values()), maps["p3"], retain_graph=True)
    assert grad[0].abs().sum() > 0
    assert grad[1].abs().sum() == 0
    _, none = rpn(maps, SIZES, [target, target], [False, False])
    assert none == {"loss_rpn_cls": 0, "loss_rpn_loc": 0}
    assert not any(loss.requires_grad for loss in none.values())  # no backward pass for nothing


def test_ignored_people_are_no_examples(people):
    """Everything lies in the ignored region, so nothing is left to train."""
    rpn = build().train()
    maps = {"p3": features()["p3"].requires_grad_()}
    crowd = people([-50, -50, 150, 150], ignore=[True])
    _, losses = rpn(maps, SIZES, [crowd, crowd])
    (grad,) = torch.autograd.grad(sum(losses.values()), maps["p3"])
    assert grad.abs().sum() == 0


def test_empty_image_trains_negatives():
    rpn = build(batch_size_per_image=8).train()
    empty = PersonTargets.empty(15)
    _, losses = rpn(features(), SIZES, [empty, empty])
    assert losses["loss_rpn_cls"].item() == pytest.approx(math.log(2), rel=0.1)
    assert losses["loss_rpn_loc"].item() == 0


def test_proposals_lie_in_their_image_best_first():
    rpn = build(post_nms_topk=(20, 10)).eval()
    proposals, losses = rpn(features(), SIZES)
    assert losses == {}
    for proposal, (height, width) in zip(proposals, SIZES, strict=True):
        assert 0 < len(proposal.boxes_xyxy) <= 10
        assert proposal.boxes_xyxy.min() >= 0
        assert (proposal.boxes_xyxy[:, 2:] <= torch.tensor([width, height])).all()
        assert (proposal.logits.diff() <= 0).all()
        assert not proposal.boxes_xyxy.requires_grad


def test_suppression_is_within_levels():
    """Equal boxes of two levels both stay; of one level only the better does."""
    anchors = AnchorGenerator(sizes=[[16], [16]], aspect_ratios=[[1.0, 1.0]], strides=[8, 16])
    rpn = RPN(
        head=RPNHead(in_channels=4, num_anchors=2), anchor_generator=anchors, in_features=["p3", "p4"]
    ).eval()
    one = {"p3": torch.randn(1, 4, 1, 1), "p4": torch.randn(1, 4, 1, 1)}
    with torch.no_grad():
        rpn.rpn_head.anchor_deltas.weight.zero_()
    proposals, _ = rpn(one, [(16, 16)])
    assert proposals[0].boxes_xyxy.tolist() == [[0, 0, 8, 8]] * 2


def test_divergence_is_reported(people):
    rpn = build().train()
    with torch.no_grad():
        rpn.rpn_head.anchor_deltas.bias.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="the region proposals are not finite"):
        rpn(features(), SIZES, [people(), people()])
    with pytest.raises(InputError, match="the region proposals: expected finite .* try --precision fp32"):
        rpn.eval()(features(), SIZES)


@pytest.mark.parametrize(("score_thresh", "kept"), [(0.0, 4), (0.3, 2), (0.5, 1), (0.9, 1)])
def test_unlikely_proposals_are_dropped_at_test_time_but_for_the_best(score_thresh, kept):
    """Objectness 0.7, 0.4, 0.2 and 0.1, of boxes that do not overlap."""
    rpn = build(score_thresh=score_thresh).eval()
    boxes = torch.tensor([[20.0 * i, 0, 20 * i + 16, 16] for i in range(4)])
    logits = torch.tensor([0.4, 0.7, 0.1, 0.2]).logit()
    candidates = Candidates(boxes[None], logits[None], torch.zeros(4, dtype=torch.int64))
    (proposals,) = rpn.suppress(candidates, [(16, 80)])
    assert proposals.logits.sigmoid().tolist() == pytest.approx([0.7, 0.4, 0.2, 0.1][:kept])
    (in_training,) = rpn.train().suppress(candidates, [(16, 80)])
    assert len(in_training.logits) == 4


def test_a_proposals_threshold_out_of_range_is_told():
    with pytest.raises(
        ValueError, match=r"MODEL\.RPN\.SCORE_THRESH_TEST: expected a score of at least 0 and below 1, got 1"
    ):
        build(score_thresh=1.0)
