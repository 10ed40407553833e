"""Overlap of boxes in NumPy arrays, without PyTorch; ``boxes.py`` has that of tensors.

Boxes are xyxy in continuous pixel coordinates.
"""

from __future__ import annotations

import numpy as np


def box_intersection(a_xyxy: np.ndarray, b_xyxy: np.ndarray) -> np.ndarray:
    """Areas (...) float64 that boxes (..., 4) share with boxes (..., 4), broadcast against each other."""
    a, b = np.asarray(a_xyxy, np.float64), np.asarray(b_xyxy, np.float64)
    shared_wh = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    np.maximum(shared_wh, 0.0, out=shared_wh)
    return np.asarray(shared_wh[..., 0] * shared_wh[..., 1])


def box_iou(a_xyxy: np.ndarray, b_xyxy: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (..., 4) with boxes (..., 4), broadcast against each other.

    Returns:
        (...) float64 in [0, 1]; a box without area overlaps nothing.
    """
    a, b = np.asarray(a_xyxy, np.float64), np.asarray(b_xyxy, np.float64)
    shared = box_intersection(a, b)
    return _over_union(shared, _area(a) + _area(b))


def iou_matrix(a_xyxy: np.ndarray, b_xyxy: np.ndarray) -> np.ndarray:
    """Intersection over union (A, B) of each of (A, 4) boxes with each of (B, 4); see ``box_iou``."""
    # coordinates first: NumPy's inner loops then go over boxes, not over x and y
    a = np.ascontiguousarray(np.asarray(a_xyxy).T, np.float64)[:, :, None]
    b = np.ascontiguousarray(np.asarray(b_xyxy).T, np.float64)[:, None]
    shared_wh = np.minimum(a[2:], b[2:])
    shared_wh -= np.maximum(a[:2], b[:2])
    np.maximum(shared_wh, 0.0, out=shared_wh)
    (a_width, a_height), (b_width, b_height) = a[2:] - a[:2], b[2:] - b[:2]
    return _over_union(shared_wh[0] * shared_wh[1], a_width * a_height + b_width * b_height)


def _over_union(shared: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """The areas that two boxes share over those of their unions, from the sums of their own; 0 without area."""
    union = areas - shared
    return np.divide(shared, union, out=np.zeros(union.shape), where=union > 0)


def _area(boxes_xyxy: np.ndarray) -> np.ndarray:
    return (boxes_xyxy[..., 2] - boxes_xyxy[..., 0]) * (boxes_xyxy[..., 3] - boxes_xyxy[..., 1])
