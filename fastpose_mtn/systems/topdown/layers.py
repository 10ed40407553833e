"""Layers that top-down networks share, with the initial weights of Xiao et al. (*Simple Baselines*, 2018)."""

from __future__ import annotations

from torch import nn

_STD = 0.001  # of initial weights: heatmaps begin even


def heatmap_conv(in_channels: int, joints: int, kernel_size: int = 1) -> nn.Conv2d:
    """A convolution from features to one heatmap a joint."""
    conv = nn.Conv2d(in_channels, joints, kernel_size, padding=kernel_size // 2)
    nn.init.normal_(conv.weight, std=_STD)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv


def doubling_deconv(in_channels: int, out_channels: int) -> nn.ConvTranspose2d:
    """A transposed convolution from (B, in, H, W) to (B, out, 2H, 2W), without bias."""
    conv = nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False)
    nn.init.normal_(conv.weight, std=_STD)
    return conv
