import numpy as np

from fastpose_mtn.tracking.offline_joining import _assign, _trends, paths_of


def test_paths_of_followers():
    assert paths_of(np.array([2, 3, -1, -1])).tolist() == [0, 1, 0, 1]
    assert paths_of(np.zeros(0, np.int64)).tolist() == []


def test_the_joins_with_the_most_evidence_together():
    """0 to 2 alone has most, but leaves 1 without; what speaks against is no join, whatever it would free."""
    ends, beginnings = np.array([0, 0, 1, 1]), np.array([2, 3, 2, 3])
    assert _assign(ends, beginnings, np.array([5.0, 4.0, 4.5, -1.0]), 4).tolist() == [3, 2, -1, -1]
    assert _assign(ends, beginnings, np.array([5.0, -4.0, 4.5, -1.0]), 4).tolist() == [2, -1, -1, -1]
    assert _assign(ends, beginnings, np.full(4, -1.0), 4).tolist() == [-1] * 4


def test_trends_are_of_the_last_third_of_a_second_of_each_group():
    """Group 0 stood for a second, then moved by 10 a second; group 1 stands."""
    times = np.concatenate([np.arange(0, 1, 0.1), np.arange(1, 2, 0.1), [0.0, 0.1]])
    values = np.concatenate([np.zeros(10), 10 * (np.arange(1, 2, 0.1) - 1), [7.0, 7.0]])[:, None]
    groups = np.array([0] * 20 + [1] * 2)
    at, slope = _trends(times, values, groups, np.arange(22))
    assert abs(slope[9, 0]) < 1e-9
    assert 8.0 < slope[19, 0] < 10.0  # shrunk towards standing still
    assert abs(at[19, 0] - values[19, 0]) < 0.5
    assert abs(slope[21, 0]) < 1e-9
    assert abs(at[21, 0] - 7.0) < 1e-9
