#!/usr/bin/env python
"""What looking at one person at a time costs: beside a network that finds everybody in one pass, and beside itself.

    python benchmarks/topdown.py [--people 1 5 20] [--rounds 3] [--threads N]
    python benchmarks/topdown.py --memory 10000

First the whole job (decode, networks, tracking, overlay, JSON): the network of ``--network`` alone, and finding people
for the one of ``--pose``, without joints of its own. Then from boxes to joints: all people's crops together, and crop by
crop. Weights are random and people given, see peers.py; all happens in one process, in turns, so that other work on the
machine slows all alike, and the fastest turn of each counts. Beside the ratio of times on the clock stands that of
CPU time, which does not count how long threads wait for a core, but how long they wait awake for one another.

``--memory F`` tells the resident memory of the top-down job over F frames with five people.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import peers
import torch
from memory import EndlessSource
from speed import CONFIGS, write_clip
from whole_job import run_job
from worker import resident_megabytes, size_hw

from fastpose_mtn.build import build_network, build_tracker
from fastpose_mtn.config import CfgNode, get_cfg
from fastpose_mtn.errors import exit_on_error
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.systems.topdown.estimator import TopDownEstimator
from fastpose_mtn.systems.topdown.locator import NetworkLocator

# so light that ten thousand frames take minutes
TINY = ["MODEL.TIMM.NAME", "mobilenetv2_035", "MODEL.WEIGHTS", ""]
TINY_NETWORK = [
    *TINY, "MODEL.FPN.OUT_CHANNELS", "16", "MODEL.RPN.POST_NMS_TOPK_TEST", "30", "MODEL.ROI_BOX_HEAD.FC_DIM", "32",
    "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", "(16,)", "MODEL.ROI_REID_HEAD.CONV_DIMS", "(16,)",
    "MODEL.ROI_REID_HEAD.CONV_DILATIONS", "()",
]  # fmt: skip
TINY_POSE = [*TINY, "MODEL.TOPDOWN.INPUT_SIZE", "[64, 32]", "MODEL.TOPDOWN.UPSAMPLER_DIM", "16"]


class TopDown(peers.Peer):
    """A top-down network as ``track_video.py`` runs it.

    Args:
        config_file: of the network.
        detector: finds the people.
        pose_batch: crops that go through the network together at most.
        options: override the configuration.
    """

    def __init__(
        self, config_file: str, detector: peers.Ours, pose_batch: int, options: Sequence[str] = ()
    ) -> None:
        super().__init__(detector.size_hw, "cpu", best=True)
        cfg = _pose_config(config_file, options)
        torch.manual_seed(0)
        self.detector = detector
        self.locator = NetworkLocator(build_network(cfg).eval(), device="cpu", precision="auto")
        self.skeleton, self.embedding_dim = self.locator.skeleton, detector.embedding_dim
        self.estimate = self.batched(pose_batch).estimate  # type: ignore[method-assign]

    def batched(self, pose_batch: int) -> TopDownEstimator:
        """The same network with so many crops together."""
        return TopDownEstimator(
            self.locator, self.detector, pose_batch=pose_batch, min_box_score=0.0, score="box"
        )  # type: ignore[arg-type]

    def set_people(self, count: int) -> None:
        super().set_people(count)
        self.detector.set_people(count)


def _pose_config(config_file: str, options: Sequence[str]) -> CfgNode:
    cfg = get_cfg()
    cfg.merge_from_file(config_file)
    cfg.merge_from_list(["MODEL.TIMM.PRETRAINED", "False", "MODEL.WEIGHTS", "", *options])
    return cfg


def in_turns(functions: dict[str, Callable[[], Any]], rounds: int) -> dict[str, tuple[float, float]]:
    """The least seconds on the clock and of the CPU of each function, after one call that does not count."""
    least = dict.fromkeys(functions, (float("inf"), float("inf")))
    for number in range(rounds + 1):
        for name, function in functions.items():
            wall, cpu = time.perf_counter(), time.process_time()
            function()
            taken = time.perf_counter() - wall, time.process_time() - cpu
            if number:
                least[name] = min(least[name][0], taken[0]), min(least[name][1], taken[1])
            print(f"round {number}: {name} {taken[0]:.2f} s", file=sys.stderr)
    return least


def compare(options: argparse.Namespace) -> Iterator[str]:
    """The lines of both tables."""
    network, pose = (str(CONFIGS / f"{name}.yaml") for name in (options.network, options.pose))
    one_pass = peers.Ours(network, options.size, "cpu", True)
    detector = peers.Ours(network, options.size, "cpu", True, ["MODEL.KEYPOINT_ON", "False"])
    top_down = TopDown(pose, detector, 64)
    together, alone = top_down.batched(64), top_down.batched(1)
    frame = np.random.default_rng(0).integers(0, 256, (*options.size, 3), dtype=np.uint8)
    height, width = options.size
    yield (
        f"{height}x{width}, {torch.get_num_threads()} threads, {top_down.locator.dtype}, random weights; milliseconds a "
        f"frame, the fastest of {options.rounds} turns"
    )
    jobs, crops = [], []
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        write_clip(clip, options.size, options.frames)
        for people in options.people:
            for peer in (one_pass, top_down):
                peer.set_people(people)
            if options.frames:
                jobs.append(
                    in_turns({
                        "one pass": lambda: peers.job(one_pass, str(clip)),
                        "top-down": lambda: peers.job(top_down, str(clip)),
                    }, options.rounds)
                )  # fmt: skip
            boxes, scores = peers.crowd(people, options.size), np.ones(people, np.float32)
            crops.append(
                in_turns({
                    "together": lambda: together.estimate_given(frame, boxes, scores),  # noqa: B023
                    "one by one": lambda: alone.estimate_given(frame, boxes, scores),  # noqa: B023
                }, options.rounds)
            )  # fmt: skip
    if jobs:
        yield from _table("whole job", "one pass", "top-down", options.people, jobs, options.frames)
    yield from _table("boxes to joints", "together", "one by one", options.people, crops, 1)


def _table(
    title: str,
    first: str,
    second: str,
    people: Sequence[int],
    rows: Sequence[dict[str, tuple[float, float]]],
    frames: int,
) -> Iterator[str]:
    yield f"\n{title + ', people':<24}{first:>12}{second:>12}{'times':>8}{'CPU times':>11}"
    for count, row in zip(people, rows, strict=True):
        (wall, cpu), (other_wall, other_cpu) = row[first], row[second]
        yield (
            f"{count:<24}{1e3 * wall / frames:>12.1f}{1e3 * other_wall / frames:>12.1f}"
            f"{other_wall / wall:>8.2f}{other_cpu / cpu:>11.2f}"
        )


def remember(options: argparse.Namespace) -> Iterator[str]:
    """Resident memory of the top-down job, small frames and tiny networks."""
    size = (96, 160)
    detector = peers.Ours(
        str(CONFIGS / "people.yaml"), size, "cpu", True, ["MODEL.KEYPOINT_ON", "False", *TINY_NETWORK]
    )
    peer = TopDown(str(CONFIGS / "alphapose-s.yaml"), detector, 64, TINY_POSE)
    peer.set_people(5)
    everyone: list[PersonDetections] = peer.estimate([np.zeros((*size, 3), np.uint8)])
    yield f"{size[0]}x{size[1]}, {len(everyone[0])} people a frame"
    marks = sorted({options.memory * share // 10 for share in (1, 2, 5, 10)})
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        write_clip(clip, size, 60)
        summary = run_job(
            EndlessSource(str(clip), marks), peer, build_tracker(get_cfg(), peer.skeleton),
            batch_size=peer.batch_size, max_frames=options.memory + 1,
        )  # fmt: skip
    yield f"{summary.frames} frames, {summary.boxes} people on tracks, {resident_megabytes():.0f} MB at the end"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--network", default="people", metavar="NAME", help="of configs/: finds people (default: people)")
    add("--pose", default="alphapose-s", metavar="NAME", help="of configs/ (default: alphapose-s)")
    add("--size", type=size_hw, default=(360, 640), metavar="HxW", help="of the frames (default: 360x640)")
    add("--people", type=int, nargs="+", default=[1, 5, 20], metavar="N")
    add("--frames", type=int, default=16, metavar="F", help="of the whole job's video; 0: no whole job")
    add("--rounds", type=int, default=3, metavar="R", help="the fastest counts")
    add("--threads", type=int, default=os.cpu_count() or 1, metavar="N")
    add(
        "--memory",
        type=int,
        default=0,
        metavar="F",
        help="frames to watch the memory over, in place of the times",
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with exit_on_error():
        for line in remember(options) if options.memory else compare(options):
            print(line, flush=True)


if __name__ == "__main__":
    main()
