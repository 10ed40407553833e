"""AlphaPose's backbones: timm's networks, ResNets with squeeze-and-excitation and other 3x3 convolutions."""

from __future__ import annotations

from collections import OrderedDict
from typing import cast

import torch
from timm.models import FeatureListNet
from timm.models.resnet import Bottleneck
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import deform_conv2d

from fastpose_mtn.config import CfgNode
from fastpose_mtn.modeling.bottom_up import bottom_up_from_config
from fastpose_mtn.modeling.layers import msra_init

CONVOLUTIONS = ("plain", "deformable", "unshuffle")
_STRIDES = (4, 8, 16, 32)


class SqueezeExcitation(nn.Module):
    """Weights channels by what the whole map shows (Hu et al. 2018); without reduction, as in the released networks."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) of the same."""
        weights = self.fc2(self.relu(self.fc1(x.mean(dim=(2, 3))))).sigmoid()
        return x * weights[:, :, None, None]


class DeformableConv(nn.Module):
    """A convolution whose taps read beside their places, by what another one says (Dai et al., ICCV 2017).

    It begins as the convolution that it replaces. It computes in float32: places in a map need the digits.

    Args:
        conv: without dilation and groups; gives its weights.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias
        self.stride, self.padding = cast(tuple[int, int], conv.stride), cast(tuple[int, int], conv.padding)
        size = cast(tuple[int, int], conv.kernel_size)
        # of each tap its way down and its way to the right, in cells
        self.offset = nn.Conv2d(conv.in_channels, 2 * size[0] * size[1], size, self.stride, self.padding)
        nn.init.zeros_(self.offset.weight)
        assert self.offset.bias is not None
        nn.init.zeros_(self.offset.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, out, h, w) of (B, in, H, W)."""
        weight, offset = self.weight.float(), self.offset
        bias = None if self.bias is None else self.bias.float()
        with torch.autocast(x.device.type, enabled=False):
            features = x.float()
            assert offset.bias is not None
            ways = F.conv2d(features, offset.weight.float(), offset.bias.float(), self.stride, self.padding)
            out = deform_conv2d(features, ways, weight, bias, self.stride, self.padding)
        return out.to(x.dtype)


def unshuffling_conv(conv: nn.Conv2d) -> nn.Sequential:
    """A strided 3x3 convolution as one of all pixels that it would step over: a pixel unshuffle before it, no stride."""
    stride = cast(tuple[int, int], conv.stride)[0]
    whole = nn.Conv2d(stride**2 * conv.in_channels, conv.out_channels, 3, padding=1, bias=False)
    msra_init(whole)
    return nn.Sequential(OrderedDict(unshuffle=nn.PixelUnshuffle(stride), conv=whole))


def _blocks(bottom_up: FeatureListNet, stage: int, key: str, off: str) -> list[Bottleneck]:
    """The blocks of a stage, 1 to 4, of a ResNet of bottlenecks.

    Raises:
        ValueError: the network is none, which ``key`` of ``MODEL.TOPDOWN`` needs unless it is ``off``.
    """
    layers = dict(bottom_up.named_children()).get(f"layer{stage}")
    blocks = [] if layers is None else list(layers.children())
    if not blocks or not all(isinstance(block, Bottleneck) for block in blocks):
        raise ValueError(
            f"MODEL.TOPDOWN.{key}: it goes into resnet50, resnet101 and resnet152; set it {off} for another "
            f"MODEL.TIMM.NAME"
        )
    return cast(list[Bottleneck], blocks)


def add_squeeze_excitation(bottom_up: FeatureListNet) -> None:
    """Puts a layer into the first block of each stage of a ResNet, after its last normalisation, in place.

    Raises:
        ValueError: the network is no ResNet of bottlenecks.
    """
    for stage in range(1, 5):
        first = _blocks(bottom_up, stage, "SQUEEZE_EXCITATION True", "False")[0]
        first.se = SqueezeExcitation(cast(nn.Conv2d, first.conv3).out_channels)


def replace_convolutions(bottom_up: FeatureListNet, kind: str) -> None:
    """Replaces, in place, 3x3 convolutions behind stride 4 by ``deformable`` or, strided ones, ``unshuffle``; plain: none.

    Raises:
        ValueError: there is no such kind, or the network is no ResNet of bottlenecks.
    """
    if kind not in CONVOLUTIONS:
        raise ValueError(
            f"MODEL.TOPDOWN.CONVOLUTIONS: expected one of {', '.join(CONVOLUTIONS)}, got {kind!r}"
        )
    for stage in range(2, 5) if kind != "plain" else ():
        for block in _blocks(bottom_up, stage, f"CONVOLUTIONS {kind}", "plain"):
            conv = cast(nn.Conv2d, block.conv2)
            if kind == "deformable":
                block.add_module("conv2", DeformableConv(conv))
            elif conv.stride != (1, 1):
                block.add_module("conv2", unshuffling_conv(conv))


class LastFeatures(nn.Module):
    """An extractor's features of stride 32 alone.

    Args:
        bottom_up: see ``modeling.bottom_up``; parameters are named as in FastPose MTN's backbones, whose weights fit.
    """

    def __init__(self, bottom_up: FeatureListNet) -> None:
        super().__init__()
        self.bottom_up = bottom_up
        self.out_channels = int(bottom_up.feature_info.channels()[-1])

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H/32, W/32) of (B, 3, H, W)."""
        return self.bottom_up(x)[-1]


def build_backbone(cfg: CfgNode) -> LastFeatures:
    """The backbone that ``MODEL.TIMM``, ``MODEL.BACKBONE`` and ``MODEL.TOPDOWN`` describe.

    Raises:
        ValueError: there is no such network, or it cannot have what is asked for.
    """
    bottom_up = bottom_up_from_config(cfg, _STRIDES)
    replace_convolutions(bottom_up, cfg.MODEL.TOPDOWN.CONVOLUTIONS)
    if cfg.MODEL.TOPDOWN.SQUEEZE_EXCITATION:
        add_squeeze_excitation(bottom_up)
    return LastFeatures(bottom_up)
