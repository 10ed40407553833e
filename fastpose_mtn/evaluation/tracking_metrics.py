"""CLEAR MOT's events and IDF1 of objects in one sequence: joints or boxes.

The events are those of ``motmetrics``' ``MOTAccumulator``, which poseval uses and the tests hold them to:
where every object has at most one candidate and every candidate one object, all of them match whatever
went before, so only contested frames are solved one by one. Everything else about an event follows from
the match before it of the same object or the same prediction.

The accumulator itself is not used. Its events name ids, not the entries behind them, which the report's
pictures and PoseTrack's shifted joints need, so its matching would come on top of ours; and it is filled
frame by frame into a table of events. On a set of PoseTrack18 validation's size
(``benchmarks/evaluation.py``: 74 sequences, 7,992 frames) accumulators of the boxes alone take 0.7 s to
fill and 0.6 s to compute CLEAR MOT and IDF1, those of the 15 joints fifteen times that, where the whole
evaluation took 2.2 s. Its assignment goes to whichever solver is installed; ours is always SciPy's.

Sources: Bernardin and Stiefelhagen 2008 (CLEAR MOT), Ristani et al. 2016 (IDF1).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fastpose_mtn.ops.assignment import linear_sum_assignment


@dataclass(frozen=True)
class Kinds:
    """Several kinds of objects in one ``Presence``, one kind behind the other: the joints of people, say.

    Kind k has the frames from ``k * frames`` on, and ids above those of the kinds before it.

    Attributes:
        count: how many kinds there are.
        frames: how many frames each has.
    """

    count: int
    frames: int

    def of(self, frame: np.ndarray) -> np.ndarray:
        """The kind of each frame number."""
        return frame // self.frames

    def slices(self, frame: np.ndarray) -> list[slice]:
        """Where each kind lies among entries whose frames (N,) never decrease."""
        bounds = np.searchsorted(frame, np.arange(self.count + 1) * self.frames).tolist()
        return [slice(*ends) for ends in pairwise(bounds)]

    def counts(self, frame: np.ndarray) -> np.ndarray:
        """(C,) int64, how many of the frames are of each kind."""
        return np.bincount(self.of(frame), minlength=self.count)


ONE_KIND = Kinds(1, 1 << 62)


@dataclass(frozen=True, eq=False)
class Presence:
    """Occurrences of objects (or predictions): one entry for each in each frame, in the frames' order.

    Attributes:
        frame: (N,) int64.
        ids: (N,) int64.
        row: (N,) int64, how the caller knows the entry, never decreasing.
    """

    frame: np.ndarray
    ids: np.ndarray
    row: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    def select(self, mask: np.ndarray) -> Presence:
        """The entries of a mask (N,)."""
        return Presence(self.frame[mask], self.ids[mask], self.row[mask])


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs that may match, in the frames' order.

    Attributes:
        gt: (M,) int64 positions in the objects' ``Presence``.
        prediction: (M,) int64 positions in the predictions' ``Presence``.
        distance: (M,) float64, what the assignment minimises.
    """

    gt: np.ndarray
    prediction: np.ndarray
    distance: np.ndarray

    def __len__(self) -> int:
        return len(self.gt)

    def select(self, index: np.ndarray) -> Candidates:
        """The pairs at these positions, or of a mask (M,)."""
        return Candidates(self.gt[index], self.prediction[index], self.distance[index])


@dataclass(frozen=True, eq=False)
class ClearEvents:
    """CLEAR MOT's matches of a sequence in order, and what ``motmetrics`` notes about each.

    Attributes:
        matches: the matched pairs.
        switch: (M,) bool, the object's last match was another prediction.
        ascend: (M,) bool, such a switch to a prediction that matched nothing before.
        transfer: (M,) bool, the prediction last went over to another object.
        migrate: (M,) bool, such a transfer to an object that was never matched before.
    """

    matches: Candidates
    switch: np.ndarray
    ascend: np.ndarray
    transfer: np.ndarray
    migrate: np.ndarray


def clear_events(gt: Presence, predictions: Presence, candidates: Candidates) -> ClearEvents:
    """Matches objects and predictions over time as CLEAR MOT does.

    In each frame an object keeps the prediction that it last matched if that is a candidate; the rest is
    assigned with the least sum of distances.
    """
    matches = candidates.select(_matched(gt, predictions, candidates))
    object_ids, prediction_ids = gt.ids[matches.gt], predictions.ids[matches.prediction]
    before, same_object = _previous(object_ids)
    kept = same_object & (prediction_ids == prediction_ids[before])
    switch = same_object & ~kept
    ascend = switch & ~_previous(prediction_ids)[1]
    # Only matches that the assignment made, not those carried on, say whose a prediction last was.
    made = np.flatnonzero(~kept)
    before, same_prediction = _previous(prediction_ids[made])
    transfer = np.zeros(len(matches), bool)
    transfer[made] = same_prediction & (object_ids[made] != object_ids[made][before])
    return ClearEvents(matches, switch, ascend, transfer, transfer & ~same_object)


def num_fragmentations(gt: Presence, matches: Candidates, kinds: Kinds = ONE_KIND) -> np.ndarray:
    """(C,) int64: the number of fragmentations, gaps between two matches of an object, whatever their length."""
    order = np.lexsort((gt.frame, gt.ids))
    matched = np.zeros(len(gt), bool)
    matched[matches.gt] = True
    found = np.flatnonzero(matched[order])
    ids = gt.ids[order[found]]
    resumed = found[1:][(ids[1:] == ids[:-1]) & (np.diff(found) > 1)]
    return kinds.counts(gt.frame[order[resumed]])


def identity_true_positives(
    gt: Presence, predictions: Presence, candidates: Candidates, kinds: Kinds = ONE_KIND
) -> np.ndarray:
    """(C,) int64, IDTP: the most candidates that a one-to-one assignment of whole tracks can cover.

    IDF1 is ``2 IDTP / (objects + predictions)``.
    """
    rows = np.unique(gt.ids[candidates.gt], return_inverse=True)[1]
    columns = np.unique(predictions.ids[candidates.prediction], return_inverse=True)[1]
    out = np.zeros(kinds.count, np.int64)
    for kind, own in enumerate(kinds.slices(gt.frame[candidates.gt])):
        if own.start < own.stop:
            together = _table(rows[own], columns[own])
            out[kind] = together[linear_sum_assignment(together, maximize=True)].sum()
    return out


def _previous(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each event the position of the last one before it with the same id, and whether there is one."""
    order = np.argsort(ids, kind="stable")
    before = np.zeros(len(ids), np.int64)
    before[order[1:]] = order[:-1]
    exists = np.zeros(len(ids), bool)
    exists[order[1:]] = ids[order[1:]] == ids[order[:-1]]
    return before, exists


def contested_pairs(gt: Presence, candidates: Candidates) -> np.ndarray:
    """(M,) bool: candidates of frames where somebody has a choice, or two objects share an id."""
    frame = gt.frame[candidates.gt]
    num_frames = int(gt.frame.max()) + 1 if len(gt) else 0
    contested = np.zeros(num_frames, bool)
    for side in (candidates.gt, candidates.prediction):
        contested[frame[np.bincount(side)[side] > 1]] = True
    order = np.lexsort((gt.ids, gt.frame))
    twice = (np.diff(gt.frame[order]) == 0) & (np.diff(gt.ids[order]) == 0)
    contested[gt.frame[order][1:][twice]] = True
    return contested[frame]


def _matched(gt: Presence, predictions: Presence, candidates: Candidates) -> np.ndarray:
    """The positions of the candidates that match, in the order of the events."""
    contested = contested_pairs(gt, candidates)
    if not contested.any():
        return np.arange(len(candidates))
    frame = gt.frame[candidates.gt]
    bounds = np.append(np.flatnonzero(np.diff(frame, prepend=-1)), len(frame))
    object_ids = gt.ids[candidates.gt].tolist()
    prediction_ids = predictions.ids[candidates.prediction].tolist()
    last: dict[int, int] = {}  # object id -> id of the prediction that it last matched
    matched, done = [], 0
    for k in np.flatnonzero(contested[bounds[:-1]]).tolist():
        start, end = int(bounds[k]), int(bounds[k + 1])
        last.update(zip(object_ids[done:start], prediction_ids[done:start], strict=True))
        found = _solve(gt, predictions, candidates, slice(start, end), last)
        last.update((object_ids[k], prediction_ids[k]) for k in found)
        matched += [np.arange(done, start), np.array(found, np.int64)]
        done = end
    return np.concatenate([*matched, np.arange(done, len(frame))])


def _solve(
    gt: Presence, predictions: Presence, candidates: Candidates, chunk: slice, last: dict[int, int]
) -> list[int]:
    """One contested frame: first the pairs that go on, object by object, then the assignment."""
    frame = gt.frame[candidates.gt[chunk.start]]
    first_row, end_row = np.searchsorted(gt.frame, [frame, frame + 1])
    first_column, end_column = np.searchsorted(predictions.frame, [frame, frame + 1])
    i = candidates.gt[chunk] - first_row
    j = candidates.prediction[chunk] - first_column
    distances = np.full((end_row - first_row, end_column - first_column), np.nan)
    distances[i, j] = candidates.distance[chunk]
    position = np.zeros(distances.shape, np.int64)
    position[i, j] = np.arange(chunk.start, chunk.stop)
    column_of_id = {h: k for k, h in enumerate(predictions.ids[first_column:end_column].tolist())}
    found = []
    for row, object_id in enumerate(gt.ids[first_row:end_row].tolist()):
        column = column_of_id.get(last.get(object_id))  # type: ignore[arg-type]
        if column is not None and np.isfinite(distances[row, column]):
            found.append(int(position[row, column]))
            distances[row, :] = np.nan
            distances[:, column] = np.nan
    return found + position[_nearest_pairs(distances)].tolist()


def _nearest_pairs(distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of as many one-to-one pairs as there can be, of the least sum of distances.

    Args:
        distances: (N, M), 0 or more; NaN where there can be no pair.
    """
    allowed = np.isfinite(distances)
    if not allowed.any():
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    # Dearer than any number of pairs, as in motmetrics: one pair more is worth whatever it costs the others.
    dearest = 2.0 * min(distances.shape) * (distances[allowed].max() + 1.0) + 1.0
    rows, columns = linear_sum_assignment(np.where(allowed, distances, dearest))
    good = allowed[rows, columns]
    return rows[good], columns[good]


def _table(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """How often each value of ``rows`` meets each of ``columns``."""
    row_values, i = np.unique(rows, return_inverse=True)
    column_values, j = np.unique(columns, return_inverse=True)
    shape = len(row_values), len(column_values)
    return np.bincount(i * shape[1] + j, minlength=shape[0] * shape[1]).reshape(shape)
