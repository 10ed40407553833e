"""Times the PoseTrack evaluation on a set of PoseTrack18 validation's size, beside poseval where it is at hand.

python benchmarks/evaluation.py [--poseval DIR [--poseval-python PYTHON]] [--sequences N] [--frames F]

DIR is a checkout of github.com/leonid-pishchulin/poseval; PYTHON an interpreter with its requirements
(shapely, click, motmetrics, tqdm), this one by default. Each runs in a process of its own, reading
included, imports not; the last column is the greatest difference from poseval in any figure.
"""

from __future__ import annotations

import argparse
import inspect
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fastpose_mtn.data.posetrack.file18 import PoseTrack18File
from fastpose_mtn.data.posetrack.people import PoseTrackPeople
from fastpose_mtn.data.posetrack.records import image_record, sequence_frame
from fastpose_mtn.errors import InputError, exit_on_error
from fastpose_mtn.evaluation.posetrack.evaluation import evaluate_posetrack
from fastpose_mtn.evaluation.posetrack.protocol import NAMES_AND_TOTAL
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonDetections, TrackedPersons

# PoseTrack18's validation set: 74 sequences, 8,000 frames or so, of which about half are labelled
# densely around their middle; here every frame is, which is the harder case.
SEQUENCES, FRAMES = 74, 108
FIGURES = ("ap", "ap_precision", "ap_recall", "mota", "motp", "precision", "recall")

POSEVAL = """
import contextlib, io, json, sys, tempfile, time
from poseval import eval_helpers, evaluateAP, evaluateTracking
start, cpu = time.perf_counter(), time.process_time()
with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as folder:
    gt, predictions = eval_helpers.load_data_dir(["", sys.argv[1], sys.argv[2] + "/"])
    figures = dict(zip(("ap", "ap_precision", "ap_recall"), evaluateAP.evaluateAP(gt, predictions, folder)))
    mot = evaluateTracking.evaluateTracking(gt, predictions, folder)
figures.update(mota=mot["mota"], motp=mot["motp"], precision=mot["pre"], recall=mot["rec"])
print(json.dumps({
    "seconds": time.perf_counter() - start,
    "cpu_seconds": time.process_time() - cpu,
    "megabytes": peak_megabytes(),
    "figures": {name: values.ravel().tolist() for name, values in figures.items()},
}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--poseval", type=Path, metavar="DIR")
    parser.add_argument("--poseval-python", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--sequences", type=int, default=SEQUENCES, metavar="N")
    parser.add_argument("--frames", type=int, default=FRAMES, metavar="F")
    parser.add_argument("--only", nargs=2, metavar=("GT", "PRED"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(run_ours(*options.only)))
        return
    with exit_on_error(), tempfile.TemporaryDirectory() as folder:
        people = write_set(Path(folder), options.sequences, options.frames)
        frames = options.sequences * options.frames
        print(
            f"{options.sequences} sequences, {frames} frames, {people / frames:.1f} labelled people a frame"
        )
        gt, predictions = f"{folder}/gt", f"{folder}/predictions"
        ours = _child([sys.executable, __file__, "--only", gt, predictions], {})
        _print("fastpose_mtn", ours, frames)
        if options.poseval:
            path = {"PYTHONPATH": str(options.poseval)}
            theirs = _child(
                [
                    options.poseval_python,
                    "-W",
                    "ignore",
                    "-c",
                    inspect.getsource(peak_megabytes) + POSEVAL,
                    gt,
                    predictions,
                ],
                path,
            )
            _print("poseval", theirs, frames)
            ratio, cpu_ratio = (theirs[key] / ours[key] for key in ("seconds", "cpu_seconds"))
            print(
                f"{ratio:.1f} times faster ({cpu_ratio:.1f} by processor time); greatest difference {_difference(ours, theirs):.1e}"
            )


def peak_megabytes() -> float:
    """The most memory this process ever held (Linux); getrusage would count its parent's, before it began."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def run_ours(gt: str, predictions: str) -> dict[str, Any]:
    """Evaluates two folders and says how long it took and how much memory."""
    start, cpu = time.perf_counter(), time.process_time()
    metrics = evaluate_posetrack(gt, predictions).to_json()
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    figures = {name: [metrics[name][joint] for joint in NAMES_AND_TOTAL] for name in FIGURES}
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "megabytes": peak_megabytes(), "figures": figures}


def write_set(folder: Path, sequences: int, frames: int) -> int:
    """Writes labels and imperfect predictions in PoseTrack18's format; returns how many people are labelled."""
    for name in ("gt", "predictions"):
        (folder / name).mkdir()
    return sum(_write_sequence(folder, number, frames) for number in range(1, sequences + 1))


def _write_sequence(folder: Path, number: int, frames: int) -> int:
    rng = np.random.default_rng(number)
    name = f"{number:06d}_mpii_test"
    count = int(rng.integers(3, 6))
    heights = rng.uniform(80, 400, count)
    figure = rng.uniform(0, 1, (count, 15, 2)) * np.stack([heights * 0.4, heights], 1)[:, None]
    place = rng.uniform([0, 0], [900, 300], (count, 2))
    speed = rng.normal(0, 3, (count, 2))
    ids, next_id = list(range(count)), count
    people = 0
    with (
        PoseTrack18File(folder / "gt" / f"{name}.json") as labels,
        PoseTrack18File(folder / "predictions" / f"{name}.json") as predictions,
    ):
        for number_of_frame in range(frames):
            frame = sequence_frame(name, number_of_frame, (720, 1280))
            if number % 2:
                region = np.array([[0, 0], [200, 0], [220, 150], [0, 130]], np.float64)
                frame = replace(frame, ignore_regions=(region,))
            image = image_record(frame, video_id=name[:6], frame_count=frames)
            joints = figure + place[:, None] + speed[:, None] * number_of_frame
            joints += rng.normal(0, 1, (count, 15, 2)) * heights[:, None, None] * 0.01
            corners = np.concatenate([joints.min(axis=1), joints.max(axis=1)], axis=1)
            seen = rng.random((count, 15, 1)) > 0.1
            label = PoseTrackPeople.labelled(
                track_ids=np.arange(count),
                boxes_xyxy=corners,
                joints=np.concatenate([joints * seen, 2 * seen], axis=2),
                head_boxes_xyxy=np.concatenate(
                    [joints[:, 2], joints[:, 2] + heights[:, None] * 0.12], axis=1
                ),
            )
            labels.add(image, label.records(frame.image_id, frame.image_id * 100))
            for k in np.flatnonzero(rng.random(count) < 0.01).tolist():
                ids[k], next_id = next_id, next_id + 1
            error = (
                rng.normal(0, 1, (count, 15, 2))
                * heights[:, None, None]
                * rng.choice([0.01, 0.03, 0.1], (count, 15, 1))
            )
            found = PersonDetections(
                boxes=corners.astype(np.float32),
                scores=np.full(count, 0.9, np.float32),
                keypoints=np.concatenate([joints + error, rng.random((count, 15, 1))], axis=2).astype(
                    np.float32
                ),
            )
            tracked = TrackedPersons(found, np.array(ids))[rng.random(count) < 0.93]
            predictions.add_tracked(name, number_of_frame, (720, 1280), tracked, POSETRACK15)
            people += count
    return people


def _child(command: list[str], environment: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    if done.returncode:
        raise InputError(f"{command[0]}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def _print(name: str, result: dict[str, Any], frames: int) -> None:
    print(
        f"{name:>13}: {result['seconds']:7.1f} s ({result['cpu_seconds']:.1f} s of processor), {frames / result['seconds']:6.0f} frames/s, "
        f"peak memory {result['megabytes']:5.0f} MB, AP {result['figures']['ap'][-1]:.3f}, "
        f"MOTA {result['figures']['mota'][-1]:.3f}"
    )


def _difference(a: dict[str, Any], b: dict[str, Any]) -> float:
    """The greatest difference of two results in any figure; infinite where only one has it."""
    worst = 0.0
    for name in FIGURES:
        for x, y in zip(a["figures"][name], b["figures"][name], strict=True):
            absent = x is None, y is None or math.isnan(y)
            if absent[0] != absent[1]:
                return math.inf
            if not absent[0]:
                worst = max(worst, abs(x - y))
    return worst


if __name__ == "__main__":
    main()
