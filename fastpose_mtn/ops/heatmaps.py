"""Between joints in the image and positions in an RoI's heatmap, both ways, for all people at once.

Convention (Heckbert 1990, as in Detectron2): the region is divided into H x W cells; cell (i, j) covers
[j, j + 1) x [i, i + 1) in units of cells, so a continuous coordinate c lies in cell floor(c) and a cell
stands for its centre, index + 0.5.
"""

from __future__ import annotations

import torch
from torch import Tensor

PEAK_RADIUS = 2  # cells on each side of the peak that count as the peak


def encode_joints(
    keypoints: Tensor, regions_xyxy: Tensor, heatmap_size_hw: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """The cell of each joint.

    Args:
        keypoints: (R, K, 3) x, y in pixels and v (0 unlabelled, 1 hidden, 2 visible).
        regions_xyxy: (R, 4) regions that the heatmaps cover.
        heatmap_size_hw: (H, W).

    Returns:
        (R, K) int64 cell ``row * W + column`` (0 where invalid), and (R, K) bool: labelled and
        inside the region, whose right and lower edges belong to the last cell.
    """
    height, width = heatmap_size_hw
    size = regions_xyxy[:, None, 2:] - regions_xyxy[:, None, :2]
    cells = regions_xyxy.new_tensor([width, height])
    position = (keypoints[..., :2] - regions_xyxy[:, None, :2]) * (cells / size)
    index = position.floor().to(torch.int64)
    on_edge = keypoints[..., :2] == regions_xyxy[:, None, 2:]
    index = torch.where(on_edge, cells.to(torch.int64) - 1, index)
    column, row = index.unbind(dim=-1)
    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    valid = inside & (keypoints[..., 2] > 0)
    return (row * width + column) * valid, valid


def decode_joints(logits: Tensor, regions_xyxy: Tensor) -> tuple[Tensor, Tensor]:
    """Sub-cell joint positions: the centre of mass of the softmax around its peak.

    The network is trained by cross-entropy, so its softmax is a posterior over cells and the mean of
    that posterior is the estimate of least squared error; only the neighbourhood of the peak counts,
    so that a second hypothesis (the other ankle) cannot pull the joint between the two. A quadratic
    through log-heat would assume a Gaussian posterior, which a joint near an occluding edge has not,
    and is undefined on a plateau.

    One tensor computation for all people: its result in cells does not depend on the person's size.

    Args:
        logits: (R, K, H, W) spatial logits.
        regions_xyxy: (R, 4) regions that the heatmaps cover, pixels.

    Returns:
        (R, K, 2) float32 x, y in pixels, and (R, K) float32 in [0, 1]: the softmax's mass around the peak.
    """
    _, _, height, width = logits.shape
    probability = logits.float().flatten(2).softmax(dim=-1)
    peak = probability.argmax(dim=-1)
    row, column = peak // width, peak % width
    reach = torch.arange(-PEAK_RADIUS, PEAK_RADIUS + 1, device=logits.device)
    rows, columns = row[..., None] + reach, column[..., None] + reach  # (R, K, 5)
    row_inside, column_inside = (rows >= 0) & (rows < height), (columns >= 0) & (columns < width)
    cell = rows.clamp(0, height - 1)[..., :, None] * width + columns.clamp(0, width - 1)[..., None, :]
    mass = probability.gather(2, cell.flatten(2)).view(cell.shape)
    mass = mass * (row_inside[..., :, None] & column_inside[..., None, :])
    total = mass.sum(dim=(-2, -1)).clamp(min=torch.finfo(torch.float32).tiny)
    y = (mass.sum(dim=-1) * (rows + 0.5)).sum(dim=-1) / total
    x = (mass.sum(dim=-2) * (columns + 0.5)).sum(dim=-1) / total
    return cells_to_pixels(torch.stack((x, y), dim=-1), regions_xyxy, (height, width)), total.clamp(max=1.0)


def cells_to_pixels(xy_cells: Tensor, regions_xyxy: Tensor, heatmap_size_hw: tuple[int, int]) -> Tensor:
    """Positions (R, K, 2) in cells as pixels of the image."""
    height, width = heatmap_size_hw
    regions = regions_xyxy.float()
    cell = (regions[:, 2:] - regions[:, :2]) / regions.new_tensor([width, height])
    return regions[:, None, :2] + xy_cells * cell[:, None]


def decode_joints_resized(
    logits: Tensor, regions_xyxy: Tensor, *, max_elements: int = 1 << 24
) -> tuple[Tensor, Tensor]:
    """Mask R-CNN's joint positions: the highest pixel of each heatmap enlarged to its region.

    Detectron2 and torchvision resize one person's heatmaps after another (bicubic). A resize is a
    matrix along each axis, so people of all sizes are resized in batched products, as many at a time
    as fit ``max_elements`` numbers; the positions are theirs.

    Args and returns: as ``decode_joints``.
    """
    count, joints, height, width = logits.shape
    heat = logits.float()
    xy = heat.new_zeros(count, joints, 2)
    sizes = (regions_xyxy[:, 2:] - regions_xyxy[:, :2]).float().clamp(min=1.0)
    whole = sizes.ceil().to(torch.int64)
    for rows in _chunks(whole, joints, max_elements):
        out_width, out_height = whole[rows, 0], whole[rows, 1]
        across, across_inside = _bicubic_matrices(out_width, width)
        down, down_inside = _bicubic_matrices(out_height, height)
        enlarged = down[:, None] @ (heat[rows] @ across[:, None].mT)  # (n, K, tallest, widest)
        inside = down_inside[:, None, :, None] & across_inside[:, None, None, :]
        peak = enlarged.masked_fill_(~inside, -torch.inf).flatten(2).argmax(dim=-1)
        widest = across.shape[1]
        pixel = torch.stack((peak % widest, peak // widest), dim=-1).float() + 0.5
        xy[rows] = pixel * (sizes[rows] / whole[rows])[:, None] + regions_xyxy[rows, None, :2]
    return xy, decode_joints(heat, regions_xyxy)[1]


def _chunks(sizes: Tensor, joints: int, max_elements: int) -> list[Tensor]:
    """Row indices in groups whose padded maps together hold at most ``max_elements``, but one at least."""
    groups: list[list[int]] = []
    tallest = widest = 0
    order = torch.argsort(sizes.prod(dim=1)).tolist()
    plain = sizes.tolist()
    for row in order:
        widest, tallest = max(widest, plain[row][0]), max(tallest, plain[row][1])
        if groups and (len(groups[-1]) + 1) * joints * tallest * widest <= max_elements:
            groups[-1].append(row)
        else:
            groups.append([row])
            widest, tallest = plain[row]
    return [torch.tensor(group, device=sizes.device) for group in groups]


def _bicubic_matrices(out_sizes: Tensor, in_size: int) -> tuple[Tensor, Tensor]:
    """For each person the matrix (longest, in_size) of torch's bicubic resize, and which rows are theirs."""
    longest = int(out_sizes.max())
    index = torch.arange(longest, device=out_sizes.device)
    source = (index + 0.5) * (in_size / out_sizes[:, None].float()) - 0.5
    base = source.floor()
    offset = source - base
    matrix = source.new_zeros(len(out_sizes), longest, in_size)
    for tap in range(-1, 3):
        column = (base + tap).clamp(0, in_size - 1).to(torch.int64)
        matrix.scatter_add_(2, column[..., None], _cubic((offset - tap).abs())[..., None])
    return matrix, index < out_sizes[:, None]


def _cubic(distance: Tensor, a: float = -0.75) -> Tensor:
    """The cubic convolution kernel with torch's (and OpenCV's) parameter, for distances up to 2."""
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return torch.where(distance <= 1, near, far)
