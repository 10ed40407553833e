"""CLEAR MOT's events, IDF1 and HOTA of one kind of object in one sequence: joints or boxes.

The events are those of ``motmetrics``' ``MOTAccumulator``, which poseval uses and the tests hold them to:
where every object has at most one candidate and every candidate one object, all of them match whatever
went before, so only contested frames are solved one by one. Everything else about an event follows from
the match before it of the same object or the same prediction.

The accumulator itself is not used. Its events name ids, not the entries behind them, which the report's
pictures and PoseTrack's shifted joints need, so its matching would come on top of ours; and it is filled
frame by frame into a table of events. On a set of PoseTrack18 validation's size
(``benchmarks/evaluation.py``: 74 sequences, 7,992 frames) accumulators of the boxes alone take 0.7 s to
fill and 0.6 s to compute CLEAR MOT and IDF1, those of the 15 joints fifteen times that, where the whole
evaluation takes 2.2 s. Its assignment goes to whichever solver is installed; ours is always SciPy's.

Sources: Bernardin and Stiefelhagen 2008 (CLEAR MOT), Ristani et al. 2016 (IDF1), Luiten et al. 2021
(HOTA), the latter as TrackEval counts it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.optimize import linear_sum_assignment

# HOTA's 19 localisation thresholds; TrackEval takes off one rounding error when it compares.
HOTA_ALPHAS = np.arange(0.05, 0.99, 0.05)
_EPSILON = np.finfo(np.float64).eps
_NUM_LEVELS = len(HOTA_ALPHAS) + 1


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


def num_fragmentations(gt: Presence, matches: Candidates) -> int:
    """The number of fragmentations: gaps between two matches of an object, whatever their length."""
    order = np.lexsort((gt.frame, gt.ids))
    matched = np.zeros(len(gt), bool)
    matched[matches.gt] = True
    found = np.flatnonzero(matched[order])
    same_object = gt.ids[order][found][1:] == gt.ids[order][found][:-1]
    return int((same_object & (np.diff(found) > 1)).sum())


def identity_true_positives(gt: Presence, predictions: Presence, candidates: Candidates) -> int:
    """IDTP: the most candidates that a one-to-one assignment of whole tracks can cover.

    IDF1 is ``2 IDTP / (objects + predictions)``.
    """
    if not len(candidates):
        return 0
    together = _table(gt.ids[candidates.gt], predictions.ids[candidates.prediction])
    return int(together[linear_sum_assignment(together, maximize=True)].sum())


def hota_counts(
    gt: Presence, predictions: Presence, pairs: Candidates
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """HOTA's true positives, association scores and similarities at each of its 19 thresholds.

    Args:
        gt: occurrences of the objects.
        predictions: occurrences of the predictions.
        pairs: all pairs that are at all similar; their similarity is ``1 - distance``, in (0, 1].

    Returns:
        (19,) true positives, (19,) the sum over them of their association score and (19,) of their similarity.
    """
    if not len(pairs):
        nothing = np.zeros(len(HOTA_ALPHAS))
        return nothing, nothing, nothing
    similarity = 1.0 - pairs.distance
    gt_ids, gt_index = np.unique(gt.ids, return_inverse=True)
    prediction_ids, prediction_index = np.unique(predictions.ids, return_inverse=True)
    shape = len(gt_ids), len(prediction_ids)
    cell = gt_index[pairs.gt] * shape[1] + prediction_index[pairs.prediction]
    of_gt = np.bincount(pairs.gt, similarity, len(gt))[pairs.gt]
    of_prediction = np.bincount(pairs.prediction, similarity, len(predictions))[pairs.prediction]
    overlap = np.bincount(cell, similarity / (of_gt + of_prediction - similarity), shape[0] * shape[1])
    lengths = np.add.outer(np.bincount(gt_index), np.bincount(prediction_index)).ravel()
    alignment = overlap / (lengths - overlap)
    chosen = best_scores(gt, pairs, alignment[cell] * similarity)
    # A matched pair counts at the thresholds up to its similarity: one histogram gives all 19 of them.
    cells, matched_cell = np.unique(cell[chosen], return_inverse=True)
    levels = np.searchsorted(HOTA_ALPHAS - _EPSILON, similarity[chosen], side="right")
    histogram = np.bincount(matched_cell * _NUM_LEVELS + levels, minlength=len(cells) * _NUM_LEVELS)
    at_least = np.cumsum(histogram.reshape(-1, _NUM_LEVELS)[:, ::-1], axis=1)[:, ::-1]
    counts = at_least[:, 1:].astype(float)
    association = counts**2 / (lengths[cells][:, None] - counts)
    located = np.bincount(levels, similarity[chosen], _NUM_LEVELS)[::-1].cumsum()[::-1][1:]
    return counts.sum(axis=0), association.sum(axis=0), located


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
    bounds = np.append(np.flatnonzero(np.diff(frame, prepend=-1)), len(frame)).tolist()
    object_ids, prediction_ids = (
        gt.ids[candidates.gt].tolist(),
        predictions.ids[candidates.prediction].tolist(),
    )
    last: dict[int, int] = {}  # object id -> id of the prediction that it last matched
    matched: list[int] = []
    for start, end in pairwise(bounds):
        found = list(range(start, end))
        if contested[start]:
            found = _solve(gt, predictions, candidates, slice(start, end), last)
        matched += found
        last.update((object_ids[k], prediction_ids[k]) for k in found)
    return np.array(matched, np.int64)


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


def best_scores(gt: Presence, pairs: Candidates, score: np.ndarray) -> np.ndarray:
    """The positions of the pairs that, frame by frame, make a one-to-one matching of the largest score (M,)."""
    contested = contested_pairs(gt, pairs)
    chosen = [np.flatnonzero(~contested)]
    open_pairs = np.flatnonzero(contested)
    frame = gt.frame[pairs.gt[open_pairs]]
    for group in np.split(open_pairs, np.flatnonzero(np.diff(frame)) + 1):
        if not len(group):
            continue
        chosen.append(group[best_pairs(pairs.gt[group], pairs.prediction[group], score[group])])
    return np.concatenate(chosen)


def best_pairs(rows: np.ndarray, columns: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The positions of the pairs of one frame that make a one-to-one matching of the largest sum of scores.

    Args:
        rows: (M,) int64; those of a frame lie close together.
        columns: (M,) int64, likewise.
        scores: (M,) above 0.
    """
    i, j = rows - rows.min(), columns - columns.min()
    table = np.zeros((i.max() + 1, j.max() + 1))
    table[i, j] = scores
    row, column = linear_sum_assignment(table, maximize=True)
    position = np.full(table.shape, -1, np.int64)
    position[i, j] = np.arange(len(scores))
    best = position[row, column]
    return best[best >= 0]


def _table(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """How often each value of ``rows`` meets each of ``columns``."""
    row_values, i = np.unique(rows, return_inverse=True)
    column_values, j = np.unique(columns, return_inverse=True)
    shape = len(row_values), len(column_values)
    return np.bincount(i * shape[1] + j, minlength=shape[0] * shape[1]).reshape(shape)
