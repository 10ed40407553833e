"""HOTA, CLEAR MOT and IDF1 of MOTChallenge's files, equal to TrackEval's.

What differs from PoseTrack's CLEAR MOT (``tracking_metrics.clear_events``, poseval's and motmetrics' rule): a track
is carried on only from the frame before, not from whenever the person was last found; a fragmentation is a gap in
the frames in which anybody could be matched; and among equal numbers of pairs the overlap decides.

Sources: TrackEval (``MotChallenge2DBox``, ``CLEAR``, ``Identity``, ``HOTA``); Dendorfer et al. 2021 (MOTChallenge).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

import numpy as np

from fastpose_mtn.evaluation.hota import best_pairs, best_scores, hota_counts
from fastpose_mtn.evaluation.mot.files import MotBoxes
from fastpose_mtn.evaluation.tracking_metrics import (
    Candidates,
    Presence,
    contested_pairs,
    identity_true_positives,
)
from fastpose_mtn.ops.overlap import box_iou

PEDESTRIAN = 1
# Classes whose detections are taken out: people on vehicles, who stand still in the sense of statues and in
# windows, distractors, reflections; MOT20 takes vehicles out too.
DISTRACTORS = {"MOT15": (), "MOT16": (2, 7, 8, 12), "MOT17": (2, 7, 8, 12), "MOT20": (2, 6, 7, 8, 12)}
_MATCH = 0.5  # overlap of a match
_EPSILON = np.finfo(np.float64).eps
_CARRIED_ON = 1000.0  # what a pair of the frame before is worth, in overlaps
_MOSTLY_TRACKED, _PARTLY_TRACKED = 0.8, 0.2  # shares of a person's frames


@dataclass(frozen=True, eq=False)
class MotSums:
    """What adds up over sequences. ``hota_*`` are (19,) float64, the others counts."""

    frames: int
    objects: int
    predictions: int
    people: int
    tracks: int
    matches: int
    overlap: float
    switches: int
    fragmentations: int
    mostly_tracked: int
    partly_tracked: int
    idtp: int
    hota_tp: np.ndarray
    hota_association: np.ndarray
    hota_overlap: np.ndarray

    def figures(self) -> dict[str, float]:
        """MOTChallenge's figures by name: shares in percent, counts as they are."""
        misses, false_positives = self.objects - self.matches, self.predictions - self.matches
        detected = self.hota_tp / np.maximum(1, self.objects + self.predictions - self.hota_tp)
        associated = self.hota_association / np.maximum(1, self.hota_tp)
        located = np.maximum(1e-10, self.hota_overlap) / np.maximum(1e-10, self.hota_tp)
        return {
            "HOTA": 100 * float(np.sqrt(detected * associated).mean()),
            "DetA": 100 * float(detected.mean()),
            "AssA": 100 * float(associated.mean()),
            "LocA": 100 * float(located.mean()),
            # without people 0, as in TrackEval, whatever is found
            "MOTA": 100 * (self.matches - false_positives - self.switches) / self.objects
            if self.objects
            else 0.0,
            "MOTP": 100 * self.overlap / max(1, self.matches),
            "IDF1": 100 * self.idtp / max(1.0, 0.5 * (self.objects + self.predictions)),
            "IDP": 100 * self.idtp / max(1, self.predictions),
            "IDR": 100 * self.idtp / max(1, self.objects),
            "Recall": 100 * self.matches / max(1, self.objects),
            "Precision": 100 * self.matches / max(1, self.predictions),
            "FP": false_positives,
            "FN": misses,
            "IDSW": self.switches,
            "Frag": self.fragmentations,
            "MT": self.mostly_tracked,
            "PT": self.partly_tracked,
            "ML": self.people - self.mostly_tracked - self.partly_tracked,
            "people": self.people,
            "tracks": self.tracks,
            "frames": self.frames,
        }


def add(sums: Iterable[MotSums]) -> MotSums:
    """The sums over sequences, at least one."""
    every = list(sums)
    return MotSums(*(sum(getattr(one, f.name) for one in every) for f in fields(MotSums)))  # type: ignore[arg-type]


def evaluate_sequence(gt: MotBoxes, results: MotBoxes, *, benchmark: str, frames: int) -> MotSums:
    """Compares a sequence's results with its ground truth.

    Args:
        gt: everything that is labelled, classes that do not count included.
        results: of a tracker.
        benchmark: a key of ``DISTRACTORS``: which classes take detections out.
        frames: of the sequence.
    """
    pairs = _overlapping(gt, results)
    kept = np.ones(len(results), bool)
    people = gt.counts.copy()
    if benchmark != "MOT15" and gt.classes is not None:
        people &= gt.classes == PEDESTRIAN
        kept = _without_distractors(gt, results, pairs, DISTRACTORS[benchmark])
    pairs = pairs.select(people[pairs.gt] & kept[pairs.prediction])
    place_gt, place_results = np.cumsum(people) - 1, np.cumsum(kept) - 1
    pairs = Candidates(place_gt[pairs.gt], place_results[pairs.prediction], pairs.distance)
    objects = Presence(gt.frame[people], gt.ids[people], np.flatnonzero(people))
    found = Presence(results.frame[kept], results.ids[kept], np.flatnonzero(kept))

    similarity = 1.0 - pairs.distance
    together = np.intersect1d(objects.frame, found.frame)
    matches = _matches(objects, found, pairs.select(similarity >= _MATCH - _EPSILON), together)
    switches, fragmentations = _breaks(objects, found, matches, together)
    ids, lengths = np.unique(objects.ids, return_counts=True)
    followed = np.bincount(np.searchsorted(ids, objects.ids[matches.gt]), minlength=len(ids)) / lengths
    mostly = int((followed > _MOSTLY_TRACKED).sum()) if len(found) else 0
    (hota_tp,), (hota_association,), (hota_overlap,) = hota_counts(objects, found, pairs)
    return MotSums(
        frames=frames,
        objects=len(objects),
        predictions=len(found),
        people=len(ids),
        tracks=len(np.unique(found.ids)),
        matches=len(matches),
        overlap=float((1.0 - matches.distance).sum()),
        switches=switches,
        fragmentations=fragmentations,
        mostly_tracked=mostly,
        partly_tracked=int((followed >= _PARTLY_TRACKED).sum()) - mostly,
        idtp=int(identity_true_positives(objects, found, pairs.select(similarity >= _MATCH))[0]),
        hota_tp=hota_tp,
        hota_association=hota_association,
        hota_overlap=hota_overlap,
    )


def _presence(boxes: MotBoxes) -> Presence:
    return Presence(boxes.frame, boxes.ids, np.arange(len(boxes)))


def fit_better_as_corners(gt: MotBoxes, results: MotBoxes) -> bool:
    """Whether results find more of the labelled with width and height read as a second corner, which all can be.

    With the two exchanged it tells of the labels.
    """
    low, size = results.boxes[:, :2], results.boxes[:, 2:] - results.boxes[:, :2]
    if not (low < size).all():
        return False
    corners = replace(results, boxes=np.concatenate([low, size], axis=1))
    as_sizes, as_corners = (1.0 - _overlapping(gt, one).distance for one in (results, corners))
    return bool(as_corners[as_corners >= _MATCH].sum() > as_sizes[as_sizes >= _MATCH].sum())


def _overlapping(gt: MotBoxes, results: MotBoxes) -> Candidates:
    """All pairs of a frame that overlap at all."""
    first = np.searchsorted(results.frame, gt.frame, side="left")
    count = np.searchsorted(results.frame, gt.frame, side="right") - first
    rows = np.repeat(np.arange(len(gt)), count)
    columns = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    (left, _, right, _), (others_left, _, others_right, _) = gt.boxes.T.copy(), results.boxes.T.copy()
    # few are; the rest is dear
    beside = (left[rows] < others_right[columns]) & (others_left[columns] < right[rows])
    rows, columns = rows[beside], columns[beside]
    overlap = box_iou(gt.boxes[rows], results.boxes[columns])
    some = overlap > _EPSILON
    return Candidates(rows[some], columns[some], 1.0 - overlap[some])


def _without_distractors(
    gt: MotBoxes, results: MotBoxes, pairs: Candidates, distractors: tuple[int, ...]
) -> np.ndarray:
    """(N,) bool: results that are not matched to what nobody has to find, in the best match of all classes."""
    near = pairs.select(1.0 - pairs.distance >= _MATCH - _EPSILON)
    chosen = near.select(best_scores(_presence(gt), _presence(results), near, 1.0 - near.distance))
    assert gt.classes is not None
    taken_out = chosen.prediction[np.isin(gt.classes[chosen.gt], distractors)]
    kept = np.ones(len(results), bool)
    kept[taken_out] = False
    return kept


def _matches(objects: Presence, found: Presence, candidates: Candidates, together: np.ndarray) -> Candidates:
    """CLEAR MOT's matches, frame by frame: those of the frame before that still overlap, then the most overlap.

    Args:
        objects: people.
        found: results.
        candidates: pairs of an overlap of 0.5 and more, in the frames' order.
        together: the frames that have people and results; the others are not looked at, as in TrackEval.
    """
    frame = objects.frame[candidates.gt]
    starts = np.searchsorted(frame, together, side="left").tolist()
    ends = np.searchsorted(frame, together, side="right").tolist()
    object_ids, found_ids = objects.ids[candidates.gt], found.ids[candidates.prediction]
    similarity = 1.0 - candidates.distance
    contested = contested_pairs(objects, candidates)  # elsewhere all match, whatever went before
    matched: list[np.ndarray] = []
    before: dict[int, int] = {}
    for start, end in zip(starts, ends, strict=True):
        chosen = np.arange(start, end)
        if contested[start:end].any():
            carried = [
                before.get(one) == other
                for one, other in zip(
                    object_ids[start:end].tolist(), found_ids[start:end].tolist(), strict=True
                )
            ]
            score = _CARRIED_ON * np.array(carried) + similarity[start:end]
            chosen = chosen[best_pairs(objects, found, candidates.select(chosen), score)]
        matched.append(chosen)
        before = dict(zip(object_ids[chosen].tolist(), found_ids[chosen].tolist(), strict=True))
    return candidates.select(np.concatenate([np.zeros(0, np.int64), *matched]))


def _breaks(objects: Presence, found: Presence, matches: Candidates, together: np.ndarray) -> tuple[int, int]:
    """The number of switches, from whatever a person last was, and of fragmentations, gaps in being found."""
    ids, frame = objects.ids[matches.gt], objects.frame[matches.gt]
    order = np.lexsort((frame, ids))
    same = np.diff(ids[order]) == 0
    other = np.diff(found.ids[matches.prediction][order]) != 0
    gap = np.diff(np.searchsorted(together, frame[order])) > 1
    return int((same & other).sum()), int((same & gap).sum())
