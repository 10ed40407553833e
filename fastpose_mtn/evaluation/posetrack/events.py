"""Tracking events of every joint and every person of a sequence, which the report is drawn from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from fastpose_mtn.evaluation.posetrack.matching import PoseMatches
from fastpose_mtn.evaluation.posetrack.mot import SequenceTracking, TrackedKinds
from fastpose_mtn.evaluation.posetrack.people import EvaluatedSequence
from fastpose_mtn.evaluation.posetrack.protocol import NUM_JOINTS


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
        joint: (E,) int64, position in ``protocol.JOINT_NAMES``, -1 for a whole person (a box).
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
    rows = []
    for side in (people.gt, people.predictions):
        joint, row = np.nonzero((side.has_joint & in_mot[side.frame][:, None]).T)
        rows.append(joint * len(side) + row)
    events = _events(people, tracking.joints, *rows)
    gt_of_prediction = np.full(len(people.predictions), -1, np.int64)
    owned = np.flatnonzero(matches.prediction_of_gt >= 0)
    gt_of_prediction[matches.prediction_of_gt[owned]] = owned
    for kind, column, partner, other_side in (
        (EventKind.MISS, events.gt, matches.prediction_of_gt, people.predictions),
        (EventKind.FALSE_POSITIVE, events.prediction, gt_of_prediction, people.gt),
    ):
        own = np.flatnonzero(events.kind == kind)
        other = partner[column[own]]
        partner_has = np.concatenate([other_side.has_joint, np.zeros((1, NUM_JOINTS), bool)])
        events.shifted[own] = (other >= 0) & partner_has[other, events.joint[own]]
    return _in_sequences(people, events)


def person_events(people: EvaluatedSequence, tracking: SequenceTracking) -> TrackingEvents:
    """The events of the people, matched by their boxes."""
    boxes = tracking.boxes
    events = _events(people, boxes, boxes.gt.row, boxes.predictions.row)
    return _in_sequences(people, replace(events, joint=np.full(len(events), -1)))


def _events(
    people: EvaluatedSequence, tracked: TrackedKinds, gt: np.ndarray, prediction: np.ndarray
) -> TrackingEvents:
    """Matches, misses and false positives, by rows and frames of the evaluated people; none is shifted.

    Args:
        people: what is compared.
        tracked: their kinds of objects.
        gt: (N,) rows of all objects, ``kind * people + row``.
        prediction: (M,) of all predictions, likewise.
    """
    found, kinds = tracked.events.matches, tracked.kinds
    num_gt, num_predictions = max(1, len(people.gt)), max(1, len(people.predictions))
    matched_gt, matched_prediction = tracked.gt.row[found.gt], tracked.predictions.row[found.prediction]
    missed = _without(gt, matched_gt, kinds.count * num_gt)
    false = _without(prediction, matched_prediction, kinds.count * num_predictions)
    objects, predictions = np.append(matched_gt, missed), np.append(matched_prediction, false)
    frame = np.append(people.gt.frame[objects % num_gt], people.predictions.frame[false % num_predictions])
    joint = np.append(objects // num_gt, false // num_predictions)
    kind = np.concatenate([
        np.where(tracked.events.switch, EventKind.SWITCH, EventKind.MATCH),
        np.full(len(missed), EventKind.MISS),
        np.full(len(false), EventKind.FALSE_POSITIVE),
    ])  # fmt: skip
    order = np.argsort(joint * kinds.frames + frame, kind="stable")
    return TrackingEvents(
        frame=frame[order],
        joint=joint[order],
        gt=np.append(objects % num_gt, np.full(len(false), -1))[order],
        prediction=np.insert(predictions % num_predictions, len(found), np.full(len(missed), -1))[order],
        kind=kind.astype(np.int8)[order],
        distance=np.append(found.distance, np.full(len(missed) + len(false), np.nan))[order],
        shifted=np.zeros(len(frame), bool),
    )


def _without(rows: np.ndarray, taken: np.ndarray, count: int) -> np.ndarray:
    left = np.zeros(count, bool)
    left[rows] = True
    left[taken] = False
    return np.flatnonzero(left)


def _in_sequences(people: EvaluatedSequence, events: TrackingEvents) -> TrackingEvents:
    """Events with rows and frames of the sequences instead of the evaluated people's."""
    return replace(
        events,
        frame=people.frames[events.frame],
        gt=np.append(people.gt.row, -1)[events.gt],
        prediction=np.append(people.predictions.row, -1)[events.prediction],
    )
