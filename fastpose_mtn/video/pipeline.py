"""Frames to tracked people: decoding, network and tracking overlap, in order and in constant memory."""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from fastpose_mtn.available_memory import ALWAYS_FITS, available_bytes, check_memory
from fastpose_mtn.errors import InputError
from fastpose_mtn.protocols import FrameName, PoseEstimator, Tracker, batches_at_once, estimate_frames
from fastpose_mtn.structures import PersonDetections, TrackedPersons
from fastpose_mtn.video.background import Producer
from fastpose_mtn.video.frame import Frame
from fastpose_mtn.video.sources import Source

# than between decoder and tracker: in the decoder, drawn ones, on their way into files
_FRAMES_ELSEWHERE = 10


@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """What is known of one frame.

    Attributes:
        frame: the image, its place and its time.
        detections: everyone found in it that the tracker looks at, N people.
        people: those that belong to a track, M <= N people with their ids.
        scene_cut: whether another scene begins with it; nobody is where they were before.
    """

    frame: Frame
    detections: PersonDetections
    people: TrackedPersons
    scene_cut: bool = False

    @property
    def index(self) -> int:
        """The frame's place in the source, from 0."""
        return self.frame.index

    @property
    def time_s(self) -> float:
        """Seconds since the source's first frame."""
        return self.frame.time_s

    @property
    def image(self) -> np.ndarray | None:
        """(H, W, 3) uint8 RGB; None where the frame could not be decoded."""
        return self.frame.image

    @property
    def age_s(self) -> float | None:
        """Seconds since a live source gave the frame; None for what was recorded."""
        arrived = self.frame.arrived_s
        return None if arrived is None else time.monotonic() - arrived


class StageTimes:
    """Seconds that each stage worked; they overlap, so their sum exceeds the time that passed."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._lock = threading.Lock()
        self._at_work: defaultdict[str, int] = defaultdict(int)
        self._began: dict[str, float] = {}

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Adds the seconds that the ``with`` block takes to a stage, also where the block raises.

        Seconds in which several threads are in such blocks of one stage count once.
        """
        with self._lock:
            self._at_work[stage] += 1
            if self._at_work[stage] == 1:
                self._began[stage] = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self._at_work[stage] -= 1
                if not self._at_work[stage]:
                    self.seconds[stage] += time.perf_counter() - self._began[stage]

    def iterate(self, stage: str, items: Iterable[Frame]) -> Iterator[Frame]:
        """The items, measuring how long each takes to come."""
        iterator = iter(items)
        while True:
            with self.measure(stage):
                item = next(iterator, None)
            if item is None:
                return
            yield item


def track_frames(
    source: Source,
    estimator: PoseEstimator,
    tracker: Tracker,
    *,
    batch_size: int = 1,
    max_frames: int | None = None,
    min_score: float = 0.0,
    times: StageTimes | None = None,
) -> Generator[TrackedFrame, None, None]:
    """The people of each frame of a source, in order.

    A frame that could not be decoded comes with nobody in it, so that the numbering and the tracker's
    time go on. Ending the iteration early ends the threads and closes the source.

    Of unrelated photographs nobody is followed from one to the next: ids begin anew with each.

    Of a live source the newest frame is looked at, one at a time; ``index`` counts the others too.

    Args:
        source: gives the frames; is closed at the end.
        estimator: finds the people of each frame.
        tracker: its state goes on from where it is; give a new one, or one that was reset.
        batch_size: frames that the network sees at once; 1 for a live source, and fewer where large frames would not
            fit into memory.
        max_frames: after which to stop, None: never.
        min_score: the tracker looks at nobody below it, so that they need not be described; 0: it sees everyone found.
        times: is added to, under "decode", "network" and "track".

    Raises:
        ValueError, OSError: the source cannot be read, or its frames do not fit into memory.
        Exception: whatever the estimator or the tracker raised.
    """
    times = times or StageTimes()
    live = source.live
    at_once = 1 if live else batches_at_once(estimator)
    try:
        batch_size = _fitting(source, 1 if live else batch_size, at_once)
    except InputError:
        source.close()
        raise
    frames = times.iterate("decode", source)
    # a live source's frames are counted when they were looked at
    max_frames = None if max_frames is None else min(max_frames, sys.maxsize)
    frames = _stamped(frames) if live else itertools.islice(frames, max_frames)
    nobody = _nobody(estimator)
    # frames between two stages: memory and age, against a stage that idles
    waiting = 1 if live else max(2, batch_size)
    # Both threads are told to stop before either is waited for: each may be waiting for the other.
    try:
        with (
            Producer(frames, capacity=waiting, name="decode", newest=live) as decoded,
            Producer(
                _estimate(decoded, source.name, estimator, batch_size, at_once, min_score, nobody, times),
                capacity=waiting,
                name="network",
                gives_way=False,
            ) as estimated,
        ):
            try:
                for frame, detections in itertools.islice(estimated, max_frames):
                    if source.independent:
                        tracker.reset()
                    with times.measure("track"):
                        people = _tracked(tracker, source, frame, detections)
                    yield TrackedFrame(frame, detections, people, tracker.scene_cut)
            finally:
                decoded.cancel()
                source.interrupt()
    finally:
        source.close()


def _tracked(tracker: Tracker, source: Source, frame: Frame, detections: PersonDetections) -> TrackedPersons:
    try:
        return tracker.update(detections, frame.time_s, frame.image)
    except ValueError as error:
        raise InputError(f"{source.name}: frame {frame.number}: {error}") from error


def _stamped(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Frames with the time of their arrival."""
    for frame in frames:
        yield replace(frame, arrived_s=time.monotonic())


def _estimate(
    frames: Iterable[Frame],
    source: str,
    estimator: PoseEstimator,
    batch_size: int,
    at_once: int,
    min_score: float,
    nobody: PersonDetections,
    times: StageTimes,
) -> Iterator[tuple[Frame, PersonDetections]]:
    """Each frame with its people, frames without an image with nobody; ``at_once`` batches are looked at together."""

    def look(batch: list[Frame]) -> list[PersonDetections]:
        images = [frame.image for frame in batch if frame.image is not None]
        names = [FrameName(f.index, f.number, f.file_name, source) for f in batch if f.image is not None]
        with times.measure("network"):
            return estimate_frames(estimator, images, names, min_score) if images else []

    iterator = iter(frames)
    batches = iter(lambda: list(itertools.islice(iterator, batch_size)), [])
    looked_at = ((batch, look(batch)) for batch in batches)
    for batch, people in looked_at if at_once == 1 else _together(look, batches, at_once):
        found = iter(people)
        for frame in batch:
            yield frame, nobody if frame.image is None else next(found)


def _together(
    look: Callable[[list[Frame]], list[PersonDetections]], batches: Iterator[list[Frame]], at_once: int
) -> Iterator[tuple[list[Frame], list[PersonDetections]]]:
    """Each batch with what ``look`` says of it, in order; as many are looked at together, in threads.

    Where no more batches come, for an error too, those under way come first.
    """
    under_way: deque[tuple[list[Frame], Future[list[PersonDetections]]]] = deque()
    failure: Exception | None = None
    with ThreadPoolExecutor(at_once, "network") as threads:
        while True:
            batch = None
            try:
                batch = next(batches, None)
            except Exception as error:
                failure = error
            if batch is not None:
                under_way.append((batch, threads.submit(look, batch)))
            elif not under_way:
                break
            if batch is None or len(under_way) == at_once:
                first, people = under_way.popleft()
                yield first, people.result()
    if failure is not None:
        raise failure


def _nobody(estimator: PoseEstimator) -> PersonDetections:
    return PersonDetections.empty(len(estimator.skeleton), estimator.embedding_dim)


def _fitting(source: Source, batch_size: int, at_once: int) -> int:
    """The batch size, or as much of it as there is memory for, of frames that are large, ``at_once`` batches of them.

    Raises:
        InputError: not even one at a time.
    """
    if source.frame_size_hw is None:
        return batch_size
    height, width = source.frame_size_hw
    frame = 3 * height * width

    def needed(size: int) -> int:
        return (2 * max(2, size) + at_once * size + _FRAMES_ELSEWHERE) * frame

    free = available_bytes() if needed(batch_size) > ALWAYS_FITS else None
    if free is not None:
        while batch_size > 1 and needed(batch_size) > free // 2:  # the other half is the network's
            batch_size //= 2
    check_memory(
        needed(batch_size),
        f"{source.name}: frames of {width}x{height} pixels: reading ahead",
        "make the video smaller, or give the process more memory",
    )
    return batch_size
