import pytest
import torch
from torchvision.ops import FrozenBatchNorm2d

from fastpose_mtn.checkpoints.conversion import convert, from_detectron2, from_torchvision, to_detectron2


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


def test_classifiers_become_the_backbone():
    """timm's, Detectron2's and Caffe2's names of one ResNet are the same backbone."""
    prefix = "backbone.bottom_up."
    timm = {
        "conv1.weight": torch.ones(1), "bn1.weight": torch.ones(2), "layer1.0.conv2.weight": torch.ones(3),
        "layer1.0.downsample.0.weight": torch.ones(4), "layer1.0.bn3.bias": torch.ones(5), "fc.weight": torch.ones(6),
    }  # fmt: skip
    detectron2 = {
        "stem.conv1.weight": torch.ones(1), "stem.conv1.norm.weight": torch.ones(2), "res2.0.conv2.weight": torch.ones(3),
        "res2.0.shortcut.weight": torch.ones(4), "res2.0.conv3.norm.bias": torch.ones(5), "stem.fc.weight": torch.ones(6),
    }  # fmt: skip
    caffe2 = {
        "conv1_w": torch.ones(1), "res_conv1_bn_s": torch.ones(2), "res2_0_branch2b_w": torch.ones(3),
        "res2_0_branch1_w": torch.ones(4), "res2_0_branch2c_bn_b": torch.ones(5), "fc1000_w": torch.ones(6),
    }  # fmt: skip
    body = {prefix + name: tensor for name, tensor in timm.items() if name != "fc.weight"}
    for tensors in (timm, detectron2, caffe2):
        found = convert(tensors)
        assert {n: found[n].shape for n in body} == {n: t.shape for n, t in body.items()}
    assert prefix + "fc.weight" in convert(timm)
    assert set(convert(caffe2)) - set(body) == {
        "fc1000_w", f"{prefix}bn1.running_mean", f"{prefix}bn1.running_var"
    }  # fmt: skip


def test_caffe2s_norms_compute_the_same():
    """Their statistics are merged into weight and bias: x * weight + bias."""
    found = convert(
        {
            "res_conv1_bn_s": torch.tensor([3.0]),
            "res_conv1_bn_b": torch.tensor([0.5]),
            "conv1_w": torch.ones(1),
        }
    )
    norm = FrozenBatchNorm2d(1)
    norm.load_state_dict(
        {n.removeprefix("backbone.bottom_up.bn1."): t for n, t in found.items() if ".bn1." in n}
    )
    assert norm(torch.tensor([[[[2.0]]]])).item() == pytest.approx(6.5, abs=1e-6)
