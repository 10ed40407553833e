"""HOTA of objects in one sequence, as TrackEval counts it (Luiten et al. 2021)."""

from __future__ import annotations

import numpy as np

from fastpose_mtn.evaluation.tracking_metrics import ONE_KIND, Candidates, Kinds, Presence
from fastpose_mtn.ops.assignment import linear_sum_assignment

# HOTA's 19 localisation thresholds; TrackEval takes off one rounding error when it compares.
HOTA_ALPHAS = np.arange(0.05, 0.99, 0.05)
_EPSILON = np.finfo(np.float64).eps
_NUM_LEVELS = len(HOTA_ALPHAS) + 1
_NEXT = np.array((0, 1))


def hota_counts(
    gt: Presence, predictions: Presence, pairs: Candidates, kinds: Kinds = ONE_KIND
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """HOTA's true positives, association scores and similarities at each of its 19 thresholds.

    Args:
        gt: occurrences of the objects.
        predictions: occurrences of the predictions.
        pairs: all pairs that are at all similar; their similarity is ``1 - distance``, in (0, 1].
        kinds: of the objects.

    Returns:
        (C, 19) true positives, the sum over them of their association score and of their similarity, of each kind.
    """
    if not len(pairs):
        nothing = np.zeros((kinds.count, len(HOTA_ALPHAS)))
        return nothing, nothing, nothing
    similarity = 1.0 - pairs.distance
    gt_index = np.unique(gt.ids, return_inverse=True)[1]
    prediction_ids, prediction_index = np.unique(predictions.ids, return_inverse=True)
    # A cell is an object and a prediction that meet; a table of all would have as many as there are tracks, squared.
    cells, first, cell = np.unique(
        gt_index[pairs.gt] * len(prediction_ids) + prediction_index[pairs.prediction],
        return_index=True,
        return_inverse=True,
    )
    of_gt = np.bincount(pairs.gt, similarity, len(gt))[pairs.gt]
    of_prediction = np.bincount(pairs.prediction, similarity, len(predictions))[pairs.prediction]
    overlap = np.bincount(cell, similarity / (of_gt + of_prediction - similarity))
    lengths = np.bincount(gt_index)[cells // len(prediction_ids)]
    lengths += np.bincount(prediction_index)[cells % len(prediction_ids)]
    alignment = overlap / (lengths - overlap)
    chosen = best_scores(gt, predictions, pairs, alignment[cell] * similarity)
    # A matched pair counts at the thresholds up to its similarity: one histogram gives all 19 of them.
    levels = np.searchsorted(HOTA_ALPHAS - _EPSILON, similarity[chosen], side="right")
    histogram = np.bincount(cell[chosen] * _NUM_LEVELS + levels, minlength=len(cells) * _NUM_LEVELS)
    counts = _at_least(histogram.reshape(-1, _NUM_LEVELS)).astype(float)
    association = counts**2 / (lengths[:, None] - counts)
    frame = gt.frame[pairs.gt]
    located = np.bincount(
        kinds.of(frame[chosen]) * _NUM_LEVELS + levels, similarity[chosen], kinds.count * _NUM_LEVELS
    )
    own = kinds.slices(frame[first])  # cells are ordered by object, and so by kind
    return (
        np.stack([counts[cells_of_kind].sum(axis=0) for cells_of_kind in own]),
        np.stack([association[cells_of_kind].sum(axis=0) for cells_of_kind in own]),
        _at_least(located.reshape(-1, _NUM_LEVELS)),
    )


def _at_least(histogram: np.ndarray) -> np.ndarray:
    """(N, 19) of (N, 20): what lies at each threshold or above."""
    return np.cumsum(histogram[:, ::-1], axis=1)[:, ::-1][:, 1:]


def best_scores(gt: Presence, predictions: Presence, pairs: Candidates, score: np.ndarray) -> np.ndarray:
    """The positions of the pairs that, frame by frame, make a one-to-one matching of the largest score.

    Args:
        gt: occurrences of the objects.
        predictions: occurrences of the predictions.
        pairs: that may match.
        score: (M,) above 0.
    """
    sides = (pairs.gt, pairs.prediction)
    choice = [np.bincount(side)[side] > 1 for side in sides]  # whether there is another pair of the same one
    frame, rest = gt.frame[pairs.gt], choice[0] | choice[1]
    chosen = [np.flatnonzero(~rest)]
    for side, own, others in ((sides[0], *choice), (sides[1], *choice[::-1])):
        # One that may choose among several that have nobody else: the best of them it is.
        star = np.flatnonzero(own & ~(np.bincount(side, others) > 0)[side])
        order = star[np.lexsort((-score[star], side[star]))]
        chosen.append(order[np.diff(side[order], prepend=-1) > 0])
        rest[star] = False
        rest[order[1:][(np.diff(side[order]) == 0) & (np.diff(score[order]) == 0)]] = True
    found = np.concatenate(chosen)
    frames = np.unique(frame[rest])
    if not len(frames):
        return found
    whole = np.isin(frame, frames)
    solved = [found[~whole[found]]]
    by_frame = np.flatnonzero(whole)
    for group in np.split(by_frame, np.flatnonzero(np.diff(frame[by_frame])) + 1):
        solved.append(group[best_pairs(gt, predictions, pairs.select(group), score[group])])
    return np.concatenate(solved)


def best_pairs(gt: Presence, predictions: Presence, pairs: Candidates, scores: np.ndarray) -> np.ndarray:
    """The positions of the pairs of one frame that make a one-to-one matching of the largest sum of scores.

    The table has everybody of the frame, as TrackEval's has: of equally good matchings the solver then takes the same.

    Args:
        gt: occurrences of the objects.
        predictions: occurrences of the predictions.
        pairs: of one frame, at least one.
        scores: (M,) of them, above 0.
    """
    frame = gt.frame[pairs.gt[:1]] + _NEXT
    (top, bottom), (left, right) = gt.frame.searchsorted(frame), predictions.frame.searchsorted(frame)
    i, j = pairs.gt - top, pairs.prediction - left
    table = np.zeros((bottom - top, right - left))
    table[i, j] = scores
    row, column = linear_sum_assignment(table, maximize=True)
    position = np.full(table.shape, -1, np.int64)
    position[i, j] = np.arange(len(scores))
    best = position[row, column]
    return best[best >= 0]
