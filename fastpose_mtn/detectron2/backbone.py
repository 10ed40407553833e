"""The timm features with their pyramid as a backbone of Detectron2's."""

from __future__ import annotations

from typing import Any

import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY
from detectron2.modeling.backbone import Backbone
from torch import Tensor

from fastpose_mtn.modeling.backbone import TimmFPN


class TimmFPNBackbone(TimmFPN, Backbone):
    """``TimmFPN`` with Detectron2's interface: ``output_shape``, and ``size_divisibility`` as it is.

    It works in channels-last memory, as the default host does: faster, and with the same rounding.
    """

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return super().forward(images.contiguous(memory_format=torch.channels_last))

    def output_shape(self) -> dict[str, ShapeSpec]:
        """Channels and stride of p2 to p6."""
        return {
            name: ShapeSpec(channels=self.out_channels, stride=stride)
            for name, stride in self.out_strides.items()
        }


@BACKBONE_REGISTRY.register()
def build_timm_fpn_backbone(cfg: Any, input_shape: ShapeSpec) -> TimmFPNBackbone:
    """The network that ``MODEL.TIMM.NAME`` names: MobileNet-V2 and the ResNets, of three input channels.

    Raises:
        ValueError: images have another number of channels, or timm has no such network.
    """
    if input_shape.channels != 3:
        raise ValueError(
            f"build_timm_fpn_backbone: expected images of 3 channels, got {input_shape.channels}"
        )
    return TimmFPNBackbone.from_config(cfg).to(memory_format=torch.channels_last)  # type: ignore[return-value]
