import pytest
import torch

from fastpose_mtn.modeling.conversion import convert, from_detectron2, from_torchvision, to_detectron2


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("backbone.body.layer1.0.downsample.1.bias", "backbone.bottom_up.layer1.0.downsample.1.bias"),
        ("backbone.fpn.inner_blocks.0.0.weight", "backbone.fpn_lateral2.weight"),
        ("backbone.fpn.layer_blocks.3.bias", "backbone.fpn_output5.bias"),  # older files have one level less
        ("rpn.head.conv.0.0.weight", "proposal_generator.rpn_head.conv.weight"),
        ("rpn.head.conv.bias", "proposal_generator.rpn_head.conv.bias"),
        ("rpn.head.cls_logits.bias", "proposal_generator.rpn_head.objectness_logits.bias"),
        ("roi_heads.box_head.fc7.weight", "roi_heads.box_head.fc2.weight"),
        ("roi_heads.keypoint_head.0.weight", "roi_heads.keypoint_head.conv_fcn1.weight"),
        ("roi_heads.keypoint_head.14.bias", "roi_heads.keypoint_head.conv_fcn8.bias"),
        ("roi_heads.keypoint_predictor.kps_score_lowres.bias", "roi_heads.keypoint_head.score_lowres.bias"),
    ],
)
def test_torchvisions_names(theirs, ours):
    assert list(from_torchvision({theirs: torch.zeros(1)})) == [ours]


def test_torchvisions_background_comes_last():
    scores = {"roi_heads.box_predictor.cls_score.bias": torch.tensor([10.0, 20.0])}  # background, person
    assert from_torchvision(scores)["roi_heads.box_predictor.cls_score.bias"].tolist() == [20, 10]
    boxes = {"roi_heads.box_predictor.bbox_pred.bias": torch.arange(8.0)}
    assert from_torchvision(boxes)["roi_heads.box_predictor.bbox_pred.bias"].tolist() == [4, 5, 6, 7]


def test_unknown_torchvision_name():
    with pytest.raises(
        ValueError, match="unknown name 'roi_heads.mask_head.0.weight'; expected a Keypoint R-CNN's"
    ):
        from_torchvision({"roi_heads.mask_head.0.weight": torch.zeros(1)})


def test_our_own_names_stay():
    own = {"backbone.bottom_up.layer1.0.conv1.weight": torch.zeros(1)}
    assert convert(own) == own
    assert convert({f"model.{n}": t for n, t in own.items()}) == own


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("stem.conv1.weight", "conv1.weight"),
        ("stem.conv1.norm.running_mean", "bn1.running_mean"),
        ("res2.0.shortcut.weight", "layer1.0.downsample.0.weight"),
        ("res2.0.shortcut.norm.bias", "layer1.0.downsample.1.bias"),
        ("res5.2.conv3.norm.weight", "layer4.2.bn3.weight"),
    ],
)
def test_detectron2s_names_both_ways(theirs, ours):
    theirs, ours = (f"backbone.bottom_up.{name}" for name in (theirs, ours))
    assert list(from_detectron2({theirs: torch.zeros(1)})) == [ours]
    assert list(to_detectron2({ours: torch.zeros(1)})) == [theirs]
    assert list(to_detectron2({"roi_heads.reid_head.conv1.weight": torch.zeros(1)})) == [
        "roi_heads.reid_head.conv1.weight"
    ]
