#!/usr/bin/env python
"""Trackers on the same people: HOTA, AssA, MOTA, IDF1, switches and fragmentations by MOTChallenge's rules, and speed.

    python benchmarks/trackers.py FOLDER ... [--weights people] [--trackers ours SORT ...] [--save CACHE]
                                 [--stride N] [--options KEY VALUE ...]

A FOLDER holds MOTChallenge's sequences, ``SEQUENCE/img1``, ``gt/gt.txt`` and ``seqinfo.ini``, or drawn ones as
``python -m fastpose_mtn.data.synthetic`` writes them, ``images`` and ``annotations``. The network looks at every frame
once; all trackers link what it found (``--save`` keeps it for the next time). ``--stride 4`` shows them, and counts,
every fourth frame. Ours are the three strategies of TRACKER.STRATEGY, MSIM, and the flow tracker with and
without its flow. SORT, ByteTrack, OC-SORT and BoT-SORT are those of roboflow's ``trackers``, norfair's has its
documented settings; each begins tracks at our TRACKER.BIRTH_SCORE, as their own thresholds were made for other
networks' scores, and is otherwise as it comes. What is not installed is left out, and it says so.
"""

from __future__ import annotations

import argparse
import configparser
import itertools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fastpose_mtn.build import PoseTracking, build_pose_tracking, build_tracker
from fastpose_mtn.config import CfgNode
from fastpose_mtn.data.posetrack.files import read_posetrack
from fastpose_mtn.errors import InputError, exit_on_error
from fastpose_mtn.evaluation.mot.evaluation import add, evaluate_sequence
from fastpose_mtn.evaluation.mot.files import MotBoxes, read_ground_truth
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.tracking.detections_file import ENDING, SavedDetections, SavedFrame, load, save
from fastpose_mtn.tracking.parameters import STRATEGIES
from fastpose_mtn.video.sources import open_source

COLUMNS = ("HOTA", "DetA", "AssA", "MOTA", "IDF1", "IDSW", "Frag", "tracks", "people")
Tracked = tuple[np.ndarray, np.ndarray]  # ids (N,) and boxes (N, 4) xyxy of one frame
Update = Callable[[PersonDetections, float, np.ndarray], Tracked]


@dataclass
class Sequence:
    """A labelled video and what the network finds in it."""

    name: str
    images: str
    frame_rate: float
    truth: MotBoxes
    people: SavedDetections | None = None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", metavar="FOLDER")
    parser.add_argument("--weights", default="people", metavar="FILE|people|drawn")
    parser.add_argument("--trackers", nargs="+", default=[], metavar="NAME", help="default: all")
    parser.add_argument("--save", type=Path, metavar="CACHE", help="folder for what the network found")
    parser.add_argument("--stride", type=int, default=1, metavar="N", help="default: 1, every frame")
    parser.add_argument("--options", nargs="+", default=[], metavar="KEY VALUE")
    arguments = parser.parse_args()
    with exit_on_error():
        tracking = build_pose_tracking(weights=arguments.weights, options=arguments.options)
        makers = trackers(tracking.cfg)
        unknown = set(arguments.trackers) - set(makers)
        if unknown:
            raise InputError(f"--trackers {' '.join(sorted(unknown))}: expected some of {', '.join(makers)}")
        sequences = [one for folder in arguments.folders for one in find_sequences(Path(folder))]
        for one in sequences:
            one.people = find_people(one, tracking, arguments.save)
        print(f"{'tracker':<24}" + "".join(f"{name:>9}" for name in (*COLUMNS, "frames/s")))
        for name, make in makers.items():
            if not arguments.trackers or name in arguments.trackers:
                show(name, make, sequences, arguments.stride)


def show(name: str, make: Callable[[float], Update], sequences: list[Sequence], stride: int) -> None:
    """Prints one tracker's line of all sequences, of each stride-th frame."""
    sums, seconds, frames = [], 0.0, 0
    try:
        make(30.0)
    except ImportError as error:
        print(f"{name:<24} left out: {error.name} is not installed")
        return
    for one in sequences:
        update = make(one.frame_rate / stride)
        tracked = []
        assert one.people is not None
        pairs = zip(one.people, open_source(one.images), strict=True)
        for saved, frame in itertools.islice(pairs, 0, None, stride):
            assert frame.image is not None
            began = time.perf_counter()
            tracked.append(update(saved.detections, saved.time_s, frame.image))
            seconds += time.perf_counter() - began
        frames += len(tracked)
        truth = every(one.truth, stride)
        sums.append(evaluate_sequence(truth, as_results(tracked), benchmark="MOT17", frames=len(tracked)))
    figures = add(sums).figures()
    cells = (f"{figures[c]:.1f}" if isinstance(figures[c], float) else str(figures[c]) for c in COLUMNS)
    print(f"{name:<24}" + "".join(f"{cell:>9}" for cell in (*cells, f"{frames / seconds:.0f}")))


def every(truth: MotBoxes, stride: int) -> MotBoxes:
    """The labels of frames 1, 1 + stride and so on, which are 1, 2, ... then."""
    kept = (truth.frame - 1) % stride == 0
    return replace(
        truth,
        frame=(truth.frame[kept] - 1) // stride + 1,
        ids=truth.ids[kept],
        boxes=truth.boxes[kept],
        counts=truth.counts[kept],
        classes=None if truth.classes is None else truth.classes[kept],
    )


def find_sequences(folder: Path) -> list[Sequence]:
    """The labelled sequences of a folder, without people."""
    found = []
    for path in sorted(folder.glob("*/gt/gt.txt")):
        info = configparser.ConfigParser()
        info.read(path.parent.parent / "seqinfo.ini")
        rate = info.getfloat("Sequence", "frameRate", fallback=30.0)
        truth = read_ground_truth(path)
        truth.boxes[:] -= 1  # MOTChallenge's first pixel is (1, 1)
        found.append(Sequence(path.parent.parent.name, str(path.parent.parent / "img1"), rate, truth))
    for path in sorted((folder / "annotations").glob("*.json")):
        labels = read_posetrack(path)
        table = MotBoxes(
            path=path,
            frame=labels.frame_index + 1,
            ids=labels.track_ids,
            boxes=labels.boxes_xyxy.astype(np.float64),
            counts=np.ones(len(labels.track_ids), bool),
            classes=None,
        )
        images = folder / "images" / Path(labels.frames[0].name).parent.name
        found.append(Sequence(path.stem, str(images), 30.0, table))
    if not found:
        raise InputError(f"{folder}: expected SEQUENCE/gt/gt.txt, or images and annotations of drawn people")
    return found


def find_people(one: Sequence, tracking: PoseTracking, cache: Path | None) -> SavedDetections:
    """What the network finds in each frame, from the cache where it is there."""
    file = None if cache is None else cache / f"{one.name}{ENDING}"
    if file is not None and file.is_file():
        return load(file)
    found = []
    for frame in open_source(one.images, folder_frame_rate=one.frame_rate):
        if frame.image is None:
            raise InputError(f"{one.images}: frame {frame.index + 1} cannot be decoded")
        (people,) = tracking.estimator.estimate([frame.image])
        found.append(SavedFrame(frame.number, frame.time_s, frame.image.shape[:2], people))
    people = SavedDetections(one.name, tracking.estimator.skeleton, tuple(found))
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        save(file, people, source=one.name, skeleton=people.skeleton)
    return people


def trackers(cfg: CfgNode) -> dict[str, Callable[[float], Update]]:
    """How each tracker is made for a video of a frame rate."""
    made: dict[str, Callable[[float], Update]] = {
        f"ours, {strategy}": lambda rate, strategy=strategy: ours(cfg, "TRACKER.STRATEGY", strategy)
        for strategy in STRATEGIES
    }
    made["ours, msim"] = lambda rate: ours(cfg, "TRACKER.NAME", "msim")
    for method in (str(cfg.TRACKER.FLOW.METHOD), "none"):
        made[f"ours, flow {method}"] = lambda rate, method=method: ours(
            cfg, "TRACKER.NAME", "flow", "TRACKER.FLOW.METHOD", method
        )
    birth = float(cfg.TRACKER.BIRTH_SCORE)
    for name, threshold in (
        ("SORT", {"track_activation_threshold": birth}),
        ("ByteTrack", {"track_activation_threshold": birth, "high_conf_det_threshold": birth}),
        ("OCSORT", {"high_conf_det_threshold": birth}),
        ("BoTSORT", {"track_activation_threshold": birth, "high_conf_det_threshold": birth}),
    ):
        made[name] = lambda rate, name=name, threshold=threshold: roboflow(name, rate, threshold)
    made["norfair"] = lambda rate: norfair(birth)
    return made


def ours(cfg: CfgNode, *options: str) -> Update:
    """One of our trackers or strategies."""
    cfg = cfg.clone()
    cfg.defrost()
    cfg.merge_from_list(list(options))
    tracker = build_tracker(cfg)

    def update(people: PersonDetections, time_s: float, frame: np.ndarray) -> Tracked:
        tracked = tracker.update(people, time_s, frame)
        return tracked.track_ids, tracked.boxes

    return update


def roboflow(name: str, rate: float, thresholds: dict[str, float]) -> Update:
    """A tracker of roboflow's package."""
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [folder for folder in sys.path if folder != here]  # this file has the package's name
    import supervision
    import trackers as package

    suffix = "SORTTracker" if name == "SORT" else f"{name}Tracker"
    tracker = getattr(package, suffix)(frame_rate=rate, **thresholds)

    def update(people: PersonDetections, time_s: float, frame: np.ndarray) -> Tracked:
        found = supervision.Detections(
            xyxy=people.boxes, confidence=people.scores, class_id=np.zeros(len(people.boxes), int)
        )
        tracked = tracker.update(found, **({"frame": frame} if name == "BoTSORT" else {}))
        ids = np.full(len(tracked), -1) if tracked.tracker_id is None else tracked.tracker_id
        return ids[ids >= 0], tracked.xyxy[ids >= 0]

    return update


def norfair(birth: float) -> Update:
    """norfair's boxes by overlap, as its documentation sets it up."""
    import norfair as package

    tracker = package.Tracker(distance_function="iou", distance_threshold=0.7)

    def update(people: PersonDetections, time_s: float, frame: np.ndarray) -> Tracked:
        found = [
            package.Detection(points=box.reshape(2, 2), scores=np.full(2, score))
            for box, score in zip(people.boxes, people.scores, strict=True)
            if score >= birth
        ]
        tracked = [t for t in tracker.update(detections=found) if t.live_points.any()]
        boxes = np.array([t.last_detection.points.reshape(4) for t in tracked]).reshape(-1, 4)
        return np.array([t.id for t in tracked], int), boxes

    return update


def as_results(tracked: list[Tracked]) -> MotBoxes:
    """All frames as a file of results would have them."""
    frame = np.repeat(np.arange(len(tracked)) + 1, [len(ids) for ids, _ in tracked])
    return MotBoxes(
        path=Path("results"),
        frame=frame,
        ids=np.concatenate([ids for ids, _ in tracked]).astype(np.int64),
        boxes=np.concatenate([np.asarray(boxes, np.float64).reshape(-1, 4) for _, boxes in tracked]),
        counts=np.ones(len(frame), bool),
        classes=None,
    )


if __name__ == "__main__":
    main()
