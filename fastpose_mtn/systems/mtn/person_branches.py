"""The keypoint and identity branches, for both hosts: which proposals train them, and what they say of people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fastpose_mtn.modeling.pooler import RoIPooler
from fastpose_mtn.ops.matching import POSITIVE, match_boxes, sample_balanced
from fastpose_mtn.structures import PersonTargets
from fastpose_mtn.systems.mtn.keypoint_head import KeypointHead, KeypointPrediction
from fastpose_mtn.systems.mtn.reid_head import MTNReIDHead


class Samples(NamedTuple):
    """The proposals drawn for training, R over all images, each image's positives first.

    boxes_xyxy (R, 4); image (R,) int64; positive (R,) bool; person (R,) int64, the matched person's
    row in the concatenated targets (meaningless for negatives).
    """

    boxes_xyxy: Tensor
    image: Tensor
    positive: Tensor
    person: Tensor


class PersonBranches:
    """Mixin of RoI heads: sampling of proposals, and the keypoint and identity branches, the same under both hosts.

    Attributes:
        keypoint_pooler, keypoint_head: None: no joints.
        reid_pooler, reid_head: None: no identities.
        iou_thresholds, iou_labels: of proposals with people, as in Detectron2.
        batch_size_per_image, positive_fraction: proposals drawn for training.
        append_gt: the labelled boxes are proposals too.
    """

    keypoint_pooler: RoIPooler | None
    keypoint_head: KeypointHead | None
    reid_pooler: RoIPooler | None
    reid_head: MTNReIDHead | None
    iou_thresholds: list[float]
    iou_labels: list[int]
    batch_size_per_image: int
    positive_fraction: float
    append_gt: bool

    @torch.no_grad()
    def sample(self, proposals_xyxy: Sequence[Tensor], targets: Sequence[PersonTargets]) -> Samples:
        """Draws ``batch_size_per_image`` proposals of each image, at most ``positive_fraction`` of them positive.

        Args:
            proposals_xyxy: (P, 4) of each image.
            targets: each image's people.
        """
        drawn: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        first_person = 0
        for image, (boxes, target) in enumerate(zip(proposals_xyxy, targets, strict=True)):
            if self.append_gt:
                boxes = torch.cat((boxes, target.boxes[~target.ignore]))
            person, label = match_boxes(
                boxes,
                target.boxes,
                target.ignore,
                thresholds=self.iou_thresholds,
                labels=self.iou_labels,
                allow_low_quality=False,
            )
            chosen = torch.cat(sample_balanced(label, self.batch_size_per_image, self.positive_fraction))
            drawn.append(
                (
                    boxes[chosen],
                    torch.full_like(chosen, image),
                    label[chosen] == POSITIVE,
                    person[chosen] + first_person,
                )
            )
            first_person += len(target)
        return Samples(*(torch.cat(parts) for parts in zip(*drawn, strict=True)))

    def keypoint_losses(
        self,
        levels: Sequence[Tensor],
        samples: Samples,
        targets: Sequence[PersonTargets],
        tasks: Sequence[frozenset[str]],
    ) -> dict[str, Tensor]:
        """Computes the keypoint head's losses over the positive samples of images that train keypoints.

        Args:
            levels: the pyramid's levels.
            samples: the proposals drawn.
            targets: each image's people.
            tasks: what each image trains.
        """
        head = self.keypoint_head
        assert head is not None
        people = torch.cat([target.keypoints for target in targets])
        rows = torch.nonzero(samples.positive & has_task(tasks, "keypoints", samples.image)).flatten()
        regions = head.regions(samples.boxes_xyxy[rows])
        rows = rows[_any_keypoint_inside(people[samples.person[rows]], regions)]
        rows = first_per_image(rows, samples.image[rows], head.batch_size_per_image)
        if len(rows) == 0:
            return head.no_losses()
        boxes = samples.boxes_xyxy[rows]
        prediction = self.predict_keypoints(levels, boxes, samples.image[rows])
        num_images = sum("keypoints" in task for task in tasks)
        return head.losses(prediction, boxes, people[samples.person[rows]], num_images)

    def reid_losses(
        self,
        levels: Sequence[Tensor],
        samples: Samples,
        targets: Sequence[PersonTargets],
        tasks: Sequence[frozenset[str]],
    ) -> dict[str, Tensor]:
        """Computes the identity head's loss over the positive samples of known identity; see ``keypoint_losses``."""
        head = self.reid_head
        assert head is not None
        rows = torch.nonzero(samples.positive & has_task(tasks, "identities", samples.image)).flatten()
        identities = torch.cat([target.identities for target in targets])
        rows = rows[identities[samples.person[rows]] >= 0]
        rows = first_per_image(rows, samples.image[rows], head.batch_size_per_image)
        if len(rows) == 0:
            return head.no_losses()
        embeddings = self.describe_identities(levels, samples.boxes_xyxy[rows], samples.image[rows])
        return head.losses(embeddings, identities[samples.person[rows]])

    def predict_keypoints(
        self, levels: Sequence[Tensor], boxes_xyxy: Tensor, image: Tensor
    ) -> KeypointPrediction:
        """Predicts the keypoints of given people, which the head's ``decode`` turns into positions.

        Args:
            levels: the pyramid's levels.
            boxes_xyxy: (R, 4).
            image: (R,) int64, each person's image in the batch.
        """
        head, pooler = self.keypoint_head, self.keypoint_pooler
        assert head is not None
        assert pooler is not None
        return head(pooler(levels, boxes_xyxy, image, head.regions(boxes_xyxy)))

    def describe_identities(self, levels: Sequence[Tensor], boxes_xyxy: Tensor, image: Tensor) -> Tensor:
        """Computes embeddings (R, E) of given people; see ``predict_keypoints``."""
        assert self.reid_head is not None
        assert self.reid_pooler is not None
        return self.reid_head(self.reid_pooler(levels, boxes_xyxy, image))


def has_task(tasks: Sequence[frozenset[str]], task: str, image: Tensor) -> Tensor:
    """Mask (R,) bool of the samples whose image trains this task."""
    return torch.tensor([task in t for t in tasks], dtype=torch.bool, device=image.device)[image]


def _any_keypoint_inside(keypoints: Tensor, regions_xyxy: Tensor) -> Tensor:
    """(R,) bool: has the person a labelled joint inside the region? The others have nothing to teach."""
    xy, labelled = keypoints[..., :2], keypoints[..., 2] > 0
    inside = ((xy >= regions_xyxy[:, None, :2]) & (xy <= regions_xyxy[:, None, 2:])).all(dim=-1)
    return (inside & labelled).any(dim=1)


def first_per_image(rows: Tensor, image: Tensor, count: int) -> Tensor:
    """Selects at most ``count`` rows of each image; ``image`` is sorted and rows come in random order within it."""
    position = torch.arange(len(rows), device=rows.device)
    start = torch.searchsorted(image, image)
    return rows[position - start < count]


def image_index(counts: Sequence[int], device: torch.device) -> Tensor:
    """Each person's image, (sum of counts,) int64: 0 ``counts[0]`` times, then 1 ``counts[1]`` times, ..."""
    return torch.repeat_interleave(
        torch.arange(len(counts), device=device), torch.tensor(list(counts), device=device)
    )
