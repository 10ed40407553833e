"""Tracking events of every joint and every person of a sequence, which the report is drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from fastpose_mtn.evaluation.posetrack.matching import PoseMatches
from fastpose_mtn.evaluation.posetrack.mot import SequenceTracking, TrackedKind
from fastpose_mtn.evaluation.posetrack.people import EvaluatedSequence


class EventKind(IntEnum):
    """CLEAR MOT's kinds of events."""

    MATCH = 0
    SWITCH = 1  # a match with another prediction than the object's last
    MISS = 2  # a labelled joint or person that nothing matches
    FALSE_POSITIVE = 3  # a predicted joint or person that matches nothing


@dataclass(frozen=True, eq=False)
class TrackingEvents:
    """E events, ordered by joint, then frame. No placeholders: every event is somebody's.

    Attributes:
        frame: (E,) int64, position in the sequence's frames; MOT's frames only, not the last labelled one.
        joint: (E,) int64, position in ``posetrack_protocol.JOINT_NAMES``, -1 for a whole person (a box).
        gt: (E,) int64, the labelled person's row in its sequence, -1 for a false positive.
        prediction: (E,) int64, the predicted person's row in its sequence, -1 for a miss.
        kind: (E,) int8, an :class:`EventKind`.
        distance: (E,) float64, of a match: head sizes, for a box 1 - IoU; NaN for the others.
        shifted: (E,) bool, a miss or false positive of a joint that the person's prediction, by AP's
            choice, has at a wrong place: one misplaced joint is one shifted miss and one shifted false positive.
    """

    frame: np.ndarray
    joint: np.ndarray
    gt: np.ndarray
    prediction: np.ndarray
    kind: np.ndarray
    distance: np.ndarray
    shifted: np.ndarray

    def __len__(self) -> int:
        return len(self.frame)


def joint_events(
    people: EvaluatedSequence, matches: PoseMatches, tracking: SequenceTracking
) -> TrackingEvents:
    """The events of all joints, also in the frames that poseval replaces by a placeholder."""
    in_mot = np.arange(len(people.frames)) < len(people.frames) - 1
    gt_of_prediction = np.full(len(people.predictions), -1, np.int64)
    owned = np.flatnonzero(matches.prediction_of_gt >= 0)
    gt_of_prediction[matches.prediction_of_gt[owned]] = owned
    parts = []
    for joint, kind in enumerate(tracking.joints):
        gt_has, prediction_has = people.gt.has_joint[:, joint], people.predictions.has_joint[:, joint]
        gt = np.flatnonzero(gt_has & in_mot[people.gt.frame])
        prediction = np.flatnonzero(prediction_has & in_mot[people.predictions.frame])
        parts.append(_events(people, kind, joint, gt, prediction))
        owner = matches.prediction_of_gt, gt_of_prediction
        parts[-1]["shifted"] = _shifted(parts[-1], owner, gt_has, prediction_has)
    return _collect(people, parts)


def person_events(people: EvaluatedSequence, tracking: SequenceTracking) -> TrackingEvents:
    """The events of the people, matched by their boxes."""
    boxes = tracking.boxes
    part = _events(people, boxes, -1, boxes.gt.row, boxes.predictions.row)
    part["shifted"] = np.zeros(len(part["gt"]), bool)
    return _collect(people, [part])


def _events(
    people: EvaluatedSequence, tracked: TrackedKind, joint: int, gt: np.ndarray, prediction: np.ndarray
) -> dict[str, np.ndarray]:
    """Matches, misses and false positives of one kind, as rows of the evaluated people."""
    found = tracked.events.matches
    matched_gt, matched_prediction = tracked.gt.row[found.gt], tracked.predictions.row[found.prediction]
    missed = _without(gt, matched_gt, len(people.gt))
    false = _without(prediction, matched_prediction, len(people.predictions))
    part = {
        "gt": np.concatenate([matched_gt, missed, np.full(len(false), -1)]),
        "prediction": np.concatenate([matched_prediction, np.full(len(missed), -1), false]),
        "kind": np.concatenate(
            [
                np.where(tracked.events.switch, EventKind.SWITCH, EventKind.MATCH),
                np.full(len(missed), EventKind.MISS),
                np.full(len(false), EventKind.FALSE_POSITIVE),
            ]
        ).astype(np.int8),
        "distance": np.concatenate([found.distance, np.full(len(missed) + len(false), np.nan)]),
    }
    frame = np.concatenate(
        [people.gt.frame[matched_gt], people.gt.frame[missed], people.predictions.frame[false]]
    )
    part["frame"] = frame
    part["joint"] = np.full(len(frame), joint)
    order = np.argsort(frame, kind="stable")
    return {name: values[order] for name, values in part.items()}


def _without(rows: np.ndarray, taken: np.ndarray, count: int) -> np.ndarray:
    left = np.zeros(count, bool)
    left[rows] = True
    left[taken] = False
    return np.flatnonzero(left)


def _shifted(
    part: dict[str, np.ndarray],
    owner: tuple[np.ndarray, np.ndarray],
    gt_has: np.ndarray,
    prediction_has: np.ndarray,
) -> np.ndarray:
    prediction_of_gt, gt_of_prediction = owner
    shifted = np.zeros(len(part["gt"]), bool)
    for kind, column, partner, partner_has in (
        (EventKind.MISS, "gt", prediction_of_gt, prediction_has),
        (EventKind.FALSE_POSITIVE, "prediction", gt_of_prediction, gt_has),
    ):
        events = np.flatnonzero(part["kind"] == kind)
        other = partner[part[column][events]]
        shifted[events] = (other >= 0) & np.append(partner_has, False)[other]
    return shifted


def _collect(people: EvaluatedSequence, parts: list[dict[str, np.ndarray]]) -> TrackingEvents:
    """Parts in one, their rows and frames turned from the evaluated people's to the sequences'."""
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    for name, side in (("gt", people.gt), ("prediction", people.predictions)):
        whole[name] = np.where(whole[name] >= 0, np.append(side.row, -1)[whole[name]], -1)
    whole["frame"] = people.frames[whole["frame"]]
    return TrackingEvents(**whole)
