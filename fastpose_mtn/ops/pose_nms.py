"""Pose NMS: of detections with the same pose, which are one person found twice, the best alone is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from fastpose_mtn.config import CfgNode
from fastpose_mtn.ops.overlap import iou_matrix
from fastpose_mtn.ops.pose_similarity import (
    RELEASED,
    RELEASED_WHOLE,
    PoseParameters,
    alike_by_oks,
    clusters,
    merge_poses,
    parametric_similarity,
    released_similarity,
    released_whole_similarity,
)
from fastpose_mtn.skeletons import Skeleton, get_skeleton
from fastpose_mtn.structures import PersonDetections

KINDS = ("joints", "parametric", "released", "oks")
_PART_WEIGHTS = {"body": 1.0, "foot": 1.0, "face": 0.5, "hands": 0.25}  # of parametric
_PARAMETERS = PoseParameters()  # to begin with
_LEAST_EXTENT = 32.0**2  # square pixels of a pose, for OKS-NMS (PoseDet's code)
# poses that are compared with all others at once, at first, when many of the others go, and at most
_TOGETHER = (16, 64)
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


def oks_nms(
    keypoints: np.ndarray,
    scores: np.ndarray,
    sigmas: np.ndarray,
    *,
    threshold: float,
    count: int | None = None,
) -> np.ndarray:
    """Numbers of the poses that PoseDet's OKS-NMS keeps, best first: greedy, each against those kept before it.

    Its OKS is stricter than COCO's: all joints count, and the area is the mean of both poses' extents, 32 pixels squared at
    least, without COCO's factor of 2, so that thresholds are low. It is computed for those pairs alone whose extents are
    near enough to each other to reach the threshold: the time grows with people, not with candidates squared.

    Args:
        keypoints: (N, K, >=2) x and y, pixels.
        scores: (N,); of equal ones the first counts as the best.
        sigmas: (K,) constants of OKS.
        threshold: similarity above which the lower-scored pose is left out.
        count: how many are kept at most; None: any number.
    """
    order = np.argsort(-scores, kind="stable")
    xy = keypoints[order, :, :2].astype(np.float32)
    low, high = xy.min(axis=1), xy.max(axis=1)
    extent = np.maximum((high - low).prod(axis=1), _LEAST_EXTENT)
    variance = ((2 * sigmas) ** 2).astype(np.float32)
    # no joint is nearer to the other pose's than the extents are: further apart than this, squared, a unit of area
    reach = -np.log(max(threshold, 1e-30)) * variance.max() * 1.001 if threshold > 0 else np.inf

    def same(better: np.ndarray, others: np.ndarray) -> np.ndarray:
        area = (extent[better, None] + extent[others]) / 2
        gap = np.maximum(low[others] - high[better, None], low[better, None] - high[others]).clip(min=0)
        found = (np.square(gap).sum(axis=-1) <= reach * area) & (others > better[:, None])
        first, second = found.nonzero()
        square = ((xy[others[second]] - xy[better[first]]) ** 2).sum(axis=-1)
        similarity = np.exp(-square / (variance * area[first, second, None])).mean(axis=1)
        found[first, second] = similarity > threshold
        return found

    return order[_greedy(len(order), same, count)]


def extent_nms(
    keypoints: np.ndarray, scores: np.ndarray, *, threshold: float, count: int | None = None
) -> np.ndarray:
    """Numbers of the poses (N, K, >=2) whose extents overlap no better one's by more than ``threshold``, best first."""
    order = np.argsort(-scores, kind="stable")
    xy = keypoints[order, :, :2].astype(np.float32)
    boxes = np.concatenate((xy.min(axis=1), xy.max(axis=1)), axis=1)

    def same(better: np.ndarray, others: np.ndarray) -> np.ndarray:
        overlap: np.ndarray = iou_matrix(boxes[better], boxes[others])
        return (overlap > threshold) & (others > better[:, None])

    return order[_greedy(len(order), same, count)]


def _greedy(total: int, same: Callable[[np.ndarray, np.ndarray], np.ndarray], count: int | None) -> list[int]:
    """Who is kept of ``total``, in order.

    Args:
        total: how many there are, best first.
        same: of some (B,) and of others (M,) says which (B, M) of the others come later and are the former's person.
        count: how many are kept at most; None: any number.
    """
    free = np.arange(total)
    kept: list[int] = []
    together = _TOGETHER[0]
    while len(free) and (count is None or len(kept) < count):
        some, others = free[:together], free[together:]
        found, left = same(some, free), np.ones(len(free), bool)
        for row in np.flatnonzero(found.any(axis=1)):
            if left[row]:  # who is suppressed suppresses nobody
                left &= ~found[row]
        kept += some[left[: len(some)]].tolist()
        free = others[left[len(some) :]]
        together = min(2 * together, _TOGETHER[1])
    return kept[:count]


def parametric_order(people: PersonDetections) -> np.ndarray:
    """(N,) numbers of the people in ``parametric``'s order: by their scores, of equal ones by their joints' confidences.

    The released code goes by the joints' confidences alone. Then a pose of a lower score, which a tracker may never ask for,
    takes the place of a better one.
    """
    return np.lexsort((-_mean_confidences(people), -people.scores))


def _mean_confidences(people: PersonDetections) -> np.ndarray:
    mean: np.ndarray = people.keypoints[..., 2].mean(axis=1)
    return mean


def joint_weights(skeleton: Skeleton) -> np.ndarray:
    """(K,) of the joints in ``parametric``, summing to 1: the parts' means weigh, not the numbers of their joints."""
    weights = np.zeros(len(skeleton))
    for part, joints in skeleton.parts.items():
        weights[list(joints)] = _PART_WEIGHTS[part] / max(1, len(joints))
    return weights / weights.sum()


@dataclass(frozen=True)
class PoseNMS:
    """Leaves out people found twice in a frame, by the keys of ``TEST.POSE_NMS``.

    Attributes:
        skeleton: of the people. The joints of its body count, a face's many would outvote them; ``parametric`` weighs
            the parts, and ``released`` knows parts of whole bodies alone, those with faces and hands.
        kind: joints: ``pose_nms``; parametric: AlphaPose's, where what is left out moves what stays;
            released: its code's variant, in pixels; oks: at and above a similarity of OKS.
        reach: of joints: heights of the higher box, above 0.
        share: of joints: of the joints, from 0 to less than 1.
        oks: of oks: above 0, at most 1.
        parameters: of parametric.
        merge: of parametric and released: joints of the same person are averaged.
        floor: of parametric and released: people whose surest joint is less sure are left out.

    Raises:
        ValueError: a value is out of range.
    """

    skeleton: Skeleton
    reach: float = 0.08
    share: float = 1.0 / 3.0
    kind: str = "joints"
    oks: float = 0.9
    parameters: PoseParameters = _PARAMETERS
    merge: bool = True
    floor: float = 0.05

    def __post_init__(self) -> None:
        if not self.reach > 0.0:
            raise ValueError(f"TEST.POSE_NMS.REACH: expected heights above 0, got {self.reach}")
        if not 0.0 <= self.share < 1.0:
            raise ValueError(f"TEST.POSE_NMS.SHARE: expected a share from 0 to below 1, got {self.share}")
        if self.kind not in KINDS:
            raise ValueError(f"TEST.POSE_NMS.KIND: expected one of {', '.join(KINDS)}, got {self.kind!r}")
        if not 0.0 < self.oks <= 1.0:
            raise ValueError(f"TEST.POSE_NMS.OKS: expected a similarity above 0, at most 1, got {self.oks}")
        if not min(self.parameters.sigma1, self.parameters.sigma2) > 0:
            raise ValueError(
                f"TEST.POSE_NMS.SIGMA1 and SIGMA2: expected numbers above 0, got {self.parameters.sigma1} and "
                f"{self.parameters.sigma2}"
            )

    @classmethod
    def from_config(cls, cfg: CfgNode, skeleton: Skeleton | None = None) -> PoseNMS | None:
        """The pose NMS that ``TEST.POSE_NMS`` describes; None where it is off.

        Args:
            cfg: the configuration.
            skeleton: of the people; None: ``MODEL.SKELETON``.
        """
        c = cfg.TEST.POSE_NMS
        made = cls(
            skeleton or get_skeleton(cfg.MODEL.SKELETON),
            reach=c.REACH,
            share=c.SHARE,
            kind=c.KIND,
            oks=c.OKS,
            parameters=PoseParameters(c.SIGMA1, c.SIGMA2, c.LAMBDA, c.ETA),
            merge=c.MERGE,
            floor=c.FLOOR,
        )
        return made if c.ENABLED else None

    def __call__(self, people: PersonDetections) -> PersonDetections:
        """The people (NumPy) who are kept, in their order."""
        if len(people) == 0 or people.keypoints.shape[1] == 0:  # of a network that finds boxes only
            return people
        if self.kind in ("parametric", "released"):
            return self._by_pose(people)
        body = list(self.skeleton.parts["body"])
        keypoints = people.keypoints[:, body]
        if self.kind == "joints":
            kept = pose_nms(people.boxes, people.scores, keypoints, reach=self.reach, share=self.share)
        else:
            order = np.argsort(-people.scores, kind="stable")
            sigmas = np.array(self.skeleton.sigmas)[body]
            same = alike_by_oks(people.boxes[order], keypoints[order], sigmas, self.oks)
            kept = np.zeros(len(people), bool)
            kept[order[[group[0] for group in clusters(same)]]] = True
        return people if kept.all() else people[kept]

    def _by_pose(self, people: PersonDetections) -> PersonDetections:
        """The best of each group of like poses; its box and its score stay its own."""
        released = self.kind == "released"
        order = (
            np.argsort(-_mean_confidences(people), kind="stable") if released else parametric_order(people)
        )
        boxes, poses = people.boxes[order].astype(np.float64), people.keypoints[order].astype(np.float64)
        parts = self.skeleton.parts
        whole = released and bool(parts["face"] and parts["hands"])
        if whole:
            similarity, many = released_whole_similarity(boxes, poses, parts, self.floor)
            same = (similarity >= RELEASED_WHOLE.threshold) | many
        elif released:
            similarity, many = released_similarity(boxes, poses)
            same = (similarity >= RELEASED.threshold) | many
        else:
            similarity = parametric_similarity(boxes, poses, joint_weights(self.skeleton), self.parameters)
            same = similarity >= self.parameters.threshold
        keypoints, kept = people.keypoints.copy(), np.zeros(len(people), bool)
        for group in clusters(same):
            leader = order[group[0]]
            if poses[group[0], :, 2].max() < self.floor:
                continue
            kept[leader] = True
            if self.merge and len(group) > 1:
                longer = (boxes[group[0], 2:] - boxes[group[0], :2]).max()
                keypoints[leader] = merge_poses(poses[group], (0.15 if whole else 0.1) * longer)
        return replace(people, keypoints=keypoints)[kept]
