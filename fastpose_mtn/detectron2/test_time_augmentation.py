"""Detectron2's test-time augmentation, which does not do joints, with joints and identities."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.modeling import GeneralizedRCNN, GeneralizedRCNNWithTTA
from detectron2.modeling.postprocessing import detector_postprocess
from detectron2.structures import Boxes, Instances

from fastpose_mtn.estimators.frames import resize_to_test_size


class FastPoseWithTTA(GeneralizedRCNNWithTTA):
    """Boxes from all augmented images together; joints and identities of these boxes from the image itself.

    Args:
        cfg: the model's; ``TEST.AUG`` says which sizes and whether to mirror.
        model: with ``MTNROIHeads``.
        See Detectron2's ``GeneralizedRCNNWithTTA`` for the others.

    Raises:
        ValueError: ``TEST.AUG.MAX_SIZES`` is set, and Detectron2 knows one longer side only.
    """

    def __init__(self, cfg: CfgNode, model: GeneralizedRCNN, **kwargs: object) -> None:
        if cfg.TEST.AUG.MAX_SIZES:
            raise ValueError(
                f"TEST.AUG.MAX_SIZES {list(cfg.TEST.AUG.MAX_SIZES)}: Detectron2's test-time augmentation has one longer side "
                "for all sizes, TEST.AUG.MAX_SIZE; set MAX_SIZES ()"
            )
        boxes_only = cfg.clone()
        boxes_only.defrost()
        boxes_only.MODEL.KEYPOINT_ON = False  # or Detectron2 refuses
        super().__init__(boxes_only, model, **kwargs)

    def _turn_off_roi_heads(self, attrs: list[str]) -> AbstractContextManager:
        return super()._turn_off_roi_heads([*attrs, "reid_on"])

    def _inference_one_image(self, input: dict[str, Any]) -> dict[str, Instances]:
        people = super()._inference_one_image(input)["instances"]
        c = self.cfg.INPUT
        pixels = np.ascontiguousarray(input["image"].permute(1, 2, 0).cpu().numpy())
        image = torch.from_numpy(resize_to_test_size(pixels, c.MIN_SIZE_TEST, c.MAX_SIZE_TEST)).permute(
            2, 0, 1
        )
        size = (image.shape[1], image.shape[2])
        boxes = Boxes(people.pred_boxes.tensor.clone())
        boxes.scale(size[1] / input["width"], size[0] / input["height"])
        known = Instances(size, pred_boxes=boxes, scores=people.scores, pred_classes=people.pred_classes)
        described = self.model.inference([{"image": image}], detected_instances=[known], do_postprocess=False)
        return {"instances": detector_postprocess(described[0], input["height"], input["width"])}
