"""HOTA's counts by hand, and its matching frame by frame."""

from __future__ import annotations

import numpy as np
import pytest
from test_tracking_metrics import crowd, everyone, presence

from fastpose_mtn.evaluation.hota import HOTA_ALPHAS, best_pairs, best_scores, hota_counts
from fastpose_mtn.evaluation.tracking_metrics import Candidates
from fastpose_mtn.ops.assignment import linear_sum_assignment


def test_hota_counts_a_pair_at_the_thresholds_up_to_its_similarity() -> None:
    gt, predictions = presence([[0]] * 2), presence([[0]] * 2)
    (true_positives,), (association,), _ = hota_counts(gt, predictions, everyone(gt, predictions, 0.7))
    expected = np.where(HOTA_ALPHAS <= 0.7 + 1e-9, 2.0, 0.0)  # 0.05 to 0.70: fourteen of nineteen
    assert expected.sum() == 28
    assert true_positives.tolist() == expected.tolist()
    assert association.tolist() == expected.tolist()


def test_hota_prefers_the_pairs_that_last() -> None:
    # In frame 1 the passer-by 9 is a little more similar than 5, which stays for four frames.
    gt, predictions = presence([[0]] * 4), presence([[5], [5, 9], [5], [5]])
    pairs = Candidates(
        np.array([0, 1, 1, 2, 3]), np.array([0, 1, 2, 3, 4]), np.array([0.2, 0.2, 0.15, 0.2, 0.2])
    )
    (true_positives,), (association,), _ = hota_counts(gt, predictions, pairs)
    assert true_positives[0] == 4
    assert association[0] == pytest.approx(4.0)


@pytest.mark.parametrize("seed", range(20))
def test_best_scores_are_those_of_whole_frames(seed: int) -> None:
    gt, predictions, pairs = crowd(np.random.default_rng(seed))
    score = 1 - pairs.distance
    frame = gt.frame[pairs.gt]
    expected = [
        own[best_pairs(gt, predictions, pairs.select(own), score[own])]
        for own in (np.flatnonzero(frame == f) for f in np.unique(frame))
    ]
    found = best_scores(gt, predictions, pairs, score)
    assert sorted(found.tolist()) == sorted(np.concatenate(expected).tolist())


def test_of_equally_good_matchings_the_solver_of_the_whole_frame_decides() -> None:
    # both predictions are as near to the person, and the pair that is not contested has its place in the table
    gt, predictions = presence([[0, 1]]), presence([[7, 8, 9]])
    pairs = Candidates(np.array([0, 1, 1]), np.array([2, 0, 1]), np.full(3, 0.5))
    expected = linear_sum_assignment(np.array([[0.0, 0.0, 0.5], [0.5, 0.5, 0.0]]), maximize=True)
    found = best_scores(gt, predictions, pairs, np.full(3, 0.5))
    chosen = sorted(zip(pairs.gt[found].tolist(), pairs.prediction[found].tolist(), strict=True))
    assert chosen == list(zip(*(side.tolist() for side in expected), strict=True))
