#!/usr/bin/env python
"""How many frames a second the trackers link on one core, side by side in one run.

    OMP_NUM_THREADS=1 python benchmarks/tracker.py [--people 20] [--frames 500] [--rounds 5]

Ours (``flow`` without flow: what OpenCV takes for that depends on the frames alone), norfair's and Detectron2's Hungarian tracker see the same people: they walk to and fro through each
other, one in twenty detections is missed. Peers that are not installed are left out, and it says so. Rounds of
the trackers take turns and are of processor time, so that a busy machine slows all alike, and little; the fastest
round counts. The paper's tracker makes 66.7 frames a second.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from fastpose_mtn.protocols import Tracker
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.tracking.flow import FlowTracker
from fastpose_mtn.tracking.flow_parameters import FlowParameters
from fastpose_mtn.tracking.msim import MSIMTracker
from fastpose_mtn.tracking.occlusion_aware import OcclusionAwareTracker
from fastpose_mtn.tracking.parameters import STRATEGIES, TrackerParameters

_FPS = 30.0
_SIZE_WH = (1920, 1080)

Run = Callable[[list[PersonDetections]], None]


def walking_crowd(people: int, frames: int, seed: int = 0) -> list[PersonDetections]:
    """People of 100 to 400 px who walk at 0.3 to 1.5 heights a second, with 15 joints and 128 values."""
    rng = np.random.default_rng(seed)
    height = rng.uniform(100, 400, people)
    start, speed = rng.uniform(0, _SIZE_WH[0], people), rng.uniform(0.3, 1.5, people) * height
    bottom = rng.uniform(400, _SIZE_WH[1], people)
    identity = rng.normal(size=(people, 128))
    identity /= np.linalg.norm(identity, axis=1, keepdims=True)
    crowd = []
    for frame in range(frames):
        # To and fro between the picture's sides: a triangle wave.
        way = (start + speed * frame / _FPS) % (2 * _SIZE_WH[0])
        x = np.where(way > _SIZE_WH[0], 2 * _SIZE_WH[0] - way, way)
        boxes = np.stack([x - height / 6, bottom - height, x + height / 6, bottom], 1)
        boxes += rng.normal(size=(people, 4)) * height[:, None] * 0.01
        joints = np.concatenate(
            [
                boxes[:, None, :2] + rng.random((people, 15, 2)) * (boxes[:, None, 2:] - boxes[:, None, :2]),
                rng.beta(4, 2, (people, 15, 1)),
            ],
            axis=2,
        )
        vectors = identity + rng.normal(size=(people, 128)) * 0.04
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        seen = rng.random(people) > 0.05
        crowd.append(
            PersonDetections(
                boxes=boxes[seen].astype(np.float32),
                scores=rng.uniform(0.8, 1.0, people)[seen].astype(np.float32),
                keypoints=joints[seen].astype(np.float32),
                embeddings=vectors[seen].astype(np.float32),
            )
        )
    return crowd


def ours(make: Callable[[], Tracker]) -> Run:
    def run(crowd: list[PersonDetections]) -> None:
        tracker = make()
        for frame, people in enumerate(crowd):
            tracker.update(people, frame / _FPS)

    return run


def norfair_tracker() -> Run:
    """norfair with its own IoU distance and Kalman filter, as its documentation sets it up for boxes."""
    import norfair

    def run(crowd: list[PersonDetections]) -> None:
        tracker = norfair.Tracker(distance_function="iou", distance_threshold=0.7, hit_counter_max=60)
        for people in crowd:
            corners = people.boxes.reshape(-1, 2, 2)
            detections = [
                norfair.Detection(points, scores=np.array([score, score]))
                for points, score in zip(corners, people.scores, strict=True)
            ]
            tracker.update(detections=detections)

    return run


def detectron2_tracker() -> Run:
    """Detectron2's Hungarian tracker on IoU: on tensors, as its predictors give them."""
    import torch
    from detectron2.structures import Boxes, Instances
    from detectron2.tracking.vanilla_hungarian_bbox_iou_tracker import VanillaHungarianBBoxIOUTracker

    def run(crowd: list[PersonDetections]) -> None:
        tracker = VanillaHungarianBBoxIOUTracker(
            video_height=_SIZE_WH[1], video_width=_SIZE_WH[0], max_num_instances=200, max_lost_frame_count=60,
            min_box_rel_dim=0.0, min_instance_period=1, track_iou_threshold=0.3,
        )  # fmt: skip
        for people in crowd:
            instances = Instances(_SIZE_WH[::-1])
            instances.pred_boxes = Boxes(torch.from_numpy(people.boxes))
            instances.scores = torch.from_numpy(people.scores)
            instances.pred_classes = torch.zeros(len(people), dtype=torch.int64)
            tracker.update(instances)

    return run


def installed() -> dict[str, Run]:
    """The trackers that can run here, by name."""
    makers: dict[str, Callable[[], Tracker]] = {
        strategy: lambda strategy=strategy: OcclusionAwareTracker(TrackerParameters(strategy=strategy))
        for strategy in STRATEGIES
    }
    makers["msim"] = MSIMTracker
    makers["flow none"] = lambda: FlowTracker(FlowParameters(method="none"))
    runs = {f"ours, {name}": ours(make) for name, make in makers.items()}
    for name, build in (("norfair", norfair_tracker), ("detectron2 Hungarian", detectron2_tracker)):
        try:
            runs[name] = build()
        except ImportError as error:
            print(f"{name}: not installed ({error}); left out")
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--people", type=int, default=20, metavar="N", help="people in the scene")
    parser.add_argument("--frames", type=int, default=500, metavar="F", help="frames a round")
    parser.add_argument("--rounds", type=int, default=5, metavar="R", help="the fastest counts")
    args = parser.parse_args()
    crowd = walking_crowd(args.people, args.frames)
    runs = installed()
    seconds = dict.fromkeys(runs, float("inf"))
    for _ in range(args.rounds):
        for name, run in runs.items():
            began = time.process_time()
            run(crowd)
            seconds[name] = min(seconds[name], time.process_time() - began)
    mean = np.mean([len(people) for people in crowd])
    print(
        f"{args.people} people, {mean:.1f} found a frame; {args.frames} frames, fastest of {args.rounds} rounds\n"
    )
    print(f"{'tracker':<24}{'frames/s':>10}{'ms/frame':>10}")
    for name, taken in seconds.items():
        print(f"{name:<24}{args.frames / taken:>10.0f}{1e3 * taken / args.frames:>10.3f}")


if __name__ == "__main__":
    main()
