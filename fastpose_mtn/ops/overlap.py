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
    union = _area(a) + _area(b) - shared
    return np.divide(shared, union, out=np.zeros_like(union), where=union > 0)


def iou_matrix(a_xyxy: np.ndarray, b_xyxy: np.ndarray) -> np.ndarray:
    """Intersection over union (A, B) of each of (A, 4) boxes with each of (B, 4); see ``box_iou``."""
    return box_iou(np.asarray(a_xyxy)[:, None], np.asarray(b_xyxy)[None])


def _area(boxes_xyxy: np.ndarray) -> np.ndarray:
    return (boxes_xyxy[..., 2] - boxes_xyxy[..., 0]) * (boxes_xyxy[..., 3] - boxes_xyxy[..., 1])
