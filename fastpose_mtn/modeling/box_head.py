"""The box head: classifies proposals as person or background, and refines their boxes (Fast R-CNN)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import batched_nms

from fastpose_mtn.config import CfgNode
from fastpose_mtn.errors import NOT_FINITE_REMEDY, InputError
from fastpose_mtn.modeling.layers import smooth_l1, xavier_init
from fastpose_mtn.ops.boxes import clip_boxes, decode_deltas, encode_deltas, vote_boxes


class BoxHead(nn.Sequential):
    """Fully connected layers with ReLU, ``fc1``, ``fc2`` and so on, on the flattened features of a region."""

    def __init__(self, *, in_channels: int, resolution: int, num_fc: int = 2, fc_dim: int = 1024) -> None:
        super().__init__()
        size = in_channels * resolution**2
        self.add_module("flatten", nn.Flatten())
        for index in range(1, num_fc + 1):
            layer = nn.Linear(size, fc_dim)
            xavier_init(layer)
            self.add_module(f"fc{index}", layer)
            self.add_module(f"fc_relu{index}", nn.ReLU())
            size = fc_dim
        self.out_channels, self.resolution = size, resolution

    @classmethod
    def from_config(cls, cfg: CfgNode, in_channels: int) -> BoxHead:
        """The layers that ``MODEL.ROI_BOX_HEAD`` describes."""
        c = cfg.MODEL.ROI_BOX_HEAD
        return cls(in_channels=in_channels, resolution=c.POOLER_RESOLUTION, num_fc=c.NUM_FC, fc_dim=c.FC_DIM)


class BoxPredictor(nn.Module):
    """Predicts class scores and box deltas, computes their losses, and decodes them into boxes.

    Class indices are Detectron2's: people first (0), background last.

    Args:
        in_channels: of the box head's features.
        num_classes: without the background; 1 for people.
        bbox_reg_weights: of dx, dy, dw, dh.
        smooth_l1_beta: 0: L1.
        bbox_reg_loss_weight: of the regression loss.
        cls_agnostic_bbox_reg: one box for all classes.
        score_thresh, nms_thresh, detections_per_image: which boxes are reported.
        vote_thresh: see ``ops.boxes.vote_boxes``.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        num_classes: int = 1,
        bbox_reg_weights: Sequence[float] = (10.0, 10.0, 5.0, 5.0),
        smooth_l1_beta: float = 0.5,
        bbox_reg_loss_weight: float = 1.0,
        cls_agnostic_bbox_reg: bool = False,
        score_thresh: float = 0.05,
        nms_thresh: float = 0.5,
        vote_thresh: float = 0.7,
        detections_per_image: int = 100,
    ) -> None:
        super().__init__()
        if detections_per_image < 1:  # [:-1] would leave out one
            raise InputError(f"TEST.DETECTIONS_PER_IMAGE: expected 1 or more, got {detections_per_image}")
        self.num_classes = num_classes
        self.num_boxes = 1 if cls_agnostic_bbox_reg else num_classes
        cls_score, bbox_pred = (
            nn.Linear(in_channels, num_classes + 1),
            nn.Linear(in_channels, 4 * self.num_boxes),
        )
        for layer, std in ((cls_score, 0.01), (bbox_pred, 0.001)):
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)
        self.cls_score: nn.Module = cls_score
        self.bbox_pred: nn.Module = bbox_pred
        self.bbox_reg_weights, self.smooth_l1_beta = tuple(bbox_reg_weights), smooth_l1_beta
        self.bbox_reg_loss_weight = bbox_reg_loss_weight
        self.score_thresh, self.nms_thresh, self.vote_thresh = score_thresh, nms_thresh, vote_thresh
        self.detections_per_image = detections_per_image

    @classmethod
    def from_config(cls, cfg: CfgNode, in_channels: int) -> BoxPredictor:
        """The predictions that ``MODEL.ROI_BOX_HEAD``, ``MODEL.ROI_HEADS`` and ``TEST`` describe."""
        c = cfg.MODEL.ROI_BOX_HEAD
        return cls(
            in_channels=in_channels,
            num_classes=cfg.MODEL.ROI_HEADS.NUM_CLASSES,
            bbox_reg_weights=c.BBOX_REG_WEIGHTS,
            smooth_l1_beta=c.SMOOTH_L1_BETA,
            bbox_reg_loss_weight=c.BBOX_REG_LOSS_WEIGHT,
            cls_agnostic_bbox_reg=c.CLS_AGNOSTIC_BBOX_REG,
            score_thresh=cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST,
            nms_thresh=cfg.MODEL.ROI_HEADS.NMS_THRESH_TEST,
            vote_thresh=cfg.MODEL.ROI_HEADS.VOTE_THRESH_TEST,
            detections_per_image=cfg.TEST.DETECTIONS_PER_IMAGE,
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Predicts logits (R, classes + 1) and deltas (R, 4 * boxes), float32, from features (R, C)."""
        return self.cls_score(x).float(), self.bbox_pred(x).float()

    def losses(
        self,
        logits: Tensor,
        deltas: Tensor,
        proposals_xyxy: Tensor,
        classes: Tensor,
        matched_xyxy: Tensor,
    ) -> dict[str, Tensor]:
        """Computes cross-entropy, and smooth L1 on the positives; both divided by the number of proposals.

        Args:
            logits: from ``forward``, R rows.
            deltas: from ``forward``, R rows.
            proposals_xyxy: (R, 4).
            classes: (R,) int64, the background being ``num_classes``.
            matched_xyxy: (R, 4) the person matched; read for positives only.
        """
        positive = torch.nonzero(classes < self.num_classes).flatten()
        column = torch.zeros_like(positive) if self.num_boxes == 1 else classes[positive]
        predicted = deltas.view(-1, self.num_boxes, 4)[positive, column]
        wanted = encode_deltas(proposals_xyxy[positive], matched_xyxy[positive], self.bbox_reg_weights)
        count = max(1, len(classes))
        return {
            "loss_cls": F.cross_entropy(logits, classes, reduction="sum") / count,
            "loss_box_reg": self.bbox_reg_loss_weight
            * smooth_l1(predicted, wanted, self.smooth_l1_beta)
            / count,
        }

    def inference(
        self, logits: Tensor, deltas: Tensor, proposals_xyxy: Tensor, image_size_hw: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Decodes one image's reported people, best first: boxes (D, 4), scores (D,).

        Raises:
            InputError: no prediction is finite.
        """
        scores = logits.softmax(dim=1)[:, :-1]
        boxes = decode_deltas(
            deltas.view(-1, self.num_boxes, 4), proposals_xyxy[:, None], self.bbox_reg_weights
        )
        finite = torch.isfinite(boxes).all(dim=2).all(dim=1) & torch.isfinite(scores).all(dim=1)
        if len(finite) and not finite.any():
            raise InputError(
                f"the box head: expected finite boxes and scores, got NaN or infinity of all; {NOT_FINITE_REMEDY}"
            )
        boxes = clip_boxes(boxes, image_size_hw)
        row, cls = torch.nonzero((scores > self.score_thresh) & finite[:, None]).unbind(dim=1)
        chosen = boxes[row, torch.zeros_like(cls) if self.num_boxes == 1 else cls]
        score = scores[row, cls]
        keep = batched_nms(chosen, score, cls, self.nms_thresh)[: self.detections_per_image]
        return self.vote(keep, chosen, score, cls), score[keep]

    def vote(self, keep: Tensor, boxes_xyxy: Tensor, scores: Tensor, classes: Tensor) -> Tensor:
        """Box voting: the reported boxes (D, 4) are means of boxes of their class that overlap them closely.

        Args:
            keep: (D,) which of the R boxes suppression kept.
            boxes_xyxy: (R, 4) before suppression.
            scores: (R,) theirs.
            classes: (R,) theirs.
        """
        if self.vote_thresh >= 1:
            return boxes_xyxy[keep]
        if self.num_classes > 1:
            scores = scores * (classes[keep][:, None] == classes)
        return vote_boxes(boxes_xyxy[keep], boxes_xyxy, scores, self.vote_thresh)
