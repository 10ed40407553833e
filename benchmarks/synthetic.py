"""Prints how many frames a second the synthetic generator draws on one core.

taskset -c 0 python benchmarks/synthetic.py [--frames F] [--scenes N] [--size WxH] [--people N]
"""

from __future__ import annotations

import argparse
import time

import cv2

from fastpose_mtn.commands.draw import parse_size
from fastpose_mtn.data.synthetic import SceneConfig, SyntheticScene
from fastpose_mtn.errors import exit_on_error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--scenes", type=int, default=8)
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--people", type=int, default=6)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with exit_on_error():
        config = SceneConfig(
            size_wh=parse_size(options.size), frame_count=options.frames, people=options.people
        )
    setup = drawing = busy = 0.0
    for seed in range(options.scenes):
        start = time.perf_counter()
        scene = SyntheticScene(seed, config)
        begun, busy_before = time.perf_counter(), time.process_time()
        for _ in scene.frames():
            pass
        setup, drawing = setup + begun - start, drawing + time.perf_counter() - begun
        busy += time.process_time() - busy_before
    count = options.scenes * options.frames
    print(f"{options.size}, {options.people} people, {options.scenes} scenes of {options.frames} frames")
    print(f"{count / drawing:.1f} frames/s; {count / busy:.1f} frames per second of processor time")
    print(f"{1000 * setup / options.scenes:.0f} ms to set up a scene")


if __name__ == "__main__":
    main()
