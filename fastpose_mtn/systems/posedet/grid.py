"""The cells of a pyramid's levels in one row, and where they lie in the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Grid(NamedTuple):
    """The P cells of all levels of an image, the finest level's first, each level row by row.

    A cell (i, j) of stride s lies at pixel index (s i, s j), where convolutions of a padded 3x3 kernel have their centre:
    in continuous coordinates half a pixel further. ``MODEL.POSEDET.CANDIDATE_OFFSET`` moves it by a share of the stride.

    Attributes:
        strides: (P,) float32, pixels.
        yx: (P, 2) float32, row and column in the level.
        sizes_hw: (P, 2) int64, of the level.
        first: (P,) int64, the level's first cell.
        start: (P,) float32, pixels: where the level's first cell lies, along either axis.
    """

    strides: Tensor
    yx: Tensor
    sizes_hw: Tensor
    first: Tensor
    start: Tensor

    @property
    def xy(self) -> Tensor:
        """(P, 2) positions in the image, x and y in continuous pixels."""
        return self.yx.flip(-1) * self.strides[:, None] + self.start[:, None]

    def at(self, index: Tensor) -> Grid:
        """The cells (N,) of these numbers."""
        return Grid(*(tensor[index] for tensor in self))


def build_grid(levels: Sequence[Tensor], strides: Sequence[int], offset: float = 0.0) -> Grid:
    """The cells of pyramid levels (B, C, h, w) with these strides, moved by ``offset`` strides."""
    parts, first = [], 0
    for level, stride in zip(levels, strides, strict=True):
        height, width = level.shape[-2:]
        # cells counted by a map's own, so that the graph of an exported network depends on no size
        ones = torch.ones_like(level[0, 0], dtype=torch.int64)
        rows, columns = ones.cumsum(0) - 1, ones.cumsum(1) - 1
        number = ones.flatten()
        parts.append(
            Grid(
                number * float(stride),
                torch.stack((rows, columns), dim=-1).flatten(0, 1).float(),
                torch.stack((number * height, number * width), dim=1),
                number * first,
                number * (offset * stride + 0.5),
            )
        )
        first = first + height * width
    return Grid(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def cell_poses(offsets: Tensor, grid: Grid) -> Tensor:
    """Poses of cells in pixels.

    Args:
        offsets: (..., N, K, 2) dy and dx from the cell, in cells.
        grid: the N cells.

    Returns:
        (..., N, K, 2) x and y.
    """
    return (grid.yx[:, None] + offsets).flip(-1) * grid.strides[:, None, None] + grid.start[:, None, None]
