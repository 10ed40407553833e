#!/usr/bin/env python
"""Trackers on the same people, on sequences labelled as MOTChallenge's: MOTA, IDF1 and identity switches.

    python benchmarks/trackers.py [--weights people] [--strategies iou reid occlusion_aware] -- FOLDER [KEY VALUE ...]

FOLDER holds ``SEQUENCE/img1/*.jpg``, ``SEQUENCE/gt/gt.txt`` and ``SEQUENCE/seqinfo.ini``. The network runs once;
what it found is tracked by each strategy. py-motmetrics counts, people matched at an overlap of 0.5.
"""

from __future__ import annotations

import argparse
import configparser
import time
from pathlib import Path

import motmetrics
import numpy as np
import pandas as pd
import torch

from fastpose_mtn.build import PoseTracking, build_pose_tracking, build_tracker
from fastpose_mtn.errors import InputError, exit_on_error
from fastpose_mtn.ops.boxes import pairwise_iou
from fastpose_mtn.protocols import Tracker
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.tracking.parameters import STRATEGIES
from fastpose_mtn.video.sources import open_source

Boxes = tuple[np.ndarray, np.ndarray]  # ids (N,) and boxes (N, 4) xyxy of one frame
METRICS = ("mota", "idf1", "num_switches", "num_fragmentations", "precision", "recall", "num_unique_objects")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--weights", default="people", metavar="FILE|people|drawn")
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES), choices=STRATEGIES)
    parser.add_argument("options", nargs="*", metavar="KEY VALUE")
    arguments = parser.parse_args()
    with exit_on_error():
        sequences = sorted(path.parent.parent for path in arguments.folder.glob("*/gt/gt.txt"))
        if not sequences:
            raise InputError(f"{arguments.folder}: expected folders with gt/gt.txt and img1")
        tracking = build_pose_tracking(weights=arguments.weights, options=arguments.options)
        people = {folder.name: find_people(folder, tracking) for folder in sequences}
        rows = {}
        for strategy in arguments.strategies:
            cfg = tracking.cfg.clone()
            cfg.TRACKER.STRATEGY = strategy
            counted, frames, seconds = [], 0, 0.0
            for folder in sequences:
                truth = read_truth(folder / "gt" / "gt.txt")
                began = time.perf_counter()
                tracked = track(people[folder.name], build_tracker(cfg))
                seconds, frames = seconds + time.perf_counter() - began, frames + len(tracked)
                counted.append(count(truth, tracked))
            summary = motmetrics.metrics.create().compute_many(
                counted, metrics=list(METRICS), names=[f.name for f in sequences], generate_overall=True
            )
            for name, row in summary.iterrows():
                rows[f"{strategy}, {name}"] = [*row.tolist(), frames / seconds]
        table = pd.DataFrame.from_dict(rows, orient="index", columns=[*METRICS, "frames/s"])
        print(table.to_string(float_format=lambda value: f"{value:.3f}"))


def find_people(folder: Path, tracking: PoseTracking) -> list[tuple[float, PersonDetections]]:
    """Time and people of each frame of a sequence."""
    info = configparser.ConfigParser()
    info.read(folder / "seqinfo.ini")
    rate = info.getfloat("Sequence", "frameRate", fallback=float(tracking.cfg.VIDEO.FOLDER_FRAME_RATE))
    found = []
    for index, frame in enumerate(open_source(str(folder / "img1"), folder_frame_rate=rate)):
        if frame.image is None:
            raise InputError(f"{folder}: frame {index + 1} cannot be decoded")
        found.append((frame.time_s, tracking.estimator.estimate([frame.image])[0]))
    return found


def track(people: list[tuple[float, PersonDetections]], tracker: Tracker) -> list[Boxes]:
    """Ids and boxes of each frame."""
    tracked = [tracker.update(found, time_s) for time_s, found in people]
    return [(frame.track_ids, frame.boxes) for frame in tracked]


def read_truth(path: Path) -> dict[int, Boxes]:
    """Ids and boxes of each labelled frame, from 1; people whose confidence is 0 do not count."""
    table = np.loadtxt(path, delimiter=",", ndmin=2)
    table = table[table[:, 6] != 0]
    boxes = np.concatenate([table[:, 2:4] - 1, table[:, 2:4] - 1 + table[:, 4:6]], axis=1)
    return {
        int(frame): (table[table[:, 0] == frame, 1].astype(np.int64), boxes[table[:, 0] == frame])
        for frame in np.unique(table[:, 0])
    }


def count(truth: dict[int, Boxes], tracked: list[Boxes]) -> motmetrics.MOTAccumulator:
    """Every frame's people and tracks, as far apart as they do not overlap; below an overlap of 0.5 never the same."""
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    nobody = (np.zeros(0, np.int64), np.zeros((0, 4)))
    for number, (ids, boxes) in enumerate(tracked, 1):
        people, places = truth.get(number, nobody)
        overlap = pairwise_iou(torch.from_numpy(places), torch.from_numpy(boxes.astype(float))).numpy()
        accumulator.update(people, ids, np.where(overlap >= 0.5, 1 - overlap, np.nan))
    return accumulator


if __name__ == "__main__":
    main()
