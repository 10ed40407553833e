"""timm features with a feature pyramid on top, P2 to P6 (paper, section 3.1; FPN), or without one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from fastpose_mtn.config import CfgNode
from fastpose_mtn.modeling.bottom_up import build_bottom_up
from fastpose_mtn.modeling.layers import ConvNorm, xavier_init


class TimmFPN(nn.Module):
    """A timm classifier's features at strides 4 to 32, merged top-down into P2-P5, and P6 below.

    Parameters are named as in Detectron2's FPN: ``bottom_up.*``, ``fpn_lateral2`` ... ``fpn_output5``.

    Args:
        name: timm's model name.
        pretrained: start from timm's ImageNet weights (downloads them).
        timm_args: further arguments of ``timm.create_model``, for example its stages' channels.
        stride_in_1x1: bottlenecks stride in their first convolution, as in MSRA's ResNets, which
            Detectron2's model zoo starts from, and not in their 3x3 one.
        norm: ``FrozenBN``, ``BN``, ``SyncBN`` or ``GN`` in the classifier.
        freeze_at: stages that do not train: 0 none, 1 the stem, 2 the stem and the stride-4 stage,
            and so on, as in Detectron2.
        out_channels: channels of every level (256 in the paper).
        fpn_norm: normalisation of the pyramid's convolutions.
        fuse_type: ``sum`` or ``avg`` of lateral and top-down maps.
    """

    size_divisibility = 32

    def __init__(
        self,
        *,
        name: str,
        pretrained: bool = False,
        timm_args: Mapping[str, Any] | None = None,
        stride_in_1x1: bool = False,
        norm: str = "FrozenBN",
        freeze_at: int = 2,
        out_channels: int = 256,
        fpn_norm: str = "",
        fuse_type: str = "sum",
    ) -> None:
        super().__init__()
        if fuse_type not in ("sum", "avg"):
            raise ValueError(f"MODEL.FPN.FUSE_TYPE: expected sum or avg, got {fuse_type!r}")
        self.bottom_up: Any = build_bottom_up(
            name,
            [4, 8, 16, 32],
            pretrained,
            timm_args,
            stride_in_1x1=stride_in_1x1,
            norm=norm,
            freeze_at=freeze_at,
        )
        info: Any = self.bottom_up.feature_info
        strides = info.reduction()
        self.out_channels = out_channels
        self.out_strides = {f"p{level}": 2**level for level in range(2, 7)}
        self._average = fuse_type == "avg"
        self._levels = [int(math.log2(stride)) for stride in strides]
        for level, channels in zip(self._levels, info.channels(), strict=True):
            lateral = ConvNorm(channels, out_channels, 1, norm=fpn_norm)
            output = ConvNorm(out_channels, out_channels, 3, norm=fpn_norm)
            for layer in (lateral, output):
                xavier_init(layer)
            self.add_module(f"fpn_lateral{level}", lateral)
            self.add_module(f"fpn_output{level}", output)

    @classmethod
    def from_config(cls, cfg: CfgNode) -> TimmFPN:
        return cls(fuse_type=cfg.MODEL.FPN.FUSE_TYPE, **_bottom_up_from_config(cfg))

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
    """A timm classifier's last features at stride 16, its last stage dilated, in one level: p4.

    A detector without a feature pyramid, after Detectron2's DC5 networks: Table 1d's SNIP training. What
    the heads read has as many channels as a pyramid's levels, by one lateral and one output convolution.
    The arguments are ``TimmFPN``'s.
    """

    size_divisibility = 32

    def __init__(
        self,
        *,
        name: str,
        pretrained: bool = False,
        timm_args: Mapping[str, Any] | None = None,
        stride_in_1x1: bool = False,
        norm: str = "FrozenBN",
        freeze_at: int = 2,
        out_channels: int = 256,
        fpn_norm: str = "",
    ) -> None:
        super().__init__()
        self.bottom_up: Any = build_bottom_up(
            name, [4, 8, 16, 16], pretrained, {"output_stride": 16, **(timm_args or {})},
            stride_in_1x1=stride_in_1x1, norm=norm, freeze_at=freeze_at,
        )  # fmt: skip
        self.out_channels = out_channels
        self.out_strides = {"p4": 16}
        self.lateral = ConvNorm(self.bottom_up.feature_info.channels()[-1], out_channels, 1, norm=fpn_norm)
        self.output = ConvNorm(out_channels, out_channels, 3, norm=fpn_norm)
        for layer in (self.lateral, self.output):
            xavier_init(layer)

    @classmethod
    def from_config(cls, cfg: CfgNode) -> TimmDC5:
        return cls(**_bottom_up_from_config(cfg))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Maps normalised images (B, 3, H, W), sides multiples of 32, to ``{"p4": ...}``."""
        return {"p4": self.output(self.lateral(self.bottom_up(images)[-1]))}


def _bottom_up_from_config(cfg: CfgNode) -> dict[str, Any]:
    return {
        "name": cfg.MODEL.TIMM.NAME,
        "pretrained": cfg.MODEL.TIMM.PRETRAINED,
        "timm_args": dict(cfg.MODEL.TIMM.ARGS),
        "stride_in_1x1": cfg.MODEL.TIMM.STRIDE_IN_1X1,
        "norm": cfg.MODEL.BACKBONE.NORM,
        "freeze_at": cfg.MODEL.BACKBONE.FREEZE_AT,
        "out_channels": cfg.MODEL.FPN.OUT_CHANNELS,
        "fpn_norm": cfg.MODEL.FPN.NORM,
    }


BACKBONES: dict[str, type[TimmFPN] | type[TimmDC5]] = {
    "build_timm_fpn_backbone": TimmFPN,
    "build_timm_dc5_backbone": TimmDC5,
}


def build_backbone(cfg: CfgNode) -> TimmFPN | TimmDC5:
    """The backbone that ``MODEL.BACKBONE.NAME`` names.

    Raises:
        ValueError: there is none, or its settings contradict each other.
    """
    name = cfg.MODEL.BACKBONE.NAME
    if name not in BACKBONES:
        raise ValueError(f"MODEL.BACKBONE.NAME: unknown backbone {name!r}; known: {', '.join(BACKBONES)}")
    return BACKBONES[name].from_config(cfg)
