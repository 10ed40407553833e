"""Encodes keypoints as heatmap positions, and decodes heatmaps into keypoints, for all people at once.

Convention (Heckbert 1990, as in Detectron2): the region is divided into H x W cells; cell (i, j) covers
[j, j + 1) x [i, i + 1) in units of cells, so a continuous coordinate c lies in cell floor(c) and a cell
stands for its centre, index + 0.5.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from fastpose_mtn.ops.oks import AREA_PER_BOX

BLOCK = 4  # cells: the maximum is searched on blocks of 4x4
_MEAN_SHIFTS = 2
_TINY = 1e-12


def encode_keypoints(
    keypoints: Tensor, regions_xyxy: Tensor, heatmap_size_hw: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Finds the heatmap cell of each keypoint.

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


def decode_keypoints(
    logits: Tensor, regions_xyxy: Tensor, boxes_xyxy: Tensor, sigmas: Tensor
) -> tuple[Tensor, Tensor]:
    """Decodes keypoints as the positions of greatest expected OKS.

    The network is trained by cross-entropy, so its softmax is a posterior over cells. The expected OKS of a
    position is the mean, under that posterior, of OKS's Gaussian around it: the posterior blurred with the
    width that OKS allows this joint of this person. Its maximum is searched on blocks of cells and then
    refined by mean shift over the blocks' centres of mass, which climbs to it (Cheng 1995), so a sharp peak is
    found between cells, a broad one where most of its mass is near, and a second hypothesis (the other ankle)
    does not pull.

    One tensor computation for all people: its result in cells does not depend on the person's size.

    Args:
        logits: (R, K, H, W) spatial logits; H and W are multiples of 4.
        regions_xyxy: (R, 4) regions that the heatmaps cover, pixels.
        boxes_xyxy: (R, 4) the people's boxes: OKS takes ``AREA_PER_BOX`` of them for the person's area.
        sigmas: (K,) the skeleton's.

    Returns:
        (R, K, 2) float32 x, y in pixels, and (R, K) float32 in [0, 1]: the expected OKS there, the mass of each
        block taken at its centre.
    """
    _, _, height, width = logits.shape
    posterior = logits.float().flatten(2).softmax(dim=-1).view(logits.shape)
    mass = F.avg_pool2d(posterior, BLOCK) * BLOCK**2  # (R, K, h, w)
    ys, xs = (torch.arange(size, device=logits.device) + 0.5 for size in (height, width))
    moments = (F.avg_pool2d(posterior * position, BLOCK) * BLOCK**2 for position in (ys[:, None], xs))
    y_of, x_of = (moment / mass.clamp(min=_TINY) for moment in moments)  # centres of mass, in cells

    person = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).float().clamp(min=_TINY)
    scale = (AREA_PER_BOX * person.prod(dim=1)).sqrt()  # OKS's s, pixels
    cell = _cell_sizes(regions_xyxy, (height, width))
    reach = (2 * sigmas * scale[:, None])[..., None] / cell[:, None]  # (R, K, 2) standard deviations, cells
    sharpness = 0.5 / reach.clamp(min=0.5).square()

    blurred = _gaussian(ys, sharpness[..., 1]) @ mass @ _gaussian(xs, sharpness[..., 0])
    peak = blurred.flatten(2).argmax(dim=-1)
    columns = mass.shape[3]
    y, x = (peak // columns + 0.5) * BLOCK, (peak % columns + 0.5) * BLOCK
    sharp_x, sharp_y = sharpness[..., None, None].unbind(dim=2)
    for _ in range(_MEAN_SHIFTS):
        away = (y_of - y[..., None, None]).square() * sharp_y + (x_of - x[..., None, None]).square() * sharp_x
        near = mass * torch.exp(-away)
        similarity = near.sum(dim=(-2, -1))
        total = similarity.clamp(min=_TINY)
        y, x = (near * y_of).sum(dim=(-2, -1)) / total, (near * x_of).sum(dim=(-2, -1)) / total
    position = regions_xyxy.float()[:, None, :2] + torch.stack((x, y), dim=-1) * cell[:, None]
    return position, similarity.clamp(max=1.0)


def _gaussian(positions: Tensor, sharpness: Tensor) -> Tensor:
    """Weights (..., n, n) between the blocks along an axis of cells; ``sharpness`` (...) is 1 / (2 sd^2)."""
    block = positions[BLOCK // 2 :: BLOCK] - 0.5
    return torch.exp(-(block[:, None] - block).square() * sharpness[..., None, None])


def _cell_sizes(regions_xyxy: Tensor, heatmap_size_hw: tuple[int, int]) -> Tensor:
    """(R, 2) width and height of a cell, pixels."""
    regions = regions_xyxy.float()
    return (regions[:, 2:] - regions[:, :2]) / regions.new_tensor(heatmap_size_hw[::-1])


def decode_keypoints_resized(
    logits: Tensor, regions_xyxy: Tensor, boxes_xyxy: Tensor, sigmas: Tensor, *, max_elements: int = 1 << 24
) -> tuple[Tensor, Tensor]:
    """Mask R-CNN's joint positions: the highest pixel of each heatmap enlarged to its region.

    Detectron2 and torchvision resize one person's heatmaps after another (bicubic). A resize is a
    matrix along each axis, so people of all sizes are resized in batched products, as many at a time
    as fit ``max_elements`` numbers; the positions are theirs.

    Args and returns: as ``decode_keypoints``, whose expected OKS it gives.
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
    return xy, decode_keypoints(heat, regions_xyxy, boxes_xyxy, sigmas)[1]


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
