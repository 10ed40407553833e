"""How far two runs of the same network find the same people: one in another precision, or exported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fastpose_mtn.ops.overlap import iou_matrix
from fastpose_mtn.structures import PersonDetections

MIN_IOU = 0.95  # a box found again overlaps its reference by at least this
MIN_SCORE = 0.5  # of the references: those that begin a track (TRACKER.BIRTH_SCORE)


class Agreement(NamedTuple):
    """How far the people of one run are those of another.

    Attributes:
        people: references counted.
        found: share of them found again, in [0, 1].
        joint_distance: mean distance of the joints of those found, in pixels.
        embedding_distance: mean Euclidean distance of their embeddings.
    """

    people: int
    found: float
    joint_distance: float
    embedding_distance: float

    @property
    def within_guard(self) -> bool:
        """At least 99 % found again, joints less than half a pixel away."""
        return self.found >= 0.99 and self.joint_distance < 0.5


def agreement(
    reference: Sequence[PersonDetections], other: Sequence[PersonDetections], *, min_score: float = MIN_SCORE
) -> Agreement:
    """Compares the people of the same frames, in the same order.

    Args:
        reference: of the exact run, usually float32.
        other: of the run that is judged; its weaker detections count as found, so that a score which
            falls from 0.501 to 0.499 is not a person lost.
        min_score: of the references that count.

    Returns:
        NaN where there was nobody to compare.

    Raises:
        ValueError: the numbers of frames differ.
    """
    if len(reference) != len(other):
        raise ValueError(f"expected as many frames in both, got {len(reference)} and {len(other)}")
    people, joints, embeddings = 0, [np.zeros(0)], [np.zeros(0)]
    found = 0
    for exact, judged in zip(reference, other, strict=True):
        exact = exact[exact.scores >= min_score]
        people += len(exact)
        if not len(exact) or not len(judged):
            continue
        iou = iou_matrix(exact.boxes, judged.boxes)
        mine = np.flatnonzero(iou.max(axis=1) >= MIN_IOU)
        theirs = iou[mine].argmax(axis=1)
        found += len(mine)
        offset = exact.keypoints[mine, :, :2] - judged.keypoints[theirs, :, :2]
        joints.append(np.linalg.norm(offset, axis=-1).ravel())
        if exact.embeddings is not None and judged.embeddings is not None:
            embeddings.append(np.linalg.norm(exact.embeddings[mine] - judged.embeddings[theirs], axis=-1))
    share = found / people if people else float("nan")
    return Agreement(people, share, *(_mean(np.concatenate(parts)) for parts in (joints, embeddings)))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
