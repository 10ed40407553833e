"""timm features with a feature pyramid on top: P2 to P6 (paper, section 3.1; FPN)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import timm
import torch
from timm.layers import BatchNormAct2d, FrozenBatchNormAct2d
from timm.models.resnet import Bottleneck
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import FrozenBatchNorm2d

from fastpose_mtn.config import CfgNode
from fastpose_mtn.modeling.layers import NORMS, ConvNorm, group_norm, xavier_init


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
        if norm not in NORMS[1:]:
            raise ValueError(f"MODEL.BACKBONE.NORM: expected one of {', '.join(NORMS[1:])}, got {norm!r}")
        if fuse_type not in ("sum", "avg"):
            raise ValueError(f"MODEL.FPN.FUSE_TYPE: expected sum or avg, got {fuse_type!r}")
        self.bottom_up: Any
        try:
            self.bottom_up = timm.create_model(
                name, features_only=True, out_indices=(1, 2, 3, 4), pretrained=pretrained, **(timm_args or {})
            )
        except RuntimeError as error:
            raise ValueError(f"MODEL.TIMM.NAME: {error}") from error
        except TypeError as error:
            raise ValueError(f"MODEL.TIMM.ARGS: {error}") from error
        info: Any = self.bottom_up.feature_info
        strides = info.reduction()
        if strides != [4, 8, 16, 32]:
            raise ValueError(
                f"MODEL.TIMM.NAME {name}: expected features of strides 4, 8, 16, 32, got {strides}"
            )
        for module in self.bottom_up.modules():
            if type(module) is nn.Conv2d and module.groups == module.in_channels and module.stride != (1, 1):
                module.__class__ = _StridedDepthwiseConv2d
        if stride_in_1x1:
            _move_strides(self.bottom_up)
        replace_norm(self.bottom_up, norm)
        freeze_stages(self.bottom_up, freeze_at)
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
        return cls(
            name=cfg.MODEL.TIMM.NAME,
            pretrained=cfg.MODEL.TIMM.PRETRAINED,
            timm_args=dict(cfg.MODEL.TIMM.ARGS),
            stride_in_1x1=cfg.MODEL.TIMM.STRIDE_IN_1X1,
            norm=cfg.MODEL.BACKBONE.NORM,
            freeze_at=cfg.MODEL.BACKBONE.FREEZE_AT,
            out_channels=cfg.MODEL.FPN.OUT_CHANNELS,
            fpn_norm=cfg.MODEL.FPN.NORM,
            fuse_type=cfg.MODEL.FPN.FUSE_TYPE,
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


class _StridedDepthwiseConv2d(nn.Conv2d):
    """A strided depthwise convolution that trains in float32 on a CPU, whatever autocast says.

    oneDNN has no fast bfloat16 kernel for its input gradient: it takes 5 to 30 times as long as float32.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and x.device.type == "cpu"):
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float()).to(x.dtype)


def _move_strides(bottom_up: nn.Module) -> None:
    for block in bottom_up.modules():
        if isinstance(block, Bottleneck):
            block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride


class _GroupNormAct(nn.GroupNorm):
    """Group normalisation that keeps the activation of the timm layer which it replaces."""

    def __init__(self, replaced: nn.BatchNorm2d) -> None:
        like = group_norm(replaced.num_features)
        super().__init__(like.num_groups, like.num_channels)
        self.drop = getattr(replaced, "drop", nn.Identity())
        self.act = getattr(replaced, "act", nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.drop(super().forward(x)))


def _frozen(layer: nn.BatchNorm2d) -> nn.Module:
    """Batch normalisation with fixed statistics and scale, parameters and activation kept."""
    frozen: Any
    if isinstance(layer, BatchNormAct2d):
        frozen = FrozenBatchNormAct2d(layer.num_features, eps=layer.eps)
        frozen.drop, frozen.act = layer.drop, layer.act
    else:
        frozen = FrozenBatchNorm2d(layer.num_features, eps=layer.eps)
    frozen.load_state_dict({k: v for k, v in layer.state_dict().items() if k != "num_batches_tracked"})
    return frozen


def replace_norm(module: nn.Module, norm: str) -> None:
    """Replaces, in place, each batch normalisation below ``module`` by the kind named (``BN``: none)."""
    for name, child in module.named_children():
        if not isinstance(child, nn.BatchNorm2d):
            replace_norm(child, norm)
        elif norm == "FrozenBN":
            setattr(module, name, _frozen(child))
        elif norm == "GN":
            setattr(module, name, _GroupNormAct(child))
        elif norm == "SyncBN":
            setattr(module, name, timm.layers.convert_sync_batchnorm(child))


def stages(bottom_up: Any) -> list[list[nn.Module]]:
    """The network's top-level modules by stage: those up to stride 2 (the stem), then stride 4, 8, 16, 32."""
    ends = [info["module"].split(".") for info in bottom_up.feature_info.get_dicts()]
    if ends[0][0] == "blocks":  # MobileNet: stage i is the entries of .blocks up to its feature's own
        blocks: list[nn.Module] = list(bottom_up.blocks)
        last = [int(end[1]) for end in ends]
        stem = [m for n, m in bottom_up.named_children() if n != "blocks"] + blocks[: last[0]]
        return [
            stem,
            *(
                blocks[a:b]
                for a, b in zip([last[0], *(i + 1 for i in last)], [i + 1 for i in last], strict=False)
            ),
        ]
    children = dict(bottom_up.named_children())
    layers = [f"layer{i}" for i in range(1, 5)]
    return [[m for n, m in children.items() if n not in layers], *([children[n]] for n in layers)]


def freeze_stages(bottom_up: nn.Module, freeze_at: int) -> None:
    """Stops the first ``freeze_at`` stages from training: parameters and normalisation statistics."""
    for stage in stages(bottom_up)[:freeze_at]:
        for module in stage:
            for parameter in module.parameters():
                parameter.requires_grad_(False)
    if freeze_at > 0:
        frozen = {id(m) for stage in stages(bottom_up)[:freeze_at] for top in stage for m in top.modules()}
        _freeze_norms(bottom_up, frozen)


def _freeze_norms(module: nn.Module, frozen: set[int]) -> None:
    for name, child in module.named_children():
        if isinstance(child, (nn.BatchNorm2d, nn.SyncBatchNorm)) and id(child) in frozen:
            setattr(module, name, _frozen(child))  # type: ignore[arg-type]
        else:
            _freeze_norms(child, frozen)
