import pytest
import timm
import torch
from timm.layers import BatchNormAct2d
from torch import nn

from fastpose_mtn.modeling.backbone import TimmFPN
from fastpose_mtn.modeling.bottom_up import build_bottom_up
from fastpose_mtn.modeling.box_head import BoxHead
from fastpose_mtn.modeling.layers import ConvNorm
from fastpose_mtn.runtime.fuse import fuse

FUSED = ("BatchNorm", "FrozenBatchNorm", "SyncBatchNorm")


def pyramid(name, *, fpn_norm="", **arguments):
    bottom_up = build_bottom_up(name=name, strides=TimmFPN.bottom_up_strides, **arguments)
    return TimmFPN(bottom_up=bottom_up, out_channels=8, norm=fpn_norm)


@pytest.mark.parametrize("name", ["mobilenetv2_100", "resnet18", "resnet50", "resnet18d"])
@pytest.mark.parametrize("norm", ["BN", "FrozenBN"])
@pytest.mark.parametrize("activations", [False, True])
def test_fused_network_computes_the_same(name, norm, activations):
    torch.manual_seed(0)
    backbone = pyramid(name, norm=norm, freeze_at=1, fpn_norm="BN").eval()
    for module in backbone.modules():
        if hasattr(module, "running_var"):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = backbone(image)
        assert fuse(backbone, activations=activations) is backbone
        found = backbone(image)
    for level in expected:
        torch.testing.assert_close(found[level], expected[level], atol=1e-4, rtol=1e-4)
    assert not [m for m in backbone.modules() if type(m).__name__.startswith(FUSED)]


@pytest.mark.parametrize("activations", [False, True])
def test_layers_are_replaced_and_never_change_what_they_are(activations):
    """Whoever holds a layer of the network holds it afterwards as it was."""
    torch.manual_seed(0)
    backbone = pyramid("resnet18d", norm="BN", freeze_at=0).eval()
    layers = list(backbone.modules())
    kinds = [(type(layer), layer.forward.__func__) for layer in layers]
    fuse(backbone, activations=activations)
    assert [(type(layer), layer.forward.__func__) for layer in layers] == kinds


def test_residual_blocks_add_and_activate_in_a_convolution():
    torch.manual_seed(0)
    backbone = pyramid("resnet50", freeze_at=0).eval()
    fuse(backbone, activations=True)
    assert not [m for m in backbone.modules() if isinstance(m, nn.ReLU)]
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        exact = backbone(image)["p2"]
        found = backbone.to(torch.bfloat16)(image.bfloat16())["p2"]
    assert found.dtype == torch.bfloat16
    assert (found - exact).abs().max() < 0.05 * exact.abs().max()


def test_a_block_that_holds_more_stays_a_block():
    torch.manual_seed(0)
    network = timm.create_model("seresnet50", features_only=True, pretrained=False).eval()
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = network(image)
        found = fuse(network, activations=True)(image)
    for level, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(level, wanted, atol=1e-4, rtol=1e-4)


def test_group_norm_stays():
    backbone = pyramid("resnet18", norm="GN", freeze_at=0).eval()
    count = sum(isinstance(m, nn.GroupNorm) for m in backbone.modules())
    fuse(backbone)
    assert sum(isinstance(m, nn.GroupNorm) for m in backbone.modules()) == count > 0


def test_norm_of_other_channels_stays():
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(3))
    fuse(module)
    assert isinstance(module[1], nn.BatchNorm2d)


def test_activations_become_part_of_convolutions():
    torch.manual_seed(0)
    module = nn.Sequential(ConvNorm(3, 4, 3, relu=True), ConvNorm(4, 4, 1, norm="BN")).eval()
    x = torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        expected = module(x)
        torch.testing.assert_close(fuse(module, activations=True)(x), expected, atol=1e-5, rtol=1e-5)
        module.to(torch.bfloat16)
        assert module(x).dtype == torch.bfloat16  # as under autocast


def test_other_activations_stay():
    norm = BatchNormAct2d(4, act_layer=nn.SiLU)
    module = nn.Sequential(nn.Conv2d(3, 4, 1), norm).eval()
    x = torch.randn(1, 3, 5, 5)
    with torch.no_grad():
        expected = module(x)
        torch.testing.assert_close(fuse(module, activations=True)(x), expected, atol=1e-5, rtol=1e-5)
    assert isinstance(module[1], nn.SiLU)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_box_head_reads_features_as_they_lie_in_memory(layout):
    torch.manual_seed(0)
    head = BoxHead(in_channels=6, resolution=5, fc_dim=16)
    regions = torch.randn(3, 6, 5, 5).contiguous(memory_format=layout)
    with torch.no_grad():
        expected = head(regions)
        torch.testing.assert_close(fuse(head, activations=True)(regions), expected)
