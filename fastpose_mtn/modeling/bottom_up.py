"""Image classifiers of timm as feature extractors: their four stages, normalisation replaced, stages frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, cast

import timm
import torch
from timm.layers import BatchNormAct2d, FrozenBatchNormAct2d
from timm.models import FeatureListNet
from timm.models.resnet import Bottleneck
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from fastpose_mtn.config import CfgNode
from fastpose_mtn.modeling.layers import NORMS, ReplacementConv, group_norm


def build_bottom_up(
    *,
    name: str,
    strides: Sequence[int],
    pretrained: bool = False,
    timm_args: Mapping[str, Any] | None = None,
    stride_in_1x1: bool = False,
    norm: str = "FrozenBN",
    freeze_at: int = 2,
) -> FeatureListNet:
    """Builds timm's network as an extractor of its four stages' features.

    Args:
        name: timm's model name.
        strides: what the stages' must be, in pixels.
        pretrained: start from timm's ImageNet weights (downloads them).
        timm_args: further arguments of ``timm.create_model``, for example its stages' channels.
        stride_in_1x1: bottlenecks stride in their first convolution, as in MSRA's ResNets, which
            Detectron2's model zoo starts from, and not in their 3x3 one.
        norm: ``FrozenBN``, ``BN``, ``SyncBN`` or ``GN``.
        freeze_at: stages that do not train: 0 none, 1 the stem, 2 the stem and the stride-4 stage,
            and so on, as in Detectron2.

    Raises:
        ValueError: timm has no such network or argument, its stages are others, or its weights cannot be had.
    """
    if norm not in NORMS[1:]:
        raise ValueError(f"MODEL.BACKBONE.NORM: expected one of {', '.join(NORMS[1:])}, got {norm!r}")
    indices, own_args = _four_stages(name)
    try:
        features = timm.create_model(
            name,
            features_only=True,
            out_indices=indices,
            pretrained=pretrained,
            **{**own_args, **(timm_args or {})},
        )
    except RuntimeError as error:
        raise ValueError(f"MODEL.TIMM.NAME: {error}") from error
    except TypeError as error:
        raise ValueError(f"MODEL.TIMM.ARGS: {error}") from error
    except Exception as error:  # the hub's client has its own kinds of errors, and others in each release
        if not pretrained:
            raise
        raise ValueError(
            f"MODEL.TIMM.PRETRAINED: cannot get timm's ImageNet weights of {name} ({' '.join(str(error).split())[:200]}); "
            f"set it False, and MODEL.WEIGHTS to a file to start from"
        ) from error
    bottom_up = cast(FeatureListNet, features)
    found = bottom_up.feature_info.reduction()
    if found != list(strides):
        raise ValueError(
            f"MODEL.TIMM.NAME {name}: expected features of strides {', '.join(map(str, strides))}, got {found}"
        )
    _replace_strided_depthwise(bottom_up)
    if stride_in_1x1:
        _move_strides(bottom_up)
    replace_norm(bottom_up, norm)
    freeze_stages(bottom_up, freeze_at)
    return bottom_up


def _four_stages(name: str) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Which of timm's features of a network are those at strides 4 to 32, and what to ask for to get them."""
    if name.startswith("dla"):
        return (2, 3, 4, 5), {}  # those before are at strides 1 and 2
    if name.startswith("hrnet"):
        # the maps of the last stage themselves, without the classifier's layers on top
        return (1, 2, 3, 4), {"feature_location": ""}
    return (1, 2, 3, 4), {}


def bottom_up_from_config(
    cfg: CfgNode, strides: Sequence[int], timm_args: Mapping[str, Any] | None = None
) -> FeatureListNet:
    """Builds the network that ``MODEL.TIMM`` and ``MODEL.BACKBONE`` describe; see ``build_bottom_up``.

    Args:
        cfg: the configuration.
        strides: what the stages' must be, in pixels.
        timm_args: arguments that ``MODEL.TIMM.ARGS`` may overrule.
    """
    return build_bottom_up(
        name=cfg.MODEL.TIMM.NAME,
        strides=strides,
        pretrained=cfg.MODEL.TIMM.PRETRAINED,
        timm_args={**(timm_args or {}), **cfg.MODEL.TIMM.ARGS},
        stride_in_1x1=cfg.MODEL.TIMM.STRIDE_IN_1X1,
        norm=cfg.MODEL.BACKBONE.NORM,
        freeze_at=cfg.MODEL.BACKBONE.FREEZE_AT,
    )


class _StridedDepthwiseConv2d(ReplacementConv):
    """A strided depthwise convolution that trains in float32 on a CPU, whatever autocast says.

    oneDNN has no fast bfloat16 kernel for its input gradient: it takes 5 to 30 times as long as float32.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and x.device.type == "cpu"):
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float()).to(x.dtype)


def _replace_strided_depthwise(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        if type(child) is nn.Conv2d and child.groups == child.in_channels and child.stride != (1, 1):
            setattr(module, name, _StridedDepthwiseConv2d(child))
        else:
            _replace_strided_depthwise(child)


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
    frozen: FrozenBatchNormAct2d | FrozenBatchNorm2d
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


def stages(bottom_up: FeatureListNet) -> list[list[nn.Module]]:
    """The network's top-level modules by stage: those up to stride 2 (the stem), then stride 4, 8, 16, 32."""
    ends = [info["module"].split(".") for info in bottom_up.feature_info.get_dicts()]
    if ends[0][0] == "blocks":  # MobileNet: stage i is the entries of .blocks up to its feature's own
        blocks: list[nn.Module] = list(bottom_up.get_submodule("blocks").children())
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
    names = list(children)
    # an HRNet's first stage is called layer1
    places = [names.index("layer1" if end[0] == "stage1" else end[0]) for end in ends]
    bounds = [0, places[0], *(place + 1 for place in places)]
    return [[children[name] for name in names[a:b]] for a, b in pairwise(bounds)]


def freeze_stages(bottom_up: FeatureListNet, freeze_at: int) -> None:
    """Stops the first ``freeze_at`` stages from training."""
    freeze(
        bottom_up, {id(m) for stage in stages(bottom_up)[:freeze_at] for top in stage for m in top.modules()}
    )


def freeze(root: nn.Module, frozen: set[int]) -> None:
    """Stops modules from training, in place: their own parameters and normalisation statistics.

    Args:
        root: holds them.
        frozen: their ``id``.
    """
    for module in root.modules():
        if id(module) in frozen:
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(False)
    _freeze_norms(root, frozen)


def _freeze_norms(module: nn.Module, frozen: set[int]) -> None:
    for name, child in module.named_children():
        if isinstance(child, (nn.BatchNorm2d, nn.SyncBatchNorm)) and id(child) in frozen:
            setattr(module, name, _frozen(child))  # type: ignore[arg-type]
        else:
            _freeze_norms(child, frozen)
