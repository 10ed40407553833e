"""What PoseTrack's official evaluation, poseval, takes for granted: names, order, thresholds.

The evaluation here gives poseval's numbers. Its habits are the protocol, also where one would have
done otherwise; each is described where it is followed, with what it means for the number:

* which frames and people count, and what ignore regions remove: ``posetrack.people``;
* distances, and which prediction is whose: ``posetrack.matching``;
* average precision: ``posetrack.average_precision``;
* MOT, its placeholders, the frame it leaves out and its doubled MOTP: ``posetrack.mot``.

Reference: github.com/leonid-pishchulin/poseval, commit 4258a15 (October 2020), with motmetrics 1.4.
"""

from __future__ import annotations

import numpy as np

from fastpose_mtn.data.posetrack.sequence import POSETRACK17_JOINTS
from fastpose_mtn.skeletons import POSETRACK15

# poseval says neck where the annotation says head_bottom.
JOINT_NAMES = tuple("neck" if joint == "head_bottom" else joint for joint in POSETRACK17_JOINTS)
NUM_JOINTS = len(JOINT_NAMES)
NAMES_AND_TOTAL = (*JOINT_NAMES, "total")

# POSETRACK15's columns in poseval's order: ``keypoints[:, POSEVAL_ORDER]``.
POSEVAL_ORDER = np.array([POSETRACK15.index(joint) for joint in POSETRACK17_JOINTS])

# A joint is right within this share of the head's size (PCKh 0.5).
DISTANCE_THRESHOLD = 0.5
# The head's size is this share of its box's diagonal, MPII's correction of generous head boxes.
HEAD_SIZE_OF_DIAGONAL = 0.6
# The score of a predicted joint that has none: below any real one, and equal for all such joints.
FALLBACK_SCORE = -9999.0
# A predicted person's box is right at this overlap. Not poseval's, which knows no boxes: MOTChallenge's.
IOU_THRESHOLD = 0.5

# The columns of poseval's tables; "Head" is the mean of three joints.
TABLE_GROUPS: dict[str, tuple[str, ...]] = {
    "Head": ("head_top", "neck", "nose"),
    "Shou": ("right_shoulder", "left_shoulder"),
    "Elb": ("right_elbow", "left_elbow"),
    "Wri": ("right_wrist", "left_wrist"),
    "Hip": ("right_hip", "left_hip"),
    "Knee": ("right_knee", "left_knee"),
    "Ankl": ("right_ankle", "left_ankle"),
}


def mean_of_numbers(values: np.ndarray) -> float:
    """The mean without NaN, as poseval averages over joints; NaN if nothing is left.

    A joint that is nowhere labelled drops out of the mean, rather than counting as 0.
    """
    numbers = values[~np.isnan(values)]
    return float(numbers.mean()) if len(numbers) else float("nan")


def with_total(values: np.ndarray) -> np.ndarray:
    """(15,) figures of the joints and, as the 16th, their mean."""
    return np.append(values, mean_of_numbers(values))
