"""Boxes by Detectron2, joints and identities by us, in one set of ROI heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from detectron2.config import CfgNode, configurable
from detectron2.layers import ShapeSpec
from detectron2.modeling import ROI_HEADS_REGISTRY
from detectron2.modeling.poolers import convert_boxes_to_pooler_format
from detectron2.modeling.roi_heads import FastRCNNOutputLayers, StandardROIHeads
from detectron2.structures import Boxes, ImageList, Instances
from detectron2.utils.events import get_event_storage
from torch import Tensor

from fastpose_mtn.detectron2.keypoint_head import report_keypoints
from fastpose_mtn.detectron2.pooler import pooler_from_shapes
from fastpose_mtn.detectron2.rpn import in_float32
from fastpose_mtn.detectron2.targets import tasks_of, to_targets
from fastpose_mtn.modeling.layers import involve
from fastpose_mtn.modeling.pooler import RoIPooler
from fastpose_mtn.ops.boxes import vote_boxes
from fastpose_mtn.structures import PersonTargets
from fastpose_mtn.systems.mtn.keypoint_head import build_keypoint_head
from fastpose_mtn.systems.mtn.network import check_config
from fastpose_mtn.systems.mtn.person_branches import PersonBranches, Samples
from fastpose_mtn.systems.mtn.reid_head import MTNReIDHead


class VotingOutputLayers(FastRCNNOutputLayers):
    """Detectron2's box predictor, of people; the boxes that it reports are the means of those that agree.

    Args:
        vote_thresh: ``MODEL.ROI_HEADS.VOTE_THRESH_TEST``, see ``ops.boxes.vote_boxes``.
        See Detectron2's ``FastRCNNOutputLayers`` for the others.
    """

    @configurable
    def __init__(self, *args: object, vote_thresh: float, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.vote_thresh = vote_thresh

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: ShapeSpec) -> dict[str, object]:
        """The constructor's arguments: Detectron2's, and ``MODEL.ROI_HEADS.VOTE_THRESH_TEST``."""
        return {
            **super().from_config(cfg, input_shape),
            "vote_thresh": cfg.MODEL.ROI_HEADS.VOTE_THRESH_TEST,
        }

    def inference(
        self, predictions: tuple[Tensor, Tensor], proposals: list[Instances]
    ) -> tuple[list[Instances], list[Tensor]]:
        """Each image's people, with the means of boxes that agree, and the (N,) indices of their proposals."""
        found, kept = super().inference(predictions, proposals)
        if self.vote_thresh >= 1:
            return found, kept
        boxes, scores = self.predict_boxes(predictions, proposals), self.predict_probs(predictions, proposals)
        for one, box, score in zip(found, boxes, scores, strict=True):
            voting = (score[:, 0] > self.test_score_thresh) & torch.isfinite(box).all(dim=1)
            voters = Boxes(box[voting])
            voters.clip(one.image_size)  # its own clipping, as a trace must serve images of other sizes
            votes = score[voting, 0]
            one.pred_boxes = Boxes(vote_boxes(one.pred_boxes.tensor, voters.tensor, votes, self.vote_thresh))
        return found, kept


@ROI_HEADS_REGISTRY.register()
class MTNROIHeads(PersonBranches, StandardROIHeads):
    """Detectron2's standard box branch, our keypoint head and our identity head (paper, section 3.1).

    People found have ``pred_boxes``, ``scores``, ``pred_classes``, ``pred_keypoints`` (N, K, 3) x, y and a
    confidence in [0, 1], ``pred_embeddings`` (N, E) and, when asked, ``pred_keypoint_heatmaps``. For labels
    see ``fastpose_mtn.detectron2.targets``.

    Args:
        reid_pooler, reid_head: None: no identities.
        iou_thresholds, iou_labels: ``MODEL.ROI_HEADS.IOU_THRESHOLDS`` and ``IOU_LABELS``.
        report_heatmaps: ``MODEL.ROI_KEYPOINT_HEAD.HEATMAPS``.
        See Detectron2's ``StandardROIHeads`` for the others.
    """

    @configurable
    def __init__(
        self,
        *,
        iou_thresholds: Sequence[float],
        iou_labels: Sequence[int],
        reid_pooler: RoIPooler | None = None,
        reid_head: MTNReIDHead | None = None,
        report_heatmaps: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        if not self.keypoint_on:
            self.keypoint_pooler = self.keypoint_head = None
        self.reid_pooler, self.reid_head = reid_pooler, reid_head
        # can be turned off for a while, as Detectron2 does with its heads
        self.reid_on = reid_head is not None
        self.iou_thresholds, self.iou_labels = list(iou_thresholds), list(iou_labels)
        self.append_gt = self.proposal_append_gt
        self.report_heatmaps = report_heatmaps
        self.box_predictor.register_forward_hook(in_float32)
        for head in (self.keypoint_head, self.reid_head):
            if head is not None:
                head.to(memory_format=torch.channels_last)

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: dict[str, ShapeSpec]) -> dict[str, object]:
        """The constructor's arguments: Detectron2's, and with ``MODEL.REID_ON`` the identity head.

        Raises:
            ValueError: the configuration asks for what these heads do not do.
        """
        _check(cfg)
        arguments = super().from_config(cfg, input_shape)
        if cfg.MODEL.REID_ON:
            levels = {name: input_shape[name] for name in cfg.MODEL.ROI_HEADS.IN_FEATURES}
            c = cfg.MODEL.ROI_REID_HEAD
            head = MTNReIDHead.from_config(cfg, _channels(levels))
            arguments["reid_head"] = head
            arguments["reid_pooler"] = pooler_from_shapes(
                levels, head.resolution_hw, c.POOLER_SAMPLING_RATIO, c.POOLER_TYPE
            )
        return {
            **arguments,
            "iou_thresholds": cfg.MODEL.ROI_HEADS.IOU_THRESHOLDS,
            "iou_labels": cfg.MODEL.ROI_HEADS.IOU_LABELS,
            "report_heatmaps": cfg.MODEL.ROI_KEYPOINT_HEAD.HEATMAPS,
        }

    @classmethod
    def _init_box_head(cls, cfg: CfgNode, input_shape: dict[str, ShapeSpec]) -> dict[str, object]:
        arguments = super()._init_box_head(cfg, input_shape)
        return {**arguments, "box_predictor": VotingOutputLayers(cfg, arguments["box_head"].output_shape)}

    @classmethod
    def _init_keypoint_head(cls, cfg: CfgNode, input_shape: dict[str, ShapeSpec]) -> dict[str, object]:
        if not cfg.MODEL.KEYPOINT_ON:
            return {}
        levels = {name: input_shape[name] for name in cfg.MODEL.ROI_HEADS.IN_FEATURES}
        c = cfg.MODEL.ROI_KEYPOINT_HEAD
        head = build_keypoint_head(cfg, _channels(levels))
        return {
            "keypoint_in_features": list(levels),
            "keypoint_pooler": pooler_from_shapes(
                levels, head.resolution_hw, c.POOLER_SAMPLING_RATIO, c.POOLER_TYPE
            ),
            "keypoint_head": head,
        }

    def forward(
        self,
        images: ImageList,
        features: dict[str, Tensor],
        proposals: list[Instances],
        targets: list[Instances] | None = None,
    ) -> tuple[list[Instances], dict[str, Tensor]]:
        """Finds people, or in training computes the losses, as Detectron2's ``ROIHeads.forward``.

        In training it gives the proposals and the losses, otherwise each image's people, best first, and no loss.
        An image that lacks a task adds nothing to that task's loss.
        """
        if not self.training:
            found, losses = super().forward(images, features, proposals, targets)
            # joints weigh in the scores, so the best boxes are not the best people
            return [one[one.scores.argsort(descending=True, stable=True)] for one in found], losses
        assert targets is not None
        num_keypoints = 0 if self.keypoint_head is None else self.keypoint_head.num_keypoints
        people = [to_targets(_without_joints(t) if not num_keypoints else t, num_keypoints) for t in targets]
        tasks = [tasks_of(t) for t in targets]
        levels = [features[name] for name in self.in_features]
        samples = self.sample([p.proposal_boxes.tensor for p in proposals], people)
        losses = self._forward_box(features, self._box_examples(samples, people, tasks, targets))
        if self.keypoint_head is not None and self.keypoint_on:
            losses.update(self.keypoint_losses(levels, samples, people, tasks))
        if self.reid_head is not None:
            losses.update(self.reid_losses(levels, samples, people, tasks))
        # whoever trains it: a level that only these heads read has made what trains before it
        return proposals, involve(losses, [*features.values(), *self.parameters()])

    def _forward_box(self, features: dict[str, Tensor], proposals: list[Instances]) -> Any:
        # Detectron2's pooler reads features as they are; a CPU's RoIAlign has no bfloat16
        return super()._forward_box({name: features[name].float() for name in self.in_features}, proposals)

    def _box_examples(
        self,
        samples: Samples,
        people: Sequence[PersonTargets],
        tasks: Sequence[frozenset[str]],
        targets: Sequence[Instances],
    ) -> list[Instances]:
        """The samples as Detectron2's box branch takes them; none of an image that does not train boxes."""
        boxes = torch.cat([person.boxes for person in people])
        examples, positives = [], 0
        for image, instances in enumerate(targets):
            rows = torch.nonzero(samples.image == image).flatten()
            rows = rows if "boxes" in tasks[image] else rows[:0]
            positive = samples.positive[rows]
            matched = samples.boxes_xyxy[rows]
            matched[positive] = boxes[samples.person[rows][positive]]
            example = Instances(instances.image_size)
            example.proposal_boxes = Boxes(samples.boxes_xyxy[rows])
            example.gt_boxes = Boxes(matched)
            example.gt_classes = torch.where(positive, 0, self.num_classes)
            examples.append(example)
            positives += int(positive.sum())
        storage = get_event_storage()
        storage.put_scalar("roi_head/num_fg_samples", positives / len(targets))
        storage.put_scalar("roi_head/num_bg_samples", (sum(map(len, examples)) - positives) / len(targets))
        return examples

    def forward_with_given_boxes(
        self, features: dict[str, Tensor], instances: list[Instances]
    ) -> list[Instances]:
        """Joints and identities of known boxes; see Detectron2's ``StandardROIHeads``."""
        instances = super().forward_with_given_boxes(features, instances)
        if self.reid_on:
            levels = [features[name] for name in self.in_features]
            rois = convert_boxes_to_pooler_format([one.pred_boxes for one in instances])
            embeddings = self.describe_identities(levels, rois[:, 1:], rois[:, 0].to(torch.int64))
            # len() would fix the numbers when the model is traced
            counts = [one.__len__() for one in instances]
            for one, vectors in zip(instances, embeddings.split(counts), strict=True):
                one.pred_embeddings = vectors
        return instances

    def _forward_keypoint(self, features: dict[str, Tensor], instances: list[Instances]) -> list[Instances]:
        """Joints at test time; training does not come here."""
        if self.keypoint_head is None or not self.keypoint_on:
            return instances
        levels = [features[name] for name in self.in_features]
        rois = convert_boxes_to_pooler_format([one.pred_boxes for one in instances])
        boxes = rois[:, 1:]
        prediction = self.predict_keypoints(levels, boxes, rois[:, 0].to(torch.int64))
        report_keypoints(self.keypoint_head, instances, prediction, boxes, self.report_heatmaps)
        return instances


def _channels(levels: dict[str, ShapeSpec]) -> int:
    return next(iter(levels.values())).channels


def _without_joints(instances: Instances) -> Instances:
    """The instances as a network without joints sees them."""
    fields = {name: value for name, value in instances.get_fields().items() if name != "gt_keypoints"}
    return Instances(instances.image_size, **fields)


def _check(cfg: CfgNode) -> None:
    """Refuses a configuration that these heads cannot follow.

    Raises:
        ValueError: the configuration asks for what these heads do not do.
    """
    check_config(cfg)
    if cfg.MODEL.MASK_ON:
        raise ValueError("MODEL.MASK_ON: MTNROIHeads has no mask head; set it to False")
    if cfg.MODEL.ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES:
        raise ValueError(
            "MODEL.ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES: MTNROIHeads trains on proposals; set it to False"
        )
