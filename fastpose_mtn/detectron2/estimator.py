"""A model of Detectron2's as a pose estimator: the same video job on that model."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from detectron2.modeling import build_model

from fastpose_mtn.checkpoints.loading import inference_config
from fastpose_mtn.detectron2.checkpoint import FastPoseCheckpointer
from fastpose_mtn.detectron2.config import from_default_host, get_cfg
from fastpose_mtn.detectron2.data import in_format
from fastpose_mtn.detectron2.instances import describe_boxes, to_detections
from fastpose_mtn.errors import InputError
from fastpose_mtn.estimators.frames import resize_to_test_size, to_frame
from fastpose_mtn.estimators.views import View, merge_views, mirror, views_from_config
from fastpose_mtn.runtime.precision import resolve_precision
from fastpose_mtn.skeletons import get_skeleton
from fastpose_mtn.structures import PersonDetections


class Detectron2Estimator:
    """Resizes frames, runs a model of Detectron2's without gradients, and maps people back.

    Args:
        model: any whose instances have boxes, scores and joints in the skeleton's order.
        cfg: its configuration.
        precision: auto, fp32, bf16 or fp16.

    Raises:
        ValueError: the device cannot compute in that precision.
    """

    def __init__(self, model: Any, cfg: Any, *, precision: str = "auto") -> None:
        self.model, self.skeleton = model.eval(), get_skeleton(cfg.MODEL.SKELETON)
        self.views = tuple(views_from_config(cfg)) or (
            View(cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST),
        )
        self._nms_thresh, self._count = cfg.MODEL.ROI_HEADS.NMS_THRESH_TEST, cfg.TEST.DETECTIONS_PER_IMAGE
        self.image_format, self.device = cfg.INPUT.FORMAT, model.device
        reid_head = getattr(model.roi_heads, "reid_head", None)
        self.embedding_dim = None if reid_head is None else reid_head.embedding_dim
        self.dtype = resolve_precision(precision, self.device)

    @classmethod
    def from_config(cls, cfg: Any, *, precision: str = "auto") -> Detectron2Estimator:
        """Builds the model and loads ``MODEL.WEIGHTS``.

        Raises:
            ValueError: no weights are named, or they do not fit the configuration.
        """
        if not cfg.MODEL.WEIGHTS:
            raise InputError("no weights: set MODEL.WEIGHTS to a file, demo or torchvision://NAME")
        cfg = cfg.clone()
        cfg.defrost()
        cfg.MODEL.ROI_REID_HEAD.NUM_IDENTITIES = 0  # its classifier serves training only
        cfg.MODEL.TIMM.PRETRAINED = False
        model = build_model(cfg).eval()
        FastPoseCheckpointer(model, strict=True).load(cfg.MODEL.WEIGHTS)
        return cls(model, cfg, precision=precision)

    def estimate(self, frames: Sequence[np.ndarray]) -> list[PersonDetections]:
        """The people of each frame (H, W, 3) RGB uint8, best first, in its pixels, as NumPy arrays."""
        if not frames:
            return []
        found = [self._estimate(frames, view) for view in self.views]
        if len(found) == 1:
            return found[0]
        return [
            merge_views(people, nms_thresh=self._nms_thresh, count=self._count)
            for people in zip(*found, strict=True)
        ]

    def describe(self, frame: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Identity vectors (N, E) of given people; of several views the first describes them.

        Args:
            frame: RGB uint8 image (H, W, 3).
            boxes_xyxy: (N, 4) in its pixels.
        """
        image = self._input(resize_to_test_size(frame, self.views[0].min_size, self.views[0].max_size))
        with self._autocast():
            return describe_boxes(self.model, image, (frame.shape[0], frame.shape[1]), boxes_xyxy)

    def _input(self, image: np.ndarray) -> torch.Tensor:
        return in_format(torch.from_numpy(image).permute(2, 0, 1), self.image_format)

    def _estimate(self, frames: Sequence[np.ndarray], view: View) -> list[PersonDetections]:
        images = [resize_to_test_size(frame, view.min_size, view.max_size) for frame in frames]
        if view.mirrored:
            images = [np.ascontiguousarray(image[:, ::-1]) for image in images]
        inputs = [{"image": self._input(image)} for image in images]
        with torch.inference_mode(), self._autocast():
            instances = self.model.inference(inputs, do_postprocess=False)
        found = [to_detections(one).best_first() for one in instances]
        if view.mirrored:
            found = [mirror(one, i.shape[1], self.skeleton) for one, i in zip(found, images, strict=True)]
        return [
            to_frame(
                one,
                image_size_hw=(image.shape[0], image.shape[1]),
                frame_size_hw=(frame.shape[0], frame.shape[1]),
            )
            for one, image, frame in zip(found, images, frames, strict=True)
        ]

    def _autocast(self) -> contextlib.AbstractContextManager:
        if self.dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.dtype)


def detectron2_inference_config(weights: str | None, config_file: str | None) -> Any:
    """As ``fastpose_mtn.modeling.checkpoint.inference_config``, for Detectron2."""
    if config_file is None:
        return from_default_host(inference_config(weights))
    cfg = get_cfg()
    cfg.merge_from_file(config_file)
    cfg.MODEL.WEIGHTS = weights or cfg.MODEL.WEIGHTS
    return cfg
