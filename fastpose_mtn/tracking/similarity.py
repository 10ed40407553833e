"""Similarity of detections and tracklets (paper, section 3.3): pure functions of NumPy arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastpose_mtn.ops.assignment import linear_sum_assignment


def embedding_distances(embeddings_a: np.ndarray, embeddings_b: np.ndarray) -> np.ndarray:
    """Euclidean distance of every pair.

    Args:
        embeddings_a: (A, D).
        embeddings_b: (B, D).

    Returns:
        (A, B) float64; in [0, 2] where both are of length 1.
    """
    # In double precision: the difference of nearly equal squares loses half the digits.
    a, b = np.asarray(embeddings_a, np.float64), np.asarray(embeddings_b, np.float64)
    squares = np.einsum("ad,ad->a", a, a)[:, None] + np.einsum("bd,bd->b", b, b)
    squares -= 2.0 * (a @ b.T)
    return np.sqrt(np.maximum(squares, 0.0, out=squares), out=squares)


def count_visible_joints(keypoints: np.ndarray, joint_threshold: float) -> np.ndarray:
    """N_valid, equation 1: how many joints of each person have a confidence *above* gamma.

    Args:
        keypoints: (N, K, 3) x, y, confidence.
        joint_threshold: gamma, 0.2 in the paper.

    Returns:
        (N,) int64.
    """
    visible: np.ndarray = keypoints[..., 2] > joint_threshold
    count: np.ndarray = visible.sum(axis=1, dtype=np.int64)
    return count


def has_valid_embedding(
    keypoints: np.ndarray, joint_threshold: float, valid_joint_share: float, *, body_joints: Sequence[int]
) -> np.ndarray:
    """Which people have a valid embedding: enough of the body is visible for it to describe *them*.

    The embedding of a hidden person describes whoever stands in front, so it is valid only where N_valid is
    *greater* than theta_valid.

    Args:
        keypoints: (N, K, 3) x, y, confidence.
        joint_threshold: gamma, see ``count_visible_joints``.
        valid_joint_share: theta_valid as a share of the body's joints, so that it holds for any skeleton;
            the paper's 10 of 15 is 2/3.
        body_joints: which of the K joints count, ``Skeleton.parts["body"]``. A face or a hand has more
            joints than the body, and would outvote it.

    Returns:
        (N,) bool.
    """
    theta_valid = valid_joint_share * len(body_joints)
    body = keypoints[:, list(body_joints)]
    return count_visible_joints(body, joint_threshold) > theta_valid + 1e-9  # 2/3 * 15 must be 10


def appearance_similarity(distances: np.ndarray, max_distance: float) -> np.ndarray:
    """The appearance term of equation 2: 1 for equal embeddings, falling to 0 at ``max_distance`` (sigma_max).

    Args:
        distances: of embeddings, of any shape.
        max_distance: above 0.
    """
    return 1.0 - np.minimum(distances, max_distance) / max_distance


def combined_similarity(
    iou: np.ndarray, appearance: np.ndarray, comparable: np.ndarray, *, position_weight: float | np.ndarray
) -> np.ndarray:
    """S, equation 2: position and appearance together.

    ``S = theta_pos * IoU + (1 - theta_pos) * (1 - min(dist, sigma_max) / sigma_max)``

    The paper prints the second term without the ``1 -``. As printed, S would grow with the distance and
    reward unlike people; that it is meant as a similarity follows from its first term and from "similarity
    metric" in its text.

    Args:
        iou: (T, N) of tracklets and detections.
        appearance: (T, N) the bracket above, see ``appearance_similarity``.
        comparable: (T, N) bool, where both embeddings are valid; elsewhere S is the IoU alone.
        position_weight: theta_pos in [0, 1]; a number, or (T, 1) for each tracklet its own.

    Returns:
        (T, N) float64 in [0, 1].
    """
    return np.where(comparable, position_weight * iou + (1.0 - position_weight) * appearance, iou)


def proximity(expected_xyxy: np.ndarray, boxes_xyxy: np.ndarray, reach_heights: np.ndarray) -> np.ndarray:
    """Proximity of boxes to where lost people are expected, where overlap says too little or nothing.

    Its arguments are those of ``distance_and_reach``.

    Returns:
        (...) float64: 1 where the centres coincide, falling to 0 at the reach and beyond.
    """
    distance, reach = distance_and_reach(expected_xyxy, boxes_xyxy, reach_heights)
    return np.maximum(1.0 - distance / reach, 0.0)


def distance_and_reach(
    expected_xyxy: np.ndarray, boxes_xyxy: np.ndarray, reach_heights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How far boxes are from where people are expected, and how far they may be, both (...) float64 pixels.

    Args:
        expected_xyxy: (..., 4) pixels.
        boxes_xyxy: (..., 4) pixels, broadcast against the others.
        reach_heights: (...) how far a person may be from the expected place, in heights of the higher box.
    """
    a, b = np.asarray(expected_xyxy, np.float64), np.asarray(boxes_xyxy, np.float64)
    offset = (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2.0
    height = np.maximum(a[..., 3] - a[..., 1], b[..., 3] - b[..., 1])
    return np.hypot(offset[..., 0], offset[..., 1]), np.maximum(height * reach_heights, 1e-9)


def height_ratio(boxes_a_xyxy: np.ndarray, boxes_b_xyxy: np.ndarray) -> np.ndarray:
    """The lower over the higher of boxes (..., 4) and (..., 4), broadcast: (...) float64 in [0, 1]."""
    a = np.asarray(boxes_a_xyxy[..., 3] - boxes_a_xyxy[..., 1], np.float64)
    b = np.asarray(boxes_b_xyxy[..., 3] - boxes_b_xyxy[..., 1], np.float64)
    return np.minimum(a, b) / np.maximum(np.maximum(a, b), 1e-9)


def match(similarity: np.ndarray, gate: float) -> tuple[np.ndarray, np.ndarray]:
    """The one-to-one pairs of the greatest total similarity (Hungarian method), none below ``gate``.

    Pairs below the gate count as nothing *before* the assignment too. Gated only afterwards, a hopeless
    pair could win by a good partner: of [[0.6, 0.29], [0.59, 0]] the solver would take 0.29 + 0.59, and a
    gate of 0.3 would leave 0.59 alone where 0.6 was to be had.

    Args:
        similarity: (T, N), 0 or more.
        gate: above 0.

    Returns:
        Rows (M,) and columns (M,) of the pairs, in order of the rows.
    """
    allowed = similarity >= gate
    if not np.count_nonzero(allowed):
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    rows, columns = linear_sum_assignment(np.where(allowed, similarity, 0.0), maximize=True)
    good = allowed[rows, columns]
    return rows[good], columns[good]
