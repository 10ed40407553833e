"""Gaussian heatmaps as targets of a regression.

Positions are in cells, cell j's centre being j + 0.5.
"""

from __future__ import annotations

import cv2
import torch
from torch import Tensor

_WINDOW = 3  # standard deviations around the centre outside which a target is exactly 0


def gaussian_targets(
    positions_xy: Tensor,
    size_hw: tuple[int, int],
    *,
    sigma: float = 2.0,
    subpixel: bool = False,
    reach: float | None = None,
) -> tuple[Tensor, Tensor]:
    """A Gaussian of height 1 at each position.

    Args:
        positions_xy: (N, K, 2) in cells.
        size_hw: of the maps.
        sigma: standard deviation, cells.
        subpixel: the centre is the position itself. Otherwise it is rounded to the nearest cell's centre, as in
            Xiao et al. (*Simple Baselines*, 2018): an error that no decoder wins back.
        reach: cells along each axis outside which a target is exactly 0; None: three standard deviations.

    Returns:
        (N, K, H, W) float32 and (N, K) bool: whether the Gaussian touches its map; a map that it does not touch is 0.
    """
    height, width = size_hw
    centre = positions_xy.float()
    if not subpixel:
        centre = centre.floor() + 0.5
    x, y = (torch.arange(size, device=centre.device) + 0.5 for size in (width, height))
    dx, dy = x - centre[..., 0, None], y - centre[..., 1, None]
    reach = _WINDOW * sigma if reach is None else reach
    across, down = (
        torch.where(d.abs() <= reach, torch.exp(-0.5 * (d / sigma).square()), 0.0) for d in (dx, dy)
    )
    maps = down[..., :, None] * across[..., None, :]
    return maps, (across > 0).any(dim=-1) & (down > 0).any(dim=-1)


def kernel_sigma(kernel: int) -> float:
    """Standard deviation, in cells, of the Gaussian that OpenCV makes for a kernel of so many cells."""
    return 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8


def kernel_targets(positions_xy: Tensor, size_hw: tuple[int, int], *, kernel: int) -> tuple[Tensor, Tensor]:
    """One cell of height 1, blurred by OpenCV's Gaussian filter and divided by its maximum, as in MSPN's release.

    At the border the filter reflects, as there; outside its kernel a target is exactly 0.

    Args:
        positions_xy: (N, K, 2) in cells, whose whole part is the cell.
        size_hw: of the maps.
        kernel: of the filter, an odd number of cells.

    Returns:
        As ``gaussian_targets``; a cell outside its map does not touch it.
    """
    cell = positions_xy.floor().to(torch.int64)
    line = torch.from_numpy(cv2.getGaussianKernel(kernel, 0)[kernel // 2 :, 0]).float()
    line = torch.cat((line, torch.zeros(1))).to(positions_xy.device)  # by distance; the last is beyond
    height, width = size_hw
    limit = torch.tensor([width, height], device=cell.device)
    inside = ((cell >= 0) & (cell < limit)).all(dim=-1)
    across, down = (_blurred_cell(cell[..., axis], size, line) for axis, size in ((0, width), (1, height)))
    return torch.where(inside[..., None, None], down[..., :, None] * across[..., None, :], 0.0), inside


def _blurred_cell(cell: Tensor, size: int, line: Tensor) -> Tensor:
    """(..., size): a cell (...) and its mirror images beyond both ends, blurred; the highest is 1."""
    places = torch.arange(size, device=cell.device)
    beyond = len(line) - 1

    def blurred(centre: Tensor) -> Tensor:
        return line[(places - centre[..., None]).abs().clamp(max=beyond)]

    total = blurred(cell)
    total = total + torch.where((cell > 0)[..., None], blurred(-cell), 0.0)
    total = total + torch.where((cell < size - 1)[..., None], blurred(2 * (size - 1) - cell), 0.0)
    return total / total.amax(dim=-1, keepdim=True).clamp(min=1e-12)
