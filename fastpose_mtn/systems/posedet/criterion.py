"""What PoseDet's candidates should be in a training step, and by how much they are not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fastpose_mtn.config import CfgNode
from fastpose_mtn.structures import PersonTargets
from fastpose_mtn.systems.posedet import losses as terms
from fastpose_mtn.systems.posedet.grid import cell_poses
from fastpose_mtn.systems.posedet.head import Candidates, PoseDetHead, Refined
from fastpose_mtn.systems.posedet.start import ColdStart
from fastpose_mtn.systems.posedet.targets import Rules, assign

# examples an image whose scores' correction is learned: about as many as are looked at in a crowd
_CORRECTED = 128


class LossSettings(NamedTuple):
    """Weights and forms of the losses; see ``MODEL.POSEDET``'s keys of the same names."""

    coarse_weight: float = 0.1
    fine_weight: float = 0.2
    cls_weight: float = 1.0
    heatmap_weight: float = 0.1
    heatmap_loss: str = "focal"
    heatmap_sigma: float = 2.0
    visibility_weight: float = 0.1
    box_weight: float = 0.1
    box_loss: str = "distance"
    base_scale: float = 4.0

    @classmethod
    def from_config(cls, cfg: CfgNode) -> LossSettings:
        """The settings of ``MODEL.POSEDET``.

        Raises:
            ValueError: there is no such loss of heatmaps or boxes, or a number is out of range.
        """
        c = cfg.MODEL.POSEDET
        for key, known in (("HEATMAP_LOSS", ("focal", "l2")), ("BOX_LOSS", ("distance", "giou"))):
            if c[key] not in known:
                raise ValueError(f"MODEL.POSEDET.{key}: expected {' or '.join(known)}, got {c[key]!r}")
        settings = cls(**{name: c[name.upper()] for name in cls._fields})
        for name, value in settings._asdict().items():
            if name.endswith("_weight") and not value >= 0:
                raise ValueError(f"MODEL.POSEDET.{name.upper()}: expected 0 or more, got {value}")
            if name in ("base_scale", "heatmap_sigma") and not value > 0:
                raise ValueError(f"MODEL.POSEDET.{name.upper()}: expected a number above 0, got {value}")
        return settings


class Learned(NamedTuple):
    """The cells of images that learn something of a person, and that person.

    Attributes:
        image: (N,) int64, whose cell it is.
        cell: (N,) int64, its number in the grid.
        keypoints: (N, K, 3), boxes: (N, 4), identities: (N,): of the person.
        refined: (N,) bool: the pose, and joints' visibility.
        boxed: (N,) bool: the box.
        described: (N,) bool: the identity.
    """

    image: Tensor
    cell: Tensor
    keypoints: Tensor
    boxes: Tensor
    identities: Tensor
    refined: Tensor
    boxed: Tensor
    described: Tensor


def _join(parts: Sequence[Learned]) -> Learned:
    return Learned(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


class Criterion:
    """All losses of a step, by one computation over all images' cells.

    Args:
        rules: which cells learn what.
        settings: of the losses.
        start: watches the training's beginning.
    """

    def __init__(self, *, rules: Rules, settings: LossSettings, start: ColdStart) -> None:
        self._rules, self._settings, self._start = rules, settings, start

    def __call__(
        self,
        head: PoseDetHead,
        candidates: Candidates,
        targets: Sequence[PersonTargets],
        tasks: Sequence[frozenset[str]],
    ) -> dict[str, Tensor]:
        """The weighted losses, by the names of ``PoseDet.loss_tasks``.

        Args:
            head: that gave the candidates.
            candidates: of B images.
            targets: of each, on their device.
            tasks: that each trains.

        Raises:
            InputError: the training does not begin, see ``start.ColdStart``.
        """
        grid = candidates.grid
        seeds, owned, labels = [], [], []
        for image, (target, trains) in enumerate(zip(targets, tasks, strict=True)):
            poses = cell_poses(candidates.coarse[image].detach(), grid)
            given = assign(grid, poses, target, trains, self._rules)
            nobody = torch.full_like(given.seeds, -1)
            posed = (given.seeds >= 0) & _of(given.posed, given.seeds)
            seeds.append(
                _learned(image, torch.where(posed, given.seeds, nobody), target, trains, given.seeds)
            )
            # who is refined learns a box and an identity too, and so does a place of a person whose pose nobody knows
            refined = given.refined >= 0
            owner = torch.where(refined, given.refined, given.seeds)
            owned.append(_learned(image, owner, target, trains, given.refined, unposed=~refined & ~posed))
            labels.append(given.positive)
        label = torch.stack(labels)
        positives = (label == 1).sum(dim=1)
        coarse, people = _join(seeds), _join(owned)
        self._start.count(
            coarse=len(coarse.cell), refined=int(people.refined.sum()), positives=positives.sum()
        )
        focal = terms.classification(candidates.logits, label) / positives.clamp(min=1).sum()
        if head.correction is not None:
            focal = focal + _corrected(head, candidates, label)
        found = {"loss_cls": self._settings.cls_weight * focal}
        found["loss_coarse"] = self._coarse_loss(candidates, coarse, [len(part.cell) for part in seeds])
        fitted = head.refine(candidates, head.choose(candidates, people.image, people.cell))
        unit = self._settings.base_scale * grid.strides[people.cell]
        found |= self._refined_losses(head, fitted, people, unit, [int(p.refined.sum()) for p in owned])
        if head.identity is not None:
            known = people.described
            vectors = head.describe(candidates, people.image[known], fitted.poses[known])
            assert vectors is not None
            reid, some = head.identity.reid, len(vectors) > 0
            found |= reid.losses(vectors, people.identities[known]) if some else reid.no_losses()
        if candidates.heatmaps is not None:
            found["loss_heatmap"] = self._heatmap_loss(head.strides, candidates.heatmaps, targets, tasks)
        return found

    def _coarse_loss(self, candidates: Candidates, cells: Learned, counts: Sequence[int]) -> Tensor:
        grid = candidates.grid.at(cells.cell)
        poses = cell_poses(candidates.coarse[cells.image, cells.cell], grid)
        distance = terms.pose_distance(poses, cells.keypoints, self._settings.base_scale * grid.strides)
        return self._settings.coarse_weight * distance / sum(max(1, count) for count in counts)

    def _refined_losses(
        self, head: PoseDetHead, given: Refined, cells: Learned, unit: Tensor, counts: Sequence[int]
    ) -> dict[str, Tensor]:
        settings, found = self._settings, {}
        chosen, joints = cells.refined, cells.keypoints[cells.refined]
        if head.fine is not None:
            distance = terms.pose_distance(given.poses[chosen], joints, unit[chosen])
            found["loss_fine"] = settings.fine_weight * distance / sum(max(1, count) for count in counts)
        seen = terms.visibility(given.visibility[chosen], joints)
        found["loss_visibility"] = settings.visibility_weight * seen
        if head.box is not None:
            boxes, wanted = given.boxes[cells.boxed], cells.boxes[cells.boxed]
            if settings.box_loss == "giou":
                loss = terms.box_overlap(boxes, wanted)
            else:
                loss = terms.box_distance(boxes, wanted, unit[cells.boxed])
            found["loss_box_reg"] = settings.box_weight * loss
        return found

    def _heatmap_loss(
        self,
        strides: Sequence[int],
        heatmaps: Sequence[Tensor],
        targets: Sequence[PersonTargets],
        tasks: Sequence[frozenset[str]],
    ) -> Tensor:
        settings, parts = self._settings, []
        trained = torch.tensor(["keypoints" in t for t in tasks], device=heatmaps[0].device)
        for logits, stride in zip(heatmaps, strides, strict=True):
            drawn = [
                terms.heatmap_targets(
                    target, (logits.shape[2], logits.shape[3]), stride,
                    sigma=settings.heatmap_sigma, everybody="boxes" in trains,
                )
                for target, trains in zip(targets, tasks, strict=True)
            ]  # fmt: skip
            maps, known = (torch.stack(tensors) for tensors in zip(*drawn, strict=True))
            known = known & trained[:, None, None, None]
            parts.append(terms.heatmaps(logits, maps, known, kind=settings.heatmap_loss))
        return settings.heatmap_weight * torch.stack(parts).mean()


def _corrected(head: PoseDetHead, candidates: Candidates, label: Tensor) -> Tensor:
    """The classification's loss of the best-scored examples, whose scores are corrected; (B, P) labels, -1 no example."""
    scores = torch.where(label >= 0, candidates.logits.detach(), -torch.inf)
    best, cell = scores.topk(min(_CORRECTED, scores.shape[1]), dim=1)
    image, place = torch.nonzero(best > -torch.inf).unbind(dim=1)
    cell = cell[image, place]
    logits = head.classify(candidates, head.choose(candidates, image, cell))
    chosen = label[image, cell]
    return terms.classification(logits, chosen) / (chosen == 1).sum().clamp(min=1)


def _of(values: Tensor, person: Tensor) -> Tensor:
    """Each cell's person's value (P,), of values (G,); anything for nobody's."""
    if len(values) == 0:
        return torch.zeros_like(person, dtype=values.dtype)
    return values[person.clamp(min=0)]


def _learned(
    image: int,
    owner: Tensor,
    target: PersonTargets,
    tasks: frozenset[str],
    refined: Tensor,
    unposed: Tensor | None = None,
) -> Learned:
    """The cells of one image that belong to people.

    Args:
        image: its number.
        owner: (P,) int64, each cell's person, or -1.
        target: the people.
        tasks: that the image trains.
        refined: (P,) the person whose pose a cell refines, or -1.
        unposed: (P,) bool: the person has no pose to learn.
    """
    cell = torch.nonzero(owner >= 0)[:, 0]
    person = owner[cell]
    refines = refined[cell] >= 0
    boxed = refines if unposed is None else refines | unposed[cell]
    identities = target.identities[person]
    return Learned(
        torch.full_like(cell, image),
        cell,
        target.keypoints[person],
        target.boxes[person],
        identities,
        refines,
        boxed & ("boxes" in tasks),
        (identities >= 0) & ("identities" in tasks),
    )
