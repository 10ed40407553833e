"""Box geometry: overlap, clipping, padding to a shape, and R-CNN's regression transform.

Boxes are (N, 4) float tensors, xyxy, in continuous pixel coordinates. No function changes its arguments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

# exp() of a predicted log-size beyond this would turn a 16 px anchor into more than 1000 px (Faster R-CNN).
MAX_LOG_SIZE = math.log(1000.0 / 16)


def box_area(boxes_xyxy: Tensor) -> Tensor:
    """Areas (N,) in square pixels."""
    return (boxes_xyxy[..., 2] - boxes_xyxy[..., 0]) * (boxes_xyxy[..., 3] - boxes_xyxy[..., 1])


def pairwise_intersection(a_xyxy: Tensor, b_xyxy: Tensor) -> Tensor:
    """Areas (N, M) shared by each of N boxes with each of M boxes."""
    top_left = torch.maximum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])
    bottom_right = torch.minimum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])
    return (bottom_right - top_left).clamp(min=0).prod(dim=2)


def pairwise_iou(a_xyxy: Tensor, b_xyxy: Tensor) -> Tensor:
    """Intersection over union (N, M); 0, never NaN, where both boxes are empty."""
    shared = pairwise_intersection(a_xyxy, b_xyxy)
    union = box_area(a_xyxy)[:, None] + box_area(b_xyxy)[None, :] - shared
    return torch.where(shared > 0, shared / union, torch.zeros_like(shared))


def vote_boxes(boxes_xyxy: Tensor, voters_xyxy: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """Means of the boxes that agree (Gidaris and Komodakis 2015, section 3.3).

    Which of several boxes of like scores suppresses the others is chance; their mean is not, and lies closer to the
    person. A voter counts by its score times its overlap above the threshold, so that none joins all at once.

    Args:
        boxes_xyxy: (D, 4), of the voters themselves.
        voters_xyxy: (R, 4).
        scores: of the voters, above 0, (R,); or (D, R), with 0 where one has no vote.
        threshold: of the IoU; a box on which no voter has one above it stays as it is.

    Returns:
        (D, 4).
    """
    weights = (pairwise_iou(boxes_xyxy, voters_xyxy) - threshold).clamp(min=0) * scores
    total = weights.sum(dim=1, keepdim=True)
    # not a matrix product, which autocast would compute in half precision
    means = (weights[:, :, None] * voters_xyxy).sum(dim=1) / total
    return torch.where(total > 0, means, boxes_xyxy)


def pairwise_ioa(a_xyxy: Tensor, b_xyxy: Tensor) -> Tensor:
    """The share (N, M) of each of M boxes ``b`` that lies inside each of N boxes ``a``."""
    shared = pairwise_intersection(a_xyxy, b_xyxy)
    return torch.where(shared > 0, shared / box_area(b_xyxy)[None, :], torch.zeros_like(shared))


def clip_boxes(boxes_xyxy: Tensor, image_size_hw: tuple[int, int]) -> Tensor:
    """The boxes (..., 4) cut at the borders of an image of (height, width) pixels."""
    height, width = image_size_hw
    limit = boxes_xyxy.new_tensor([width, height, width, height])
    return torch.minimum(boxes_xyxy.clamp(min=0), limit)


def nonempty(boxes_xyxy: Tensor, threshold: float = 0.0) -> Tensor:
    """Mask (N,) of the boxes whose width and height both exceed ``threshold`` pixels."""
    sizes = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    return (sizes > threshold).all(dim=1)


def pad_to_aspect(boxes_xyxy: Tensor, height_to_width: float) -> Tensor:
    """The smallest boxes of one shape that hold the given ones and share their centres.

    The person keeps their proportions in the RoI's features (paper, section 3.1). Nothing is cut off:
    the shorter side grows. The result may reach outside the image, where RoIAlign reads zeros.

    Args:
        boxes_xyxy: (N, 4).
        height_to_width: wanted height divided by width, 22 / 16 in the paper.
    """
    centre = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    width, height = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).unbind(dim=1)
    padded_height = torch.maximum(height, width * height_to_width)
    padded_width = torch.maximum(width, height / height_to_width)
    half = torch.stack((padded_width, padded_height), dim=1) / 2
    return torch.cat((centre - half, centre + half), dim=1)


def encode_deltas(source_xyxy: Tensor, target_xyxy: Tensor, weights: Sequence[float]) -> Tensor:
    """R-CNN's regression targets (N, 4): (dx, dy, dw, dh) that turn ``source`` into ``target``.

    Shifts are in units of the source's size and sizes are logarithms of ratios, each multiplied by
    its weight, as in Detectron2's ``Box2BoxTransform``.
    """
    source_size = source_xyxy[:, 2:] - source_xyxy[:, :2]
    target_size = target_xyxy[:, 2:] - target_xyxy[:, :2]
    shift = (target_xyxy[:, :2] + 0.5 * target_size - source_xyxy[:, :2] - 0.5 * source_size) / source_size
    deltas = torch.cat((shift, torch.log(target_size / source_size)), dim=1)
    return deltas * deltas.new_tensor(list(weights))


def decode_deltas(deltas: Tensor, boxes_xyxy: Tensor, weights: Sequence[float]) -> Tensor:
    """Boxes (..., 4) float32: ``boxes_xyxy`` (..., 4) moved and scaled by predicted deltas (..., 4)."""
    parts = zip(deltas.float().unbind(dim=-1), weights, strict=True)
    # no tensor of weights: bringing it to a GPU would wait for it, which a CUDA graph cannot hold
    deltas = torch.stack([part / weight for part, weight in parts], dim=-1)
    boxes = boxes_xyxy.float()
    size = boxes[..., 2:] - boxes[..., :2]
    centre = boxes[..., :2] + 0.5 * size + deltas[..., :2] * size
    half = 0.5 * torch.exp(deltas[..., 2:].clamp(max=MAX_LOG_SIZE)) * size
    return torch.cat((centre - half, centre + half), dim=-1)
