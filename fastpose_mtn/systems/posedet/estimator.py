"""PoseDet as a pose estimator: frames of any size in, people in the frames' pixels out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from fastpose_mtn.config import CfgNode
from fastpose_mtn.estimators.adapter import FrameAdapter
from fastpose_mtn.estimators.network import NetworkEstimator
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.systems.posedet.head import Candidates
from fastpose_mtn.systems.posedet.network import PoseDet, build_posedet


class PoseDetEstimator(NetworkEstimator[PoseDet]):
    """PoseDet as a pose estimator; see ``estimators.network.NetworkEstimator``."""

    @staticmethod
    def build(cfg: CfgNode) -> PoseDet:
        """The network that a configuration describes, with initial weights."""
        return build_posedet(cfg)

    @classmethod
    def frames_of(cls, cfg: CfgNode, network: PoseDet) -> FrameAdapter:
        """As usual, but that people of all views go through the network's own suppression together (section 3.3)."""
        return replace(FrameAdapter.from_config(cfg), merge=network.suppression)

    def _people_of(
        self, found: Candidates, sizes_hw: Sequence[tuple[int, int]], min_score: float
    ) -> list[PersonDetections]:
        return self._model.find_people(found, sizes_hw, min_score)

    def _located(
        self, batch: Tensor, size_hw: tuple[int, int], boxes_xyxy: Tensor, scores: Tensor
    ) -> PersonDetections:
        network = self._model
        return network.selection.locate(network.head, network.trunk(batch), boxes_xyxy, scores, size_hw)
