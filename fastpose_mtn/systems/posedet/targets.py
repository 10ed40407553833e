"""Which cells learn what of which person (section 3.2): pure functions of one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from fastpose_mtn.config import CfgNode
from fastpose_mtn.ops.oks import AREA_PER_BOX, object_keypoint_similarity
from fastpose_mtn.structures import PersonTargets
from fastpose_mtn.systems.posedet.grid import Grid

_LEAST_SIZE = 1e-6  # pixels, of a person all of whose joints lie in one place
_TOGETHER = 32  # people compared with all cells at once: what 500 would take is gigabytes


@dataclass(frozen=True)
class Rules:
    """How cells are given to people; see ``MODEL.POSEDET``'s keys of the same names.

    Raises:
        ValueError: a value is out of range.
    """

    sigmas: Sequence[float]
    centroid: str = "keypoints"
    pos_num: int = 1
    min_joints: int = 3
    oks_refine: float = 0.7
    oks_refine_low: float = 0.52
    oks_positive: float = 0.6
    oks_negative: float = 0.5
    cls_seeds: bool = False

    def __post_init__(self) -> None:
        if self.centroid not in ("keypoints", "box"):
            raise ValueError(f"MODEL.POSEDET.CENTROID: expected keypoints or box, got {self.centroid!r}")
        for key in ("pos_num", "min_joints"):
            if getattr(self, key) < 1:
                raise ValueError(f"MODEL.POSEDET.{key.upper()}: expected 1 or more, got {getattr(self, key)}")
        if not 0 <= self.oks_negative <= self.oks_positive <= 1:
            raise ValueError(
                f"MODEL.POSEDET.OKS_NEGATIVE and OKS_POSITIVE: expected 0 <= negative <= positive <= 1, got "
                f"{self.oks_negative} and {self.oks_positive}"
            )

    @classmethod
    def from_config(cls, cfg: CfgNode, sigmas: Sequence[float]) -> Rules:
        """The rules of ``MODEL.POSEDET``, for joints with these constants of OKS."""
        c = cfg.MODEL.POSEDET
        return cls(
            sigmas,
            centroid=c.CENTROID,
            pos_num=c.POS_NUM,
            min_joints=min(c.MIN_JOINTS, len(sigmas)),
            oks_refine=c.OKS_REFINE,
            oks_refine_low=c.OKS_REFINE_LOW,
            oks_positive=c.OKS_POSITIVE,
            oks_negative=c.OKS_NEGATIVE,
            cls_seeds=c.CLS_SEEDS,
        )


class Assignment(NamedTuple):
    """What each of P cells learns; numbers are those of the image's people, -1: of nobody.

    Attributes:
        seeds: (P,) int64, whose place it is.
        refined: (P,) int64, whose pose it refines.
        positive: (P,) int64: 1 a positive example of a person, 0 a negative one, -1 neither.
        posed: (G,) bool, the people with a pose to learn.
    """

    seeds: Tensor
    refined: Tensor
    positive: Tensor
    posed: Tensor


def places(target: PersonTargets, posed: Tensor, centroid: str) -> tuple[Tensor, Tensor]:
    """Where people are looked for, and how large they are.

    Args:
        target: the people.
        posed: (G,) bool: those whose joints say it; of the others the boxes do.
        centroid: keypoints (the joints' mean) or box (the middle of their extent).

    Returns:
        (G, 2) x and y and (G, 2) width and height, pixels.
    """
    xy, labelled = target.keypoints[..., :2], target.keypoints[..., 2:] > 0
    low = torch.where(labelled, xy, torch.inf).amin(dim=1)
    high = torch.where(labelled, xy, -torch.inf).amax(dim=1)
    if centroid == "keypoints":
        centre = torch.where(labelled, xy, 0.0).sum(dim=1) / labelled.sum(dim=1).clamp(min=1)
    else:
        centre = (low + high) / 2
    corners = target.boxes.unflatten(1, (2, 2))
    size = torch.where(posed[:, None], high - low, corners[:, 1] - corners[:, 0])
    return torch.where(posed[:, None], centre, corners.mean(dim=1)), size.clamp(min=_LEAST_SIZE)


def assign_seeds(grid: Grid, centre: Tensor, size_wh: Tensor, count: int) -> Tensor:
    """Gives the cells nearest to each person's centre, at the level of their size, to that person.

    A person whose sqrt(wh) is below 64 pixels is of stride 8, below 128 of 16, and so on to the coarsest. A cell that is
    near two people goes to the nearer one, distances being in widths and heights of each.

    Args:
        grid: P cells.
        centre: (G, 2), see ``places``; at infinity: nobody.
        size_wh: (G, 2), see there.
        count: cells a person.

    Returns:
        (P,) int64, the person or -1.
    """
    nobody = torch.full_like(grid.first, -1)
    if len(centre) == 0:
        return nobody
    strides = grid.strides.log2()
    level = ((size_wh / 4).log2().sum(dim=1) / 2).floor().clamp(strides.min(), strides.max())
    offset = (grid.xy[:, None] - centre) / size_wh
    distance = torch.where(strides[:, None] == level, offset.square().sum(dim=-1), torch.inf)
    nearest, cells = distance.topk(min(count, len(distance)), dim=0, largest=False)
    chosen = torch.full_like(distance, torch.inf).scatter(0, cells, nearest)
    least, person = chosen.min(dim=1)
    return torch.where(least.isfinite(), person, nobody)


def similarities(poses: Tensor, target: PersonTargets, sigmas: Sequence[float]) -> Tensor:
    """(P, G) OKS of poses (P, K, 2) with everybody's labelled joints; a person's area is a share of the box's."""
    size = target.boxes[:, 2:] - target.boxes[:, :2]
    areas = AREA_PER_BOX * size.prod(dim=1)
    parts = [
        object_keypoint_similarity(poses, joints, area, sigmas)
        for joints, area in zip(target.keypoints.split(_TOGETHER), areas.split(_TOGETHER), strict=True)
    ]
    return torch.cat(parts, dim=1) if parts else poses.new_zeros(len(poses), 0)


@torch.no_grad()
def assign(
    grid: Grid, poses: Tensor, target: PersonTargets, tasks: frozenset[str], rules: Rules
) -> Assignment:
    """What each cell learns in this step.

    Where joints do not train, boxes say where a person's cells are, and nobody is a positive example. Where boxes do
    not train, not everybody is labelled, and no cell is an example of anything.

    Args:
        grid: P cells.
        poses: (P, K, 2) coarse poses, pixels.
        target: G people.
        tasks: that the image trains.
        rules: see there.
    """
    counted = ~target.ignore
    posed = counted & ((target.keypoints[..., 2] > 0).sum(dim=1) >= rules.min_joints)
    if "keypoints" not in tasks:
        posed = torch.zeros_like(posed)
    centre, size = places(target, posed, rules.centroid)
    known, boxed = (
        assign_seeds(grid, torch.where(people[:, None], centre, torch.inf), size, rules.pos_num)
        for people in (posed, counted & ~posed)
    )
    # a cell that a pose is learned at is not lost to somebody of whom no pose is known
    seeds = torch.where(known >= 0, known, boxed)
    refined, positive = torch.full_like(seeds, -1), torch.zeros_like(seeds)
    if posed.any():
        oks = torch.where(posed, similarities(poses, target, rules.sigmas), -1.0)
        best, person = oks.max(dim=1)
        most, cell = oks.max(dim=0)
        refined = torch.where(best >= rules.oks_refine, person, refined)
        low = most >= rules.oks_refine_low
        refined[cell[low]] = torch.nonzero(low)[:, 0]
        positive[best >= rules.oks_negative] = -1
        positive[best >= rules.oks_positive] = 1
        if rules.cls_seeds:
            cold = posed & (most < rules.oks_positive)
            positive[(seeds >= 0) & cold[seeds]] = 1
    if "boxes" not in tasks:
        positive = torch.full_like(positive, -1)
    elif not posed.all():
        at = poses.mean(dim=1)
        unknown = target.boxes[~posed]
        inside = (at[:, None] >= unknown[:, :2]) & (at[:, None] < unknown[:, 2:])
        positive[inside.all(dim=-1).any(dim=1) & (positive == 0)] = -1
    return Assignment(seeds, refined, positive, posed)
