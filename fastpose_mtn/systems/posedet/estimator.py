"""PoseDet as a pose estimator: frames of any size in, people in the frames' pixels out."""

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
from fastpose_mtn.systems.posedet.head import EXACT_LAYERS
from fastpose_mtn.systems.posedet.network import PoseDet, build_posedet


class PoseDetEstimator:
    """PoseDet without gradients and at its fastest; see ``protocols.PoseEstimator``.

    The network is copied, so training may go on with the one given.

    Args:
        network: the network.
        frames: what is done with frames and people; None: frames are looked at as they are.
        device: auto, cpu, cuda or cuda:N; None: the network's.
        precision: auto, fp32, bf16 or fp16; positions and scores are computed in float32 in any case.

    Raises:
        ValueError: there is no such device or precision.
    """

    def __init__(
        self,
        network: PoseDet,
        *,
        frames: FrameAdapter | None = None,
        device: str | None = None,
        precision: str = "auto",
    ) -> None:
        self.device = network.device if device is None else resolve_device(device)
        self.dtype = resolve_precision(precision, self.device)
        self.skeleton = network.skeleton
        self.embedding_dim = network.embedding_dim
        self.frames = frames or FrameAdapter(self.skeleton)
        if self.device.type == "cpu":
            keep_freed_memory()
        else:
            self.frames = replace(self.frames, bytes_per_pixel=0)
        own = copy.deepcopy(network).eval().requires_grad_(False)
        cancelling = cancelling_parts(own.backbone.bottom_up, self.dtype)
        self._network = fuse(own, activations=self.device.type == "cpu").to(self.device)
        if self.dtype != torch.float32:
            keep_float32(self._network.backbone.bottom_up, cancelling)
            head = self._network.head
            keep_float32(head, [name for name in EXACT_LAYERS if getattr(head, name) is not None])
            convert_weights(self._network, self.dtype)
        trunk = self._network.trunk
        self._trunk = CudaGraphs(trunk) if self.device.type == "cuda" else trunk

    @classmethod
    def from_config(
        cls,
        cfg: CfgNode,
        network: PoseDet | None = None,
        *,
        device: str | None = None,
        precision: str = "auto",
    ) -> PoseDetEstimator:
        """The estimator that a configuration describes.

        Args:
            cfg: the configuration.
            network: one that is there already; None: built, with ``MODEL.WEIGHTS``.
            device: None: the network's, or ``MODEL.DEVICE`` for one that is built here.
            precision: see above.

        Raises:
            ValueError: no weights are named, or they do not fit the configuration.
        """
        if network is None:
            if not cfg.MODEL.WEIGHTS:
                raise ValueError("no weights: set MODEL.WEIGHTS to a file of weights")
            cfg = cfg.clone()
            cfg.MODEL.ROI_REID_HEAD.NUM_IDENTITIES = 0  # its classifier serves training only
            cfg.MODEL.TIMM.PRETRAINED = False
            network = build_posedet(cfg)
            load_weights(network, cfg.MODEL.WEIGHTS)
            device = cfg.MODEL.DEVICE if device is None else device
        # all views' people go through the network's own suppression together (section 3.3)
        frames = replace(FrameAdapter.from_config(cfg), merge=network.suppression)
        return cls(network, frames=frames, device=device, precision=precision)

    def estimate(self, frames: Sequence[np.ndarray], min_score: float = 0.0) -> list[PersonDetections]:
        """Finds the people of each frame, best first, in its pixels, as NumPy arrays; see ``protocols.PersonDetector``.

        All frames go through the network at once, on a CPU in parallel streams.
        """
        return self.frames.estimate(frames, functools.partial(self._find, min_score=min_score))

    def estimate_given(
        self, frame: np.ndarray, boxes_xyxy: np.ndarray, scores: np.ndarray
    ) -> PersonDetections:
        """Locates the keypoints of the people in given boxes; see ``protocols.GivenPersonEstimator``."""
        return self.frames.estimate_given(frame, boxes_xyxy, scores, self._locate)

    def describe(self, frame: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Identity vectors (N, E) of the people in given boxes (N, 4), in the frame's pixels.

        Raises:
            ValueError: the frame is not an image, or the network has no identity branch.
        """
        return self.frames.describe(frame, boxes_xyxy, self._locate)

    def _locate(self, image: np.ndarray, boxes_xyxy: np.ndarray, scores: np.ndarray) -> PersonDetections:
        boxes, score = (torch.from_numpy(array).to(self.device) for array in (boxes_xyxy, scores))
        with torch.inference_mode(), self._autocast():
            batch, (size,) = self._network.preprocess([self._to_tensor(image)])
            candidates = self._network.trunk(batch)
            return self._network.selection.locate(self._network.head, candidates, boxes, score, size)

    def _find(self, images: Sequence[np.ndarray], *, min_score: float) -> list[PersonDetections]:
        find = functools.partial(self._find_together, min_score=min_score)
        return in_streams(find, images) if self.device.type == "cpu" else find(images)

    def _find_together(self, images: Sequence[np.ndarray], *, min_score: float) -> list[PersonDetections]:
        with torch.inference_mode(), self._autocast():
            batch, sizes = self._network.preprocess([self._to_tensor(image) for image in images])
            return self._network.find_people(self._trunk(batch), sizes, min_score)

    def _to_tensor(self, image: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(image)
        if self.device.type == "cuda":
            tensor = tensor.pin_memory()  # so that its way to the GPU holds nothing up
        return tensor.permute(2, 0, 1)

    def _autocast(self) -> contextlib.AbstractContextManager[None]:
        if self.dtype == torch.float32:
            return contextlib.nullcontext()
        # weights are converted already, and a CUDA graph must not rely on a cache that is emptied
        return torch.autocast(self.device.type, self.dtype, cache_enabled=False)
