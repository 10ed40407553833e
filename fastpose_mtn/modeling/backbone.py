"""Backbones: a timm classifier with a feature pyramid on top, P2 to P6 (paper, section 3.1), or without one."""

from __future__ import annotations

import math

from timm.models import FeatureListNet
from torch import Tensor, nn
from torch.nn import functional as F

from fastpose_mtn.config import CfgNode
from fastpose_mtn.modeling.bottom_up import bottom_up_from_config
from fastpose_mtn.modeling.layers import ConvNorm, xavier_init


class TimmFPN(nn.Module):
    """Feature pyramid network: a classifier's features at strides 4 to 32, merged top-down into P2-P5, and P6.

    Parameters are named as in Detectron2's FPN: ``bottom_up.*``, ``fpn_lateral2`` ... ``fpn_output5``.

    Args:
        bottom_up: the classifier's features at the strides of ``bottom_up_strides``.
        out_channels: channels of every level (256 in the paper).
        norm: normalisation of the pyramid's convolutions.
        fuse_type: ``sum`` or ``avg`` of lateral and top-down maps.
    """

    size_divisibility = 32
    bottom_up_strides = (4, 8, 16, 32)

    def __init__(
        self,
        *,
        bottom_up: FeatureListNet,
        out_channels: int = 256,
        norm: str = "",
        fuse_type: str = "sum",
    ) -> None:
        super().__init__()
        if fuse_type not in ("sum", "avg"):
            raise ValueError(f"MODEL.FPN.FUSE_TYPE: expected sum or avg, got {fuse_type!r}")
        self.bottom_up = bottom_up
        self.out_channels = out_channels
        self.out_strides = {f"p{level}": 2**level for level in range(2, 7)}
        self._average = fuse_type == "avg"
        self._levels = [int(math.log2(stride)) for stride in self.bottom_up_strides]
        for level, channels in zip(self._levels, bottom_up.feature_info.channels(), strict=True):
            lateral = ConvNorm(channels, out_channels, 1, norm=norm)
            output = ConvNorm(out_channels, out_channels, 3, norm=norm)
            for layer in (lateral, output):
                xavier_init(layer)
            self.add_module(f"fpn_lateral{level}", lateral)
            self.add_module(f"fpn_output{level}", output)

    @classmethod
    def from_config(cls, cfg: CfgNode) -> TimmFPN:
        """The pyramid that ``MODEL.FPN`` describes, on the network of ``MODEL.TIMM``."""
        c = cfg.MODEL.FPN
        return cls(
            bottom_up=bottom_up_from_config(cfg, cls.bottom_up_strides),
            out_channels=c.OUT_CHANNELS,
            norm=c.NORM,
            fuse_type=c.FUSE_TYPE,
        )

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Maps normalised images (B, 3, H, W), sides multiples of 32, to ``{"p2": ..., "p6": ...}``."""
        features = dict(zip(self._levels, self.bottom_up(images), strict=True))
        out: dict[str, Tensor] = {}
        merged: Tensor | None = None
        for level in reversed(self._levels):
            lateral = getattr(self, f"fpn_lateral{level}")(features[level])
            if merged is not None:
                lateral = lateral + F.interpolate(merged, scale_factor=2.0, mode="nearest")
                if self._average:
                    lateral = lateral / 2
            merged = lateral
            out[f"p{level}"] = getattr(self, f"fpn_output{level}")(merged)
        out["p6"] = F.max_pool2d(out["p5"], kernel_size=1, stride=2)
        return dict(sorted(out.items()))


class TimmDC5(nn.Module):
    """Backbone without a pyramid: a classifier's last features at stride 16, its last stage dilated, as level p4.

    A detector without a feature pyramid, after Detectron2's DC5 networks: Table 1d's SNIP training. What
    the heads read has as many channels as a pyramid's levels, by one lateral and one output convolution.

    Args:
        bottom_up: the classifier's features at the strides of ``bottom_up_strides``.
        out_channels: channels of the level.
        norm: normalisation of the two convolutions.
    """

    size_divisibility = 32
    bottom_up_strides = (4, 8, 16, 16)

    def __init__(self, *, bottom_up: FeatureListNet, out_channels: int = 256, norm: str = "") -> None:
        super().__init__()
        self.bottom_up = bottom_up
        self.out_channels = out_channels
        self.out_strides = {"p4": 16}
        self.lateral = ConvNorm(bottom_up.feature_info.channels()[-1], out_channels, 1, norm=norm)
        self.output = ConvNorm(out_channels, out_channels, 3, norm=norm)
        for layer in (self.lateral, self.output):
            xavier_init(layer)

    @classmethod
    def from_config(cls, cfg: CfgNode) -> TimmDC5:
        """The backbone with ``MODEL.FPN``'s channels and normalisation, on the network of ``MODEL.TIMM``, dilated."""
        bottom_up = bottom_up_from_config(cfg, cls.bottom_up_strides, {"output_stride": 16})
        return cls(bottom_up=bottom_up, out_channels=cfg.MODEL.FPN.OUT_CHANNELS, norm=cfg.MODEL.FPN.NORM)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Maps normalised images (B, 3, H, W), sides multiples of 32, to ``{"p4": ...}``."""
        return {"p4": self.output(self.lateral(self.bottom_up(images)[-1]))}


BACKBONES: dict[str, type[TimmFPN] | type[TimmDC5]] = {
    "build_timm_fpn_backbone": TimmFPN,
    "build_timm_dc5_backbone": TimmDC5,
}


def build_backbone(cfg: CfgNode) -> TimmFPN | TimmDC5:
    """Builds the backbone that ``MODEL.BACKBONE.NAME`` names.

    Raises:
        ValueError: there is none, or its settings contradict each other.
    """
    name = cfg.MODEL.BACKBONE.NAME
    if name not in BACKBONES:
        raise ValueError(f"MODEL.BACKBONE.NAME: unknown backbone {name!r}; known: {', '.join(BACKBONES)}")
    return BACKBONES[name].from_config(cfg)
