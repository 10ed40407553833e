"""The result of an evaluation: figures in all and by sequence, and the events behind them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fastpose_mtn.data.posetrack.sequence import PoseTrackSequence
from fastpose_mtn.evaluation.posetrack.average_precision import JointDetections, average_precision
from fastpose_mtn.evaluation.posetrack.events import TrackingEvents
from fastpose_mtn.evaluation.posetrack.mot import TrackingFigures, TrackingSums
from fastpose_mtn.evaluation.posetrack.protocol import NAMES_AND_TOTAL, NUM_JOINTS, with_total

_COUNTS = (
    "num_objects", "num_detections", "num_misses", "num_false_positives", "num_switches", "num_fragmentations",
)  # fmt: skip
_AP_SHARES = ("ap", "ap_precision", "ap_recall")
_MOT_SHARES = ("mota", "motp", "precision", "recall")
_IDENTITY_SHARES = ("idf1", "hota", "deta", "assa")


@dataclass(frozen=True, eq=False)
class PoseTrackMetrics:
    """The figures of one sequence or of all; shares in percent, NaN where undefined.

    Attributes:
        num_frames: how many frames there are.
        num_labeled_frames: how many of them count for AP.
        ap, ap_precision, ap_recall: (16,) the joints in poseval's order and their mean.
        joints: tracking of the 15 kinds of joints; None where tracking was not evaluated.
        boxes: tracking of people by their boxes (one kind); None where tracking was not evaluated.
    """

    num_frames: int
    num_labeled_frames: int
    ap: np.ndarray
    ap_precision: np.ndarray
    ap_recall: np.ndarray
    joints: TrackingFigures | None
    boxes: TrackingFigures | None

    @classmethod
    def from_parts(
        cls,
        *,
        num_frames: int,
        num_labeled_frames: int,
        detections: Sequence[JointDetections],
        joint_sums: TrackingSums | None,
        box_sums: TrackingSums | None,
    ) -> PoseTrackMetrics:
        """The figures of sequences whose parts these are.

        Args:
            num_frames: of all sequences.
            num_labeled_frames: of all sequences.
            detections: of each sequence.
            joint_sums: over all sequences; None without tracking.
            box_sums: likewise.
        """
        ap, precision, recall = average_precision(detections)
        return cls(
            num_frames=num_frames,
            num_labeled_frames=num_labeled_frames,
            ap=ap,
            ap_precision=precision,
            ap_recall=recall,
            joints=None if joint_sums is None else TrackingFigures.from_sums(joint_sums, poseval_motp=True),
            boxes=None if box_sums is None else TrackingFigures.from_sums(box_sums, poseval_motp=False),
        )

    def joint_figure(self, figure: str) -> np.ndarray:
        """A share by joint and its mean, (16,), for example ``ap`` or ``mota``; NaN where it was not evaluated."""
        if figure in _AP_SHARES:
            return np.asarray(getattr(self, figure))
        if self.joints is None:
            return np.full(NUM_JOINTS + 1, np.nan)
        return with_total(getattr(self.joints, figure))

    def total(self, figure: str) -> float:
        """A figure of all joints: the mean of a share, the sum of a count (``num_switches`` and so on)."""
        if figure not in _COUNTS:
            return float(self.joint_figure(figure)[-1])
        return math.nan if self.joints is None else float(self.joints.total(figure))

    def to_json(self) -> dict[str, object]:
        """The layout of ``metrics.json``; NaN becomes None.

        ``ap`` to ``recall`` by joint, as poseval has them. ``idf1``, ``hota``, ``deta``, ``assa`` are the
        joints' means, ``num_...`` the joints' sums (the paper's Table 1c gives them a joint: divide by
        15). ``joints`` has the same by joint, ``boxes`` the same for whole people matched by their boxes.
        """
        out: dict[str, object] = {
            **{name: _by_joint(self.joint_figure(name)) for name in (*_AP_SHARES, *_MOT_SHARES)},
            "num_frames": self.num_frames,
            "num_labeled_frames": self.num_labeled_frames,
        }
        if self.joints is None or self.boxes is None:
            return out | dict.fromkeys((*_IDENTITY_SHARES, *_COUNTS))
        joints: dict[str, Mapping[str, float | None]] = {
            name: _by_joint(self.joint_figure(name)) for name in _IDENTITY_SHARES
        }
        for name in _COUNTS:
            counts = getattr(self.joints, name).astype(int).tolist()
            joints[name] = dict(zip(NAMES_AND_TOTAL, [*counts, sum(counts)], strict=True))
        out |= {name: values["total"] for name, values in joints.items()}
        boxes = {name: _number(getattr(self.boxes, name)[0]) for name in (*_MOT_SHARES, *_IDENTITY_SHARES)}
        boxes |= {name: self.boxes.total(name) for name in _COUNTS}
        return out | {"joints": joints, "boxes": boxes}


@dataclass(frozen=True, eq=False)
class SequenceResult:
    """One sequence: its figures, what was compared, and what happened.

    Attributes:
        name: of the sequence.
        metrics: its figures.
        gt, predictions: what was read; ``events`` name people by their rows in them.
        joint_events, person_events: what happened over time; None where tracking was not evaluated.
        prediction_of_gt: (P,) int64, for each row of ``gt`` the row of ``predictions`` that AP takes for
            the same person, -1 where there is none or the person does not count.
        detections, joint_sums, box_sums: what the figures of all sequences are made of.
        warnings: lines about oddities of the files.
    """

    name: str
    metrics: PoseTrackMetrics
    gt: PoseTrackSequence
    predictions: PoseTrackSequence
    joint_events: TrackingEvents | None
    person_events: TrackingEvents | None
    prediction_of_gt: np.ndarray
    detections: JointDetections
    joint_sums: TrackingSums | None
    box_sums: TrackingSums | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class PoseTrackResult:
    """The figures of all sequences and of each.

    Attributes:
        metrics: of all sequences together, not the mean of theirs.
        sequences: in the order in which they were evaluated.
        warnings: lines about oddities of the files, those of the sequences included.
    """

    metrics: PoseTrackMetrics
    sequences: tuple[SequenceResult, ...]
    warnings: tuple[str, ...]

    @classmethod
    def from_sequences(
        cls, sequences: Sequence[SequenceResult], *, tracking: bool = True, warnings: Sequence[str] = ()
    ) -> PoseTrackResult:
        """Adds up the sequences' parts."""
        joint_sums, box_sums = TrackingSums.none(NUM_JOINTS), TrackingSums.none(1)
        for s in sequences:
            if s.joint_sums is not None and s.box_sums is not None:
                joint_sums, box_sums = joint_sums + s.joint_sums, box_sums + s.box_sums
        metrics = PoseTrackMetrics.from_parts(
            num_frames=sum(s.metrics.num_frames for s in sequences),
            num_labeled_frames=sum(s.metrics.num_labeled_frames for s in sequences),
            detections=[s.detections for s in sequences],
            joint_sums=joint_sums if tracking else None,
            box_sums=box_sums if tracking else None,
        )
        return cls(metrics, tuple(sequences), (*warnings, *(w for s in sequences for w in s.warnings)))

    def to_json(self) -> dict[str, object]:
        """The content of ``metrics.json``: the figures of all, and by the sequences' names."""
        sequences = {s.name: s.metrics.to_json() for s in sorted(self.sequences, key=lambda s: s.name)}
        return {**self.metrics.to_json(), "sequences": sequences, "warnings": list(self.warnings)}


def _by_joint(values: np.ndarray) -> dict[str, float | None]:
    return {name: _number(value) for name, value in zip(NAMES_AND_TOTAL, values, strict=True)}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
