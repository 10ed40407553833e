"""Images of any sizes as one normalised batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def normalize_and_pad(
    images: Sequence[Tensor], *, mean: Tensor, std: Tensor, reverse_channels: bool, unit: int, least: int = 0
) -> tuple[Tensor, list[tuple[int, int]]]:
    """Normalises images and pads them with 0, right and below, to one size that a backbone divides.

    Args:
        images: each (3, H, W) uint8 or float, 0..255, RGB.
        mean: (3, 1, 1), in the order of the channels that the weights expect; where it is, the batch is.
        std: (3, 1, 1), as ``mean``.
        reverse_channels: the weights expect BGR.
        unit: pixels that divide the batch's sides.
        least: pixels that the sides have at least.

    Returns:
        The batch (B, 3, H, W) float32, in channels-last memory, and each image's own (height, width).
    """
    sizes = [(int(image.shape[-2]), int(image.shape[-1])) for image in images]
    height, width = (-(-max(least, *(size[axis] for size in sizes)) // unit) * unit for axis in (0, 1))
    batch = torch.empty(
        (len(images), 3, height, width), device=mean.device, memory_format=torch.channels_last
    )
    for row, image in zip(batch, images, strict=True):
        image = image.to(mean.device, non_blocking=True)
        image = image.flip(0) if reverse_channels else image
        normal = (image - mean) / std
        row.copy_(F.pad(normal, (0, width - image.shape[-1], 0, height - image.shape[-2])))
    return batch, sizes
