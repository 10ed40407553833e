"""HOTA's counts by hand, and its matching frame by frame."""

from __future__ import annotations

import numpy as np
import pytest
from test_tracking_metrics import crowd, everyone, presence

from fastpose_mtn.evaluation.hota import HOTA_ALPHAS, best_pairs, best_scores, hota_counts
from fastpose_mtn.evaluation.tracking_metrics import Candidates


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
    gt, _, pairs = crowd(np.random.default_rng(seed))
    score = 1 - pairs.distance
    frame = gt.frame[pairs.gt]
    expected = [
        own[best_pairs(pairs.gt[own], pairs.prediction[own], score[own])]
        for own in (np.flatnonzero(frame == f) for f in np.unique(frame))
    ]
    assert sorted(best_scores(gt, pairs, score).tolist()) == sorted(np.concatenate(expected).tolist())
