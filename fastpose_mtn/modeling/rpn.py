"""The region proposal network (RPN): candidate person boxes from every position of the feature pyramid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import batched_nms

from fastpose_mtn.config import CfgNode
from fastpose_mtn.errors import NOT_FINITE_REMEDY, InputError
from fastpose_mtn.modeling.anchors import AnchorGenerator
from fastpose_mtn.modeling.layers import ConvNorm, smooth_l1
from fastpose_mtn.ops.boxes import clip_boxes, decode_deltas, encode_deltas, nonempty
from fastpose_mtn.ops.matching import POSITIVE, match_boxes, sample_balanced
from fastpose_mtn.structures import PersonTargets


class Proposals(NamedTuple):
    """One image's proposed boxes, best first: boxes_xyxy (P, 4) float32, objectness logits (P,) float32."""

    boxes_xyxy: Tensor
    logits: Tensor


class Candidates(NamedTuple):
    """A batch's best boxes of each level, before non-maximum suppression.

    boxes_xyxy (B, N, 4) decoded; logits (B, N); level (N,), the place of each one's level among the levels read.
    """

    boxes_xyxy: Tensor
    logits: Tensor
    level: Tensor


class RPNHead(nn.Module):
    """The RPN's layers: 3x3 convolutions and two 1x1 predictions, shared by all levels, named as in Detectron2."""

    def __init__(self, *, in_channels: int, num_anchors: int, conv_dims: Sequence[int] = (-1,)) -> None:
        super().__init__()
        dims = [in_channels if dim == -1 else dim for dim in conv_dims]
        widths = zip([in_channels, *dims], dims, strict=False)
        layers: list[nn.Conv2d] = [ConvNorm(before, after, 3, relu=True) for before, after in widths]
        if len(layers) == 1:
            self.conv: nn.Module = layers[0]
        else:
            self.conv = nn.Sequential()
            for index, layer in enumerate(layers):
                self.conv.add_module(f"conv{index}", layer)
        self.num_anchors = num_anchors
        self.predictions: nn.Module | None = None  # see merge_predictions
        self.objectness_logits = nn.Conv2d(dims[-1], num_anchors, 1)
        self.anchor_deltas = nn.Conv2d(dims[-1], num_anchors * 4, 1)
        for layer in (*layers, self.objectness_logits, self.anchor_deltas):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, features: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Predicts for each level (B, C, H, W) logits (B, H*W*A) and deltas (B, H*W*A, 4), float32."""
        logits, deltas = [], []
        for feature in features:
            hidden = self.conv(feature)
            batch = len(hidden)
            if self.predictions is None:
                logit, delta = self.objectness_logits(hidden), self.anchor_deltas(hidden)
            else:
                both = self.predictions(hidden)
                logit, delta = both[:, : self.num_anchors], both[:, self.num_anchors :]
            logits.append(logit.permute(0, 2, 3, 1).reshape(batch, -1).float())
            deltas.append(delta.permute(0, 2, 3, 1).reshape(batch, -1, 4).float())
        return logits, deltas

    def merge_predictions(self) -> None:
        """Merges the two predictions into one convolution, for inference: the features are read once."""
        layers = [self.objectness_logits, self.anchor_deltas]
        both = nn.Conv2d(layers[0].in_channels, sum(layer.out_channels for layer in layers), 1)
        both.weight.data = torch.cat([layer.weight.detach() for layer in layers])
        assert both.bias is not None
        both.bias.data = torch.cat([layer.bias.detach() for layer in layers if layer.bias is not None])
        del self.objectness_logits, self.anchor_deltas
        self.predictions = both.requires_grad_(False)


class RPN(nn.Module):
    """The region proposal network: proposes boxes and computes its losses.

    Args:
        head: the layers.
        anchor_generator: the boxes that deltas refer to.
        in_features: pyramid levels that are read.
        iou_thresholds: of anchors with people, as in Detectron2: between the two an anchor is ignored.
        iou_labels: of the ranges between the thresholds: 0 negative, -1 ignored, 1 positive.
        batch_size_per_image: anchors drawn for the losses.
        positive_fraction: of them, at most.
        bbox_reg_weights: of dx, dy, dw, dh.
        smooth_l1_beta: 0: L1.
        loss_weight: of both losses.
        bbox_reg_loss_weight: of the regression loss, besides.
        pre_nms_topk: boxes a level that enter suppression, in training and at test time.
        post_nms_topk: boxes an image that leave it, in training and at test time.
        nms_thresh: IoU above which the weaker of two boxes of a level is suppressed.
        min_box_size: pixels; smaller boxes are dropped.
        score_thresh: at test time boxes whose objectness is lower are dropped, all but the best: few are left of an
            image with few people, and the limits above may be those of a crowd.
    """

    def __init__(
        self,
        *,
        head: RPNHead,
        anchor_generator: AnchorGenerator,
        in_features: Sequence[str],
        iou_thresholds: Sequence[float] = (0.3, 0.7),
        iou_labels: Sequence[int] = (0, -1, 1),
        batch_size_per_image: int = 256,
        positive_fraction: float = 0.5,
        bbox_reg_weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
        smooth_l1_beta: float = 0.0,
        loss_weight: float = 1.0,
        bbox_reg_loss_weight: float = 1.0,
        pre_nms_topk: tuple[int, int] = (2000, 1000),
        post_nms_topk: tuple[int, int] = (1500, 1000),
        nms_thresh: float = 0.7,
        min_box_size: float = 0.0,
        score_thresh: float = 0.0,
    ) -> None:
        super().__init__()
        self.rpn_head, self.anchor_generator = head, anchor_generator
        self.in_features = list(in_features)
        self.iou_thresholds, self.iou_labels = list(iou_thresholds), list(iou_labels)
        self.batch_size_per_image, self.positive_fraction = batch_size_per_image, positive_fraction
        self.bbox_reg_weights, self.smooth_l1_beta = tuple(bbox_reg_weights), smooth_l1_beta
        self.loss_weight, self.bbox_reg_loss_weight = loss_weight, bbox_reg_loss_weight
        self.pre_nms_topk, self.post_nms_topk = pre_nms_topk, post_nms_topk  # (training, test)
        self.nms_thresh, self.min_box_size = nms_thresh, min_box_size
        self.min_logit = logit_of(score_thresh)

    @classmethod
    def from_config(cls, cfg: CfgNode, in_channels: int, strides: dict[str, int]) -> RPN:
        """The RPN that ``MODEL.RPN`` describes, on levels of these channels and, by name, strides in pixels."""
        c = cfg.MODEL.RPN
        anchors = AnchorGenerator.from_config(cfg, [strides[name] for name in c.IN_FEATURES])
        head = RPNHead(in_channels=in_channels, num_anchors=anchors.num_anchors, conv_dims=c.CONV_DIMS)
        return cls(
            head=head,
            anchor_generator=anchors,
            in_features=c.IN_FEATURES,
            iou_thresholds=c.IOU_THRESHOLDS,
            iou_labels=c.IOU_LABELS,
            batch_size_per_image=c.BATCH_SIZE_PER_IMAGE,
            positive_fraction=c.POSITIVE_FRACTION,
            bbox_reg_weights=c.BBOX_REG_WEIGHTS,
            smooth_l1_beta=c.SMOOTH_L1_BETA,
            loss_weight=c.LOSS_WEIGHT,
            bbox_reg_loss_weight=c.BBOX_REG_LOSS_WEIGHT,
            pre_nms_topk=(c.PRE_NMS_TOPK_TRAIN, c.PRE_NMS_TOPK_TEST),
            post_nms_topk=(c.POST_NMS_TOPK_TRAIN, c.POST_NMS_TOPK_TEST),
            nms_thresh=c.NMS_THRESH,
            min_box_size=cfg.MODEL.PROPOSAL_GENERATOR.MIN_SIZE,
            score_thresh=c.SCORE_THRESH_TEST,
        )

    def forward(
        self,
        features: dict[str, Tensor],
        image_sizes_hw: Sequence[tuple[int, int]],
        targets: Sequence[PersonTargets] | None = None,
        has_boxes: Sequence[bool] | None = None,
    ) -> tuple[list[Proposals], dict[str, Tensor]]:
        """Proposes boxes.

        Args:
            features: pyramid levels by name.
            image_sizes_hw: each image's size before padding; proposals are cut at its borders.
            targets: each image's people, in training.
            has_boxes: which images train boxes, in training; the others give no gradient.

        Returns:
            Each image's proposals, and the losses ``loss_rpn_cls`` and ``loss_rpn_loc`` (none at test time).
        """
        anchors, logits, deltas = self._predict(features)
        losses = {}
        if targets is not None:
            trained = [True] * len(targets) if has_boxes is None else has_boxes
            losses = self._losses(
                torch.cat(anchors), torch.cat(logits, 1), torch.cat(deltas, 1), targets, trained
            )
        return self.suppress(self._best(anchors, logits, deltas), image_sizes_hw), losses

    def candidates(self, features: dict[str, Tensor]) -> Candidates:
        """Finds the best boxes of each level, at test time, without waiting for a GPU: it can be a CUDA graph."""
        return self._best(*self._predict(features))

    def _predict(self, features: dict[str, Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Of each level the anchors, their logits and their deltas."""
        levels = [features[name] for name in self.in_features]
        anchors = self.anchor_generator([(f.shape[-2], f.shape[-1]) for f in levels])
        return anchors, *self.rpn_head(levels)

    def _losses(
        self,
        anchors: Tensor,
        logits: Tensor,
        deltas: Tensor,
        targets: Sequence[PersonTargets],
        has_boxes: Sequence[bool],
    ) -> dict[str, Tensor]:
        cls_losses, loc_losses = [logits.new_zeros(())], [deltas.new_zeros(())]
        for image, target in enumerate(targets):
            if not has_boxes[image]:
                continue
            matched, label = match_boxes(
                anchors,
                target.boxes,
                target.ignore,
                thresholds=self.iou_thresholds,
                labels=self.iou_labels,
                allow_low_quality=True,
            )
            positive, negative = sample_balanced(label, self.batch_size_per_image, self.positive_fraction)
            chosen = torch.cat((positive, negative))
            cls_losses.append(
                F.binary_cross_entropy_with_logits(
                    logits[image, chosen], (label[chosen] == POSITIVE).float(), reduction="sum"
                )
            )
            wanted = encode_deltas(anchors[positive], target.boxes[matched[positive]], self.bbox_reg_weights)
            loc_losses.append(smooth_l1(deltas[image, positive], wanted, self.smooth_l1_beta))
        normalizer = self.batch_size_per_image * max(1, sum(has_boxes))
        return {
            "loss_rpn_cls": self.loss_weight * torch.stack(cls_losses).sum() / normalizer,
            "loss_rpn_loc": self.loss_weight
            * self.bbox_reg_loss_weight
            * torch.stack(loc_losses).sum()
            / normalizer,
        }

    @torch.no_grad()
    def _best(
        self, anchors: Sequence[Tensor], logits: Sequence[Tensor], deltas: Sequence[Tensor]
    ) -> Candidates:
        before = self.pre_nms_topk[0 if self.training else 1]
        boxes, scores, levels = [], [], []
        for level, (a, logit, delta) in enumerate(zip(anchors, logits, deltas, strict=True)):
            score, index = logit.topk(min(before, logit.shape[1]), dim=1)
            chosen = delta.gather(1, index[..., None].expand(-1, -1, 4))
            boxes.append(decode_deltas(chosen, a[index], self.bbox_reg_weights))
            scores.append(score)
            levels.append(torch.full_like(index[0], level))
        return Candidates(torch.cat(boxes, 1), torch.cat(scores, 1), torch.cat(levels))

    @torch.no_grad()
    def suppress(self, candidates: Candidates, image_sizes_hw: Sequence[tuple[int, int]]) -> list[Proposals]:
        """Selects each image's proposals: non-maximum suppression within levels, then the best of all.

        Args:
            candidates: of the batch.
            image_sizes_hw: each image's size before padding; boxes are cut at its borders.

        Raises:
            FloatingPointError: in training, boxes or logits are not finite.
            InputError: elsewhere, none of an image's is.
        """
        after = self.post_nms_topk[0 if self.training else 1]
        proposals = []
        for box, score, size in zip(candidates.boxes_xyxy, candidates.logits, image_sizes_hw, strict=True):
            finite = torch.isfinite(box).all(dim=1) & torch.isfinite(score)
            if self.training and not finite.all():
                raise FloatingPointError("the region proposals are not finite")
            if len(finite) and not finite.any():
                raise InputError(
                    f"the region proposals: expected finite boxes and logits, got NaN or infinity of all; {NOT_FINITE_REMEDY}"
                )
            box = clip_boxes(box, size)
            keep = finite & nonempty(box, self.min_box_size)
            if not self.training:
                keep &= likely(torch.where(keep, score, -math.inf), self.min_logit)
            box, score, level = box[keep], score[keep], candidates.level[keep]
            best = batched_nms(box, score, level, self.nms_thresh)[:after]
            proposals.append(Proposals(box[best], score[best]))
        return proposals


def logit_of(score: float) -> float:
    """A score in [0, 1) as a logit; 0 is minus infinity.

    Raises:
        ValueError: it is out of range.
    """
    if not 0.0 <= score < 1.0:
        raise ValueError(
            f"MODEL.RPN.SCORE_THRESH_TEST: expected a score of at least 0 and below 1, got {score}"
        )
    return math.log(score / (1.0 - score)) if score > 0.0 else -math.inf


def likely(logits: Tensor, min_logit: float) -> Tensor:
    """Which logits (N,) are not below ``min_logit``, or are the highest of all."""
    if min_logit == -math.inf:
        return torch.ones_like(logits, dtype=torch.bool)
    return logits >= logits.max().clamp(max=min_logit)
