"""PoseDet's losses: distances of poses, focal classification, heatmaps (section 3.3; the published code's numbers)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss

from fastpose_mtn.ops.gaussian_maps import gaussian_targets
from fastpose_mtn.structures import PersonTargets

_FARTHEST = 5.0  # units: no joint counts more
_SURE = 1e-4  # a heatmap's probabilities stay this far from 0 and 1, whose logarithm has no end
_TOGETHER = 32  # people drawn at once


def pose_distance(poses: Tensor, keypoints: Tensor, unit: Tensor) -> Tensor:
    """Sum over poses and labelled joints of the distance, clamped (the paper calls it l2; it is not squared).

    Args:
        poses: (N, K, 2) pixels.
        keypoints: (N, K, 3) x, y and v of each pose's person.
        unit: (N,) pixels.
    """
    offset = (poses - keypoints[..., :2]) / unit[:, None, None]
    labelled = keypoints[..., 2] > 0
    # the root of 0 has no gradient: a joint that is exact, or not labelled, must not give NaN
    square = torch.where(labelled, offset.square().sum(dim=-1), 0.0)
    distance = torch.where(square > 0, square.clamp(min=1e-12).sqrt(), 0.0)
    return distance.clamp(max=_FARTHEST).sum()


def classification(logits: Tensor, positive: Tensor) -> Tensor:
    """Sum of the focal loss (alpha 0.25, gamma 2) over cells: (M,) logits, (M,) 1, 0 or -1 for no example."""
    loss = sigmoid_focal_loss(logits.float(), (positive == 1).float(), alpha=0.25, gamma=2.0)
    return torch.where(positive >= 0, loss, 0.0).sum()


def heatmap_targets(
    target: PersonTargets, size_hw: tuple[int, int], stride: int, *, sigma: float, everybody: bool
) -> tuple[Tensor, Tensor]:
    """What an image's heatmaps at a level should be, and where that is known.

    Args:
        target: the people.
        size_hw: of the maps.
        stride: of the level.
        sigma: cells.
        everybody: is labelled, so that where nobody is no joint is.

    Returns:
        (K, h, w) float32, the highest of all people's Gaussians, each 6 sigma + 3 cells wide around its joint's cell
        (published code), and (K, h, w) bool: not in the boxes of people of whom this joint is not labelled.
    """
    height, width = size_hw
    keypoints = target.keypoints
    labelled = (keypoints[..., 2] > 0) & ~target.ignore[:, None]
    maps = keypoints.new_zeros(keypoints.shape[1], height, width)
    for joints, known in zip(keypoints.split(_TOGETHER), labelled.split(_TOGETHER), strict=True):
        if len(joints):
            # the cell at or before the joint: cell j lies at pixel index stride j
            cell = ((joints[..., :2] - 0.5) / stride).trunc()
            drawn, _ = gaussian_targets(cell + 0.5, size_hw, sigma=sigma, reach=3 * sigma + 1)
            inside = (cell >= 0).all(dim=-1) & (cell[..., 0] < width) & (cell[..., 1] < height)
            maps = torch.maximum(maps, (drawn * (known & inside)[..., None, None]).amax(dim=0))
    x, y = (torch.arange(size, device=maps.device) * stride + 0.5 for size in (width, height))
    x1, y1, x2, y2 = (side[:, None] for side in target.boxes.unbind(dim=1))
    rows, columns = ((y >= y1) & (y < y2)).float(), ((x >= x1) & (x < x2)).float()
    # people's boxes, summed over those of whom a joint is not known, and over all others

    def covered(people: Tensor) -> Tensor:
        return torch.einsum("gk,gh,gw->khw", people.float(), rows, columns) > 0

    known_there = ~covered(~labelled)
    return maps, known_there if everybody else known_there & covered(labelled)


def heatmaps(logits: Tensor, maps: Tensor, known: Tensor, *, kind: str) -> Tensor:
    """The loss of a level's heatmaps.

    Args:
        logits: (B, K, h, w).
        maps: (B, K, h, w), see ``heatmap_targets``.
        known: (B, K, h, w) bool.
        kind: focal: CenterNet's, penalty-reduced, over the number of exact peaks; l2: the mean squared error.
    """
    probability = logits.float().sigmoid()
    if kind == "l2":
        return torch.where(known, (probability - maps).square(), 0.0).sum() / known.sum().clamp(min=1)
    probability = probability.clamp(_SURE, 1 - _SURE)
    peak = maps == 1
    hit = -((1 - probability) ** 2) * probability.log()
    miss = -((1 - maps) ** 4) * probability**2 * (1 - probability).log()
    return torch.where(known, torch.where(peak, hit, miss), 0.0).sum() / (peak & known).sum().clamp(min=1)


def visibility(logits: Tensor, keypoints: Tensor) -> Tensor:
    """Mean cross-entropy of visible (v 2) against hidden (v 1) joints: (N, K) logits, (N, K, 3)."""
    v = keypoints[..., 2]
    entropy = F.binary_cross_entropy_with_logits(logits, (v == 2).float(), reduction="none")
    return torch.where(v > 0, entropy, 0.0).sum() / (v > 0).sum().clamp(min=1)


def box_distance(boxes: Tensor, wanted: Tensor, unit: Tensor) -> Tensor:
    """Mean over N boxes of their sides' summed distances: (N, 4) each, (N,) pixels of the unit."""
    distance = ((boxes - wanted) / unit[:, None]).abs().sum(dim=1)
    return distance.clamp(max=4 * _FARTHEST).sum() / max(1, len(boxes))


def box_overlap(boxes: Tensor, wanted: Tensor) -> Tensor:
    """Mean over N boxes (N, 4) of 1 - generalised IoU, which is the same for small people and large ones."""
    loss: Tensor = generalized_box_iou_loss(boxes, wanted, reduction="sum", eps=_SURE)
    return loss / max(1, len(boxes))
