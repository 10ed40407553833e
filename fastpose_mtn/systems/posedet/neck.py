"""Pyramids of PoseDet: FPN from stride 8 to 64, and HRNet's from its finest map (section 3.2)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from timm.models import FeatureListNet
from torch import Tensor, nn
from torch.nn import functional as F

from fastpose_mtn.config import CfgNode
from fastpose_mtn.modeling.bottom_up import bottom_up_from_config
from fastpose_mtn.modeling.layers import ConvNorm, xavier_init

_STRIDES = (4, 8, 16, 32)  # of the extractor's stages


class Pyramid(NamedTuple):
    """What a neck gives.

    Attributes:
        levels: (B, C, h, w) each, finest first.
        finest: (B, C', h, w) the finest map that the levels are made of.
    """

    levels: list[Tensor]
    finest: Tensor


class FPN3To6(nn.Module):
    """Feature pyramid of strides 8, 16, 32, merged top-down, and 64, by a convolution of the extractor's last map.

    Parameters are named as ``modeling.backbone.TimmFPN``'s: ``bottom_up.*``, ``fpn_lateral3`` ... ``fpn_output6``.

    Args:
        bottom_up: the extractor, of strides 4 to 32.
        out_channels: of every level.
        norm: of the pyramid's convolutions (the paper's code: GN).
    """

    size_divisibility = 32

    def __init__(self, *, bottom_up: FeatureListNet, out_channels: int, norm: str) -> None:
        super().__init__()
        self.bottom_up, self.out_channels = bottom_up, out_channels
        self.out_strides, self.finest_stride = (8, 16, 32, 64), 8
        channels = bottom_up.feature_info.channels()
        self.finest_channels = channels[1]
        for level, own in zip((3, 4, 5), channels[1:], strict=True):
            self.add_module(f"fpn_lateral{level}", ConvNorm(own, out_channels, 1, norm=norm))
            self.add_module(f"fpn_output{level}", ConvNorm(out_channels, out_channels, 3, norm=norm))
        self.fpn_output6 = ConvNorm(channels[-1], out_channels, 3, norm=norm, stride=2)
        for name, layer in self.named_children():
            if name.startswith("fpn_") and isinstance(layer, nn.Conv2d):
                xavier_init(layer)

    def forward(self, images: Tensor) -> Pyramid:
        """The pyramid of normalised images (B, 3, H, W), sides multiples of 32."""
        _, *features = self.bottom_up(images)
        levels = [self.fpn_output6(features[-1])]
        merged: Tensor | None = None
        for level, feature in zip((5, 4, 3), reversed(features), strict=True):
            lateral = getattr(self, f"fpn_lateral{level}")(feature)
            if merged is not None:
                lateral = lateral + F.interpolate(merged, scale_factor=2.0, mode="nearest")
            merged = lateral
            levels.insert(0, getattr(self, f"fpn_output{level}")(merged))
        return Pyramid(levels, features[0])


class HRFPN(nn.Module):
    """HRNet's pyramid: all maps at stride 4, one on the other, reduced; then pooled to strides 8, 16 and 32.

    Args:
        bottom_up: the extractor, of strides 4 to 32.
        out_channels: of every level.
        norm: of the pyramid's convolutions (the paper's code: none).
    """

    size_divisibility = 32

    def __init__(self, *, bottom_up: FeatureListNet, out_channels: int, norm: str) -> None:
        super().__init__()
        self.bottom_up, self.out_channels = bottom_up, out_channels
        self.out_strides, self.finest_stride = (8, 16, 32), 4
        self.finest_channels = bottom_up.feature_info.channels()[0]
        self.fpn_reduction = ConvNorm(sum(bottom_up.feature_info.channels()), out_channels, 1, norm=norm)
        xavier_init(self.fpn_reduction)
        for level in (3, 4, 5):
            layer = ConvNorm(out_channels, out_channels, 3, norm=norm, stride=2)
            xavier_init(layer)
            self.add_module(f"fpn_output{level}", layer)

    def forward(self, images: Tensor) -> Pyramid:
        """The pyramid of normalised images (B, 3, H, W), sides multiples of 32."""
        first, *coarser = self.bottom_up(images)
        enlarged = [
            F.interpolate(feature, scale_factor=float(2**level), mode="bilinear", align_corners=False)
            for level, feature in enumerate(coarser, start=1)
        ]
        reduced = self.fpn_reduction(torch.cat((first, *enlarged), dim=1))
        levels = []
        for level, factor in ((3, 1), (4, 2), (5, 4)):
            pooled = reduced if factor == 1 else F.avg_pool2d(reduced, factor, factor)
            levels.append(getattr(self, f"fpn_output{level}")(pooled))
        return Pyramid(levels, first)


NECKS: dict[str, type[FPN3To6] | type[HRFPN]] = {"fpn": FPN3To6, "hrfpn": HRFPN}


def build_neck(cfg: CfgNode) -> FPN3To6 | HRFPN:
    """The pyramid that ``MODEL.POSEDET.NECK`` names, on the network of ``MODEL.TIMM``.

    Raises:
        ValueError: there is none.
    """
    name = cfg.MODEL.POSEDET.NECK
    if name not in NECKS:
        raise ValueError(f"MODEL.POSEDET.NECK: expected one of {', '.join(NECKS)}, got {name!r}")
    return NECKS[name](
        bottom_up=bottom_up_from_config(cfg, _STRIDES),
        out_channels=cfg.MODEL.FPN.OUT_CHANNELS,
        norm=cfg.MODEL.FPN.NORM,
    )
