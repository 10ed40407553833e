"""Pose NMS: of detections with the same pose, which are one person found twice, the best alone is kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastpose_mtn.config import CfgNode
from fastpose_mtn.ops.overlap import iou_matrix
from fastpose_mtn.skeletons import Skeleton, get_skeleton
from fastpose_mtn.structures import PersonDetections

_MIN_IOU = 0.1  # detections whose boxes overlap less cannot have many joints in common


def pose_nms(
    boxes_xyxy: np.ndarray, scores: np.ndarray, keypoints: np.ndarray, *, reach: float, share: float
) -> np.ndarray:
    """Which detections are kept, (N,) bool.

    Two overlapping boxes are two people, one of them occluded, or one person found twice: their overlap does not
    tell, their joints do. Greedy suppression by pose, best score first, as pose estimators do it (AlphaPose's pose
    NMS, MMPose's OKS NMS): a detection is suppressed by better ones alone, so that leaving out all below a score, before
    or afterwards, is the same. Applied again it changes nothing.

    Args:
        boxes_xyxy: (N, 4) float32, pixels.
        scores: (N,); of equal ones the first counts as the best.
        keypoints: (N, K, 3) x, y in pixels and confidence; hidden joints count too. Without joints all are kept.
        reach: joints nearer to each other than this, in heights of the higher box, coincide.
        share: with more than this share of their joints coinciding, two detections are one person.
    """
    order = np.argsort(-scores, kind="stable")
    kept = np.ones(len(order), bool)
    if len(order) < 2 or keypoints.shape[1] == 0:
        return kept
    boxes, joints = boxes_xyxy[order], keypoints[order, :, :2]
    overlap = iou_matrix(boxes, boxes) > _MIN_IOU
    better, worse = np.nonzero(np.triu(overlap, 1))
    height = boxes[:, 3] - boxes[:, 1]
    offset = joints[better] - joints[worse]
    near = (
        np.hypot(offset[..., 0], offset[..., 1]) < reach * np.maximum(height[better], height[worse])[:, None]
    )
    same = np.zeros(overlap.shape, bool)
    same[better, worse] = near.mean(axis=1) > share
    for person in np.flatnonzero(same.any(axis=1)):
        if kept[person]:  # who is suppressed suppresses nobody
            kept[same[person]] = False
    mask = np.empty_like(kept)
    mask[order] = kept
    return mask


@dataclass(frozen=True)
class PoseNMS:
    """``pose_nms`` of a frame's people, by the keys of ``TEST.POSE_NMS``.

    Attributes:
        skeleton: of the people; joints of its body count. A face has more of them, and would outvote it.
        reach: heights of the higher box, above 0.
        share: of the joints, from 0 to less than 1.

    Raises:
        ValueError: a value is out of range.
    """

    skeleton: Skeleton
    reach: float = 0.08
    share: float = 1.0 / 3.0

    def __post_init__(self) -> None:
        if not self.reach > 0.0:
            raise ValueError(f"TEST.POSE_NMS.REACH: expected heights above 0, got {self.reach}")
        if not 0.0 <= self.share < 1.0:
            raise ValueError(f"TEST.POSE_NMS.SHARE: expected a share from 0 to below 1, got {self.share}")

    @classmethod
    def from_config(cls, cfg: CfgNode, skeleton: Skeleton | None = None) -> PoseNMS | None:
        """The pose NMS that ``TEST.POSE_NMS`` describes; None where it is off.

        Args:
            cfg: the configuration.
            skeleton: of the people; None: ``MODEL.SKELETON``.
        """
        c = cfg.TEST.POSE_NMS
        made = cls(skeleton or get_skeleton(cfg.MODEL.SKELETON), reach=c.REACH, share=c.SHARE)
        return made if c.ENABLED else None

    def __call__(self, people: PersonDetections) -> PersonDetections:
        """The people (NumPy) who are kept, in their order."""
        keypoints = people.keypoints
        if keypoints.shape[1]:  # else of a network that finds boxes only
            keypoints = keypoints[:, list(self.skeleton.parts["body"])]
        kept = pose_nms(people.boxes, people.scores, keypoints, reach=self.reach, share=self.share)
        return people if kept.all() else people[kept]
