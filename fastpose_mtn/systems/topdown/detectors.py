"""Whose boxes a top-down network looks at: any pose estimator's, those in a file, or those of several together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fastpose_mtn.config import CfgNode
from fastpose_mtn.errors import InputError
from fastpose_mtn.estimators.box_files import BoxesFromFile
from fastpose_mtn.estimators.detectors import open_detector
from fastpose_mtn.estimators.views import merge_views
from fastpose_mtn.protocols import FrameName, PersonDescriber, PoseEstimator, estimate_frames
from fastpose_mtn.structures import PersonDetections


class DetectorEnsemble:
    """Several detectors, whose boxes are merged; see ``protocols.NamedFrameEstimator``.

    Identity vectors are the first one's that gives any, of all merged boxes.

    Args:
        detectors: two or more.
        scales: of each one's scores: those of different detectors do not mean the same.
        threshold: overlap above which the best box stays, see ``estimators.views.merge_views``.

    Raises:
        ValueError: there are not as many scales, one is not above 0, or the threshold is out of range.
    """

    def __init__(
        self,
        detectors: Sequence[PoseEstimator | BoxesFromFile],
        *,
        scales: Sequence[float],
        threshold: float,
    ) -> None:
        if len(scales) != len(detectors) or not all(scale > 0 for scale in scales):
            raise ValueError(
                f"MODEL.TOPDOWN.DETECTOR.SCORE_SCALES: expected a number above 0 for each of {len(detectors)} detectors, got "
                f"{list(scales)}"
            )
        if not 0 < threshold <= 1:
            raise ValueError(
                f"MODEL.TOPDOWN.DETECTOR.NMS: expected an overlap above 0, at most 1, got {threshold}"
            )
        self._detectors, self._scales, self._threshold = list(detectors), list(scales), threshold
        self._describer = next(
            (own for own in detectors if isinstance(own, PersonDescriber) and own.embedding_dim), None
        )

    @property
    def embedding_dim(self) -> int | None:
        """Numbers of an identity vector; None: no detector gives any."""
        return None if self._describer is None else self._describer.embedding_dim

    def estimate(self, frames: Sequence[np.ndarray], min_score: float = 0.0) -> list[PersonDetections]:
        """The people of each frame, best first; see ``protocols.PersonDetector``."""
        return self._merged(frames, [d.estimate(frames, min_score / s) for d, s in self._scaled()])

    def estimate_named(
        self, frames: Sequence[np.ndarray], names: Sequence[FrameName], min_score: float = 0.0
    ) -> list[PersonDetections]:
        """``estimate``, of frames that are known by their names."""
        found = [
            estimate_frames(detector, frames, names, min_score / scale) for detector, scale in self._scaled()
        ]
        return self._merged(frames, found)

    def describe(self, frame: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Identity vectors (N, E) of the people in given boxes (N, 4).

        Raises:
            ValueError: no detector gives any.
        """
        if self._describer is None:
            raise ValueError("none of the detectors has an identity head")
        return self._describer.describe(frame, boxes_xyxy)

    def _scaled(self) -> list[tuple[PoseEstimator | BoxesFromFile, float]]:
        return list(zip(self._detectors, self._scales, strict=True))

    def _merged(
        self, frames: Sequence[np.ndarray], found: Sequence[Sequence[PersonDetections]]
    ) -> list[PersonDetections]:
        people = []
        for frame, own in zip(frames, zip(*found, strict=True), strict=True):
            scaled = [
                PersonDetections.of_boxes(one.boxes, np.minimum(one.scores * scale, 1.0))
                for one, scale in zip(own, self._scales, strict=True)
            ]
            merged = merge_views(scaled, nms_thresh=self._threshold)
            vectors = None if self._describer is None else self.describe(frame, merged.boxes)
            people.append(replace(merged, embeddings=vectors))
        return people


Detector = PoseEstimator | BoxesFromFile | DetectorEnsemble


def build_detector(cfg: CfgNode, *, device: str, precision: str, describes: bool = True) -> Detector | None:
    """Who finds the people, as ``MODEL.TOPDOWN.DETECTOR`` says; None: nobody, boxes are always given.

    Joints of detectors are not looked at. People found twice are left to the top-down network, which sees their joints
    better.

    Args:
        cfg: of the top-down network.
        device: auto, cpu, cuda or cuda:N.
        precision: auto, fp32, bf16 or fp16.
        describes: its identity vectors are wanted, where it has any.

    Raises:
        ValueError: the weights cannot be read or used, or are a top-down network's.
    """
    c = cfg.MODEL.TOPDOWN.DETECTOR
    if not c.WEIGHTS and c.OTHERS:
        raise InputError(
            f"MODEL.TOPDOWN.DETECTOR.OTHERS {list(c.OTHERS)}: name the first detector in MODEL.TOPDOWN.DETECTOR.WEIGHTS"
        )
    if not c.WEIGHTS:
        return None
    size = cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST
    detectors = [
        open_detector(
            source,
            key="MODEL.TOPDOWN.DETECTOR.WEIGHTS",
            size=size if cfg.INPUT.MIN_SIZE_TEST else None,
            device=device,
            precision=precision,
            describes=describes,
        )
        for source in (c.WEIGHTS, *c.OTHERS)
    ]
    scales = [float(scale) for scale in c.SCORE_SCALES] or [1.0] * len(detectors)
    if len(detectors) == 1 and scales == [1.0]:
        return detectors[0]
    return DetectorEnsemble(detectors, scales=scales, threshold=c.NMS)
