"""Folds normalisation with fixed statistics into the convolutions before it, for inference."""

from __future__ import annotations

from typing import TypeVar

import torch
from timm.layers import BatchNormAct2d, FrozenBatchNormAct2d
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from fastpose_mtn.modeling.layers import ConvNorm

_NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm, FrozenBatchNorm2d, FrozenBatchNormAct2d)


Module = TypeVar("Module", bound=nn.Module)


def fuse_norms(module: Module) -> Module:
    """Folds, in place, every normalisation that directly follows a convolution.

    timm's modules declare layers in the order in which they run, so a convolution followed by a
    normalisation of as many channels belongs to it. Activations that a normalisation carries stay.

    Args:
        module: in evaluation mode.

    Returns:
        The same module.
    """
    if isinstance(module, ConvNorm) and isinstance(module.norm, _NORMS):
        _fold(module, module.norm)
        module.norm = None
        return module
    before: nn.Conv2d | None = None
    for name, child in list(module.named_children()):
        if before is not None and isinstance(child, _NORMS) and before.out_channels == _channels(child):
            _fold(before, child)
            setattr(module, name, _activation(child))
        else:
            fuse_norms(child)
        before = child if isinstance(child, nn.Conv2d) and not isinstance(child, ConvNorm) else None
    return module


def _channels(norm: nn.Module) -> int:
    return len(norm.running_mean)  # type: ignore[arg-type]


def _activation(norm: nn.Module) -> nn.Module:
    if isinstance(norm, (BatchNormAct2d, FrozenBatchNormAct2d)):
        return nn.Sequential(norm.drop, norm.act)
    return nn.Identity()


@torch.no_grad()
def _fold(conv: nn.Conv2d, norm: nn.Module) -> None:
    """conv := norm after conv: its weights times gamma / sigma, its bias moved alike."""
    mean, var, gamma, beta = (
        getattr(norm, n).double() for n in ("running_mean", "running_var", "weight", "bias")
    )
    scale = gamma / torch.sqrt(var + norm.eps)  # type: ignore[operator]
    bias: Tensor = conv.bias.double() if conv.bias is not None else torch.zeros_like(mean)
    dtype = conv.weight.dtype
    conv.weight.data = (conv.weight.double() * scale.view(-1, 1, 1, 1)).to(dtype)
    conv.bias = nn.Parameter(((bias - mean) * scale + beta).to(dtype), requires_grad=False)
