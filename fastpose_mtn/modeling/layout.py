"""The layout of a network's tensors in memory."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

_NARROW = 16  # input channels of a group: oneDNN's block of AVX-512, twice that of AVX2
Network = TypeVar("Network", bound=nn.Module)


def channels_last(network: Network) -> Network:
    """The network, its convolutions in channels-last layout, in which they are fastest; but for a fault of oneDNN.

    The gradient of a 1x1 convolution that skips pixels and has fewer than 16 input channels, a shortcut of a slim
    ResNet, is written beyond the memory that is oneDNN's for it (uxlfoundation/oneDNN issue 6035): the process ends
    sooner or later, or weights are wrong. In the usual layout it is not, so these train in that one.
    """
    network.to(memory_format=torch.channels_last)
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and _is_shortcut(module):
            # A 1x1 kernel is in both layouts at once; what PyTorch takes it for are its strides.
            module.weight.data = module.weight.data.flatten().view(module.weight.shape)
            module.register_forward_pre_hook(_usual_layout)
    return network


def _is_shortcut(conv: nn.Conv2d) -> bool:
    return conv.kernel_size == (1, 1) and max(conv.stride) > 1 and conv.in_channels // conv.groups < _NARROW


def _usual_layout(conv: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
    return (inputs[0].contiguous(),) if torch.is_grad_enabled() else None
