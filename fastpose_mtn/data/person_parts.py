"""The parts of a person that labels show: feet, face and hands, and the boxes around them."""

from __future__ import annotations

import numpy as np

from fastpose_mtn.skeletons import Skeleton

WHOLE = "whole"  # the person, whose box is labelled
PARTS = ("foot", "face", "left_hand", "right_hand")
_LEAST_JOINTS = 3  # of two, one side of the box may be any


def part_boxes(keypoints: np.ndarray, skeleton: Skeleton) -> dict[str, np.ndarray]:
    """The tight boxes (4,) xyxy around a person's labelled parts, by their names in ``PARTS``.

    Args:
        keypoints: (K, 3) x, y in pixels and v; of v = 0 nothing is known.
        skeleton: of the joints. Hands are told apart by their joints' names, feet are one part.
    """
    boxes = {}
    for part in PARTS:
        points = keypoints[_joints_of(skeleton, part)]
        points = points[points[:, 2] > 0, :2]
        if len(points) >= _LEAST_JOINTS and (np.ptp(points, axis=0) > 0).all():
            boxes[part] = np.concatenate((points.min(axis=0), points.max(axis=0)))
    return boxes


def shown_part(keypoints: np.ndarray, skeleton: Skeleton) -> tuple[str, np.ndarray] | None:
    """The one part that a person's labels are of, and the box around it; None: the person, or too few joints.

    So are those of data sets of faces or of hands.
    """
    labelled = keypoints[:, 2] > 0
    if labelled[list(skeleton.parts["body"])].any():  # as nearly everybody's: no box of a part is needed
        return None
    for part, box in part_boxes(keypoints, skeleton).items():
        if labelled[_joints_of(skeleton, part)].sum() == labelled.sum():
            return part, box
    return None


def _joints_of(skeleton: Skeleton, part: str) -> list[int]:
    if not part.endswith("_hand"):
        return list(skeleton.parts[part])
    side = part.removesuffix("_hand")
    return [i for i in skeleton.parts["hands"] if skeleton.side(skeleton.joints[i]) == side]
