import pytest
import torch

from fastpose_mtn.modeling.layers import ConvNorm
from fastpose_mtn.runtime import winograd
from fastpose_mtn.runtime.fuse import fuse
from fastpose_mtn.runtime.winograd import WinogradConv, is_faster_by_winograd
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.systems.mtn.keypoint_head import MTNKeypointHead


def conv(*channels, **options):
    torch.manual_seed(0)
    layer = ConvNorm(*channels, 3, **options).requires_grad_(False)
    if layer.bias is not None:
        layer.bias.normal_()
    return layer


@pytest.mark.parametrize("shape", [(3, 5, 22, 16), (1, 5, 7, 9), (2, 5, 1, 1), (1, 5, 2, 31), (0, 5, 22, 16)])
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("tiles", [2048, 40])
def test_it_is_the_convolution(shape, relu, tiles, monkeypatch):
    monkeypatch.setattr(winograd, "_TILES", tiles)
    ordinary = conv(5, 6, relu=relu)
    x = torch.randn(shape)
    found = WinogradConv(ordinary)(x)
    torch.testing.assert_close(found, ordinary(x), atol=1e-5, rtol=1e-5)
    assert found.stride(1) == 1  # channels last


def test_bfloat16_rounds_little_more():
    ordinary = conv(64, 64, relu=True)
    x = torch.randn(2, 64, 22, 16).bfloat16()
    exact = ordinary(x.float())
    fast = WinogradConv(ordinary).bfloat16()(x)
    assert fast.dtype == torch.bfloat16
    error, usual = ((y.float() - exact).square().mean() for y in (fast, ordinary.bfloat16()(x)))
    assert error < 2.5**2 * usual


@pytest.mark.parametrize(("layer", "gains"), [
    (conv(512, 512), True), (conv(256, 512), True), (conv(256, 256), False), (conv(512, 512, dilation=2), False),
    (ConvNorm(512, 512, 1), False),
])  # fmt: skip
def test_which_convolutions_gain(layer, gains, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert is_faster_by_winograd(layer) == gains
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "SVE256")
    assert not is_faster_by_winograd(layer)


def test_the_papers_keypoint_head_uses_it(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    torch.manual_seed(0)
    head = MTNKeypointHead(
        in_channels=256,
        sigmas=POSETRACK15.sigmas,
        conv_dims=(512, 512),
        norm="BN",
        visibility_loss_weight=1.0,
    ).eval()
    regions = torch.randn(2, 256, 22, 16)
    with torch.no_grad():
        expected = head(regions)
        found = fuse(head, activations=True)(regions)
    assert isinstance(head.conv_fcn1, WinogradConv)
    assert isinstance(head.conv_fcn2, WinogradConv)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
