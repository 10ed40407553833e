"""The network as a pose estimator: frames of any size in, people in the frames' pixels out."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fastpose_mtn.config import CfgNode
from fastpose_mtn.estimators.network import NetworkEstimator
from fastpose_mtn.modeling.rpn import Candidates
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.systems.mtn.network import MTN, build_model, to_detections


class MTNEstimator(NetworkEstimator[MTN]):
    """FastPose MTN as a pose estimator; see ``estimators.network.NetworkEstimator``."""

    @staticmethod
    def build(cfg: CfgNode) -> MTN:
        """The network that a configuration describes, with initial weights."""
        return build_model(cfg)

    def _people_of(
        self,
        found: tuple[dict[str, Tensor], Candidates],
        sizes_hw: Sequence[tuple[int, int]],
        min_score: float,
    ) -> list[PersonDetections]:
        return to_detections(self._model.run_heads(*found, sizes_hw, min_score))

    def _located(
        self, batch: Tensor, size_hw: tuple[int, int], boxes_xyxy: Tensor, scores: Tensor
    ) -> PersonDetections:
        features = self._model.backbone(batch)
        return to_detections(self._model.roi_heads.describe(features, boxes_xyxy, scores, [len(boxes_xyxy)]))[
            0
        ]
