"""PyTorch's undocumented operators, all in one place, with a test of whether this PyTorch has them as we know them.

Nothing else in ``runtime`` calls them. The versions that they are tested with are in ``setup.cfg``.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Activation(NamedTuple):
    """An activation function that oneDNN applies to a result as it writes it: oneDNN's name of it, and its numbers."""

    name: str = "none"
    scalars: tuple[float, ...] = ()


class ConvolutionOptions(NamedTuple):
    """Options of a convolution, as in ``F.conv2d``, and the activation that follows it."""

    stride: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0)
    dilation: tuple[int, ...] = (1, 1)
    groups: int = 1
    activation: Activation = Activation()


def has_onednn() -> bool:
    """Whether ``convolution``, ``convolution_add`` and ``linear`` work here.

    PyTorch for Apple's processors has no oneDNN, and another version may have changed the operators: they are
    tried on a few numbers. Without them ``fuse`` keeps PyTorch's documented layers, which are slower.
    """
    x, weight, bias = torch.linspace(-1, 1, 8).view(1, 2, 2, 2), torch.eye(2), torch.tensor([0.1, -0.1])
    kernel, relu = weight[:, :, None, None], ConvolutionOptions(activation=Activation("relu"))
    wanted = F.conv2d(x, kernel, bias)
    try:
        found = (
            convolution(x, kernel, bias, relu),
            convolution_add(x, x, kernel, bias, relu),
            linear(x[0, 0], weight, bias),
        )
    except (AttributeError, RuntimeError, TypeError):
        return False
    expected = (wanted.relu(), (wanted + x).relu(), x[0, 0] + bias)
    return all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found, expected, strict=True))


def convolution(x: Tensor, weight: Tensor, bias: Tensor | None, options: ConvolutionOptions) -> Tensor:
    """Computes ``F.conv2d``, then an activation, in one pass; all tensors are of one type, on a CPU."""
    o, (name, scalars) = options, options.activation
    return torch.ops.mkldnn._convolution_pointwise(
        x, weight, bias, o.padding, o.stride, o.dilation, o.groups, name, scalars, ""
    )


def convolution_add(
    x: Tensor, other: Tensor, weight: Tensor, bias: Tensor | None, options: ConvolutionOptions
) -> Tensor:
    """Computes ``F.conv2d``, plus ``other``, then nothing or ReLU; see ``convolution``.

    Both inputs are channels-last in memory.
    """
    o, (name, scalars) = options, options.activation
    return torch.ops.mkldnn._convolution_pointwise.binary(
        x, other, weight, bias, o.padding, o.stride, o.dilation, o.groups, "add", None, name, scalars, ""
    )


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Computes ``F.linear`` by oneDNN, which in float32 is faster than MKL's on some processors."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def cpu_computes_in(precision: str) -> bool:
    """Whether the CPU has instructions for ``bf16`` or ``fp16``; False where PyTorch cannot tell."""
    supported = getattr(torch.ops.mkldnn, f"_is_mkldnn_{precision}_supported", None)
    return supported is not None and supported()
