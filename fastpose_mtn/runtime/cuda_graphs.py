"""CUDA graphs: a network's kernels are launched at once, where launching each takes longer than its work."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

R = TypeVar("R")

_WARM_UP = 3  # calls in which libraries choose their algorithms, which a capture must not see


class _Captured(NamedTuple, Generic[R]):
    graph: torch.cuda.CUDAGraph
    input: Tensor
    output: R


class CudaGraphs(Generic[R]):
    """Captures a function of one tensor as a CUDA graph for each shape of its input, and replays it.

    A shape is captured when it comes twice in a row, as in a video; pictures of all sizes are computed as usual. Where
    capturing fails, as it may for a network of one's own, it says so once, and everything is computed as usual.

    Args:
        function: takes the same steps for all inputs of a shape, and never waits for the GPU. What it returned stays as
            it is until the next call only.
        kept: shapes at most; the one that was captured first gives way. Each keeps its memory.
    """

    def __init__(self, function: Callable[[Tensor], R], *, kept: int = 4) -> None:
        self._function, self._kept = function, kept
        self._last: torch.Size | None = None
        self._captured: dict[torch.Size, _Captured[R]] = {}
        self._failed = False

    def __call__(self, x: Tensor) -> R:
        """What the function gives for ``x``; it stays as it is until the next call only."""
        captured, again = self._captured.get(x.shape), x.shape == self._last
        self._last = x.shape
        if captured is None:
            if self._failed or not again:
                return self._function(x)
            try:
                captured = self._capture(x)
            except RuntimeError as error:
                self._failed = True
                warnings.warn(f"no CUDA graphs, so small networks are slower: {error}", stacklevel=2)
                return self._function(x)
        captured.input.copy_(x)
        captured.graph.replay()
        return captured.output

    def _capture(self, x: Tensor) -> _Captured[R]:
        while len(self._captured) >= self._kept:
            del self._captured[next(iter(self._captured))]
        copy = x.clone()
        stream = torch.cuda.Stream(x.device)
        stream.wait_stream(torch.cuda.current_stream(x.device))
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                self._function(copy)
        torch.cuda.current_stream(x.device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # other threads may go on using the GPU
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            output = self._function(copy)
        captured = self._captured[x.shape] = _Captured(graph, copy, output)
        return captured
