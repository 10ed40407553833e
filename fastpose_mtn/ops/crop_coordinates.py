"""What a network's cells and crops mean in pixels: ours, and what published networks were trained on.

Positions of joints in crops are continuous pixels everywhere, pixel i being [i, i + 1); here they become cells of maps and
back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class CropCoordinates:
    """One convention.

    Attributes:
        first: pixel index that cell 0's middle stands for; None: the continuous middle of the pixels it covers.
        as_released: crops are cut as public projects cut them. Pixels are points: a box's middle, read as an index, is index
            (W / 2, H / 2). They are sampled without averaging, and black beside the frame.
        last_pixel: boxes end with the index of their last pixel.
        shifts_mirrored: maps of mirror images are moved by a cell, as those projects do in the flip test.
        corners: the first and the last cell stand for the first and the last index (Huang et al., *UDP*, 2020).
    """

    first: float | None = None
    as_released: bool = False
    last_pixel: bool = False
    shifts_mirrored: bool = False
    corners: bool = False

    def cells(self, points_xy: Tensor, size_hw: tuple[int, int], map_hw: tuple[int, int]) -> Tensor:
        """Positions (..., 2) in cells, the first cell being 0 to 1, of continuous pixels (..., 2) of a crop."""
        scale, shift = self._affine(size_hw, map_hw)
        return points_xy * scale.to(points_xy) + shift.to(points_xy)

    def points(self, cells_xy: Tensor, size_hw: tuple[int, int], map_hw: tuple[int, int]) -> Tensor:
        """The inverse of ``cells``."""
        scale, shift = self._affine(size_hw, map_hw)
        return (cells_xy - shift.to(cells_xy)) / scale.to(cells_xy)

    def _affine(self, size_hw: tuple[int, int], map_hw: tuple[int, int]) -> tuple[Tensor, Tensor]:
        size, cells = (torch.tensor(hw[::-1], dtype=torch.float32) for hw in (size_hw, map_hw))
        if self.first is None:
            return cells / size, torch.zeros(2)
        scale = (cells - 1) / (size - 1) if self.corners else cells / size
        return scale, 0.5 - (self.first + 0.5) * scale


CONTINUOUS = CropCoordinates()
_KINDS = {
    "continuous": CONTINUOUS,
    # AlphaPose's networks and Simple Baselines'
    "index": CropCoordinates(first=0.0, as_released=True, last_pixel=True, shifts_mirrored=True),
    # MSPN's release, and mmpose's codec of that name, which reads peaks on a map's border half a cell further left and up
    "megvii": CropCoordinates(first=2.0, as_released=True),
}


def crop_coordinates(kind: str, *, decoder: str = "quarter") -> CropCoordinates:
    """The convention that ``MODEL.TOPDOWN.COORDINATES`` names.

    Args:
        kind: the name.
        decoder: ``MODEL.TOPDOWN.DECODER``; with ``dark_udp`` published networks' cells reach from corner to corner.

    Raises:
        ValueError: there is none.
    """
    if kind not in _KINDS:
        raise ValueError(f"MODEL.TOPDOWN.COORDINATES: expected {', '.join(_KINDS)}, got {kind!r}")
    if kind == "megvii" and decoder == "dark_udp":
        return replace(_KINDS[kind], first=0.0, corners=True)
    return _KINDS[kind]
