"""Layers in forms that runtimes compute faster, or more exactly, than those a network is trained with: the same numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class UpsamplingConv(nn.Conv2d):
    """A transposed 4x4 convolution of stride 2 and padding 1 as an ordinary one: the same numbers.

    Each of the four results that a 2x2 neighbourhood of the input has is a map of its own, and the maps are interleaved
    afterwards. Runtimes compute ordinary convolutions in bfloat16 and in 8 bits, transposed ones often do not.

    Args:
        transposed: the convolution.
        relu: apply ReLU, before the maps are interleaved: what follows a convolution at once costs nothing.
    """

    def __init__(self, transposed: nn.ConvTranspose2d, *, relu: bool) -> None:
        super().__init__(transposed.in_channels, 4 * transposed.out_channels, 2, padding=1)
        # position a of 0, 1 among a neighbourhood's results takes its first input by tap 2 + a, its second by tap a
        taps = torch.tensor([[2, 0], [3, 1]])
        weight = transposed.weight.transpose(0, 1)[:, :, taps][..., taps]  # (out, in, a, dy, b, dx)
        self.weight.data = weight.permute(0, 2, 4, 1, 3, 5).flatten(0, 2).contiguous()
        assert self.bias is not None
        self.bias.data.zero_()
        if transposed.bias is not None:
            self.bias.data = transposed.bias.repeat_interleave(4)
        self.requires_grad_(False)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """(B, out, 2H, 2W) of (B, in, H, W)."""
        x = super().forward(x)
        return F.pixel_shuffle(F.relu(x) if self.relu else x, 2)[..., 1:-1, 1:-1]


class PointwiseConv(nn.Conv2d):
    """A fully connected layer as a convolution of one pixel: the same numbers.

    OpenVINO forgets of a matrix product, but not of a convolution, that it was told to compute it exactly.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear.in_features, linear.out_features, 1)
        self.weight.data = linear.weight[:, :, None, None]
        assert self.bias is not None
        self.bias.data = linear.bias
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """(R, out) of (R, in)."""
        return super().forward(x[:, :, None, None])[:, :, 0, 0]


class ChannelwiseGroupNorm(nn.Module):
    """A normalisation over groups of channels that computes by channels alone: the same numbers, to rounding.

    What runtimes know as one sees groups only in maps whose channels lie apart, and turns maps over before and after it,
    from and to the order of convolutions: a tenth of a small network's time.

    Args:
        norm: the normalisation, with weights.
    """

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__()
        self.groups, self.eps = norm.num_groups, norm.eps
        # No parameters: of two with equal values PyTorch's exporter to ONNX writes one, and leaves the other's name in use.
        self._weight, self._bias = (value.detach()[:, None, None] for value in (norm.weight, norm.bias))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) of such."""
        centred = x - self._of_groups(x.mean((2, 3)))
        variance = self._of_groups((centred * centred).mean((2, 3)))
        return centred * (torch.rsqrt(variance + self.eps) * self._weight) + self._bias

    def _of_groups(self, means: Tensor) -> Tensor:
        """(B, C, 1, 1): the mean of its group for each channel of (B, C)."""
        grouped = means.unflatten(1, (self.groups, -1))
        return grouped.mean(2, keepdim=True).expand_as(grouped).flatten(1)[..., None, None]


def normalise_by_channels(module: nn.Module) -> None:
    """Replaces, in place, normalisations over groups by ``ChannelwiseGroupNorm``."""
    for name, child in module.named_children():
        if type(child) is nn.GroupNorm:
            setattr(module, name, ChannelwiseGroupNorm(child))
        else:
            normalise_by_channels(child)


def upsample_by_convolutions(module: nn.Module) -> None:
    """Replaces, in place, transposed convolutions, and the ReLU declared after one, by ``UpsamplingConv``."""
    children = list(module.named_children())
    for (name, child), (next_name, after) in zip(children, [*children[1:], ("", None)], strict=False):
        if isinstance(child, nn.ConvTranspose2d):
            if (child.kernel_size, child.stride, child.padding) == ((4, 4), (2, 2), (1, 1)):
                relu = isinstance(after, nn.ReLU)
                setattr(module, name, UpsamplingConv(child, relu=relu))
                if relu:
                    setattr(module, next_name, nn.Identity())
        else:
            upsample_by_convolutions(child)
