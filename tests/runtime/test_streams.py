import threading

import numpy as np
import pytest
import torch

from fastpose_mtn.runtime.streams import in_streams
from fastpose_mtn.systems.mtn.estimator import MTNEstimator
from fastpose_mtn.systems.mtn.network import build_model


@pytest.mark.parametrize(
    ("count", "items", "parts", "each"),
    [
        (2, 4, [2, 2], 1),
        (2, 5, [2, 3], 1),
        (2, 3, [3], 2),
        (2, 0, [0], 2),
        (1, 8, [8], 1),
        (3, 4, [4], 3),
        (4, 4, [2, 2], 2),
        (4, 9, [2, 2, 2, 3], 1),
    ],
)
def test_every_stream_has_its_share_of_items_and_threads(threads, count, items, parts, each):
    threads(count)
    calls = []

    def double(part):
        calls.append((len(part), torch.get_num_threads()))
        return [2 * item for item in part]

    assert in_streams(double, range(items)) == [2 * item for item in range(items)]
    assert sorted(calls) == [(part, each) for part in parts]


def test_streams_run_side_by_side_and_leave_other_threads_theirs(threads):
    threads(2)
    together, later = threading.Barrier(2), []
    in_streams(lambda part: [together.wait(timeout=60) for _ in part], range(4))
    one = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    one.start()
    one.join()
    assert later == [2]
    assert torch.get_num_threads() == 2


def test_what_fails_in_a_stream_is_raised(threads):
    threads(2)
    with pytest.raises(ZeroDivisionError):
        in_streams(lambda part: [1 // item for item in part], [1, 1, 1, 0])
    assert in_streams(list, [1, 1, 1, 0]) == [1, 1, 1, 0]


def test_a_network_finds_the_same_people_in_streams(cfg, threads):
    torch.manual_seed(0)
    estimator = MTNEstimator(build_model(cfg), device="cpu", precision="fp32")
    draw = np.random.default_rng(0).integers
    frames = [draw(0, 256, (64, 80 + 16 * index, 3), dtype=np.uint8) for index in range(4)]
    threads(1)
    expected = estimator.estimate(frames[:2]) + estimator.estimate(frames[2:])
    threads(2)
    found = estimator.estimate(frames)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a.boxes, b.boxes, atol=1e-3)
        np.testing.assert_allclose(a.keypoints, b.keypoints, atol=1e-3)
