"""The network as a pose estimator: frames of any size in, people in the frames' pixels out."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from fastpose_mtn.checkpoints.loading import load_weights
from fastpose_mtn.config import CfgNode
from fastpose_mtn.estimators.adapter import FrameAdapter
from fastpose_mtn.runtime.cuda_graphs import CudaGraphs
from fastpose_mtn.runtime.fuse import fuse
from fastpose_mtn.runtime.memory import keep_freed_memory
from fastpose_mtn.runtime.precision import (
    cancelling_parts,
    convert_weights,
    keep_float32,
    resolve_device,
    resolve_precision,
)
from fastpose_mtn.runtime.streams import in_streams
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.systems.mtn.network import MTN, build_model, to_detections


class MTNEstimator:
    """FastPose MTN as a pose estimator, without gradients and at its fastest; see ``protocols.PoseEstimator``.

    The network is copied, so training may go on with the one given; batch normalisation is folded
    into the copy's convolutions and their weights are kept in the precision that is used.

    Args:
        model: the network.
        frames: how frames become images, and people the frames'; None: frames are looked at as they are.
        device: auto, cpu, cuda or cuda:N; None: the model's.
        precision: auto, fp32, bf16 or fp16. auto is bf16 on CUDA and on CPUs that compute in it, else fp32.

    Raises:
        ValueError: there is no such device, or it cannot compute in that precision.
    """

    def __init__(
        self,
        model: MTN,
        *,
        frames: FrameAdapter | None = None,
        device: str | None = None,
        precision: str = "auto",
    ) -> None:
        self.device = model.device if device is None else resolve_device(device)
        self.dtype = resolve_precision(precision, self.device)
        self.skeleton = model.skeleton
        self.frames = frames or FrameAdapter(self.skeleton)
        self.embedding_dim = model.embedding_dim
        if self.device.type == "cpu":
            keep_freed_memory()
        else:
            self.frames = replace(self.frames, bytes_per_pixel=0)
        own = copy.deepcopy(model).eval().requires_grad_(False)
        cancelling = cancelling_parts(own.backbone.bottom_up, self.dtype)
        self._model = fuse(own, activations=self.device.type == "cpu").to(self.device)
        if self.dtype != torch.float32:
            keep_float32(self._model.backbone.bottom_up, cancelling)
            _locate_in_float32(self._model)
            convert_weights(self._model, self.dtype)
        trunk = self._model.trunk
        self._trunk = CudaGraphs(trunk) if self.device.type == "cuda" else trunk

    @classmethod
    def from_config(
        cls,
        cfg: CfgNode,
        model: MTN | None = None,
        *,
        weights: str | None = None,
        device: str | None = None,
        precision: str = "auto",
    ) -> MTNEstimator:
        """The estimator that a configuration describes.

        Args:
            cfg: the configuration.
            model: a network that is there already; None: built, with ``weights``.
            weights: see ``checkpoints.loading.load_weights``; None: ``MODEL.WEIGHTS``.
            device: None: the model's, or ``MODEL.DEVICE`` for a network that is built here.
            precision: see above.

        Raises:
            ValueError: no weights are named, or they do not fit the configuration.
        """
        if model is None:
            source = weights or cfg.MODEL.WEIGHTS
            if not source:
                raise ValueError(
                    "no weights: set MODEL.WEIGHTS to a file, people, drawn or torchvision://NAME"
                )
            cfg = cfg.clone()
            cfg.MODEL.ROI_REID_HEAD.NUM_IDENTITIES = 0  # its classifier serves training only
            cfg.MODEL.TIMM.PRETRAINED = False
            model = build_model(cfg)
            load_weights(model, source)
            device = cfg.MODEL.DEVICE if device is None else device
        return cls(model, frames=FrameAdapter.from_config(cfg), device=device, precision=precision)

    def estimate(self, frames: Sequence[np.ndarray], min_score: float = 0.0) -> list[PersonDetections]:
        """Finds the people of each frame, best first, in its pixels, as NumPy arrays; see ``protocols.PersonDetector``.

        All frames go through the network at once, on a CPU in parallel streams.
        """
        return self.frames.estimate(frames, functools.partial(self._find, min_score=min_score))

    def estimate_given(
        self, frame: np.ndarray, boxes_xyxy: np.ndarray, scores: np.ndarray
    ) -> PersonDetections:
        """Locates the keypoints of the people in given boxes, in their order, none left out.

        Joints weigh in the scores as in those of people found.
        """
        return self.frames.estimate_given(frame, boxes_xyxy, scores, self._locate)

    def describe(self, frame: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Identity vectors (N, E) of the people in given boxes (N, 4), in the frame's pixels.

        Raises:
            ValueError: the frame is not an image, or the network has no identity head.
        """
        return self.frames.describe(frame, boxes_xyxy, self._locate)

    def _find(self, images: Sequence[np.ndarray], *, min_score: float) -> list[PersonDetections]:
        find = functools.partial(self._find_together, min_score=min_score)
        return in_streams(find, images) if self.device.type == "cpu" else find(images)

    def _find_together(self, images: Sequence[np.ndarray], *, min_score: float) -> list[PersonDetections]:
        with torch.inference_mode(), self._autocast():
            batch, sizes = self._model.preprocess([self._to_tensor(image) for image in images])
            return to_detections(self._model.run_heads(*self._trunk(batch), sizes, min_score))

    def _locate(self, image: np.ndarray, boxes_xyxy: np.ndarray, scores: np.ndarray) -> PersonDetections:
        boxes, score = (torch.from_numpy(array).to(self.device) for array in (boxes_xyxy, scores))
        with torch.inference_mode(), self._autocast():
            batch, _ = self._model.preprocess([self._to_tensor(image)])
            features = self._model.backbone(batch)
            people = self._model.roi_heads.describe(features, boxes, score, [len(boxes)])
        return to_detections(people)[0]

    def _to_tensor(self, image: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(image)
        if self.device.type == "cuda":
            tensor = tensor.pin_memory()  # so that its way to the GPU holds nothing up
        return tensor.permute(2, 0, 1)

    def _autocast(self) -> contextlib.AbstractContextManager:
        if self.dtype == torch.float32:
            return contextlib.nullcontext()
        # weights are converted already, and a CUDA graph must not rely on a cache that is emptied
        return torch.autocast(self.device.type, self.dtype, cache_enabled=False)


def _locate_in_float32(model: MTN) -> None:
    """Makes, in place, the layers that say where boxes are, and how sure, compute in float32 whatever the rest does.

    They are little work, and rounding their results to 8 bits would move small boxes, and change which of two boxes
    suppresses the other.
    """
    head = model.proposal_generator.rpn_head
    assert head.predictions is not None  # fused
    keep_float32(head, ["predictions"])
    keep_float32(model.roi_heads.box_predictor, ["cls_score", "bbox_pred"])
