#!/usr/bin/env python
"""Whether finding the people of the next frames while joints of these are located pays: two threads of networks or one.

    python benchmarks/staged.py [--weights alphapose-s] [--detector people] [--source VIDEO] [--rounds 5] [--threads N]

Decoding, both networks and tracking: as ``track_video.py`` does it, both networks one after the other in one thread, and
with a thread for each, in turns. Prints frames a second and seconds of CPU time of each turn, the median of the ratios, and
whether both found the same people.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from memory import CLIP

from fastpose_mtn.build import PoseTracking, build_pose_tracking
from fastpose_mtn.errors import exit_on_error
from fastpose_mtn.protocols import PersonDetector
from fastpose_mtn.structures import PersonDetections, TrackedPersons
from fastpose_mtn.systems.topdown.estimator import TopDownEstimator
from fastpose_mtn.video.background import Producer
from fastpose_mtn.video.frame import Frame
from fastpose_mtn.video.pipeline import track_frames
from fastpose_mtn.video.sources import open_source


class FoundBefore:
    """A detector whose people another thread has found already, batch by batch."""

    def __init__(self, embedding_dim: int | None) -> None:
        self.embedding_dim, self.batches = embedding_dim, deque[list[PersonDetections]]()

    def estimate(self, frames: Sequence[np.ndarray], min_score: float = 0.0) -> list[PersonDetections]:
        """The next batch; ``frames`` are those of it."""
        return self.batches.popleft()


def one_thread(job: PoseTracking, source: str) -> list[TrackedPersons]:
    """The people of each frame, as ``track_video.py`` finds them."""
    found = track_frames(
        open_source(source),
        job.estimator,
        job.new_tracker(),
        batch_size=job.batch_size,
        min_score=job.min_score,
    )
    return [frame.people for frame in found]


def two_threads(job: PoseTracking, source: str) -> list[TrackedPersons]:
    """The same, the detector in a thread of its own."""
    estimator, size = job.estimator, job.batch_size
    assert isinstance(estimator, TopDownEstimator)
    assert estimator.detector is not None
    detector = estimator.detector
    before = FoundBefore(detector.embedding_dim)
    estimator.detector = before  # type: ignore[assignment]
    frames, tracker = open_source(source), job.new_tracker()
    try:
        with (
            Producer(frames, capacity=max(2, size), name="decode") as decoded,
            Producer(
                _find(decoded, detector, size, job.min_score), capacity=1, name="find", gives_way=False
            ) as found,
            Producer(
                _locate(found, before, estimator, job.min_score),
                capacity=size,
                name="locate",
                gives_way=False,
            ) as people,
        ):
            return [tracker.update(own, frame.time_s, frame.image) for frame, own in people]
    finally:
        estimator.detector = detector
        frames.close()


Batch = tuple[list[Frame], list[np.ndarray], list[PersonDetections]]


def _find(frames: Iterable[Frame], detector: PersonDetector, size: int, min_score: float) -> Iterator[Batch]:
    iterator = iter(frames)
    while batch := list(itertools.islice(iterator, size)):
        images = [frame.image for frame in batch if frame.image is not None]
        yield batch, images, detector.estimate(images, min_score)


def _locate(
    found: Iterable[Batch], before: FoundBefore, estimator: TopDownEstimator, min_score: float
) -> Iterator[tuple[Frame, PersonDetections]]:
    for batch, images, people in found:
        before.batches.append(people)
        yield from zip(batch, estimator.estimate(images, min_score), strict=True)


def same(one: Sequence[TrackedPersons], other: Sequence[TrackedPersons]) -> bool:
    """Whether people, ids and joints (to a hundredth of a pixel) are the same in every frame."""
    return len(one) == len(other) and all(
        a.track_ids.tolist() == b.track_ids.tolist() and np.allclose(a.keypoints, b.keypoints, atol=0.01)
        for a, b in zip(one, other, strict=True)
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--weights", default="alphapose-s", metavar="FILE|alphapose-s")
    add("--detector", default="people", metavar="FILE|people")
    add("--source", default=str(CLIP), metavar="VIDEO", help="default: the demo's clip")
    add("--rounds", type=int, default=5, metavar="R")
    add("--threads", type=int, default=os.cpu_count() or 1, metavar="N")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with exit_on_error():
        job = build_pose_tracking(weights=options.weights, detector=options.detector)
        ways: list[Callable[[PoseTracking, str], list[TrackedPersons]]] = [one_thread, two_threads]
        first, second = (way(job, options.source) for way in ways)
        print(f"{len(first)} frames, {'the same' if same(first, second) else 'OTHER'} people")
        ratios = []
        for number in range(options.rounds):
            taken = {}
            for way in ways if number % 2 else ways[::-1]:  # whoever comes second finds warm caches
                wall, cpu = time.perf_counter(), time.process_time()
                way(job, options.source)
                taken[way] = time.perf_counter() - wall, time.process_time() - cpu
            speed = [len(first) / taken[way][0] for way in ways]
            ratios.append(speed[1] / speed[0])
            print(
                f"one thread {speed[0]:.1f} frames/s, {taken[one_thread][1]:.1f} s of CPU; two {speed[1]:.1f}, "
                f"{taken[two_threads][1]:.1f}; {ratios[-1]:.2f} times as fast",
                flush=True,
            )
        print(f"median {np.median(ratios):.2f} times as fast, of {len(ratios)} rounds")


if __name__ == "__main__":
    main()
