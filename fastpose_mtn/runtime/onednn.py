"""Layers for inference on CPUs, computed by oneDNN; each holds the weights of the layers that it replaces."""

from __future__ import annotations

import torch
from timm.models.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn

from fastpose_mtn.modeling.box_head import BoxHead
from fastpose_mtn.modeling.layers import ReplacementConv
from fastpose_mtn.runtime import compat

_ACTIVATIONS: dict[type[nn.Module], compat.Activation] = {
    nn.Identity: compat.Activation(),
    nn.ReLU: compat.Activation("relu"),
    nn.ReLU6: compat.Activation("hardtanh", (0.0, 6.0)),
}


class OneDNNConv(ReplacementConv):
    """A convolution and the activation after it in one operation.

    It does what autocast would do: it computes in the type of its weights.

    Args:
        conv: gives its weights.
        activation: one that it ``supports``.
    """

    def __init__(self, conv: nn.Conv2d, activation: nn.Module) -> None:
        assert not isinstance(conv.padding, str)
        super().__init__(conv)
        self.options = compat.ConvolutionOptions(
            conv.stride, conv.padding, conv.dilation, conv.groups, _ACTIVATIONS[type(activation)]
        )

    @staticmethod
    def supports(conv: nn.Conv2d, activation: nn.Module) -> bool:
        """Whether oneDNN has a convolution with this padding, followed by this activation."""
        return (
            type(activation) in _ACTIVATIONS
            and conv.padding_mode == "zeros"
            and not isinstance(conv.padding, str)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, out, H, W) in the type of the weights, of (B, in, H, W)."""
        return compat.convolution(x.to(self.weight.dtype), self.weight, self.bias, self.options)


class OneDNNResidualBlock(nn.Module):
    """A ResNet's residual block whose last convolution also adds the shortcut and applies the activation.

    Args:
        convs: with their activations; the last one's follows the sum.
        downsample: of the shortcut; None: the block's input.
    """

    def __init__(self, convs: list[OneDNNConv], downsample: nn.Module | None) -> None:
        super().__init__()
        self.first, self.last, self.downsample = nn.Sequential(*convs[:-1]), convs[-1], downsample

    @classmethod
    def from_block(cls, block: BasicBlock | Bottleneck) -> OneDNNResidualBlock | None:
        """Converts a block whose normalisation is folded; None where it holds more than convolutions and ReLUs."""
        children = [child for name, child in block.named_children() if name != "downsample"]
        layers = [child for child in children if not isinstance(child, nn.Identity)]
        convs = [layer for layer in layers[::2] if isinstance(layer, nn.Conv2d)]
        relus = [layer for layer in layers[1::2] if type(layer) is nn.ReLU]
        if not len(convs) == len(relus) == len(layers) / 2:
            return None
        pairs = list(zip(convs, relus, strict=True))
        if not all(OneDNNConv.supports(conv, relu) for conv, relu in pairs):
            return None
        return cls([OneDNNConv(conv, relu) for conv, relu in pairs], block.downsample)

    def forward(self, x: Tensor) -> Tensor:
        """(B, out, H, W) in the type of the weights, of (B, in, H, W)."""
        last = self.last
        shortcut = x if self.downsample is None else self.downsample(x)
        # oneDNN adds in this layout only
        result, shortcut = (
            y.to(last.weight.dtype).contiguous(memory_format=torch.channels_last)
            for y in (self.first(x), shortcut)
        )
        return compat.convolution_add(result, shortcut, last.weight, last.bias, last.options)


class OneDNNLinear(nn.Linear):
    """A fully connected layer that computes in the type of its weights, as autocast would have it."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear.in_features, linear.out_features, device="meta")
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, x: Tensor) -> Tensor:
        """(R, out) in the type of the weights, of (R, in)."""
        return compat.linear(x.to(self.weight.dtype), self.weight, self.bias)


class FlattenChannelsLast(nn.Module):
    """Flattens features in the order in which they lie in channels-last memory."""

    def forward(self, x: Tensor) -> Tensor:
        """(R, h * w * C) of (R, C, h, w)."""
        return x.permute(0, 2, 3, 1).flatten(1)


def fuse_box_head(head: BoxHead) -> None:
    """Replaces, in place, the fully connected layers of a box head by oneDNN's.

    The first takes features as they lie in channels-last memory, so that they need not be transposed.
    """
    size = head.resolution
    for name, layer in list(head.named_children()):
        if isinstance(layer, nn.Linear):
            if name == "fc1":
                weight = layer.weight.view(layer.out_features, -1, size, size).permute(0, 2, 3, 1)
                layer.weight.data = weight.reshape(layer.out_features, -1).contiguous()
                head.flatten = FlattenChannelsLast()
            setattr(head, name, OneDNNLinear(layer))
