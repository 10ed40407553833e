"""The RoI heads on top of the pyramid: boxes, keypoints and embeddings, for all images of a batch at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from fastpose_mtn.config import CfgNode
from fastpose_mtn.modeling.box_head import BoxHead, BoxPredictor
from fastpose_mtn.modeling.pooler import RoIPooler
from fastpose_mtn.modeling.rpn import Proposals
from fastpose_mtn.structures import PersonTargets
from fastpose_mtn.systems.mtn.keypoint_head import KeypointHead, build_keypoint_head
from fastpose_mtn.systems.mtn.person_branches import PersonBranches, Samples, has_task, image_index
from fastpose_mtn.systems.mtn.reid_head import MTNReIDHead


class People(NamedTuple):
    """The people found in a batch, image after image, on the model's device.

    boxes_xyxy (D, 4), scores (D,), keypoints (D, K, 3), embeddings (D, E) or None, and how many
    people each image has.
    """

    boxes_xyxy: Tensor
    scores: Tensor
    keypoints: Tensor
    embeddings: Tensor | None
    counts: list[int]


class MTNROIHeads(PersonBranches, nn.Module):
    """RoI heads: samples proposals, pools their features, and runs the three heads (paper, section 3.1).

    Args:
        in_features: pyramid levels that are read.
        box_pooler, box_head, box_predictor: the detector's second stage.
        keypoint_pooler, keypoint_head: None: no joints.
        reid_pooler, reid_head: None: no identities.
        iou_thresholds, iou_labels: of proposals with people, as in Detectron2.
        batch_size_per_image, positive_fraction: proposals drawn for training.
        append_gt: the labelled boxes are proposals too.
    """

    def __init__(
        self,
        *,
        in_features: Sequence[str],
        box_pooler: RoIPooler,
        box_head: BoxHead,
        box_predictor: BoxPredictor,
        keypoint_pooler: RoIPooler | None = None,
        keypoint_head: KeypointHead | None = None,
        reid_pooler: RoIPooler | None = None,
        reid_head: MTNReIDHead | None = None,
        iou_thresholds: Sequence[float] = (0.5,),
        iou_labels: Sequence[int] = (0, 1),
        batch_size_per_image: int = 512,
        positive_fraction: float = 0.25,
        append_gt: bool = True,
    ) -> None:
        super().__init__()
        self.in_features = list(in_features)
        self.box_pooler, self.box_head, self.box_predictor = box_pooler, box_head, box_predictor
        self.keypoint_pooler, self.keypoint_head = keypoint_pooler, keypoint_head
        self.reid_pooler, self.reid_head = reid_pooler, reid_head
        self.iou_thresholds, self.iou_labels = list(iou_thresholds), list(iou_labels)
        self.batch_size_per_image, self.positive_fraction = batch_size_per_image, positive_fraction
        self.append_gt = append_gt

    @classmethod
    def from_config(cls, cfg: CfgNode, in_channels: int) -> MTNROIHeads:
        """The heads that ``MODEL.ROI_*_HEAD`` describe, sampling as ``MODEL.ROI_HEADS`` says."""
        roi = cfg.MODEL.ROI_HEADS
        levels = [int(name[1:]) for name in roi.IN_FEATURES]

        def pooler(node: CfgNode, size_hw: tuple[int, int]) -> RoIPooler:
            return RoIPooler(
                output_size_hw=size_hw,
                min_level=levels[0],
                max_level=levels[-1],
                sampling_ratio=node.POOLER_SAMPLING_RATIO,
                pooler_type=node.POOLER_TYPE,
            )

        box_head = BoxHead.from_config(cfg, in_channels)
        keypoint_head = build_keypoint_head(cfg, in_channels) if cfg.MODEL.KEYPOINT_ON else None
        reid_head = MTNReIDHead.from_config(cfg, in_channels) if cfg.MODEL.REID_ON else None
        return cls(
            in_features=roi.IN_FEATURES,
            box_pooler=pooler(cfg.MODEL.ROI_BOX_HEAD, (cfg.MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION,) * 2),
            box_head=box_head,
            box_predictor=BoxPredictor.from_config(cfg, box_head.out_channels),
            keypoint_pooler=None
            if keypoint_head is None
            else pooler(cfg.MODEL.ROI_KEYPOINT_HEAD, keypoint_head.resolution_hw),
            keypoint_head=keypoint_head,
            reid_pooler=None
            if reid_head is None
            else pooler(cfg.MODEL.ROI_REID_HEAD, reid_head.resolution_hw),
            reid_head=reid_head,
            iou_thresholds=roi.IOU_THRESHOLDS,
            iou_labels=roi.IOU_LABELS,
            batch_size_per_image=roi.BATCH_SIZE_PER_IMAGE,
            positive_fraction=roi.POSITIVE_FRACTION,
            append_gt=roi.PROPOSAL_APPEND_GT,
        )

    def losses(
        self,
        features: dict[str, Tensor],
        proposals: Sequence[Proposals],
        targets: Sequence[PersonTargets],
        tasks: Sequence[frozenset[str]],
    ) -> dict[str, Tensor]:
        """Computes the heads' losses; an image that lacks a task adds nothing to that task's loss."""
        levels = [features[name] for name in self.in_features]
        samples = self.sample([p.boxes_xyxy for p in proposals], targets)
        losses = self._box_losses(levels, samples, targets, tasks)
        if self.keypoint_head is not None:
            losses.update(self.keypoint_losses(levels, samples, targets, tasks))
        if self.reid_head is not None:
            losses.update(self.reid_losses(levels, samples, targets, tasks))
        return losses

    def _box_losses(
        self,
        levels: Sequence[Tensor],
        samples: Samples,
        targets: Sequence[PersonTargets],
        tasks: Sequence[frozenset[str]],
    ) -> dict[str, Tensor]:
        rows = torch.nonzero(has_task(tasks, "boxes", samples.image)).flatten()
        if len(rows) == 0:
            zero = samples.boxes_xyxy.new_zeros(())
            return {"loss_cls": zero, "loss_box_reg": zero}
        boxes, positive = samples.boxes_xyxy[rows], samples.positive[rows]
        logits, deltas = self._predict_boxes(levels, boxes, samples.image[rows])
        people = torch.cat([target.boxes for target in targets])
        matched = boxes.clone()
        matched[positive] = people[samples.person[rows][positive]]
        background = self.box_predictor.num_classes
        classes = torch.where(positive, 0, background)
        return self.box_predictor.losses(logits, deltas, boxes, classes, matched)

    def _predict_boxes(
        self, levels: Sequence[Tensor], boxes_xyxy: Tensor, image: Tensor
    ) -> tuple[Tensor, Tensor]:
        return self.box_predictor(self.box_head(self.box_pooler(levels, boxes_xyxy, image)))

    def inference(
        self,
        features: dict[str, Tensor],
        proposals: Sequence[Proposals],
        image_sizes_hw: Sequence[tuple[int, int]],
        min_score: float = 0.0,
    ) -> People:
        """Finds people: boxes first, then joints and embeddings of the reported boxes only (Detectron2's cascade).

        Boxes that score below ``min_score`` are not reported: joints can only lower a score, see ``KeypointHead.decode``.
        They have voted until then, and been suppressed, so the others are the same.
        """
        features = {name: features[name].float() for name in self.in_features}  # once, as all poolers read it
        levels = [features[name] for name in self.in_features]
        counts = [len(p.boxes_xyxy) for p in proposals]
        boxes = torch.cat([p.boxes_xyxy for p in proposals])
        logits, deltas = self._predict_boxes(levels, boxes, image_index(counts, boxes.device))
        found = [
            self.box_predictor.inference(logit, delta, box, size)
            for logit, delta, box, size in zip(
                logits.split(counts), deltas.split(counts), boxes.split(counts), image_sizes_hw, strict=True
            )
        ]
        found = [(box[score >= min_score], score[score >= min_score]) for box, score in found]
        people, scores = (torch.cat(parts) for parts in zip(*found, strict=True))
        counts = [len(f[1]) for f in found]
        return self.describe(features, people, scores, counts)

    def describe(
        self, features: dict[str, Tensor], boxes_xyxy: Tensor, scores: Tensor, counts: Sequence[int]
    ) -> People:
        """Computes joints and embeddings of given boxes (D, 4), ``counts[i]`` of them in image i.

        Their scores become the people's; see ``KeypointHead.decode``.
        """
        levels = [features[name] for name in self.in_features]
        image = image_index(counts, boxes_xyxy.device)
        keypoints = boxes_xyxy.new_zeros(len(boxes_xyxy), 0, 3)
        embeddings = None
        if self.keypoint_head is not None and self.keypoint_pooler is not None:
            keypoints = boxes_xyxy.new_zeros(0, self.keypoint_head.num_keypoints, 3)
            if len(boxes_xyxy):
                prediction = self.predict_keypoints(levels, boxes_xyxy, image)
                keypoints, scores = self.keypoint_head.decode(prediction, boxes_xyxy, scores)
        if self.reid_head is not None and self.reid_pooler is not None:
            embeddings = boxes_xyxy.new_zeros(0, self.reid_head.embedding_dim)
            if len(boxes_xyxy):
                embeddings = self.describe_identities(levels, boxes_xyxy, image)
        return People(boxes_xyxy, scores, keypoints, embeddings, list(counts))
