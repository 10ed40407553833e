"""PoseTrack's figures of weighted sequences: a record of each, from which AP, MOTA and the like follow."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np

from fastpose_mtn.build import build_tracker
from fastpose_mtn.config import CfgNode
from fastpose_mtn.data.dataset import PoseDataset
from fastpose_mtn.evaluation.measures.tracking import TrackingEntry, TrackingMeasure
from fastpose_mtn.evaluation.posetrack.average_precision import JointDetections, average_precision
from fastpose_mtn.evaluation.posetrack.mot import TrackingFigures, TrackingSums
from fastpose_mtn.evaluation.posetrack.protocol import NUM_JOINTS
from fastpose_mtn.skeletons import get_skeleton

Record = dict[str, Any]
_SUMS = tuple(field.name for field in fields(TrackingSums))


def sequence_records(dataset: PoseDataset, cfg: CfgNode, entries: Sequence[TrackingEntry]) -> list[Record]:
    """Of each sequence, in the order of their images, what PoseTrack's figures are made of.

    Args:
        dataset: of sequences.
        cfg: says who tracks.
        entries: of all of its images.
    """
    skeleton = get_skeleton(cfg.MODEL.SKELETON)
    measure = TrackingMeasure(dataset, skeleton, functools.partial(build_tracker, cfg, skeleton))
    by_name = {result.name: result for result in measure.compare(entries).sequences}
    records = []
    for sequence in dataset.sequences(warn=lambda text: None):
        result = by_name[sequence.name]
        found = result.detections
        records.append(
            {
                "present": found.present.astype(int).tolist(),
                "scores": found.scores.round(7).tolist(),
                "right": found.right.astype(int).tolist(),
                "num_labelled": found.num_labelled.tolist(),
                "sums": {name: np.asarray(getattr(result.joint_sums, name)).tolist() for name in _SUMS},
            }
        )
    return records


def _sequences(records: Sequence[Record]) -> tuple[np.ndarray, list[Record]]:
    """The first image of each sequence, whose weight is the sequence's, and its record."""
    first = [number for number, record in enumerate(records) if "sequence" in record]
    return np.array(first, np.int64), [records[number]["sequence"] for number in first]


def _average_precision(records: Sequence[Record]) -> Callable[[np.ndarray], float]:
    """PoseTrack's AP of the tracked people, the joints' mean."""
    first, sequences = _sequences(records)
    found = [
        JointDetections(
            present=np.array(own["present"], bool).reshape(-1, NUM_JOINTS),
            scores=np.array(own["scores"], np.float64).reshape(-1, NUM_JOINTS),
            right=np.array(own["right"], bool).reshape(-1, NUM_JOINTS),
            num_labelled=np.array(own["num_labelled"]),
        )
        for own in sequences
    ]

    def value(weights: np.ndarray) -> float:
        drawn = [one for one, times in zip(found, weights[first], strict=True) for _ in range(int(times))]
        return float(average_precision(drawn)[0][-1]) / 100

    return value


def _tracking(
    records: Sequence[Record], *, of: Callable[[TrackingFigures], float]
) -> Callable[[np.ndarray], float]:
    first, sequences = _sequences(records)
    sums = {name: np.array([own["sums"][name] for own in sequences]) for name in _SUMS}

    def value(weights: np.ndarray) -> float:
        weighted = {name: np.tensordot(weights[first], each, axes=1) for name, each in sums.items()}
        return of(TrackingFigures.from_sums(TrackingSums(**weighted), poseval_motp=True))

    return value


TRACKING_FIGURES: Mapping[str, Callable[[Sequence[Record]], Callable[[np.ndarray], float]]] = {
    "posetrack/AP": _average_precision,
    "posetrack/MOTA": partial(_tracking, of=lambda figures: figures.mean("mota") / 100),
    "posetrack/IDF1": partial(_tracking, of=lambda figures: figures.mean("idf1") / 100),
    "posetrack/HOTA": partial(_tracking, of=lambda figures: figures.mean("hota") / 100),
    "posetrack/switches": partial(_tracking, of=lambda figures: float(figures.total("num_switches"))),
}
