"""MDPN's features: a ResNet and three deconvolutions (Xiao et al. 2018), a skip connection between them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import cast

import torch
from timm.models import FeatureListNet
from torch import Tensor, nn

from fastpose_mtn.modeling.layers import msra_init
from fastpose_mtn.systems.topdown.layers import doubling_deconv, heatmap_conv

SKIPS = ("none", "lateral", "prediction")


class IntermediateSkip(nn.Module):
    """What the features of stride 8 add to the second deconvolution (paper, section 2.2).

    The paper says in one sentence that a prediction after conv3 is supervised and added back. Read so: features through
    a 1x1 convolution, one heatmap a joint of each domain from them, and these heatmaps through another one.

    Args:
        in_channels: of the features.
        dim: of the deconvolution.
        joints: of each domain; {}: there are no heatmaps, the features alone are added.
    """

    def __init__(self, in_channels: int, dim: int, joints: Mapping[str, int]) -> None:
        super().__init__()
        conv = nn.Conv2d(in_channels, dim, 1, bias=False)
        msra_init(conv)
        self.lateral = nn.Sequential(
            OrderedDict(conv=conv, bn=nn.BatchNorm2d(dim), relu=nn.ReLU(inplace=True))
        )
        self.predict = nn.ModuleDict({name: heatmap_conv(dim, count) for name, count in joints.items()})
        if joints:
            self.remap = nn.Conv2d(sum(joints.values()), dim, 1)
            msra_init(self.remap)

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """(B, dim, H, W) to add, and the domains' heatmaps (B, K, H, W), of (B, in, H, W)."""
        lateral = self.lateral(x)
        maps = {name: conv(lateral) for name, conv in self.predict.items()}
        return (lateral + self.remap(torch.cat(list(maps.values()), dim=1)) if maps else lateral), maps


class DeconvolutionBackbone(nn.Module):
    """Features of stride 4.

    Args:
        bottom_up: features of strides 4, 8, 16 and 32; see ``modeling.bottom_up``.
        dim: channels of each deconvolution.
        skip: one of ``SKIPS``.
        joints: of each domain.

    Raises:
        ValueError: there is no such skip connection.
    """

    def __init__(self, bottom_up: FeatureListNet, dim: int, *, skip: str, joints: Mapping[str, int]) -> None:
        super().__init__()
        if skip not in SKIPS:
            raise ValueError(f"MODEL.MDPN.SKIP: expected one of {', '.join(SKIPS)}, got {skip!r}")
        self.bottom_up = bottom_up
        channels = [int(count) for count in bottom_up.feature_info.channels()]
        self.deconv = nn.ModuleList(
            nn.Sequential(
                OrderedDict(
                    conv=doubling_deconv(before, dim), bn=nn.BatchNorm2d(dim), relu=nn.ReLU(inplace=True)
                )
            )
            for before in (channels[-1], dim, dim)
        )
        self.skip: IntermediateSkip | None = None
        if skip != "none":
            self.skip = IntermediateSkip(channels[1], dim, joints if skip == "prediction" else {})
        self.out_channels = dim

    def forward(self, x: Tensor) -> Tensor:
        """(B, dim, H/4, W/4) of (B, 3, H, W)."""
        return self.features(x)[0]

    def features(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """As ``forward``, and the intermediate heatmaps (B, K, H/8, W/8) of each domain, where there are any."""
        _, middle, _, last = cast(list[Tensor], self.bottom_up(x))
        out, maps = self.deconv[1](self.deconv[0](last)), {}
        if self.skip is not None:
            added, maps = self.skip(middle)
            out = out + added
        return self.deconv[2](out), maps
