#!/usr/bin/env python
"""What SIFP is worth: trained with it and without, the same schedule, several seeds, AP by scale.

    OMP_NUM_THREADS=1 python benchmarks/sifp.py [--seeds 1 2 3] [--iterations 500] [--weights drawn] [--jobs 2]
    python benchmarks/sifp.py --config-file people --weights people --train json://A json://B --test json://C

Drawn frames of 768x432 with people of some 20 to 600 pixels, other scenes for each seed; the same held-out
scenes for all. Or your own images: whatever DATASETS.TRAIN and TEST may name, with the sizes, the batch and the
learning rate of the configuration, whose windows and random scales (INPUT.AUG) are what SIFP is compared with.
Each pair of trainings starts from the same weights and sees as many images; testing is single-scale. Sizes are
COCO's, by the person's area: small below 32^2 pixels (about 70 tall), large from 96^2 (about 210). What is already
in --output is not trained again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np

from fastpose_mtn.errors import exit_on_error

ROOT = Path(__file__).parent.parent
SCENES = "size=768x432&people=4-12&occlusion=0-0.4"
TEST = f"synthetic://held-out?seeds=830000-830019&stride=6&{SCENES}"
COLUMNS = (
    "box/AP", "box/AP_small", "box/AP_medium", "box/AP_large",
    "keypoint/AP", "keypoint/AP50", "keypoint/AP_medium", "keypoint/AP_large",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("runs/sifp"), metavar="DIR")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], metavar="S")
    parser.add_argument(
        "--iterations", type=int, default=500, metavar="N", help="of 4 drawn images, or SOLVER.IMS_PER_BATCH"
    )
    parser.add_argument("--config-file", default="demo", metavar="YAML")
    parser.add_argument("--train", nargs="+", default=[], metavar="DATASET", help="default: drawn scenes")
    parser.add_argument("--test", nargs="+", default=[TEST], metavar="DATASET")
    parser.add_argument("--weights", default="drawn", metavar="FILE|drawn", help="that all start from")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="trainings at a time")
    options = parser.parse_args()
    runs = list(product(options.seeds, (False, True)))
    with exit_on_error(), ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(lambda run: train(options, *run), runs))
        values = {run: metrics(folder_of(options.output, *run)) for run in runs}
    print(f"{'':<16}" + "".join(f"{name:>20}" for name in COLUMNS))
    for seed, sifp in runs:
        print(line(f"seed {seed}" + (", SIFP" if sifp else ""), values[seed, sifp]))
    difference = np.array([values[seed, True] - values[seed, False] for seed in options.seeds])
    print(line("SIFP's gain", difference.mean(axis=0), signed=True))
    if len(options.seeds) > 1:
        error = difference.std(axis=0, ddof=1) / len(options.seeds) ** 0.5
        print(line("standard error", error))


def folder_of(output: Path, seed: int, sifp: bool) -> Path:
    return output / f"{'sifp' if sifp else 'plain'}-{seed}"


def train(options: argparse.Namespace, seed: int, sifp: bool) -> None:
    """One training and its evaluation, in a process of its own."""
    folder = folder_of(options.output, seed, sifp)
    if (folder / "evaluation.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "OUTPUT_DIR": folder, "SEED": seed, "MODEL.WEIGHTS": options.weights, "MODEL.TIMM.PRETRAINED": False, "MODEL.REID_ON": False,
        "DATASETS.TRAIN": options.train, "DATASETS.TRAIN_WEIGHTS": [], "DATASETS.TEST": options.test,
        "INPUT.SIFP.ENABLED": sifp, "SOLVER.WARMUP_ITERS": 50, "SOLVER.EMA": 0.99,
        "SOLVER.MAX_ITER": options.iterations, "SOLVER.CHECKPOINT_PERIOD": options.iterations,
    }  # fmt: skip
    if not options.train:
        settings |= {
            "DATASETS.TRAIN": [f"synthetic://wide?seeds={1000 * seed}-{1000 * seed + 299}&{SCENES}"],
            "INPUT.MIN_SIZE_TRAIN": [432], "INPUT.MAX_SIZE_TRAIN": 768,
            "SOLVER.IMS_PER_BATCH": 4, "SOLVER.BASE_LR": 0.0012,
        }  # fmt: skip
    if sifp:  # which has scales and windows of its own
        settings |= {"INPUT.AUG.SCALE": [1.0, 1.0], "INPUT.AUG.SIZE": []}
    command = [sys.executable, str(ROOT / "train_net.py"), "--engine", "lightning"]
    command += ["--config-file", options.config_file]
    command += [str(part) for pair in settings.items() for part in pair]
    with (folder / "log.txt").open("w") as log:
        subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT)


def metrics(folder: Path) -> np.ndarray:
    """The columns' values, per cent; of several test datasets their mean."""
    results = list(json.loads((folder / "evaluation.json").read_text()).values())
    return np.mean([[100 * values[name] for name in COLUMNS] for values in results], axis=0)


def line(name: str, values: np.ndarray, signed: bool = False) -> str:
    return f"{name:<16}" + "".join(f"{value:>+20.1f}" if signed else f"{value:>20.1f}" for value in values)


if __name__ == "__main__":
    main()
