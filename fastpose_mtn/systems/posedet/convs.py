"""The convolutions of PoseDet's branches, all of one kind."""

from __future__ import annotations

from torch import nn

from fastpose_mtn.modeling.layers import ConvNorm, separable_conv

CONVS = ("full", "separable")


def branch_conv(in_channels: int, out_channels: int, *, conv: str, norm: str) -> nn.Module:
    """A convolution of a branch with normalisation and ReLU, which keeps the map's size: 3x3, or separable and 5x5.

    Weights of a separable one are initialised, see ``separable_conv``, those of a full one by PyTorch's rule alone.

    Args:
        in_channels: of the map that it reads.
        out_channels: of the map that it gives.
        conv: one of ``CONVS``, see ``MODEL.POSEDET.CONV``.
        norm: see ``modeling.layers.build_norm``.
    """
    if conv == "separable":
        return separable_conv(in_channels, 5, out_channels=out_channels, norm=norm)
    return ConvNorm(in_channels, out_channels, 3, norm=norm, relu=True)
