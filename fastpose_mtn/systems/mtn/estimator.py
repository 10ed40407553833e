"""The network as a pose estimator: frames of any size in, people in the frames' pixels out."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fastpose_mtn.checkpoints.loading import load_network
from fastpose_mtn.config import CfgNode
from fastpose_mtn.estimators.adapter import FrameAdapter
from fastpose_mtn.estimators.network import NetworkEstimator
from fastpose_mtn.modeling.rpn import Candidates
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.systems.mtn.network import MTN, build_model, to_detections


class MTNEstimator(NetworkEstimator[MTN]):
    """FastPose MTN as a pose estimator; see ``estimators.network.NetworkEstimator``."""

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
            model = load_network(cfg, build_model, source)
            device = cfg.MODEL.DEVICE if device is None else device
        return cls(model, frames=FrameAdapter.from_config(cfg), device=device, precision=precision)

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
