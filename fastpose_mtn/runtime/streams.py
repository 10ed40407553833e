"""Runs parts of a batch in parallel on a CPU, each in threads of its own."""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


def in_streams(function: Callable[[Sequence[T]], Sequence[R]], items: Sequence[T]) -> list[R]:
    """Applies a function to all items, in parallel streams of at least two items each.

    Threads that share a layer wait for the slowest of them at its end, and for one that another program or another
    part of this one interrupts. Streams share PyTorch's threads evenly, so there are only as many as divide them.

    Args:
        function: gives one result an item, in order; is called from several threads at once.
        items: of which each stream takes a share, in order.

    Raises:
        Exception: what the function raised.
    """
    threads = torch.get_num_threads()
    count = max(n for n in range(1, threads + 1) if threads % n == 0 and n <= max(1, len(items) // 2))
    if count == 1:
        return list(function(items))
    ends = [len(items) * stream // count for stream in range(count + 1)]
    parts = [items[begin:end] for begin, end in itertools.pairwise(ends)]
    return [result for part in _streams(count, threads // count).map(function, parts) for result in part]


@functools.cache
def _streams(count: int, threads_each: int) -> ThreadPoolExecutor:
    together = torch.get_num_threads()
    started = threading.Barrier(count)

    def begin() -> None:
        torch.get_num_threads()  # a thread's number is set to everybody's the first time that it is asked for
        torch.set_num_threads(threads_each)
        started.wait()

    streams = ThreadPoolExecutor(count, "stream", begin)
    list(streams.map(lambda _: None, range(count)))
    # the number is each thread's own, but also what threads begin with that are yet to come
    torch.set_num_threads(together)
    return streams
