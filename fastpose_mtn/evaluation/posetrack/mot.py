"""PoseTrack's MOT figures, by joint; and identity figures beside them, over joints and over boxes.

poseval's habits here, and what they mean for the numbers:

* Each kind of joint is tracked by itself: the joints of one person may match different predictions. Of
  any two joints within half a head size either may be matched; whose person AP took it for is no matter.
* The last labelled frame of each sequence is left out. A sequence with one labelled frame has no MOT.
* A frame where nobody is labelled or nobody predicted (once ignore regions are applied) is entered with
  a placeholder: one object and one prediction, which do not match. Whoever reports nobody in a frame is
  charged one miss and one false positive a joint, however many people are labelled there; and nothing
  is charged for the people predicted where nobody is left. The counts that MOTA is made of include them.
* MOTP is 100 (1 - S / matches), but S adds up the distances of *all* events: those of every pair of
  joints within reach, and once more of each match, and once more of each hand-over. It is near twice the
  sum that it should be, and falls further where people stand close together.
* A joint without matches has MOTP 0 and stays in the mean; one without labels has no MOTA or recall,
  one without labels and predictions no precision, and drops out of those means.

IDF1, HOTA and fragmentations are not poseval's. They see the same frames, and no placeholders.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from fastpose_mtn.data.posetrack.sequence import NO_TRACK_ID
from fastpose_mtn.evaluation.hota import HOTA_ALPHAS, hota_counts
from fastpose_mtn.evaluation.posetrack.matching import PoseMatches
from fastpose_mtn.evaluation.posetrack.people import EvaluatedPeople, EvaluatedSequence
from fastpose_mtn.evaluation.posetrack.protocol import (
    DISTANCE_THRESHOLD,
    IOU_THRESHOLD,
    NUM_JOINTS,
    mean_of_numbers,
)
from fastpose_mtn.evaluation.tracking_metrics import (
    Candidates,
    ClearEvents,
    Kinds,
    Presence,
    clear_events,
    identity_true_positives,
    num_fragmentations,
)
from fastpose_mtn.ops.overlap import box_iou


@dataclass(frozen=True, eq=False)
class TrackingSums:
    """Sums of C kinds of objects (15 joints, or the box alone), which add up over sequences.

    Attributes:
        num_objects, num_predictions, num_matches, num_switches, num_fragmentations: (C,) float64,
            without placeholders.
        num_placeholders: (C,) float64, frames where nobody is labelled or nobody predicted.
        sum_distance: (C,) float64, of the matches.
        sum_event_distance: (C,) float64, of all events, as poseval adds them up.
        idtp: (C,) float64, IDF1's true positives.
        hota_tp, hota_association: (C, 19) float64.
    """

    num_objects: np.ndarray
    num_predictions: np.ndarray
    num_matches: np.ndarray
    num_switches: np.ndarray
    num_fragmentations: np.ndarray
    num_placeholders: np.ndarray
    sum_distance: np.ndarray
    sum_event_distance: np.ndarray
    idtp: np.ndarray
    hota_tp: np.ndarray
    hota_association: np.ndarray

    def __add__(self, other: TrackingSums) -> TrackingSums:
        return TrackingSums(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @classmethod
    def none(cls, kinds: int) -> TrackingSums:
        """The sums of no sequence."""
        scalars = {f.name: np.zeros(kinds) for f in fields(cls)}
        return cls(
            **{k: np.zeros((kinds, len(HOTA_ALPHAS))) if "hota" in k else v for k, v in scalars.items()}
        )


@dataclass(frozen=True, eq=False)
class TrackedKinds:
    """Objects of a sequence, matched over time; positions of ``events`` are in the presences.

    A kind's frames and rows lie behind those of the kind before: a row is ``kind * people + row``.
    """

    kinds: Kinds
    gt: Presence
    predictions: Presence
    events: ClearEvents


@dataclass(frozen=True, eq=False)
class SequenceTracking:
    """The matching of a sequence: its 15 kinds of joints and its boxes, with their sums."""

    joints: TrackedKinds
    boxes: TrackedKinds
    joint_sums: TrackingSums
    box_sums: TrackingSums


def track_sequence(people: EvaluatedSequence, matches: PoseMatches) -> SequenceTracking:
    """Matches the joints and the boxes of a sequence over time."""
    gt_count, prediction_count = people.gt.per_frame[:-1], people.predictions.per_frame[:-1]
    empty = (gt_count == 0) | (prediction_count == 0)
    used = np.append(~empty, False)
    kinds = Kinds(NUM_JOINTS, max(1, len(people.frames)))
    gt, predictions = (
        _joint_presence(side, side.has_joint & used[side.frame][:, None], kinds.frames)
        for side in (people.gt, people.predictions)
    )
    near = matches.pairs
    counted = used[people.gt.frame][near.gt]
    pairs = Candidates(
        np.searchsorted(gt.row, (near.joint * len(people.gt) + near.gt)[counted]),
        np.searchsorted(predictions.row, (near.joint * len(people.predictions) + near.prediction)[counted]),
        near.distance[counted],
    )
    joints, joint_sums = _track(gt, predictions, pairs, DISTANCE_THRESHOLD, int(empty.sum()), kinds)
    boxes, box_sums = _track_boxes(people)
    return SequenceTracking(joints, boxes, joint_sums, box_sums)


def _joint_presence(people: EvaluatedPeople, present: np.ndarray, frames: int) -> Presence:
    """The joints (P, 15) that are there, kind by kind."""
    joint, row = np.nonzero(present.T)
    ids, number = np.unique(people.track_ids, return_inverse=True)
    return Presence(
        joint * frames + people.frame[row], joint * len(ids) + number[row], joint * len(people) + row
    )


def _track_boxes(people: EvaluatedSequence) -> tuple[TrackedKinds, TrackingSums]:
    """Boxes of all frames but the last, as for joints, but with no placeholders.

    People without a labelled joint are neither objects nor, where a box of theirs is predicted, is that
    a false positive: one pass of assignment by overlap takes such predictions out.
    """
    last = len(people.frames) - 1
    gt, predictions = (
        _presence(
            side,
            (side.frame < last) & ~np.isnan(side.boxes_xyxy).any(axis=1) & (side.track_ids != NO_TRACK_ID),
        )
        for side in (people.gt, people.predictions)
    )
    pairs = _box_pairs(people, gt, predictions)
    labelled = np.asarray(people.gt.has_joint.any(axis=1))[gt.row]
    if not labelled.all():
        near = pairs.select(pairs.distance <= 1 - IOU_THRESHOLD)
        frames_alone = Presence(gt.frame, np.arange(len(gt)), gt.row)  # no history: ids that never come again
        matched = clear_events(frames_alone, predictions, near).matches
        excused = np.zeros(len(predictions), bool)
        excused[matched.prediction[~labelled[matched.gt]]] = True
        gt, predictions = gt.select(labelled), predictions.select(~excused)
        pairs = _box_pairs(people, gt, predictions)
    return _track(gt, predictions, pairs, 1 - IOU_THRESHOLD, 0, Kinds(1, max(1, len(people.frames))))


def _box_pairs(people: EvaluatedSequence, gt: Presence, predictions: Presence) -> Candidates:
    """All overlapping boxes of the same frame, as positions in the presences; distance is 1 - IoU."""
    first = np.searchsorted(gt.frame, np.arange(len(people.frames) + 1))
    partners = np.diff(first)[predictions.frame]
    prediction = np.repeat(np.arange(len(predictions)), partners)
    begin = np.cumsum(partners) - partners
    gt_position = np.arange(len(prediction)) - np.repeat(begin - first[predictions.frame], partners)
    a = people.gt.boxes_xyxy[gt.row[gt_position]]
    b = people.predictions.boxes_xyxy[predictions.row[prediction]]
    iou = box_iou(a, b)
    overlapping = iou > 0
    return Candidates(gt_position[overlapping], prediction[overlapping], 1 - iou[overlapping])


def _presence(people: EvaluatedPeople, mask: np.ndarray) -> Presence:
    rows = np.flatnonzero(mask)
    return Presence(people.frame[rows], people.track_ids[rows], rows)


def _track(
    gt: Presence,
    predictions: Presence,
    pairs: Candidates,
    threshold: float,
    num_placeholders: int,
    kinds: Kinds,
) -> tuple[TrackedKinds, TrackingSums]:
    """Tracks objects whose pairs are given by their positions in the presences."""
    candidates = pairs.select(pairs.distance <= threshold)
    events = clear_events(gt, predictions, candidates)
    frame, distance = gt.frame[events.matches.gt], events.matches.distance
    of_matches = kinds.slices(frame)
    of_candidates = kinds.slices(gt.frame[candidates.gt])
    sum_distance = np.array([distance[own].sum() for own in of_matches])
    sum_event_distance = np.array([candidates.distance[own].sum() for own in of_candidates]) + sum_distance
    sum_event_distance += sum(  # poseval's, see the module's text
        np.array([distance[own][noted[own]].sum() for own in of_matches])
        for noted in (events.ascend, events.transfer, events.migrate)
    )
    hota_tp, hota_association, _ = hota_counts(gt, predictions, pairs, kinds)
    sums = TrackingSums(
        num_objects=kinds.counts(gt.frame).astype(float),
        num_predictions=kinds.counts(predictions.frame).astype(float),
        num_matches=kinds.counts(frame).astype(float),
        num_switches=kinds.counts(frame[events.switch]).astype(float),
        num_fragmentations=num_fragmentations(gt, events.matches, kinds).astype(float),
        num_placeholders=np.full(kinds.count, float(num_placeholders)),
        sum_distance=sum_distance,
        sum_event_distance=sum_event_distance,
        idtp=identity_true_positives(gt, predictions, candidates, kinds).astype(float),
        hota_tp=hota_tp,
        hota_association=hota_association,
    )
    return TrackedKinds(kinds, gt, predictions, events), sums


@dataclass(frozen=True, eq=False)
class TrackingFigures:
    """Figures of C kinds of objects, in percent where they are shares, NaN where they are undefined.

    Attributes:
        num_objects, num_detections, num_misses, num_false_positives, num_switches, num_fragmentations: (C,)
            float64; for joints with poseval's placeholders, so that MOTA follows from them.
        mota, motp, precision, recall: (C,) float64.
        idf1, hota, deta, assa: (C,) float64; HOTA's three averaged over the 19 thresholds.
    """

    num_objects: np.ndarray
    num_detections: np.ndarray
    num_misses: np.ndarray
    num_false_positives: np.ndarray
    num_switches: np.ndarray
    num_fragmentations: np.ndarray
    mota: np.ndarray
    motp: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    idf1: np.ndarray
    hota: np.ndarray
    deta: np.ndarray
    assa: np.ndarray

    @classmethod
    def from_sums(cls, sums: TrackingSums, *, poseval_motp: bool) -> TrackingFigures:
        """The figures of objects whose sums these are.

        Args:
            sums: over all sequences that count.
            poseval_motp: whether MOTP is poseval's (see the module's text) or made of the matches alone.
        """
        matches, switches = sums.num_matches, sums.num_switches
        objects = sums.num_objects + sums.num_placeholders
        misses = objects - matches
        false_positives = sums.num_predictions + sums.num_placeholders - matches
        distance = sums.sum_event_distance if poseval_motp else sums.sum_distance
        false_negatives = sums.num_objects[:, None] - sums.hota_tp
        found_or_not = sums.hota_tp + false_negatives + sums.num_predictions[:, None] - sums.hota_tp
        with np.errstate(divide="ignore", invalid="ignore"):
            deta = _known(sums.hota_tp / found_or_not)
            assa = np.where(np.isnan(deta), np.nan, sums.hota_association / np.maximum(sums.hota_tp, 1))
            return cls(
                num_objects=objects,
                num_detections=matches,
                num_misses=misses,
                num_false_positives=false_positives,
                num_switches=switches,
                num_fragmentations=sums.num_fragmentations,
                mota=100 * _known(1 - (misses + switches + false_positives) / _positive(objects)),
                motp=100 * np.where(matches > 0, 1 - distance / matches, 0.0 if poseval_motp else np.nan),
                precision=100 * matches / _positive(matches + false_positives),
                recall=100 * matches / _positive(objects),
                idf1=100 * 2 * sums.idtp / _positive(sums.num_objects + sums.num_predictions),
                hota=100 * np.sqrt(deta * assa).mean(axis=1),
                deta=100 * deta.mean(axis=1),
                assa=100 * assa.mean(axis=1),
            )

    def mean(self, figure: str) -> float:
        """The mean of a figure over the kinds that have it, poseval's total of a share."""
        return mean_of_numbers(getattr(self, figure))

    def total(self, figure: str) -> int:
        """The sum of a count over the kinds."""
        return int(getattr(self, figure).sum())


def _positive(values: np.ndarray) -> np.ndarray:
    return np.where(values > 0, values, np.nan)


def _known(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)
