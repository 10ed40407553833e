"""Detectron2's proposals with our anchors and our treatment of ignored people and of absent tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from detectron2.config import CfgNode, configurable
from detectron2.layers import ShapeSpec
from detectron2.modeling import ANCHOR_GENERATOR_REGISTRY, PROPOSAL_GENERATOR_REGISTRY
from detectron2.modeling.proposal_generator import RPN
from detectron2.structures import Boxes, ImageList, Instances
from torch import Tensor, nn

from fastpose_mtn.detectron2.targets import tasks_of, to_targets
from fastpose_mtn.modeling.anchors import AnchorGenerator
from fastpose_mtn.modeling.rpn import likely, logit_of
from fastpose_mtn.ops.matching import match_boxes, sample_balanced


@ANCHOR_GENERATOR_REGISTRY.register()
class MTNAnchorGenerator(AnchorGenerator):
    """Our anchors with Detectron2's interface; beside Detectron2's they can be torchvision's whole pixels."""

    box_dim = 4

    def __init__(self, cfg: CfgNode, input_shape: Sequence[ShapeSpec]) -> None:
        c = cfg.MODEL.ANCHOR_GENERATOR
        super().__init__(
            sizes=c.SIZES,
            aspect_ratios=c.ASPECT_RATIOS,
            strides=[shape.stride for shape in input_shape],
            offset=c.OFFSET,
            round_to_pixels=c.ROUND,
        )
        self.num_anchors: Any = [self.num_anchors] * len(input_shape)

    def forward(self, features: Sequence[Tensor]) -> list[Boxes]:  # type: ignore[override]
        """Anchors of each level: rows, then columns, then the cell's anchors."""
        sizes = [(feature.shape[-2], feature.shape[-1]) for feature in features]
        return [Boxes(anchors) for anchors in super().forward(sizes)]


@PROPOSAL_GENERATOR_REGISTRY.register()
class MTNRPN(RPN):
    """Detectron2's RPN; ignored people are no examples, images without the task "boxes" give no gradient.

    Args:
        iou_thresholds, iou_labels: ``MODEL.RPN.IOU_THRESHOLDS`` and ``IOU_LABELS``.
        score_thresh: ``MODEL.RPN.SCORE_THRESH_TEST``.
        See Detectron2's ``RPN`` for the others.
    """

    @configurable
    def __init__(
        self,
        *,
        iou_thresholds: Sequence[float],
        iou_labels: Sequence[int],
        score_thresh: float = 0.0,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.min_logit = logit_of(score_thresh)
        self.iou_thresholds, self.iou_labels = list(iou_thresholds), list(iou_labels)
        self.rpn_head.to(memory_format=torch.channels_last)
        self.rpn_head.register_forward_hook(in_float32)

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: dict[str, ShapeSpec]) -> dict[str, object]:
        """The constructor's arguments: Detectron2's, and ``MODEL.RPN.IOU_THRESHOLDS`` and ``IOU_LABELS``."""
        return {
            **super().from_config(cfg, input_shape),
            "iou_thresholds": cfg.MODEL.RPN.IOU_THRESHOLDS,
            "iou_labels": cfg.MODEL.RPN.IOU_LABELS,
            "score_thresh": cfg.MODEL.RPN.SCORE_THRESH_TEST,
        }

    def forward(
        self, images: ImageList, features: dict[str, Tensor], gt_instances: list[Instances] | None = None
    ) -> tuple[list[Instances], dict[str, Tensor]]:
        """Detectron2's proposals and losses; only images with the task "boxes" count in the losses' mean.

        Raises:
            FloatingPointError: the proposals are not finite: training has diverged.
        """
        try:
            proposals, losses = super().forward(images, features, gt_instances)
        except FloatingPointError as error:
            raise FloatingPointError("the region proposals are not finite") from error
        if losses and gt_instances is not None:
            # Detectron2 divides by all images; those that train boxes are the ones that count.
            trained = sum("boxes" in tasks_of(instances) for instances in gt_instances)
            losses = {name: loss * (len(gt_instances) / max(1, trained)) for name, loss in losses.items()}
        if not self.training:  # as before suppression: no box suppresses a better one
            proposals = [
                one[likely(one.objectness_logits, self.min_logit)] if len(one) else one for one in proposals
            ]
        return proposals, losses

    @torch.no_grad()
    def label_and_sample_anchors(
        self, anchors: list[Boxes], gt_instances: list[Instances]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Draws the anchors to train on: each image's labels (A,) -1, 0 or 1, and the boxes (A, 4) they belong to."""
        candidates = Boxes.cat(anchors)
        boxes = candidates.tensor
        labels, matched = [], []
        for instances in gt_instances:
            label = torch.full((len(boxes),), -1, dtype=torch.int64, device=boxes.device)
            box = torch.zeros_like(boxes)
            if "boxes" in tasks_of(instances):
                targets = to_targets(instances.to(boxes.device), _joints(instances))
                person, kind = match_boxes(
                    boxes,
                    targets.boxes,
                    targets.ignore,
                    thresholds=self.iou_thresholds,
                    labels=self.iou_labels,
                    allow_low_quality=True,
                )
                if self.anchor_boundary_thresh >= 0:
                    inside = candidates.inside_box(instances.image_size, self.anchor_boundary_thresh)
                    kind[~inside] = -1
                positive, negative = sample_balanced(kind, self.batch_size_per_image, self.positive_fraction)
                label[positive], label[negative] = 1, 0
                box = targets.boxes[person] if len(targets) else box
            labels.append(label)
            matched.append(box)
        return labels, matched


def _joints(instances: Instances) -> int:
    return instances.gt_keypoints.tensor.shape[1] if instances.has("gt_keypoints") else 0


def in_float32(module: nn.Module, arguments: object, output: Sequence[Tensor | list[Tensor]]) -> tuple:
    """A forward hook: scores and deltas leave mixed precision here, as in the default host."""
    return tuple([o.float() for o in one] if isinstance(one, list) else one.float() for one in output)
