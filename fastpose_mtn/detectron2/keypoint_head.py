"""The paper's keypoint head alone, for any Keypoint R-CNN configuration of Detectron2's."""

from __future__ import annotations

from typing import Any

import torch
from detectron2.config import CfgNode, configurable
from detectron2.layers import ShapeSpec
from detectron2.modeling import ROI_KEYPOINT_HEAD_REGISTRY
from detectron2.modeling.poolers import convert_boxes_to_pooler_format
from detectron2.structures import Instances, heatmaps_to_keypoints
from torch import Tensor

from fastpose_mtn.detectron2.pooler import pooler_from_shapes
from fastpose_mtn.modeling.layers import involve
from fastpose_mtn.modeling.pooler import RoIPooler
from fastpose_mtn.systems.mtn import keypoint_head as fastpose
from fastpose_mtn.systems.mtn.keypoint_head import DECODERS


@ROI_KEYPOINT_HEAD_REGISTRY.register()
class MTNKeypointHead(fastpose.MTNKeypointHead):
    """The paper's head with the interface of Detectron2's ``BaseKeypointRCNNHead``, for ``StandardROIHeads``.

    With ``MODEL.ROI_KEYPOINT_HEAD.POOLER_TYPE`` "" it gets the pyramid and reads the padded box itself,
    ``POOLER_RESOLUTION`` [22, 16], as in the paper. Otherwise Detectron2 reads the box as it is, which can
    only be square (14x14), and the heatmaps cover the box.

    Args:
        pooler: reads the pyramid; None: the features are given.
        report_heatmaps: set ``pred_keypoint_heatmaps`` too.
        See ``fastpose_mtn.systems.mtn.keypoint_head`` for the others.
    """

    @configurable
    def __init__(
        self, *, pooler: RoIPooler | None = None, report_heatmaps: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.pooler, self.report_heatmaps = pooler, report_heatmaps

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: ShapeSpec | dict[str, ShapeSpec]) -> dict[str, object]:  # type: ignore[override]
        """The constructor's arguments from ``MODEL.ROI_KEYPOINT_HEAD``.

        Args:
            cfg: the configuration.
            input_shape: of the pooled features, or of each level by name where the head reads the pyramid itself.

        Raises:
            ValueError: Detectron2's pooler would have to give features that are not square.
        """
        pooler = None
        resolution_hw = tuple(cfg.MODEL.ROI_KEYPOINT_HEAD.POOLER_RESOLUTION)
        if isinstance(input_shape, dict):
            pooler = pooler_from_shapes(
                input_shape, resolution_hw, cfg.MODEL.ROI_KEYPOINT_HEAD.POOLER_SAMPLING_RATIO
            )
            shape = next(iter(input_shape.values()))
        else:
            shape = input_shape
            if resolution_hw[0] != resolution_hw[1]:
                raise ValueError(
                    f"MODEL.ROI_KEYPOINT_HEAD.POOLER_RESOLUTION is {list(resolution_hw)}, but Detectron2's pooler "
                    'gives square features; set MODEL.ROI_KEYPOINT_HEAD.POOLER_TYPE "" and the head reads padded '
                    "boxes itself, or POOLER_RESOLUTION 14"
                )
        return {
            **cls.arguments(cfg, shape.channels),
            "resolution_hw": resolution_hw,
            "pooler": pooler,
            "report_heatmaps": cfg.MODEL.ROI_KEYPOINT_HEAD.HEATMAPS,
        }

    def regions(self, boxes_xyxy: Tensor) -> Tensor:
        """The part of the image (R, 4) that heatmaps cover: padded boxes, or the boxes that Detectron2 pooled."""
        return boxes_xyxy if self.pooler is None else super().regions(boxes_xyxy)

    def forward(self, x: Any, instances: list[Instances]) -> Any:  # type: ignore[override]
        """Losses in training, and otherwise the instances with ``pred_keypoints`` (N, K, 3).

        Args:
            x: features (R, C, n, n) of all instances, or with a pooler the pyramid's levels by name.
            instances: of each image, with ``proposal_boxes`` and ``gt_keypoints`` in training and with
                ``pred_boxes`` otherwise.
        """
        per_image = [one.proposal_boxes if self.training else one.pred_boxes for one in instances]
        rois = convert_boxes_to_pooler_format(per_image)
        boxes = rois[:, 1:]
        if self.training and len(boxes) == 0:
            return involve(self.no_losses(), self.parameters())
        if self.pooler is not None:
            x = self.pooler(list(x.values()), boxes, rois[:, 0].to(torch.int64), self.regions(boxes))
        prediction = super().forward(x)
        if self.training:
            keypoints = torch.cat([one.gt_keypoints.tensor for one in instances if len(one)])
            return self.losses(prediction, boxes, keypoints, len(instances))
        report_keypoints(self, instances, prediction, boxes, self.report_heatmaps)
        return instances


def decode_keypoints(
    head: fastpose.KeypointHead, prediction: fastpose.KeypointPrediction, boxes_xyxy: Tensor, scores: Tensor
) -> tuple[Tensor, Tensor]:
    """Turns heatmaps into joints and people's scores as ``KeypointHead.decode`` does, also where the model is traced.

    Mask R-CNN's decoder has as many steps as there are sizes of people, which a trace would fix; Detectron2's,
    which finds the same places, is a script.
    """
    if head.decoder != "resize" or not torch.jit.is_tracing():
        return head.decode(prediction, boxes_xyxy, scores)
    regions = head.regions(boxes_xyxy)
    position = heatmaps_to_keypoints(prediction.heatmaps, regions)[:, :, :2]
    similarity = DECODERS["subpixel"](prediction.heatmaps, regions, boxes_xyxy, head.sigmas)[1]
    confidence = similarity if prediction.visibility is None else prediction.visibility.sigmoid()
    return torch.cat((position, confidence[..., None]), dim=-1), scores


def report_keypoints(
    head: fastpose.KeypointHead,
    instances: list[Instances],
    prediction: fastpose.KeypointPrediction,
    boxes_xyxy: Tensor,
    report_heatmaps: bool,
) -> None:
    """Sets ``pred_keypoints`` and ``scores``, and when asked ``pred_keypoint_heatmaps``, of each image's people.

    Args:
        head: that predicted.
        instances: of each image; are changed. Without ``scores`` their boxes count as certain.
        prediction: of all images' people, one image after another.
        boxes_xyxy: (R, 4) theirs.
        report_heatmaps: set ``pred_keypoint_heatmaps`` too.
    """
    counts = [one.__len__() for one in instances]  # len() would fix the numbers when the model is traced
    known = all(one.has("scores") for one in instances)
    scores = torch.cat([one.scores for one in instances]) if known else torch.ones_like(boxes_xyxy[:, 0])
    keypoints, scores = decode_keypoints(head, prediction, boxes_xyxy, scores)
    for one, joints, score in zip(instances, keypoints.split(counts), scores.split(counts), strict=True):
        one.pred_keypoints, one.scores = joints, score
    if report_heatmaps:
        for one, maps in zip(instances, prediction.heatmaps.split(counts), strict=True):
            one.pred_keypoint_heatmaps = maps
