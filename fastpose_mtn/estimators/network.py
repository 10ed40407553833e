"""A network of whole images as a pose estimator, whichever it is."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from fastpose_mtn.checkpoints.loading import load_network
from fastpose_mtn.config import CfgNode
from fastpose_mtn.estimators.adapter import FrameAdapter, FrameEstimator
from fastpose_mtn.modeling.image_network import PeopleNetwork
from fastpose_mtn.runtime.cuda_graphs import CudaGraphs
from fastpose_mtn.runtime.inference import at_its_fastest, converted_autocast
from fastpose_mtn.runtime.precision import resolve_device, resolve_precision
from fastpose_mtn.runtime.streams import in_streams
from fastpose_mtn.structures import PersonDetections

if TYPE_CHECKING:  # Python 3.10 has no Self
    from typing import Self

Network = TypeVar("Network", bound=PeopleNetwork)


class NetworkEstimator(FrameEstimator, Generic[Network]):
    """A network without gradients and at its fastest; see ``protocols.PoseEstimator``.

    All frames go through the network at once, on a CPU in parallel streams. The network is copied, so training may go on
    with the one given; batch normalisation is folded into the copy's convolutions, and their weights are kept in the
    precision that is used.

    Args:
        network: the network.
        frames: how frames become images, and people the frames'; None: frames are looked at as they are.
        device: auto, cpu, cuda or cuda:N; None: the network's.
        precision: auto, fp32, bf16 or fp16. auto is bf16 on CUDA and on CPUs that compute in it, else fp32. What says
            where people are, and how sure, is computed in float32 in any case.

    Raises:
        ValueError: there is no such device, or it cannot compute in that precision.
    """

    def __init__(
        self,
        network: Network,
        *,
        frames: FrameAdapter | None = None,
        device: str | None = None,
        precision: str = "auto",
    ) -> None:
        self.device = network.device if device is None else resolve_device(device)
        self.dtype = resolve_precision(precision, self.device)
        self.skeleton, self.embedding_dim = network.skeleton, network.embedding_dim
        self.frames = frames or FrameAdapter(self.skeleton)
        if self.device.type != "cpu":
            self.frames = replace(self.frames, bytes_per_pixel=0)
        self._model = at_its_fastest(network, device=self.device, dtype=self.dtype)
        self._trunk = CudaGraphs(self._model.trunk) if self.device.type == "cuda" else self._model.trunk

    @classmethod
    def from_config(
        cls,
        cfg: CfgNode,
        network: Network | None = None,
        *,
        weights: str | None = None,
        device: str | None = None,
        precision: str = "auto",
    ) -> Self:
        """The estimator that a configuration describes.

        Args:
            cfg: the configuration.
            network: one that is there already; None: built, with ``weights``.
            weights: see ``checkpoints.loading.load_weights``; None: ``MODEL.WEIGHTS``.
            device: None: the network's, or ``MODEL.DEVICE`` for one that is built here.
            precision: see above.

        Raises:
            ValueError: no weights are named, or they do not fit the configuration.
        """
        if network is None:
            network = load_network(cfg, cls.build, weights)
            device = cfg.MODEL.DEVICE if device is None else device
        return cls(network, frames=cls.frames_of(cfg, network), device=device, precision=precision)

    @staticmethod
    @abstractmethod
    def build(cfg: CfgNode) -> Network:
        """The network that a configuration describes, with initial weights."""

    @classmethod
    def frames_of(cls, cfg: CfgNode, network: Network) -> FrameAdapter:
        """How frames become the network's images, and people the frames'."""
        return FrameAdapter.from_config(cfg)

    def _find(self, images: Sequence[np.ndarray], *, min_score: float) -> list[PersonDetections]:
        find = functools.partial(self._find_together, min_score=min_score)
        return in_streams(find, images) if self.device.type == "cpu" else find(images)

    def _find_together(self, images: Sequence[np.ndarray], *, min_score: float) -> list[PersonDetections]:
        with torch.inference_mode(), converted_autocast(self.device, self.dtype):
            batch, sizes = self._model.preprocess([self._to_tensor(image) for image in images])
            return self._people_of(self._trunk(batch), sizes, min_score)

    def _locate(self, image: np.ndarray, boxes_xyxy: np.ndarray, scores: np.ndarray) -> PersonDetections:
        boxes, score = (torch.from_numpy(array).to(self.device) for array in (boxes_xyxy, scores))
        with torch.inference_mode(), converted_autocast(self.device, self.dtype):
            batch, (size,) = self._model.preprocess([self._to_tensor(image)])
            return self._located(batch, size, boxes, score)

    def _to_tensor(self, image: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(image)
        if self.device.type == "cuda":
            tensor = tensor.pin_memory()  # so that its way to the GPU holds nothing up
        return tensor.permute(2, 0, 1)

    @abstractmethod
    def _people_of(
        self, found: Any, sizes_hw: Sequence[tuple[int, int]], min_score: float
    ) -> list[PersonDetections]:
        """Each image's people, NumPy, by what the network's trunk gave of the batch."""

    @abstractmethod
    def _located(
        self, batch: Tensor, size_hw: tuple[int, int], boxes_xyxy: Tensor, scores: Tensor
    ) -> PersonDetections:
        """The people of given boxes, NumPy, in a preprocessed batch of one image of this size."""
