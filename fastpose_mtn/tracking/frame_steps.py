"""What every tracker does with a frame: checks it, begins tracks and leaves weak joints out of what it reports."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from fastpose_mtn.arguments import number
from fastpose_mtn.ops.overlap import iou_matrix
from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import PersonDetections, TrackedPersons


def numpy_people(people: PersonDetections) -> PersonDetections:
    """A frame's people as NumPy arrays.

    Raises:
        TypeError: they are something else than people.
    """
    if not isinstance(people, PersonDetections):
        raise TypeError(f"detections: expected PersonDetections, got {type(people).__name__}")
    return people if isinstance(people.boxes, np.ndarray) else people.numpy()


def check_frame(
    detections: PersonDetections, time_s: float, last_time_s: float | None, skeleton: Skeleton
) -> None:
    """Checks a frame's time and people.

    Args:
        detections: people of the frame.
        time_s: the frame's time in seconds of video.
        last_time_s: of the frame before it; None: there is none.
        skeleton: that the people should have.

    Raises:
        ValueError: time goes backwards or is no number, or the people have other joints.
    """
    if not math.isfinite(number("time_s", time_s)):
        raise ValueError(f"time_s: expected seconds of video, got {time_s}")
    if last_time_s is not None and time_s < last_time_s:
        raise ValueError(
            f"time_s: {time_s} s comes after {last_time_s} s; give frames in order, or reset() for a new video"
        )
    joints = detections.keypoints.shape[1]
    if len(detections) and joints not in (0, len(skeleton)):  # 0: of a network that finds boxes only
        raise ValueError(
            f"keypoints: {joints} joints a person, but the tracker's skeleton {skeleton.name} has "
            f"{len(skeleton)}; give the tracker the people's skeleton (MODEL.SKELETON)"
        )


def check_embeddings(detections: PersonDetections, embedding_dim: int) -> None:
    """Checks that a frame's embeddings are as long as those before.

    Args:
        detections: people of the frame.
        embedding_dim: of the embeddings that are kept; 0: there are none yet.

    Raises:
        ValueError: they are of another length.
    """
    if detections.embeddings is None or not len(detections):
        return
    dim = detections.embeddings.shape[1]
    if embedding_dim not in (0, dim):
        raise ValueError(
            f"embeddings: {dim} values a person, but {embedding_dim} in earlier frames; "
            "reset() before people of another network"
        )


def births(
    boxes_xyxy: np.ndarray,
    scores: np.ndarray,
    matched: np.ndarray,
    *,
    birth_score: float,
    duplicate_iou: float,
) -> np.ndarray:
    """Detections that begin a tracklet, highest score first; a person found twice begins one.

    Args:
        boxes_xyxy: (N, 4) of the frame's people.
        scores: (N,) of them.
        matched: (M,) which of them have a tracklet.
        birth_score: others begin one above it.
        duplicate_iou: but for those who overlap further than this with somebody who has one.

    Returns:
        (B,) which of them.
    """
    if len(matched) == len(scores):
        return np.zeros(0, np.intp)
    free = scores > birth_score
    free[matched] = False
    (unmatched,) = free.nonzero()
    if not len(unmatched):
        return unmatched
    unmatched = unmatched[np.argsort(-scores[unmatched], kind="stable")]
    same = iou_matrix(boxes_xyxy[unmatched], boxes_xyxy) > duplicate_iou
    if np.count_nonzero(same) == len(unmatched):  # each overlaps so far with itself only
        return unmatched
    taken, born = np.zeros(len(scores), bool), []
    taken[matched] = True
    for candidate, overlapping in zip(unmatched, same, strict=True):
        if not taken[overlapping].any():
            born.append(candidate)
            taken[candidate] = True
    return np.array(born, np.intp)


def without_weak_joints(people: TrackedPersons, threshold: float) -> TrackedPersons:
    """The same people without the joints whose confidence is below a threshold: all zero, as what a skeleton lacks."""
    if threshold <= 0.0:
        return people
    weak = people.keypoints[..., 2] < threshold
    keypoints = np.where(weak[..., None], np.float32(0.0), people.keypoints)
    return replace(people, detections=replace(people.detections, keypoints=keypoints))
