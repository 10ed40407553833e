#!/usr/bin/env python
"""Times MOTChallenge's evaluation beside TrackEval's, reading included, on the same files in one run.

    python benchmarks/mot_evaluation.py [--sequences 7] [--frames 750] [--people 20] [--rounds 3]

Needs ``pip install trackeval``. People walk about and overlap; the tracker misses some, and swaps ids. The last
line is the greatest difference in HOTA, MOTA and IDF1, in percent.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from fastpose_mtn.errors import exit_on_error
from fastpose_mtn.evaluation.mot.sequences import evaluate_mot


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sequences", type=int, default=7, metavar="N")
    parser.add_argument("--frames", type=int, default=750, metavar="N")
    parser.add_argument("--people", type=int, default=20, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    options = parser.parse_args()
    with exit_on_error(), tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for number in range(options.sequences):
            write_sequence(root, f"walk-{number}", number, options.frames, options.people)
        seconds: dict[str, list[float]] = {"TrackEval": [], "ours": []}
        for _ in range(options.rounds):
            began = time.perf_counter()
            theirs = trackeval_figures(root, options.frames)
            seconds["TrackEval"].append(time.perf_counter() - began)
            began = time.perf_counter()
            ours = evaluate_mot(root / "gt", root / "results" / "ours", benchmark="MOT17")
            seconds["ours"].append(time.perf_counter() - began)
        for name, times in seconds.items():
            ratio = np.median(np.divide(seconds["TrackEval"], times))
            print(
                f"{name:<10} {min(times):7.2f} s   {ratio:5.1f} times as fast (median of {options.rounds} rounds)"
            )
        print(
            f"differences: {max(abs(ours[s][key] - row[key]) for s, row in theirs.items() for key in row):.1e}"
        )


def write_sequence(root: Path, name: str, seed: int, frames: int, people: int) -> None:
    """Ground truth and results of people who walk to and fro over 1920x1080 pixels."""
    rng = np.random.default_rng(seed)
    height = rng.uniform(80, 400, people)
    start, speed = rng.uniform(0, 1920, people), rng.uniform(1, 12, people)
    top, track = rng.uniform(300, 600, people), np.arange(people) + 1
    truth, found = [], []
    for frame in range(1, frames + 1):
        way = (start + speed * frame) % 3840
        left = np.where(way > 1920, 3840 - way, way)
        for i in range(people):
            size = height[i] / 2.5, height[i]
            truth.append((frame, i + 1, left[i], top[i], *size, 1, 1 if i % 8 else 7, 1))
            if rng.random() < 0.005:
                other = int(rng.integers(people))
                track[i], track[other] = track[other], track[i]
        for i in np.flatnonzero(rng.random(people) < 0.85):
            shift = rng.normal(0, 0.06, 4) * height[i]
            box = left[i] + shift[0], top[i] + shift[1], height[i] / 2.5 + shift[2], height[i] + shift[3]
            found.append((frame, track[i], *box, 0.9, -1, -1, -1))
    for path, rows in (
        (root / "gt" / name / "gt" / "gt.txt", truth),
        (root / "results" / "ours" / f"{name}.txt", found),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(",".join(f"{value:.6g}" for value in row) + "\n" for row in rows))


def trackeval_figures(root: Path, frames: int) -> dict[str, dict[str, float]]:
    """HOTA, MOTA and IDF1 of each sequence as TrackEval gives them."""
    import trackeval

    names = [path.name for path in sorted((root / "gt").iterdir())]
    quiet = {"PRINT_CONFIG": False}
    dataset = trackeval.datasets.MotChallenge2DBox(
        {
            **quiet,
            "GT_FOLDER": str(root / "gt"),
            "TRACKERS_FOLDER": str(root / "results"),
            "TRACKERS_TO_EVAL": ["ours"],
            "TRACKER_SUB_FOLDER": "",
            "SKIP_SPLIT_FOL": True,
            "SEQ_INFO": dict.fromkeys(names, frames),
        }
    )
    kinds = [trackeval.metrics.HOTA(), trackeval.metrics.CLEAR(quiet), trackeval.metrics.Identity(quiet)]
    figures = {}
    for name in names:
        data = dataset.get_preprocessed_seq_data(dataset.get_raw_seq_data("ours", name), "pedestrian")
        hota, clear, identity = (kind.eval_sequence(data) for kind in kinds)
        figures[name] = {
            "HOTA": 100 * float(np.mean(hota["HOTA"])),
            "MOTA": 100 * float(clear["MOTA"]),
            "IDF1": 100 * float(identity["IDF1"]),
        }
    return figures


if __name__ == "__main__":
    main()
