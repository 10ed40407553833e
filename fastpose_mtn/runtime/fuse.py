"""Fuses layers for inference: the same numbers from fewer, larger operations."""

from __future__ import annotations

from typing import NamedTuple, TypeVar, cast

import torch
from timm.layers import BatchNormAct2d, FrozenBatchNormAct2d
from timm.models import FeatureListNet
from timm.models.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from fastpose_mtn.modeling.box_head import BoxHead
from fastpose_mtn.modeling.layers import ConvNorm
from fastpose_mtn.modeling.rpn import RPNHead
from fastpose_mtn.runtime.compat import has_onednn
from fastpose_mtn.runtime.onednn import OneDNNConv, OneDNNResidualBlock, fuse_box_head
from fastpose_mtn.runtime.winograd import WinogradConv, is_faster_by_winograd

NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm, FrozenBatchNorm2d, FrozenBatchNormAct2d)

Module = TypeVar("Module", bound=nn.Module)


def fuse(module: Module, *, activations: bool = False) -> Module:
    """Folds batch normalisation into the convolutions before it, in place, for inference.

    timm's modules declare layers in the order in which they run, so a convolution directly followed by
    a normalisation of as many channels belongs to it. An activation that a normalisation carries is
    kept, or with ``activations`` becomes part of the convolution too.

    Args:
        module: in evaluation mode.
        activations: only for CPUs. A separate activation reads and writes a whole map again, which
            takes as long as a small convolution. Layers are replaced by oneDNN's, where PyTorch has it, and
            large convolutions by ``WinogradConv``.

    Returns:
        The same module, or what takes its place.
    """
    return cast(Module, _fuse(module, activations and has_onednn()))


def _fuse(module: nn.Module, onednn: bool) -> nn.Module:
    if isinstance(module, ConvNorm):
        return _fuse_conv_norm(module, onednn)
    if isinstance(module, RPNHead):
        module.merge_predictions()
    if onednn and isinstance(module, BoxHead):
        fuse_box_head(module)
        return module
    _fuse_children(module, onednn)
    if onednn and isinstance(module, (BasicBlock, Bottleneck)):
        return OneDNNResidualBlock.from_block(module) or module
    return module


def _fuse_conv_norm(module: ConvNorm, onednn: bool) -> nn.Module:
    if isinstance(module.norm, NORMS):
        _fold(module, module.norm)
        module.norm = None
    if not onednn or module.norm is not None:
        return module
    if is_faster_by_winograd(module):
        return WinogradConv(module)
    return OneDNNConv(module, nn.ReLU() if module.relu else nn.Identity())


def _fuse_children(module: nn.Module, onednn: bool) -> None:
    in_order = isinstance(module, (nn.Sequential, FeatureListNet))  # nothing happens between two children
    before: _Place | None = None  # of the convolution that ran last
    bare: _Place | None = None  # the same where it has no activation yet
    for name, child in list(module.named_children()):
        if before is not None and isinstance(child, NORMS) and before.conv.out_channels == _channels(child):
            _fold(before.conv, child)
            activation = _activation(child)
            taken = onednn and before.fuse_activation(activation)
            setattr(module, name, nn.Identity() if taken else activation)
            bare = before if taken and in_order and isinstance(activation, nn.Identity) else None
        elif bare is not None and bare.fuse_activation(child):
            setattr(module, name, nn.Identity())
            bare = None
        else:
            setattr(module, name, _fuse(child, onednn))
            bare = None
        before = _last_convolution(module, name)


class _Place(NamedTuple):
    """Where in a network a convolution is, so that another can take its place."""

    parent: nn.Module
    name: str

    @property
    def conv(self) -> nn.Conv2d:
        """The convolution that is there."""
        return cast(nn.Conv2d, self.parent.get_submodule(self.name))

    def fuse_activation(self, activation: nn.Module) -> bool:
        """Replaces the convolution by one that applies the activation too; False where there is none of this kind."""
        if not OneDNNConv.supports(self.conv, activation):
            return False
        setattr(self.parent, self.name, OneDNNConv(self.conv, activation))
        return True


def _last_convolution(parent: nn.Module, name: str) -> _Place | None:
    """Finds the convolution that a child is or, if a sequence (a deep stem), ends with; None: there is none."""
    child = parent.get_submodule(name)
    while isinstance(child, nn.Sequential) and len(child):
        parent, (name, child) = child, list(child.named_children())[-1]
    plain = isinstance(child, nn.Conv2d) and not isinstance(child, (ConvNorm, OneDNNConv, WinogradConv))
    return _Place(parent, name) if plain else None


def _channels(norm: nn.Module) -> int:
    return len(norm.running_mean)  # type: ignore[arg-type]


def _activation(norm: nn.Module) -> nn.Module:
    """What a normalisation does after normalising; its dropout does nothing in evaluation."""
    return norm.act if isinstance(norm, (BatchNormAct2d, FrozenBatchNormAct2d)) else nn.Identity()


@torch.no_grad()
def _fold(conv: nn.Conv2d, norm: nn.Module) -> None:
    """Makes a convolution compute what the normalisation after it would: weights times gamma / sigma, bias alike."""
    statistics = ("running_mean", "running_var", "weight", "bias")
    mean, var, gamma, beta = (getattr(norm, n).double() for n in statistics)
    scale = gamma / torch.sqrt(var + norm.eps)  # type: ignore[operator]
    bias: Tensor = conv.bias.double() if conv.bias is not None else torch.zeros_like(mean)
    dtype = conv.weight.dtype
    conv.weight.data = (conv.weight.double() * scale.view(-1, 1, 1, 1)).to(dtype)
    conv.bias = nn.Parameter(((bias - mean) * scale + beta).to(dtype), requires_grad=False)
