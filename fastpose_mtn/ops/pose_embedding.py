"""Pose embedding (PoseDet, section 3.1): the features at a pose's points, each through weights of its own, summed.

``e = sum over k of W_k F(y + dy_k, x + dx_k)``, with F interpolated bilinearly and 0 outside its map. Three forms of it
give the same numbers: by gathering (CPUs, exported networks), by deformable convolution (GPUs), and for some poses alone.
Weights (E, C, 1, K) are those of the deformable convolution. Cell (i, j) lies at y = i, x = j.
"""

from __future__ import annotations

from typing import NamedTuple

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


class Samples(NamedTuple):
    """What is read of a table of features for the points of N poses: of each point the four cells around it.

    Attributes:
        rows: (N, K, 4) int64, of the table.
        shares: (N, K, 4), by which they count; 0 outside the pose's map.
    """

    rows: Tensor
    shares: Tensor


def sample_at(first_row: Tensor, sizes_hw: Tensor, points_yx: Tensor) -> Samples:
    """What ``embed_samples`` reads for N poses, each of which lies in one of several maps.

    Args:
        first_row: (N,) int64, of each pose's map in a table that has a row a cell, map after map, each row by row.
        sizes_hw: (N, 2) int64, height and width of each pose's map.
        points_yx: (N, K, 2) positions in cells of that map.
    """
    points = points_yx.to(torch.promote_types(points_yx.dtype, torch.float32))
    size = sizes_hw[:, None]
    # beyond a cell outside everything is 0; NaN becomes a number that can be a row, and stays NaN by its share
    points = torch.minimum(points.clamp(min=-1.0), size.to(points.dtype))
    low = points.floor()
    share, cell = points - low, low.nan_to_num().long()
    # (N, K, 2, 2): of y and of x, before the point and behind it
    cells, shares = torch.stack((cell, cell + 1), dim=-1), torch.stack((1 - share, share), dim=-1)
    inside = (cells >= 0) & (cells < size[..., None])
    cells, shares = torch.where(inside, cells, 0), shares * inside
    y, x = cells.unbind(dim=2)
    rows = first_row[:, None, None, None] + y[..., None] * sizes_hw[:, None, None, 1:] + x[..., None, :]
    both = shares[:, :, 0, :, None] * shares[:, :, 1, None]
    return Samples(rows.flatten(2), both.flatten(2))


def embed_samples(table: Tensor, samples: Samples, weight: Tensor) -> Tensor:
    """The embeddings (N, E) of N poses alone, as the other forms give at these poses' cells.

    Args:
        table: (R, C) features, a row a cell: those of all maps, each row by row.
        samples: of the poses' points.
        weight: (E, C, 1, K).
    """
    sampled = (table[samples.rows] * samples.shares[..., None]).sum(dim=2)
    return F.linear(sampled.flatten(1).to(weight.dtype), weight[:, :, 0].transpose(1, 2).flatten(1))
