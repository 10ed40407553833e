"""The timm networks, with their pyramid or without, as backbones of Detectron2's."""

from __future__ import annotations

import torch
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY
from detectron2.modeling.backbone import Backbone
from torch import Tensor

from fastpose_mtn.modeling.backbone import TimmDC5, TimmFPN
from fastpose_mtn.modeling.layout import channels_last


class _Interface:
    """Detectron2's interface over ours, mixed in before it.

    It works in channels-last memory, as the default host does: faster, and with the same rounding.
    """

    out_channels: int
    out_strides: dict[str, int]

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return super().forward(images.contiguous(memory_format=torch.channels_last))  # type: ignore[misc]

    def output_shape(self) -> dict[str, ShapeSpec]:
        """Channels and stride of each level."""
        return {
            name: ShapeSpec(channels=self.out_channels, stride=stride)
            for name, stride in self.out_strides.items()
        }


class TimmFPNBackbone(_Interface, TimmFPN, Backbone):
    """``TimmFPN``: levels p2 to p6."""


class TimmDC5Backbone(_Interface, TimmDC5, Backbone):
    """``TimmDC5``: the level p4 alone."""


@BACKBONE_REGISTRY.register()
def build_timm_fpn_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> TimmFPNBackbone:
    """The network that ``MODEL.TIMM.NAME`` names: MobileNet-V2 and the ResNets, of three input channels.

    Raises:
        ValueError: images have another number of channels, or timm has no such network.
    """
    _check(input_shape)
    return channels_last(TimmFPNBackbone.from_config(cfg))  # type: ignore[return-value]


@BACKBONE_REGISTRY.register()
def build_timm_dc5_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> TimmDC5Backbone:
    """The same without a pyramid (paper, Table 1d); see ``build_timm_fpn_backbone``."""
    _check(input_shape)
    return channels_last(TimmDC5Backbone.from_config(cfg))  # type: ignore[return-value]


def _check(input_shape: ShapeSpec) -> None:
    if input_shape.channels != 3:
        raise ValueError(f"MODEL.BACKBONE: expected images of 3 channels, got {input_shape.channels}")
