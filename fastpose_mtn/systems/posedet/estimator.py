"""PoseDet as a pose estimator: frames of any size in, people in the frames' pixels out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from fastpose_mtn.checkpoints.loading import load_network
from fastpose_mtn.config import CfgNode
from fastpose_mtn.estimators.adapter import FrameAdapter
from fastpose_mtn.estimators.network import NetworkEstimator
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.systems.posedet.head import Candidates
from fastpose_mtn.systems.posedet.network import PoseDet, build_posedet


class PoseDetEstimator(NetworkEstimator[PoseDet]):
    """PoseDet as a pose estimator; see ``estimators.network.NetworkEstimator``."""

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
            network = load_network(cfg, build_posedet, cfg.MODEL.WEIGHTS)
            device = cfg.MODEL.DEVICE if device is None else device
        # all views' people go through the network's own suppression together (section 3.3)
        frames = replace(FrameAdapter.from_config(cfg), merge=network.suppression)
        return cls(network, frames=frames, device=device, precision=precision)

    def _people_of(
        self, found: Candidates, sizes_hw: Sequence[tuple[int, int]], min_score: float
    ) -> list[PersonDetections]:
        return self._model.find_people(found, sizes_hw, min_score)

    def _located(
        self, batch: Tensor, size_hw: tuple[int, int], boxes_xyxy: Tensor, scores: Tensor
    ) -> PersonDetections:
        network = self._model
        return network.selection.locate(network.head, network.trunk(batch), boxes_xyxy, scores, size_hw)
