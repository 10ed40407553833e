"""Reading heatmaps of Gaussians: the highest cell of each map, and ways to go between cells.

Positions are in cells, cell j's centre being j + 0.5.
"""

from __future__ import annotations

import cv2
import torch
from torch import Tensor
from torch.nn import functional as F

DECODERS = ("quarter", "second_max", "dark", "dark_udp", "argmax")
_PADDING = 10  # cells around a map, as MSPN's release has them: its second highest cell may lie there
_DARK_FLOOR = 1e-10  # below which logarithms are cut off; in heights of a peak
_UDP_RANGE = (1e-3, 50.0)


def decode_peaks(maps: Tensor, *, decoder: str = "quarter", kernel: int = 0) -> tuple[Tensor, Tensor]:
    """Where the maps are highest.

    Args:
        maps: (N, K, H, W), peaks of about 1.
        decoder: ``quarter``: a quarter of a cell towards the higher neighbour along each axis (Xiao et al., *Simple
            Baselines*, 2018; mmpose). ``second_max``: a quarter of a cell towards the second highest cell (MSPN's paper
            and release); of a symmetric peak that is the cell above, a bias of 0.98 pixels: for comparisons only.
            ``dark``: the maximum of a parabola through the logarithms (Zhang et al., *DARK*, 2020). ``dark_udp``: the
            same from neighbouring cells (Huang et al., *UDP*, 2020). ``argmax``: the highest cell itself.
        kernel: cells of the Gaussian filter that maps are looked at through, odd; 0: none.

    Returns:
        (N, K, 2) float32 x, y in cells, and (N, K) float32: the unfiltered heights there, cut to [0, 1].

    Raises:
        ValueError: there is no such decoder.
    """
    if decoder not in DECODERS:
        raise ValueError(f"MODEL.TOPDOWN.DECODER: expected one of {', '.join(DECODERS)}, got {decoder!r}")
    z = maps.float()
    if decoder == "second_max":
        index = _towards_second_highest(z, kernel)
    else:
        seen = filtered(z, kernel)
        # mmpose begins at the filtered map's peak for the one, at the map's own for DARK's
        column, row = highest_cells(z if decoder.startswith("dark") else seen)
        index = torch.stack((column, row), dim=-1).float()
        if decoder != "argmax":
            step = {"quarter": _quarter, "dark": _dark, "dark_udp": _dark_udp}[decoder]
            index = index + step(seen, column, row)
    return index + 0.5, _heights(z, index).clamp(0.0, 1.0)


def highest_cells(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Column and row (N, K) int64 of each map's highest cell, of several the first."""
    index = maps.flatten(2).max(dim=-1).indices
    width = maps.shape[-1]
    return index % width, index // width


def filtered(maps: Tensor, kernel: int) -> Tensor:
    """Maps (N, K, H, W) through OpenCV's Gaussian filter, 0 outside, as high as before.

    Raises:
        ValueError: ``kernel`` is even or below 0.
    """
    if kernel == 0:
        return maps
    blurred = _blurred(maps, kernel)
    before, after = (m.flatten(2).max(dim=-1).values[..., None, None] for m in (maps, blurred))
    return torch.where(after > 0, blurred * (before / after.clamp(min=1e-12)), blurred)


def _blurred(maps: Tensor, kernel: int) -> Tensor:
    if kernel < 0 or kernel % 2 == 0:
        raise ValueError(f"MODEL.TOPDOWN.FILTER_KERNEL: expected an odd number of cells, or 0, got {kernel}")
    line = torch.from_numpy(cv2.getGaussianKernel(kernel, 0)).to(maps)
    half = kernel // 2
    flat = maps.flatten(0, 1)[:, None]
    flat = F.conv2d(flat, line.view(1, 1, 1, -1), padding=(0, half))
    return F.conv2d(flat, line.view(1, 1, -1, 1), padding=(half, 0))[:, 0].unflatten(0, maps.shape[:2])


def _heights(maps: Tensor, index_xy: Tensor) -> Tensor:
    """(N, K) of the cells nearest to positions (N, K, 2) in indices."""
    height, width = maps.shape[-2:]
    column, row = index_xy.round().to(torch.int64).unbind(dim=-1)
    cell = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
    return maps.flatten(2).gather(2, cell[..., None])[..., 0]


def _shifted(maps: Tensor, column: Tensor, row: Tensor, dx: int, dy: int) -> Tensor:
    """(N, K) heights ``dx`` and ``dy`` cells beside cells; beyond the border the border's own."""
    height, width = maps.shape[-2:]
    cell = (row + dy).clamp(0, height - 1) * width + (column + dx).clamp(0, width - 1)
    return maps.flatten(2).gather(2, cell[..., None])[..., 0]


def _inside(maps: Tensor, column: Tensor, row: Tensor, border: int) -> Tensor:
    """(N, K, 1) bool: cells with more than one cell before them, and ``border`` or more behind."""
    height, width = maps.shape[-2:]
    near = (column > 1) & (column < width - border) & (row > 1) & (row < height - border)
    return near[..., None]


def _quarter(maps: Tensor, column: Tensor, row: Tensor) -> Tensor:
    dx, dy = (
        _shifted(maps, column, row, *step) - _shifted(maps, column, row, -step[0], -step[1])
        for step in ((1, 0), (0, 1))
    )
    step = 0.25 * torch.stack((dx, dy), dim=-1).sign()
    return torch.where(_inside(maps, column, row, 1), step, 0.0)


def _dark(maps: Tensor, column: Tensor, row: Tensor) -> Tensor:
    log = maps.clamp(min=_DARK_FLOOR).log()

    def at(dx: int, dy: int) -> Tensor:
        return _shifted(log, column, row, dx, dy)

    gradient = torch.stack((at(1, 0) - at(-1, 0), at(0, 1) - at(0, -1)), dim=-1) / 2
    xx = (at(2, 0) - 2 * at(0, 0) + at(-2, 0)) / 4
    yy = (at(0, 2) - 2 * at(0, 0) + at(0, -2)) / 4
    xy = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4
    step = _newton(gradient, xx, xy, yy)
    return torch.where(_inside(maps, column, row, 2), step, 0.0)


def _dark_udp(maps: Tensor, column: Tensor, row: Tensor) -> Tensor:
    log = maps.clamp(*_UDP_RANGE).log()

    def at(dx: int, dy: int) -> Tensor:
        return _shifted(log, column, row, dx, dy)

    gradient = torch.stack((at(1, 0) - at(-1, 0), at(0, 1) - at(0, -1)), dim=-1) / 2
    xx = at(1, 0) - 2 * at(0, 0) + at(-1, 0)
    yy = at(0, 1) - 2 * at(0, 0) + at(0, -1)
    xy = (at(1, 1) - at(1, 0) - at(0, 1) + 2 * at(0, 0) - at(-1, 0) - at(0, -1) + at(-1, -1)) / 2
    eps = torch.finfo(torch.float32).eps
    return _newton(gradient, xx + eps, xy, yy + eps)


def _newton(gradient: Tensor, xx: Tensor, xy: Tensor, yy: Tensor) -> Tensor:
    """Minus the inverse Hessian times the gradient (N, K, 2); 0 where there is no inverse."""
    determinant = xx * yy - xy * xy
    dx, dy = gradient.unbind(dim=-1)
    step = torch.stack((yy * dx - xy * dy, xx * dy - xy * dx), dim=-1)
    known = (determinant != 0)[..., None]
    return torch.where(known, -step / torch.where(known, determinant[..., None], 1.0), 0.0)


def _towards_second_highest(maps: Tensor, kernel: int) -> Tensor:
    padded = F.pad(maps, (_PADDING,) * 4)
    padded = _blurred(padded, kernel) if kernel else padded
    first = torch.stack(highest_cells(padded), dim=-1)
    cell = first[..., 1] * padded.shape[-1] + first[..., 0]
    rest = padded.flatten(2).scatter(2, cell[..., None], 0.0).view_as(padded)
    direction = (torch.stack(highest_cells(rest), dim=-1) - first).float()
    length = direction.norm(dim=-1, keepdim=True)
    index = first - _PADDING + 0.25 * direction / length.clamp(min=1e-3)
    limit = torch.tensor([maps.shape[-1] - 1, maps.shape[-2] - 1], device=maps.device)
    return torch.minimum(index, limit).clamp(min=0)
