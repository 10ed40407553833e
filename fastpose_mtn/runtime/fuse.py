"""Makes a network faster for inference without changing what it computes: fewer, larger operations."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import torch
from timm.layers import BatchNormAct2d, FrozenBatchNormAct2d
from timm.models._features import FeatureListNet
from timm.models.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from fastpose_mtn.modeling.box_head import BoxHead
from fastpose_mtn.modeling.layers import ConvNorm
from fastpose_mtn.modeling.rpn import RPNHead
from fastpose_mtn.runtime.winograd import WinogradConv, gains_by_winograd

_NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm, FrozenBatchNorm2d, FrozenBatchNormAct2d)
# oneDNN's names of activations that a convolution can apply as it writes its result
_ONEDNN: dict[type[nn.Module], tuple[str, list[float]]] = {
    nn.Identity: ("none", []),
    nn.ReLU: ("relu", []),
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
}

Module = TypeVar("Module", bound=nn.Module)


def fuse(module: Module, *, activations: bool = False) -> Module:
    """Folds, in place, normalisation with fixed statistics into the convolutions before it.

    timm's modules declare layers in the order in which they run, so a convolution directly followed by
    a normalisation of as many channels belongs to it. An activation that a normalisation carries is
    kept, or with ``activations`` becomes part of the convolution too.

    Args:
        module: in evaluation mode.
        activations: only for CPUs. A separate activation reads and writes a whole map again, which
            takes as long as a small convolution. Large convolutions become ``WinogradConv`` there.

    Returns:
        The same module, or what takes its place.
    """
    activations = activations and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
    if isinstance(module, ConvNorm):
        if isinstance(module.norm, _NORMS):
            _fold(module, module.norm)
            module.norm = None
        if activations and module.norm is None:
            if gains_by_winograd(module):
                return cast(Module, WinogradConv(module))
            _take_in(module, nn.ReLU() if module.relu else nn.Identity())
        return module
    if isinstance(module, RPNHead):
        module.merge_predictions()
    if activations and isinstance(module, BoxHead) and hasattr(module, "fc1"):
        _read_channels_last(module)
        for layer in module.children():
            if isinstance(layer, nn.Linear):
                layer.__class__ = _OneDNNLinear
        return module
    in_order = isinstance(module, (nn.Sequential, FeatureListNet))  # nothing happens between two children
    before: nn.Conv2d | None = None
    bare: nn.Conv2d | None = None  # what ran last, with no activation yet
    for name, child in list(module.named_children()):
        if before is not None and isinstance(child, _NORMS) and before.out_channels == _channels(child):
            _fold(before, child)
            activation = _activation(child)
            taken = activations and _take_in(before, activation)
            setattr(module, name, nn.Identity() if taken else activation)
            bare = before if taken and in_order and isinstance(activation, nn.Identity) else None
        elif bare is not None and _take_in(bare, child):
            setattr(module, name, nn.Identity())
            bare = None
        else:
            child = fuse(child, activations=activations)
            residual = _residual_block(child) if activations else None
            setattr(module, name, residual or child)
            bare = None
        while isinstance(child, nn.Sequential) and len(child):  # a deep stem
            child = child[-1]
        before = child if isinstance(child, nn.Conv2d) and not isinstance(child, ConvNorm) else None
    return module


def _read_channels_last(head: BoxHead) -> None:
    """Lets the first fully connected layer take features in the order in which they lie in channels-last memory.

    They need not be transposed then.
    """
    fc = head.fc1
    assert isinstance(fc, nn.Linear)
    size = head.resolution
    weight = fc.weight.view(fc.out_features, -1, size, size).permute(0, 2, 3, 1)
    fc.weight.data = weight.reshape(fc.out_features, -1).contiguous()
    head.flatten = _FlattenChannelsLast()


class _FlattenChannelsLast(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


class _OneDNNLinear(nn.Linear):
    """A fully connected layer by oneDNN, which in float32 is faster than MKL's on some processors. It computes in the
    type of its weights."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.weight.dtype)
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")


class _ConvActivation(nn.Conv2d):
    """A convolution that applies its activation as it writes. It does what autocast would do: it
    computes in the type of its weights."""

    activation: tuple[str, list[float]]

    def forward(self, x: Tensor) -> Tensor:
        name, scalars = self.activation
        options: Any = (self.padding, self.stride, self.dilation, self.groups, name, scalars, "")
        return torch.ops.mkldnn._convolution_pointwise(
            x.to(self.weight.dtype), self.weight, self.bias, *options
        )


def _take_in(conv: nn.Conv2d, activation: nn.Module) -> bool:
    """Lets the convolution apply the activation; false where oneDNN has none of this kind."""
    if type(activation) not in _ONEDNN or conv.padding_mode != "zeros" or isinstance(conv.padding, str):
        return False
    conv.__class__ = _ConvActivation
    conv.activation = _ONEDNN[type(activation)]  # type: ignore[assignment]
    return True


class _ResidualBlock(nn.Module):
    """A ResNet's block whose last convolution adds the shortcut and applies its activation as it writes."""

    def __init__(self, convs: list[_ConvActivation], downsample: nn.Module | None) -> None:
        super().__init__()
        self.first, self.last, self.downsample = nn.Sequential(*convs[:-1]), convs[-1], downsample

    def forward(self, x: Tensor) -> Tensor:
        last = self.last
        shortcut = x if self.downsample is None else self.downsample(x)
        # oneDNN adds in this layout only
        result, shortcut = (
            y.to(last.weight.dtype).contiguous(memory_format=torch.channels_last)
            for y in (self.first(x), shortcut)
        )
        options: Any = (
            last.padding,
            last.stride,
            last.dilation,
            last.groups,
            "add",
            None,
            *last.activation,
            "",
        )
        return torch.ops.mkldnn._convolution_pointwise.binary(
            result, shortcut, last.weight, last.bias, *options
        )


def _residual_block(block: nn.Module) -> _ResidualBlock | None:
    """A block with its normalisation folded as such a block; None where it holds more than convolutions and ReLUs."""
    if not isinstance(block, (BasicBlock, Bottleneck)):
        return None
    children = [child for name, child in block.named_children() if name != "downsample"]
    layers = [child for child in children if not isinstance(child, nn.Identity)]
    convs = [layer for layer in layers[::2] if isinstance(layer, nn.Conv2d)]
    relus = [layer for layer in layers[1::2] if type(layer) is nn.ReLU]
    if not len(convs) == len(relus) == len(layers) / 2:
        return None
    if not all(_take_in(conv, relu) for conv, relu in zip(convs, relus, strict=True)):
        return None
    return _ResidualBlock(cast(list[_ConvActivation], convs), block.downsample)


def _channels(norm: nn.Module) -> int:
    return len(norm.running_mean)  # type: ignore[arg-type]


def _activation(norm: nn.Module) -> nn.Module:
    """What a normalisation does after normalising; its dropout does nothing in evaluation."""
    return norm.act if isinstance(norm, (BatchNormAct2d, FrozenBatchNormAct2d)) else nn.Identity()


@torch.no_grad()
def _fold(conv: nn.Conv2d, norm: nn.Module) -> None:
    """conv := norm after conv: its weights times gamma / sigma, its bias moved alike."""
    statistics = ("running_mean", "running_var", "weight", "bias")
    mean, var, gamma, beta = (getattr(norm, n).double() for n in statistics)
    scale = gamma / torch.sqrt(var + norm.eps)  # type: ignore[operator]
    bias: Tensor = conv.bias.double() if conv.bias is not None else torch.zeros_like(mean)
    dtype = conv.weight.dtype
    conv.weight.data = (conv.weight.double() * scale.view(-1, 1, 1, 1)).to(dtype)
    conv.bias = nn.Parameter(((bias - mean) * scale + beta).to(dtype), requires_grad=False)
