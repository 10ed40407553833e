"""What a second worker brings: the rate of several."""

import pytest

pytest.importorskip("ray", reason="ray is not installed: pip install -e '.[corpus]'")

from corpus import rate_of


def test_workers_that_keep_step_are_as_fast_as_those_that_alternate():
    """A video in 2 s each: half a video a second of one, one of two, whenever they end."""
    alone = [[2.0, 4.0, 6.0, 8.0]]
    assert rate_of(alone) == pytest.approx(0.5)
    in_step = [[2.0, 4.0, 6.0, 8.0], [2.01, 4.01, 6.01, 8.01]]
    alternating = [[2.0, 4.0, 6.0, 8.0], [3.0, 5.0, 7.0, 9.0]]
    assert rate_of(in_step) == pytest.approx(1.0)
    assert rate_of(alternating) == pytest.approx(1.0)


def test_only_the_time_in_which_all_are_at_work_counts():
    """The first is faster before the other begins and after it ends."""
    assert rate_of([[0.5, 1.0, 3.0, 5.0, 5.5, 6.0], [1.0, 3.0, 5.0]]) == pytest.approx(1.0)


def test_too_few_videos_are_told():
    with pytest.raises(ValueError, match="give --videos"):
        rate_of([[2.0, 4.0], [5.0]])
