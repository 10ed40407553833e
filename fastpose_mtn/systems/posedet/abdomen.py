"""A further joint that PoseDet's code gives CrowdPose's people: the abdomen, amid shoulders and hips.

Its deformable convolutions had to have an odd number of points, and CrowdPose has 14 joints. Here any number will do; weights
that were trained so need it all the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import PersonTargets

_CORNERS = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
_LABELLED = 3  # of the corners, from which the abdomen is known


def corners_of(skeleton: Skeleton) -> tuple[int, ...]:
    """The joints that the abdomen lies amid.

    Raises:
        ValueError: the skeleton lacks one.
    """
    missing = [joint for joint in _CORNERS if not skeleton.has(joint)]
    if missing:
        raise ValueError(
            f"MODEL.POSEDET.ABDOMEN True: the abdomen lies amid shoulders and hips, and skeleton {skeleton.name} has no "
            f"{', '.join(missing)}; set it False"
        )
    return tuple(skeleton.index(joint) for joint in _CORNERS)


def with_abdomen(target: PersonTargets, corners: Sequence[int]) -> PersonTargets:
    """The same people (torch) with K + 1 joints: the last is the mean of the corners that are labelled, three or more.

    It is visible where three of them are.
    """
    amid = target.keypoints[:, list(corners)]
    labelled = amid[..., 2:] > 0
    known = labelled.sum(dim=1) >= _LABELLED
    mean = (amid[..., :2] * labelled).sum(dim=1) / labelled.sum(dim=1).clamp(min=1)
    seen = ((amid[..., 2] == 2).sum(dim=1, keepdim=True) >= _LABELLED).to(mean.dtype)
    joint = torch.where(known, torch.cat((mean, 1 + seen), dim=1), 0.0)
    return PersonTargets.unchecked(
        boxes=target.boxes,
        keypoints=torch.cat((target.keypoints, joint[:, None]), dim=1),
        identities=target.identities,
        ignore=target.ignore,
    )
