"""Pose embedding (PoseDet, section 3.1): the features at a pose's points, each through weights of its own, summed.

``e = sum over k of W_k F(y + dy_k, x + dx_k)``, with F interpolated bilinearly and 0 outside its map. Three forms of it
give the same numbers: by gathering (CPUs, exported networks), by deformable convolution (GPUs), and for some poses alone.
Weights (E, C, 1, K) are those of the deformable convolution. Cell (i, j) lies at y = i, x = j.
"""

from __future__ import annotations

from fastpose_mtn import libraries  # noqa: F401  (before torchvision)

# isort: split
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import deform_conv2d


def embed_poses(features: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
    """The embedding of the pose at every cell, in the form that suits the device.

    Args:
        features: (B, C, H, W).
        offsets: (B, 2K, H, W), dy and dx of each point from the cell, in cells.
        weight: (E, C, 1, K).

    Returns:
        (B, E, H, W).
    """
    form = embed_poses_deformable if features.is_cuda else embed_poses_gathering
    return form(features, offsets, weight)


def embed_poses_gathering(features: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
    """``embed_poses`` by bilinear gathering and one 1x1 convolution; any K. Positions are computed in float32."""
    batch, channels, height, width = features.shape
    points = weight.shape[-1]
    kind = torch.promote_types(features.dtype, torch.float32)
    moves = offsets.to(kind).reshape(batch, points, 2, height, width)
    y = torch.arange(height, device=features.device, dtype=kind)[:, None] + moves[:, :, 0]
    x = torch.arange(width, device=features.device, dtype=kind) + moves[:, :, 1]
    # from cells to grid_sample's [-1, 1], whose ends are the map's borders, half a cell outside the first and last cell
    grid = torch.stack(((2 * x + 1) / width - 1, (2 * y + 1) / height - 1), dim=-1)
    grid = grid.reshape(batch, points * height, width, 2)
    sampled = F.grid_sample(features.to(kind), grid, padding_mode="zeros", align_corners=False)
    sampled = sampled.reshape(batch, channels * points, height, width)
    return F.conv2d(sampled, weight.flatten(1)[..., None, None])


def embed_poses_deformable(features: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
    """``embed_poses`` by a deformable convolution of one row of K taps; any K."""
    points, width = weight.shape[-1], features.shape[-1]
    padding = points // 2
    # tap k reads at k - padding beside its cell
    taps = torch.arange(points, device=offsets.device, dtype=torch.float32) - padding
    own = torch.stack((torch.zeros_like(taps), taps), dim=1).flatten()
    kind = torch.promote_types(features.dtype, torch.float32)
    moves = offsets.to(kind) - own.to(kind)[:, None, None]
    if points % 2 == 0:  # its result is a column wider than the map
        moves = F.pad(moves, (0, 1))
    with torch.autocast(features.device.type, enabled=False):
        out = deform_conv2d(features.to(kind), moves, weight.to(kind), padding=(0, padding))
    return out[..., :width]


def embed_poses_at(
    table: Tensor, first_row: Tensor, sizes_hw: Tensor, points_yx: Tensor, weight: Tensor
) -> Tensor:
    """The embeddings of N poses alone, whose features lie in any of several maps.

    Args:
        table: (R, C) features, a row a cell: those of all maps, each row by row.
        first_row: (N,) int64, of each pose's map.
        sizes_hw: (N, 2) int64, height and width of each pose's map.
        points_yx: (N, K, 2) positions in cells of that map.
        weight: (E, C, 1, K).

    Returns:
        (N, E), as the other forms give at these poses' cells.
    """
    kind = torch.promote_types(table.dtype, torch.float32)
    size = sizes_hw[:, None].to(kind)  # (N, 1, 2)
    # beyond a cell outside everything is 0; NaN becomes a number that can be a row, and stays NaN by its share
    points = torch.minimum(points_yx.to(kind).clamp(min=-1.0), size)
    low = points.floor()
    share = points - low
    sampled: Tensor | None = None
    for corner in ((0, 0), (0, 1), (1, 0), (1, 1)):
        step = torch.tensor(corner, device=table.device, dtype=kind)
        cell = low + step
        weights = (1 - step - share).abs()
        inside = ((cell >= 0) & (cell < size)).all(dim=-1)
        y, x = cell.nan_to_num().long().unbind(dim=-1)
        row = torch.where(inside, first_row[:, None] + y * sizes_hw[:, None, 1] + x, 0)
        part = table[row] * (weights.prod(dim=-1) * inside)[..., None]
        sampled = part if sampled is None else sampled + part
    assert sampled is not None
    return F.linear(sampled.flatten(1).to(weight.dtype), weight[:, :, 0].transpose(1, 2).flatten(1))
