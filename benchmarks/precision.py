#!/usr/bin/env python
"""What a faster way to run a network costs in accuracy: the whole job, beside float32, on the same videos.

    python benchmarks/precision.py [--weights people] [--other bf16 | --other model.onnx ...] [--sequences 20]

Draws held-out videos, runs ``track_video.py`` on them once in float32 and once for each ``--other`` (a
precision, or exported weights), and prints how many of float32's people are found again, how far
their joints are moved, and PoseTrack's AP and MOTA of each run with the difference. The guard: 99 % found
with an overlap of 0.95, joints less than half a pixel away, AP and MOTA less than 0.3 lower.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from fastpose_mtn.data.synthetic.config import SceneConfig
from fastpose_mtn.data.synthetic.dataset import write_dataset
from fastpose_mtn.deploy.agreement import agreement
from fastpose_mtn.errors import exit_on_error
from fastpose_mtn.evaluation.posetrack.evaluation import evaluate_posetrack
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.tracking.detections_file import ENDING, load

PRECISIONS = ("fp32", "bf16", "fp16")
TRACK = Path(__file__).parent.parent / "track_video.py"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", default="people", metavar="FILE|people|drawn")
    parser.add_argument("--other", nargs="+", default=["bf16"], metavar="PRECISION|FILE")
    parser.add_argument("--sequences", type=int, default=20, metavar="N")
    parser.add_argument("--frames", type=int, default=60, metavar="F")
    parser.add_argument("--seed", type=int, default=800_000, metavar="S")
    parser.add_argument("--people", type=int, default=6, metavar="N")
    options = parser.parse_args()
    with exit_on_error(), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_dataset(
            folder,
            options.sequences,
            options.frames,
            options.seed,
            SceneConfig(people=options.people),
            progress=True,
        )
        exact, exact_scores = run(folder, options.weights, "fp32")
        print(f"{'':<16}{'found':>9}{'joints':>10}{'AP':>8}{'':>7}{'MOTA':>8}{'':>7}")
        print(f"{'fp32':<16}{'':>9}{'':>10}{exact_scores[0]:8.2f}{'':>7}{exact_scores[1]:8.2f}")
        for other in options.other:
            weights, precision = (options.weights, other) if other in PRECISIONS else (other, "auto")
            people, scores = run(folder, weights, precision)
            same = agreement(exact, people)
            worse = [new - old for new, old in zip(scores, exact_scores, strict=True)]
            good = same.within_guard and min(worse) > -0.3
            print(
                f"{Path(other).name:<16}{same.found:>8.2%} {same.joint_distance:>7.3f} px"
                f"{scores[0]:8.2f} {worse[0]:+6.2f}{scores[1]:8.2f} {worse[1]:+6.2f}"
                f"  {'within the guard' if good else 'OUTSIDE the guard'} ({same.people} people)"
            )


def run(folder: Path, weights: str, precision: str) -> tuple[list[PersonDetections], tuple[float, float]]:
    """All frames' people, and AP and MOTA in percent, of the whole job on the drawn videos."""
    results = folder / f"{Path(weights).name}-{precision}"
    command = [sys.executable, str(TRACK), "--input", str(folder / "videos"), "--output", str(results)]
    command += ["--weights", weights, "--precision", precision, "--no-video", "--save-detections", "--quiet"]
    subprocess.run(command, check=True)
    people = [frame.detections for file in sorted(results.glob(f"*{ENDING}")) for frame in load(file)]
    metrics = evaluate_posetrack(folder / "annotations", results).to_json()
    return people, (metrics["ap"]["total"], metrics["mota"]["total"])


if __name__ == "__main__":
    main()
