"""A model of Detectron2's as a pose estimator: the same video job on that model."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.modeling import GeneralizedRCNN, build_model

from fastpose_mtn.checkpoints.loading import inference_config, named_weights, without_downloads
from fastpose_mtn.detectron2.checkpoint import FastPoseCheckpointer
from fastpose_mtn.detectron2.config import from_default_host, get_cfg
from fastpose_mtn.detectron2.data import in_format
from fastpose_mtn.detectron2.instances import people_of_boxes, people_of_images, to_detections
from fastpose_mtn.estimators.adapter import FrameAdapter, FrameEstimator
from fastpose_mtn.runtime.precision import resolve_precision
from fastpose_mtn.structures import PersonDetections


class Detectron2Estimator(FrameEstimator):
    """Runs a model of Detectron2's without gradients.

    Args:
        model: any whose instances have boxes, scores and joints in the skeleton's order.
        cfg: its configuration.
        precision: auto, fp32, bf16 or fp16.

    Raises:
        ValueError: the device cannot compute in that precision.
    """

    def __init__(self, model: GeneralizedRCNN, cfg: CfgNode, *, precision: str = "auto") -> None:
        self.model, self.frames = model.eval(), FrameAdapter.from_config(cfg)
        if model.device.type != "cpu":
            self.frames = replace(self.frames, bytes_per_pixel=0)
        self.skeleton = self.frames.skeleton
        self.image_format, self.device = cfg.INPUT.FORMAT, model.device
        reid_head = getattr(model.roi_heads, "reid_head", None)
        self.embedding_dim = None if reid_head is None else reid_head.embedding_dim
        self.dtype = resolve_precision(precision, self.device)

    @classmethod
    def from_config(cls, cfg: CfgNode, *, precision: str = "auto") -> Detectron2Estimator:
        """Builds the model and loads ``MODEL.WEIGHTS``.

        Raises:
            ValueError: no weights are named, or they do not fit the configuration.
        """
        weights = named_weights(cfg)
        cfg = without_downloads(cfg)
        cfg.MODEL.ROI_REID_HEAD.NUM_IDENTITIES = 0  # its classifier serves training only
        model = build_model(cfg).eval()
        FastPoseCheckpointer(model, strict=True).load(weights)
        return cls(model, cfg, precision=precision)

    def _find(self, images: Sequence[np.ndarray], *, min_score: float) -> list[PersonDetections]:
        inputs = [{"image": self._input(image)} for image in images]
        with torch.inference_mode(), self._autocast():
            instances = people_of_images(self.model, inputs, min_score)
        return [to_detections(one) for one in instances]

    def _locate(self, image: np.ndarray, boxes_xyxy: np.ndarray, scores: np.ndarray) -> PersonDetections:
        with self._autocast():
            return people_of_boxes(self.model, self._input(image), boxes_xyxy, scores)

    def _input(self, image: np.ndarray) -> torch.Tensor:
        return in_format(torch.from_numpy(image).permute(2, 0, 1), self.image_format)

    def _autocast(self) -> contextlib.AbstractContextManager:
        if self.dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.dtype)


def detectron2_inference_config(weights: str | None, config_file: str | None) -> CfgNode:
    """As ``checkpoints.loading.inference_config``, for Detectron2."""
    if config_file is None:
        return from_default_host(inference_config(weights))
    cfg = get_cfg()
    cfg.merge_from_file(config_file)
    cfg.MODEL.WEIGHTS = weights or cfg.MODEL.WEIGHTS
    return cfg
