"""Overlap of boxes in arrays."""

import subprocess
import sys

import numpy as np
import torch

from fastpose_mtn.ops.boxes import pairwise_iou
from fastpose_mtn.ops.overlap import box_intersection, box_iou, iou_matrix


def test_iou_by_hand():
    a = np.array([[0, 0, 10, 10], [0, 0, 0, 0]], np.float32)
    b = np.array([[5, 0, 15, 10], [0, 0, 10, 10], [20, 20, 30, 30], [0, 0, 0, 0]], np.float32)
    # 50 of 150 px; the same; apart; a box without area overlaps nothing, not even itself
    np.testing.assert_allclose(iou_matrix(a, b), [[1 / 3, 1, 0, 0], [0, 0, 0, 0]])
    assert iou_matrix(a[:0], b).shape == (0, 4)


def test_areas_that_boxes_share():
    a, b = np.array([[0, 0, 10, 10]]), np.array([[5, 2, 15, 6], [10, 0, 20, 10], [-5, -5, 50, 50.0]])
    assert box_intersection(a[:, None], b[None]).tolist() == [[20, 0, 100]]


def test_a_box_without_area_overlaps_nothing():
    boxes = np.array([[0, 0, 0, 5], [1, 1, 1, 1], [0, 0, 4, 4.0]])
    assert iou_matrix(boxes, boxes).tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 1]]


def test_boxes_are_broadcast():
    rng = np.random.default_rng(0)
    a, b = (np.sort(rng.uniform(0, 50, (7, 2, 2)), axis=1).reshape(7, 4) for _ in range(2))
    every = iou_matrix(a, b)
    np.testing.assert_array_equal(box_iou(a, b), every.diagonal())
    np.testing.assert_array_equal(box_iou(a, b[2]), every[:, 2])
    tensors = pairwise_iou(torch.from_numpy(a), torch.from_numpy(b))
    np.testing.assert_allclose(every, tensors.numpy(), rtol=1e-12)
    assert (every > 0).any()


def test_pytorch_is_not_needed():
    """Evaluating files does without it: importing it takes seconds."""
    code = "import sys, fastpose_mtn.ops.overlap; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
