"""Labelled images made by hand."""

import numpy as np

from fastpose_mtn.data.sample import TASKS, LabelledImage
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonTargets

LEFT_WRIST, RIGHT_WRIST = POSETRACK15.index("left_wrist"), POSETRACK15.index("right_wrist")


def labelled(image, boxes, keypoints=None, ignore=None):
    n = len(boxes)
    targets = PersonTargets(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        keypoints=np.zeros((n, 15, 3), np.float32) if keypoints is None else keypoints,
        identities=np.arange(n),
        ignore=np.zeros(n, bool) if ignore is None else np.array(ignore),
    )
    return LabelledImage(image, targets, TASKS, image_id=7, file_name="a.jpg")
