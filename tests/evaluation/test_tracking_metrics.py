"""CLEAR MOT's events against motmetrics' accumulator; IDF1 and HOTA against numbers by hand."""

from __future__ import annotations

import motmetrics
import numpy as np
import pytest

from fastpose_mtn.evaluation.hota import hota_counts
from fastpose_mtn.evaluation.tracking_metrics import (
    Candidates,
    Kinds,
    Presence,
    clear_events,
    identity_true_positives,
    num_fragmentations,
)

COUNTS = (
    "num_matches", "num_switches", "num_ascend", "num_transfer", "num_migrate", "num_misses",
    "num_false_positives", "num_fragmentations", "idtp",
)  # fmt: skip


def presence(frames: list[list[int]]) -> Presence:
    """From the ids of each frame."""
    frame = np.repeat(np.arange(len(frames)), [len(ids) for ids in frames])
    ids = np.array([i for ids in frames for i in ids], np.int64)
    return Presence(frame, ids, np.arange(len(ids)))


def everyone(gt: Presence, predictions: Presence, similarity: float = 1.0) -> Candidates:
    """All pairs of a frame as candidates of one similarity."""
    i, j = np.nonzero(gt.frame[:, None] == predictions.frame)
    return Candidates(i, j, np.full(len(i), 1 - similarity))


@pytest.mark.parametrize("seed", range(15))
def test_events_and_counts_are_those_of_motmetrics(seed: int) -> None:
    rng = np.random.default_rng(seed)
    density = rng.choice([0.2, 0.5, 0.95])
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    gt_frames, prediction_frames, pairs = [], [], []
    counts = np.zeros(2, np.int64)
    for _ in range(12):
        gt_ids = rng.permutation(5)[: rng.integers(0, 6)].tolist()
        prediction_ids = rng.permutation(7)[: rng.integers(0, 8)].tolist()
        distance = rng.random((len(gt_ids), len(prediction_ids)))
        distance[rng.random(distance.shape) > density] = np.nan
        accumulator.update(gt_ids, prediction_ids, distance)
        i, j = np.nonzero(np.isfinite(distance))
        pairs.append((counts[0] + i, counts[1] + j, distance[i, j]))
        counts += len(gt_ids), len(prediction_ids)
        gt_frames.append(gt_ids)
        prediction_frames.append(prediction_ids)
    gt, predictions = presence(gt_frames), presence(prediction_frames)
    candidates = Candidates(*(np.concatenate(column) for column in zip(*pairs, strict=True)))
    events = clear_events(gt, predictions, candidates)
    matched = len(events.matches)
    ours = {
        "num_matches": matched - events.switch.sum(),
        "num_switches": events.switch.sum(),
        "num_ascend": events.ascend.sum(),
        "num_transfer": events.transfer.sum(),
        "num_migrate": events.migrate.sum(),
        "num_misses": len(gt) - matched,
        "num_false_positives": len(predictions) - matched,
        "num_fragmentations": num_fragmentations(gt, events.matches),
        "idtp": identity_true_positives(gt, predictions, candidates),
    }
    theirs = motmetrics.metrics.create().compute(accumulator, metrics=list(COUNTS), return_dataframe=False)
    assert ours == {name: theirs[name] for name in COUNTS}
    matches = accumulator.events[accumulator.events.Type.isin(["MATCH", "SWITCH"])]
    assert events.matches.distance.sum() == pytest.approx(matches.D.sum(), abs=1e-9)
    assert sorted(zip(matches.OId, matches.HId, strict=True)) == sorted(
        zip(gt.ids[events.matches.gt], predictions.ids[events.matches.prediction], strict=True)
    )


def test_a_track_keeps_its_prediction_though_another_is_nearer() -> None:
    gt, predictions = presence([[0], [0]]), presence([[5], [6, 5]])
    candidates = Candidates(np.array([0, 1, 1]), np.array([0, 1, 2]), np.array([0.1, 0.0, 0.4]))
    events = clear_events(gt, predictions, candidates)
    assert predictions.ids[events.matches.prediction].tolist() == [5, 5]
    assert not events.switch.any()


def test_one_pair_more_is_worth_a_greater_distance() -> None:
    gt, predictions = presence([[0, 1]]), presence([[5, 6]])
    near_and_far = Candidates(np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([0.0, 0.5, 0.5]))
    matches = clear_events(gt, predictions, near_and_far).matches
    assert list(zip(matches.gt.tolist(), matches.prediction.tolist(), strict=True)) == [(0, 1), (1, 0)]


def test_hota_of_a_track_cut_in_two() -> None:
    gt, predictions = presence([[0]] * 4), presence([[1], [1], [2], [2]])
    (true_positives,), (association,), _ = hota_counts(gt, predictions, everyone(gt, predictions))
    # Every frame is found; of each, 2 of the track's 4 frames have the same id and none is foreign: 2 / 4.
    assert true_positives.tolist() == [4.0] * 19
    assert association == pytest.approx([4 * 0.5] * 19)
    assert identity_true_positives(gt, predictions, everyone(gt, predictions)) == 2


def test_hota_of_two_tracks_that_change_places() -> None:
    gt, predictions = presence([[0, 1]] * 4), presence([[7, 8], [7, 8], [8, 7], [8, 7]])
    pairs = Candidates(np.arange(8), np.arange(8), np.zeros(8))
    (true_positives,), (association,), _ = hota_counts(gt, predictions, pairs)
    # Each pair of ids meets twice, in tracks of 4 and 4: 2 / (4 + 4 - 2).
    assert true_positives.tolist() == [8.0] * 19
    assert association == pytest.approx([8 * (2 / 6)] * 19)
    events = clear_events(gt, predictions, pairs)
    assert events.switch.tolist() == [False] * 4 + [True, True] + [False] * 2
    assert identity_true_positives(gt, predictions, pairs) == 4


def test_fragmentations_are_gaps_between_matches() -> None:
    gt = presence([[0]] * 7)
    for matched, expected in (([0, 1, 2], 0), ([0, 2, 3], 1), ([1, 3, 6], 2), ([4], 0), ([], 0)):
        rows = np.array(matched, np.int64)
        assert num_fragmentations(gt, Candidates(rows, rows, np.zeros(len(rows)))) == expected


def test_nothing_at_all_is_no_error() -> None:
    none = presence([[], []])
    some = presence([[3], [4]])
    for gt, predictions in ((none, none), (none, some), (some, none)):
        pairs = everyone(gt, predictions)
        assert len(clear_events(gt, predictions, pairs).matches) == 0
        assert identity_true_positives(gt, predictions, pairs) == 0
        assert hota_counts(gt, predictions, pairs)[0].sum() == 0
        assert num_fragmentations(gt, pairs) == 0


def crowd(rng: np.random.Generator, frames: int = 8) -> tuple[Presence, Presence, Candidates]:
    """People who cross at random: some frames leave a choice, some do not."""
    gt = presence([rng.permutation(4)[: rng.integers(0, 5)].tolist() for _ in range(frames)])
    predictions = presence([rng.permutation(6)[: rng.integers(0, 7)].tolist() for _ in range(frames)])
    pairs = everyone(gt, predictions)
    pairs = Candidates(pairs.gt, pairs.prediction, rng.random(len(pairs)))
    return gt, predictions, pairs.select(rng.random(len(pairs)) < 0.4)


@pytest.mark.parametrize("seed", range(5))
def test_several_kinds_at_once_are_each_by_itself(seed: int) -> None:
    rng = np.random.default_rng(seed)
    alone = [crowd(rng) for _ in range(4)]
    kinds, starts = Kinds(4, 8), np.zeros(2, np.int64)
    sides: tuple[list[Presence], list[Presence]] = ([], [])
    pairs = []
    for kind, (gt, predictions, candidates) in enumerate(alone):
        for side, of_kind in zip(sides, (gt, predictions), strict=True):
            side.append(Presence(of_kind.frame + 8 * kind, of_kind.ids + 10 * kind, of_kind.row))
        pairs.append((candidates.gt + starts[0], candidates.prediction + starts[1], candidates.distance))
        starts += len(gt), len(predictions)
    gt, predictions = (
        Presence(*(np.concatenate([getattr(p, name) for p in side]) for name in ("frame", "ids", "row")))
        for side in sides
    )
    together = Candidates(*(np.concatenate(column) for column in zip(*pairs, strict=True)))
    events = clear_events(gt, predictions, together)
    of_kind = kinds.slices(gt.frame[events.matches.gt])
    hota = hota_counts(gt, predictions, together, kinds)
    for kind, one in enumerate(alone):
        expected = clear_events(*one)
        assert events.matches.distance[of_kind[kind]].tolist() == expected.matches.distance.tolist()
        for name in ("switch", "ascend", "transfer", "migrate"):
            assert getattr(events, name)[of_kind[kind]].tolist() == getattr(expected, name).tolist()
        assert [part[kind].tolist() for part in hota] == [part[0].tolist() for part in hota_counts(*one)]
        fragmentations = num_fragmentations(gt, events.matches, kinds)
        assert fragmentations[kind] == num_fragmentations(one[0], expected.matches)
        assert identity_true_positives(gt, predictions, together, kinds)[kind] == identity_true_positives(
            *one
        )
