"""Gaussian heatmaps: as targets of a regression, and decoded into positions.

Positions are in cells, cell j's centre being j + 0.5.
"""

from __future__ import annotations

import torch
from torch import Tensor

_WINDOW = 3  # standard deviations around the centre outside which a target is exactly 0


def gaussian_targets(
    positions_xy: Tensor, size_hw: tuple[int, int], *, sigma: float = 2.0, subpixel: bool = False
) -> tuple[Tensor, Tensor]:
    """A Gaussian of height 1 at each position.

    Args:
        positions_xy: (N, K, 2) in cells.
        size_hw: of the maps.
        sigma: standard deviation, cells.
        subpixel: the centre is the position itself. Otherwise it is rounded to the nearest cell's centre, as in
            Xiao et al. (*Simple Baselines*, 2018): an error that no decoder wins back.

    Returns:
        (N, K, H, W) float32 and (N, K) bool: whether the Gaussian touches its map; a map that it does not touch is 0.
    """
    height, width = size_hw
    centre = positions_xy.float()
    if not subpixel:
        centre = centre.floor() + 0.5
    x, y = (torch.arange(size, device=centre.device) + 0.5 for size in (width, height))
    dx, dy = x - centre[..., 0, None], y - centre[..., 1, None]
    reach = _WINDOW * sigma
    across, down = (
        torch.where(d.abs() <= reach, torch.exp(-0.5 * (d / sigma).square()), 0.0) for d in (dx, dy)
    )
    maps = down[..., :, None] * across[..., None, :]
    return maps, (across > 0).any(dim=-1) & (down > 0).any(dim=-1)


def decode_gaussians(maps: Tensor) -> tuple[Tensor, Tensor]:
    """The highest cell of each map, moved a quarter of a cell towards the higher neighbour along each axis.

    Args:
        maps: (N, K, H, W).

    Returns:
        (N, K, 2) float32 x, y in cells and (N, K) float32 heights there, cut to [0, 1].
    """
    z = maps.float()
    height, width = z.shape[-2:]
    peak, index = z.flatten(2).max(dim=-1)
    row, column = index // width, index % width
    across = z.gather(2, row[..., None, None].expand(-1, -1, 1, width)).squeeze(2)  # the peak's row
    down = z.gather(3, column[..., None, None].expand(-1, -1, height, 1)).squeeze(3)
    quarter = torch.stack((_towards_higher(across, column), _towards_higher(down, row)), dim=-1)
    position = torch.stack((column, row), dim=-1).float() + 0.5 + 0.25 * quarter
    return position, peak.clamp(0.0, 1.0)


def _towards_higher(line: Tensor, index: Tensor) -> Tensor:
    """-1, 0 or 1 (N, K): on which side of a cell ``index`` (N, K) of a line (N, K, L) its neighbour is higher."""
    last = line.shape[-1] - 1
    inside = (index > 0) & (index < last)
    before, after = (line.gather(2, (index + step).clamp(0, last)[..., None]).squeeze(2) for step in (-1, 1))
    return torch.where(inside, torch.sign(after - before), 0.0)
