"""From candidates to people: the best are refined, and of those with the same pose the best one is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import box_iou

from fastpose_mtn.config import CfgNode
from fastpose_mtn.errors import NOT_FINITE_REMEDY, InputError
from fastpose_mtn.ops.pose_nms import extent_nms, oks_nms
from fastpose_mtn.skeletons import get_skeleton
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.systems.posedet.grid import cell_poses
from fastpose_mtn.systems.posedet.head import Candidates, PoseDetHead

_TINY = 1e-6  # of a distance beside a similarity


def joint_constants(cfg: CfgNode) -> tuple[float, ...]:
    """The joints' constants of OKS: ``TEST.KEYPOINT_OKS_SIGMAS``, or the skeleton's.

    Raises:
        ValueError: there are not as many as joints.
    """
    skeleton = get_skeleton(cfg.MODEL.SKELETON)
    sigmas = tuple(cfg.TEST.KEYPOINT_OKS_SIGMAS or skeleton.sigmas)
    if len(sigmas) != len(skeleton):
        raise ValueError(
            f"TEST.KEYPOINT_OKS_SIGMAS: expected {len(skeleton)} numbers, one a joint of {skeleton.name}, got {len(sigmas)}"
        )
    return sigmas


@dataclass(frozen=True)
class Selection:
    """Which candidates are people; see ``MODEL.POSEDET``'s keys of the same names.

    Attributes:
        num_joints: K, the first of the network's joints, which are reported; None: all.

    Raises:
        ValueError: a value is out of range.
    """

    score_thresh: float = 0.05
    nms_topk: int = 500
    score: str = "cls"
    peaks: bool = False
    num_joints: int | None = None

    def __post_init__(self) -> None:
        if self.score not in ("cls", "visible"):
            raise ValueError(f"MODEL.POSEDET.SCORE: expected cls or visible, got {self.score!r}")
        if not 0 <= self.score_thresh <= 1:
            raise ValueError(f"MODEL.POSEDET.SCORE_THRESH: expected 0 to 1, got {self.score_thresh}")
        if self.nms_topk < 1:
            raise ValueError(f"MODEL.POSEDET.NMS_TOPK: expected 1 or more, got {self.nms_topk}")

    @classmethod
    def from_config(cls, cfg: CfgNode) -> Selection:
        """The selection of ``MODEL.POSEDET``."""
        c = cfg.MODEL.POSEDET
        count = len(get_skeleton(cfg.MODEL.SKELETON)) if c.ABDOMEN else None
        return cls(c.SCORE_THRESH, c.NMS_TOPK, c.SCORE, c.PEAKS, count)

    def __call__(
        self,
        head: PoseDetHead,
        candidates: Candidates,
        sizes_hw: Sequence[tuple[int, int]],
        min_score: float = 0.0,
    ) -> list[PersonDetections]:
        """Each image's best candidates as people, in any order, NumPy, in one transfer from the device.

        Args:
            head: that gave the candidates.
            candidates: of B images.
            sizes_hw: of the images, without what they are padded by.
            min_score: who scores less may be left out.

        Raises:
            InputError: scores or poses are not finite.
        """
        sizes = torch.tensor(sizes_hw, dtype=torch.float32, device=candidates.logits.device)
        scores = self.scores(candidates, sizes)
        score, cell = scores.topk(min(self.nms_topk, scores.shape[1]), dim=1)
        image, place = torch.nonzero(score >= self.least(head, min_score)).unbind(dim=1)
        people = list(self.describe(head, candidates, image, cell[image, place], sizes[image]))
        # a score that is no number is the first of its image, and below every threshold
        _check_finite(score[:, 0], *(value for value in people if value is not None))
        if head.correction is not None:
            scored = people[1]
            assert scored is not None
            likely = scored >= max(self.score_thresh, min_score)
            image, people = image[likely], [None if value is None else value[likely] for value in people]
        arrays = [None if value is None else value.float().cpu().numpy() for value in people]
        of = image.cpu().numpy()
        boxes, score_of, keypoints, vectors = arrays
        assert boxes is not None
        assert score_of is not None
        assert keypoints is not None
        return [
            PersonDetections(
                boxes=boxes[of == number],
                scores=score_of[of == number],
                keypoints=keypoints[of == number],
                embeddings=None if vectors is None else vectors[of == number],
            )
            for number in range(len(sizes_hw))
        ]

    def locate(
        self,
        head: PoseDetHead,
        candidates: Candidates,
        boxes_xyxy: Tensor,
        scores: Tensor,
        size_hw: tuple[int, int],
    ) -> PersonDetections:
        """The people in given boxes of one image, in their order, NumPy: for each the candidate that looks most like one there.

        Args:
            head: that gave the candidates.
            candidates: of the image.
            boxes_xyxy: (N, 4), reported as they are.
            scores: (N,) of the boxes; a candidate's own is a factor on it.
            size_hw: of the image.
        """
        poses = cell_poses(candidates.coarse[0], candidates.grid)
        extents = torch.cat((poses.amin(dim=1), poses.amax(dim=1)), dim=1)
        own = candidates.logits[0].sigmoid()
        middle = boxes_xyxy.unflatten(1, (2, 2)).mean(dim=1)
        # where no pose is in a box, the cell nearest to its middle
        near = torch.cdist(candidates.grid.xy, middle) / (size_hw[0] + size_hw[1])
        cell = (box_iou(extents, boxes_xyxy) * own[:, None] - _TINY * near).argmax(dim=0)
        sizes = boxes_xyxy.new_tensor(size_hw).expand(len(cell), 2)
        _, score, keypoints, vectors = self.describe(head, candidates, torch.zeros_like(cell), cell, sizes)
        return PersonDetections(
            boxes=boxes_xyxy, scores=scores * score, keypoints=keypoints, embeddings=vectors
        ).numpy()

    def scores(self, candidates: Candidates, sizes_hw: Tensor) -> Tensor:
        """(B, P) of all cells, by which candidates are chosen; -1 outside images of these sizes (B, 2), and of no peaks."""
        inside = (candidates.grid.xy.flip(-1) < sizes_hw[:, None]).all(dim=-1)
        chosen = inside & candidates.peaks if self.peaks else inside
        return torch.where(chosen, candidates.logits.sigmoid(), -1.0)

    def least(self, head: PoseDetHead, min_score: float) -> float:
        """The score from which a cell is a candidate; one that is corrected later may still reach ``min_score``."""
        return self.score_thresh if head.correction is not None else max(self.score_thresh, min_score)

    def describe(
        self,
        head: PoseDetHead,
        candidates: Candidates,
        image: Tensor,
        cell: Tensor,
        sizes_hw: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Boxes (N, 4), scores (N,), keypoints (N, K, 3) and identity vectors of chosen cells.

        Args:
            head: that gave the candidates.
            candidates: of B images.
            image: (N,) int64, the number of each one's image.
            cell: (N,) int64.
            sizes_hw: (N, 2) float32, of each one's image, at whose borders people are cut.
        """
        chosen = head.choose(candidates, image, cell)
        refined = head.refine(candidates, chosen)
        limit = sizes_hw.flip(-1)  # x and y
        corners = torch.minimum(refined.boxes.unflatten(1, (2, 2)).clamp(min=0), limit[:, None])
        # a regressed margin may turn a box over
        boxes = torch.cat((corners.amin(dim=1), corners.amax(dim=1)), dim=1)
        poses = torch.minimum(refined.poses[:, : self.num_joints].clamp(min=0), limit[:, None])
        confidence = refined.visibility[:, : self.num_joints].sigmoid()
        score = head.classify(candidates, chosen).sigmoid()
        if self.score == "visible":
            score = score * confidence.mean(dim=1)
        keypoints = torch.cat((poses, confidence[..., None]), dim=-1)
        return boxes, score, keypoints, head.describe(candidates, image, refined.poses)


def _check_finite(*values: Tensor) -> None:
    finite = torch.stack([torch.isfinite(value).all() for value in values])  # a GPU is waited for once
    if not bool(finite.all()):
        raise InputError(
            f"PoseDet: expected finite scores and poses, got NaN or infinity; {NOT_FINITE_REMEDY}"
        )


@dataclass(frozen=True)
class Suppression:
    """Leaves out candidates that are a better one's person; see ``MODEL.POSEDET.NMS``.

    Attributes:
        sigmas: of the joints.
        kind: oks or iou.
        threshold: similarity above which two are one person.
        count: people an image at most.

    Raises:
        ValueError: a value is out of range.
    """

    sigmas: Sequence[float]
    kind: str = "oks"
    threshold: float = 0.2
    count: int = 100

    def __post_init__(self) -> None:
        if self.kind not in ("oks", "iou"):
            raise ValueError(f"MODEL.POSEDET.NMS: expected oks or iou, got {self.kind!r}")
        if not 0 <= self.threshold <= 1:
            raise ValueError(
                f"MODEL.POSEDET.NMS_THRESH: expected a similarity from 0 to 1, got {self.threshold}"
            )

    @classmethod
    def from_config(cls, cfg: CfgNode, sigmas: Sequence[float]) -> Suppression:
        """The suppression of ``MODEL.POSEDET``, of joints with these constants of OKS."""
        c = cfg.MODEL.POSEDET
        if cfg.TEST.DETECTIONS_PER_IMAGE < 1:
            raise InputError(
                f"TEST.DETECTIONS_PER_IMAGE: expected 1 or more, got {cfg.TEST.DETECTIONS_PER_IMAGE}"
            )
        return cls(tuple(sigmas), c.NMS, c.NMS_THRESH, cfg.TEST.DETECTIONS_PER_IMAGE)

    def __call__(self, people: PersonDetections) -> PersonDetections:
        """Those (NumPy) who are kept, best first."""
        if self.kind == "oks":
            kept = oks_nms(
                people.keypoints, people.scores, np.asarray(self.sigmas),
                threshold=self.threshold, count=self.count,
            )  # fmt: skip
        else:
            kept = extent_nms(people.keypoints, people.scores, threshold=self.threshold, count=self.count)
        return people[kept]
