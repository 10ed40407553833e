#!/usr/bin/env python
"""Resident memory of the whole job at 1,000 and at 10,000 frames, and what came in between.

    python benchmarks/memory.py [--frames 10000] [--input CLIP] [--weights people]

Plays the demo's clip over and over, as one video, through decode, network, tracking, overlay and JSON.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from whole_job import run_job
from worker import resident_megabytes

from fastpose_mtn import build
from fastpose_mtn.errors import exit_on_error
from fastpose_mtn.video.frame import Frame
from fastpose_mtn.video.sources import Source, open_source

CLIP = Path(__file__).parent.parent / "fastpose_mtn" / "assets" / "demo.mp4"


class EndlessSource(Source):
    """A video over and over; tells the memory in use at given frames."""

    def __init__(self, clip: str, marks: list[int]) -> None:
        first = open_source(clip)
        super().__init__("endless", frame_rate=first.frame_rate, time_base=first.time_base)
        first.close()
        self._clip, self._marks = clip, set(marks)

    def __iter__(self) -> Iterator[Frame]:
        index, start_s = 0, 0.0
        while True:
            source, last_s = open_source(self._clip), 0.0
            for frame in source:
                if index in self._marks:
                    print(f"{index:>7} frames  {resident_megabytes():>7.0f} MB", flush=True)
                last_s = frame.time_s + frame.duration_s
                yield replace(frame, index=index, number=index, time_s=start_s + frame.time_s)
                index += 1
            source.close()
            start_s += last_s


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=10_000, metavar="F")
    parser.add_argument("--input", default=str(CLIP), metavar="CLIP")
    parser.add_argument("--weights", default="people", metavar="FILE|people|drawn")
    options = parser.parse_args()
    marks = sorted({options.frames * share // 10 for share in (1, 2, 5, 10)})
    with exit_on_error():
        tracking = build.build_pose_tracking(weights=options.weights)
        summary = run_job(
            EndlessSource(options.input, marks), tracking.estimator, tracking.new_tracker(),
            batch_size=tracking.batch_size, max_frames=options.frames + 1,
        )  # fmt: skip
        print(f"{summary.frames / summary.seconds:.1f} frames/s")


if __name__ == "__main__":
    main()
