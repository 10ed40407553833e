"""Layers, initialisations and losses that the heads and the pyramid share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import FrozenBatchNorm2d

NORMS = ("", "FrozenBN", "BN", "SyncBN", "GN")


def group_norm(channels: int) -> nn.GroupNorm:
    """Builds group normalisation with 32 groups, or as many as divide the channels."""
    groups = next(g for g in range(min(32, channels), 0, -1) if channels % g == 0)
    return nn.GroupNorm(groups, channels)


def build_norm(name: str, channels: int) -> nn.Module | None:
    """Builds a normalisation layer by Detectron2's name; None for the empty name.

    Raises:
        ValueError: the name is unknown.
    """
    if name not in NORMS:
        raise ValueError(f"unknown normalisation {name!r}; known: {', '.join(n or '(empty)' for n in NORMS)}")
    if name == "":
        return None
    if name == "GN":
        return group_norm(channels)
    if name == "FrozenBN":
        return FrozenBatchNorm2d(channels)
    return nn.SyncBatchNorm(channels) if name == "SyncBN" else nn.BatchNorm2d(channels)


class ConvNorm(nn.Conv2d):
    """A convolution that keeps the map's size, or divides it by its stride, then normalisation and ReLU, if any.

    The normalisation is a child called ``norm``, so parameters are named as in Detectron2's ``Conv2d``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        norm: str = "",
        relu: bool = False,
        dilation: int = 1,
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        padding = dilation * (kernel_size // 2)
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation=dilation, groups=groups, bias=norm == ""
        )  # fmt: skip
        self.norm = build_norm(norm, out_channels)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """(B, out, H / stride, W / stride), rounded up, of (B, in, H, W)."""
        x = super().forward(x)
        if self.norm is not None:
            x = self.norm(x)
        return F.relu_(x) if self.relu else x


def separable_conv(
    channels: int, kernel_size: int, *, out_channels: int | None = None, norm: str = ""
) -> nn.Sequential:
    """A convolution of each channel and one across them, in the place of one of both, with normalisation and ReLU.

    ``out_channels``: None: as many as it reads.
    """
    layers = (
        ConvNorm(channels, channels, kernel_size, groups=channels),
        ConvNorm(channels, out_channels or channels, 1, norm=norm, relu=True),
    )
    for layer in layers:
        msra_init(layer)
    return nn.Sequential(*layers)


class ReplacementConv(nn.Conv2d):
    """A convolution with the settings and the weights of another, whose place it takes.

    Subclasses compute the same by other means; parameters keep their names.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__(
            conv.in_channels,
            conv.out_channels,
            _pair(conv.kernel_size),
            stride=_pair(conv.stride),
            padding=conv.padding if isinstance(conv.padding, str) else _pair(conv.padding),
            dilation=_pair(conv.dilation),
            groups=conv.groups,
            padding_mode=conv.padding_mode,
            device="meta",  # initial weights would take longer than all the rest, and are not kept
        )
        self.weight, self.bias = conv.weight, conv.bias
        self.train(conv.training)


def _pair(size: tuple[int, ...]) -> tuple[int, int]:
    height, width = size
    return height, width


def msra_init(layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
    """Initialises weights by He's rule (fan out, ReLU) and the bias with zeros, as in Detectron2's heads."""
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def add_convs(
    module: nn.Module,
    prefix: str,
    in_channels: int,
    dims: Sequence[int],
    *,
    dilations: Sequence[int] = (),
    norm: str = "",
    section: str = "",
) -> tuple[list[str], int]:
    """Adds 3x3 convolutions with ReLU to a head, as children ``prefix1``, ``prefix2`` and so on.

    Args:
        module: the head.
        prefix: of the children's names.
        in_channels: of what the first one reads.
        dims: output channels of each.
        dilations: of each; empty: 1.
        norm: normalisation of each, see ``build_norm``.
        section: of the configuration that the head is built from, for messages.

    Returns:
        The children's names, in order, and the channels of what the last one gives.

    Raises:
        ValueError: there are not as many dilations as convolutions.
    """
    if dilations and len(dilations) != len(dims):
        raise ValueError(
            f"{section}.CONV_DILATIONS: expected one for each of the {len(dims)} CONV_DIMS, got {len(dilations)}"
        )
    names = [f"{prefix}{index}" for index in range(1, len(dims) + 1)]
    before = (in_channels, *dims)[: len(dims)]
    for name, channels, dim, dilation in zip(names, before, dims, dilations or (1,) * len(dims), strict=True):
        layer = ConvNorm(channels, dim, 3, norm=norm, relu=True, dilation=dilation)
        msra_init(layer)
        module.add_module(name, layer)
    return names, dims[-1] if dims else in_channels


def xavier_init(layer: nn.Conv2d | nn.Linear) -> None:
    """Initialises weights as Caffe2's XavierFill and the bias with zeros, as in Detectron2's FPN and linear layers."""
    nn.init.kaiming_uniform_(layer.weight, a=1)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class _Zero(torch.autograd.Function):
    """A scalar zero that depends on tensors, each of which gets a gradient of zero, whatever its values."""

    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> Tensor:
        ctx.likes = [(tensor.shape, {"dtype": tensor.dtype, "device": tensor.device}) for tensor in tensors]
        return tensors[0].new_zeros((), dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        # expanded: one number of memory each
        return tuple(torch.zeros((), **kind).expand(shape) for shape, kind in ctx.likes)


def involve(losses: Mapping[str, Tensor], tensors: Iterable[Tensor]) -> dict[str, Tensor]:
    """The same losses, which now depend, each of them, on every one of the tensors that trains.

    What no loss of a step depends on (a head whose task no image has, a pyramid level from which no region is
    read) has no gradient, and then distributed training waits for it for ever: DDP sums a gradient when all
    processes have it. Here it has one, of zeros, in one process as in many. DDP's own search for such parameters
    (``find_unused_parameters``) would walk the graph and make the processes agree, in every step.

    Args:
        losses: scalars by name.
        tensors: parameters, or features that parameters have made.
    """
    trained = [tensor for tensor in tensors if tensor.requires_grad]
    if not trained:
        return dict(losses)
    zero = _Zero.apply(*trained)
    return {name: loss + zero for name, loss in losses.items()}


def smooth_l1(prediction: Tensor, target: Tensor, beta: float) -> Tensor:
    """Sum of smooth L1 in float32; plain L1 for beta below 1e-5, where the division would overflow."""
    difference = (prediction.float() - target.float()).abs()
    if beta < 1e-5:
        return difference.sum()
    return torch.where(difference < beta, 0.5 * difference.square() / beta, difference - 0.5 * beta).sum()
