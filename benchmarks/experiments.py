#!/usr/bin/env python
"""Trains and compares the arms of experiments, each with several seeds; goes on where it was stopped.

    OMP_NUM_THREADS=1 python benchmarks/experiments.py mspn [E1 E2 ...] [--seeds 1 2 3] [--steps N] [--output DIR]
    python benchmarks/experiments.py mspn --show        # the tables of what is there

A table of ``benchmarks/experiments`` (or a YAML file of one's own) says what is trained, on which drawn scenes, and what
is compared; ``experiment_arms.py`` describes it. DIR gets ``SYSTEM/EXPERIMENT/ARM-SEED.json``, what was found in each
test image, and ``trainings/``, which arms of equal trainings share. What is there is not made again; a training that was
stopped goes on from its last checkpoint. Drawn training images are drawn once, into ``DIR/drawn``. To use several cores,
run it several times, each with other seeds, and then once with all of them for the tables.

Differences are of the same seeds on the same images, with the 95 % interval of a bootstrap over scenes and seeds.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from experiment_arms import FOLDER, Arm, Experiment, Training, configured, read_table
from experiment_drawn import drawn_dataset, test_images, true_poses
from experiment_figures import (
    LESS_IS_BETTER,
    NO_SHARES,
    Difference,
    Record,
    SeenImage,
    image_records,
    paired_difference,
    statistic,
)
from experiment_tracking import sequence_records

from fastpose_mtn.config import CfgNode
from fastpose_mtn.errors import InputError, exit_on_error
from fastpose_mtn.files import compact_json, write_text
from fastpose_mtn.skeletons import get_skeleton

_BATCH = 8  # test images that a network sees at once
_LOG = logging.getLogger("fastpose_mtn")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ", ".join(sorted(path.stem for path in FOLDER.glob("*.yaml")))
    parser.add_argument("table", metavar="SYSTEM|YAML", help=f"{names}, or a file")
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help="default: all of the table")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], metavar="S")
    parser.add_argument("--steps", type=int, metavar="N", help="of a training, in place of the table's")
    parser.add_argument("--output", type=Path, default=Path("runs/experiments"), metavar="DIR")
    parser.add_argument("--show", action="store_true", help="train and test nothing")
    options = parser.parse_args(arguments)
    with exit_on_error():
        packaged = FOLDER / f"{options.table}.yaml"
        path = packaged if packaged.is_file() else Path(options.table)
        table = read_table(path)
        unknown = set(options.experiments) - table.keys()
        if unknown:
            raise InputError(
                f"{', '.join(sorted(unknown))}: expected experiments of {path}: {', '.join(table)}"
            )
        for name in options.experiments or table:
            experiment = with_steps(table[name], options.steps)
            results = Results(options.output, path.stem, experiment)
            if not options.show:
                for seed in options.seeds:
                    for arm in experiment.arms.values():
                        results.make(arm, seed)
            print(report(experiment, results, options.seeds), flush=True)


def with_steps(experiment: Experiment, steps: int | None) -> Experiment:
    if steps is None:
        return experiment
    return replace(
        experiment, arms={name: replace(arm, steps=steps) for name, arm in experiment.arms.items()}
    )


class Results:
    """What the arms of an experiment gave, in files, one for each arm and seed.

    Args:
        output: the folder.
        system: name of the table.
        experiment: whose arms they are.
    """

    def __init__(self, output: Path, system: str, experiment: Experiment) -> None:
        self._output, self._folder = output, output / system / experiment.name
        self._experiment = experiment
        self._tracked = any(figure.startswith("posetrack/") for figure in experiment.figures)

    def stored(self, arm: Arm, seed: int) -> dict[str, Any] | None:
        """The result, where it is there and was made as the table says now."""
        path = self._path(arm, seed)
        if not path.is_file():
            return None
        result = json.loads(path.read_text())
        return result if result["made"] == self._made(arm, seed) else None

    def make(self, arm: Arm, seed: int) -> dict[str, Any]:
        """The result, which is there afterwards."""
        there = self.stored(arm, seed)
        if there is not None:
            return there
        began, chosen, best = time.monotonic(), None, arm
        if arm.choose:
            chosen, best = self._choose(arm, seed)
        result = {
            "made": self._made(arm, seed), "chosen": chosen, "images": measure(best, seed, self._output, tracked=self._tracked),
        }  # fmt: skip
        write_text(self._path(arm, seed), compact_json(result) + "\n")
        print(f"{self._experiment.name} {arm.name} seed {seed}: {time.monotonic() - began:.0f} s", flush=True)
        return result

    def _choose(self, arm: Arm, seed: int) -> tuple[str, Arm]:
        """The value and the variant with the best first figure."""
        figure = self._experiment.figures[0]
        sign = -1 if figure in LESS_IS_BETTER else 1
        values = {}
        for value, variant in arm.variants().items():
            own = replace(variant, name=f"{arm.name}={value}")
            records = self.make(own, seed)["images"]
            values[value] = sign * statistic(figure, records)(np.ones(len(records)))
        best = max(values, key=lambda value: values[value])
        return best, replace(arm.variants()[best], images=arm.images)

    def _path(self, arm: Arm, seed: int) -> Path:
        return self._folder / (f"{arm.name}-{seed}.json" if arm.trained else f"{arm.name}.json")

    def _made(self, arm: Arm, seed: int) -> dict[str, Any]:
        """All that decides what the result is; as JSON gives it back."""
        training = arm.training(seed)
        made = {
            "training": training.described() if training else None,
            "config": arm.config, "train": arm.train, "test": arm.test, "images": arm.images,
            "weights": arm.weights, "poses": arm.poses, "choose": arm.choose, "choose_images": arm.choose_images,
            **({"tracked": True} if self._tracked else {}),
        }  # fmt: skip
        return json.loads(json.dumps(made))


def measure(arm: Arm, seed: int, output: Path, *, tracked: bool) -> list[Record]:
    """Trains an arm, unless that is done, and gives the records of its test images.

    Args:
        arm: the arm.
        seed: of its training.
        output: of everything.
        tracked: follow people over the scenes' images, too.
    """
    cfg = arm.cfg()
    skeleton = get_skeleton(cfg.MODEL.SKELETON)
    if arm.poses:
        return image_records(true_poses(arm.images, cfg), skeleton)
    training = arm.training(seed)
    cfg.MODEL.WEIGHTS = arm.weights if training is None else str(train(training, output))
    seen = list(look(cfg, arm.images))
    records = image_records(seen, skeleton)
    if tracked:
        entries = [(number, image.found, image.posetrack) for number, image in enumerate(seen)]
        sequences = sequence_records(test_images(arm.images), cfg, entries)
        scenes = [image.scene for image in seen]
        for scene, sequence in enumerate(sequences):
            records[scenes.index(scene)]["sequence"] = sequence
    return records


def look(cfg: CfgNode, address: str) -> Iterator[SeenImage]:
    """The images of a dataset and whom the network of a configuration finds in them."""
    from fastpose_mtn.build import build_estimator
    from fastpose_mtn.engine.evaluation import find_people
    from fastpose_mtn.ops.person_crops import crop_regions

    dataset = test_images(address)
    given, topdown = cfg.TEST.DETECTOR == "truth", cfg.MODEL.TOPDOWN
    estimator = build_estimator(cfg, precision="fp32")
    found = find_people(
        estimator, dataset, range(len(dataset)), batch_size=_BATCH, num_workers=0, given_boxes=given
    )
    for scene, (image, people) in zip(dataset.scenes(), found, strict=True):
        scales = None
        if given and cfg.MODEL.META_ARCHITECTURE == "TopDownPose":
            size_hw = tuple(topdown.INPUT_SIZE)
            boxes = image.targets.boxes[~image.targets.ignore]
            regions = crop_regions(boxes, size_hw, topdown.PADDING, margins=topdown.MARGINS)
            scales = size_hw[0] / (regions[:, 3] - regions[:, 1])
        yield SeenImage(scene, image.image.shape[:2], image.targets, people, scales, image.posetrack)


def train(training: Training, output: Path) -> Path:
    """The final weights of a training, which is made, or goes on, where they are not there."""
    from fastpose_mtn.engine.train import train as train_network
    from fastpose_mtn.engine.training_data import FINAL_WEIGHTS

    start = train(training.start, output) if training.start else None
    folder = output / "trainings" / training.name
    if (folder / FINAL_WEIGHTS).is_file():
        return folder / FINAL_WEIGHTS
    write_text(folder / "experiment.json", json.dumps(training.described(), indent=2) + "\n")
    cfg = configured(training.config, training.settings)
    cfg.merge_from_list(
        [
            "OUTPUT_DIR", str(folder), "SEED", training.seed, "DATASETS.TEST", [],
            "DATASETS.TRAIN", [drawn_dataset(address, output / "drawn") for address in cfg.DATASETS.TRAIN],
            "SOLVER.MAX_ITER", training.steps, "SOLVER.WARMUP_ITERS", min(cfg.SOLVER.WARMUP_ITERS, training.steps // 10),
            "SOLVER.CHECKPOINT_PERIOD", max(1, training.steps // 10), "SOLVER.CHECKPOINTS_KEPT", 1,
        ]
    )  # fmt: skip
    if start is not None:
        cfg.MODEL.WEIGHTS = str(start)
    with _log_in(folder / "log.txt"):
        return train_network(cfg, resume=True)


@contextmanager
def _log_in(path: Path) -> Iterator[None]:
    """Appends what a training says to a file."""
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    level, propagates = _LOG.level, _LOG.propagate
    _LOG.addHandler(handler)
    _LOG.setLevel(logging.INFO)
    _LOG.propagate = False
    try:
        yield
    finally:
        _LOG.removeHandler(handler)
        handler.close()
        _LOG.setLevel(level)
        _LOG.propagate = propagates


def report(experiment: Experiment, results: Results, seeds: Sequence[int]) -> str:
    """A table in Markdown: of each arm its figures, mean and standard deviation over seeds, and their differences."""
    paper = f" (paper: {experiment.paper})" if experiment.paper else ""
    columns = [
        column for figure in experiment.figures for column in (figure, "difference [95 %], seeds of its sign")
    ]
    lines = [f"**{experiment.name}**: {experiment.question}{paper}", ""]
    lines += ["| arm | against | " + " | ".join(columns) + " |", "|---" * (2 + len(columns)) + "|"]
    stored = {name: [results.stored(arm, seed) for seed in seeds] for name, arm in experiment.arms.items()}
    for arm in experiment.arms.values():
        own = [result for result in stored[arm.name] if result is not None]
        reference = experiment.reference(arm)
        cells = [_label(arm, own, len(seeds)), reference.name if reference else ""]
        for figure in experiment.figures:
            values = [statistic(figure, r["images"])(np.ones(len(r["images"]))) for r in own]
            cells.append(_values(figure, values if arm.trained else values[:1]))
            theirs = stored[reference.name] if reference else []
            pairs = [
                (one["images"], other["images"])
                for one, other in zip(stored[arm.name], theirs, strict=False)
                if one is not None and other is not None
            ]
            if reference is not None and not (arm.trained or reference.trained):
                pairs = pairs[:1]  # the same for every seed
            cells.append(
                _shown(figure, paired_difference(*zip(*pairs, strict=True), figure)) if pairs else ""
            )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _label(arm: Arm, own: Sequence[Mapping[str, Any]], seeds: int) -> str:
    notes = []
    chosen = [result["chosen"] for result in own if result["chosen"] is not None]
    if chosen:
        notes.append(f"chosen: {', '.join(chosen)}")
    if len(own) < seeds:
        notes.append(f"{len(own)} of {seeds} seeds")
    return arm.name + (f" ({'; '.join(notes)})" if notes else "")


def _values(figure: str, values: Sequence[float]) -> str:
    if not values:
        return "-"
    scale = _scale(figure)
    spread = f" ± {scale * np.std(values, ddof=1):{_form(figure)}}" if len(values) > 1 else ""
    return f"{scale * np.mean(values):{_form(figure)}}{spread}"


def _shown(figure: str, difference: Difference) -> str:
    scale, form = _scale(figure), f"+{_form(figure)}"
    alike = sum(np.sign(own) == np.sign(difference.mean) for own in difference.seeds)
    of = f", {alike} of {len(difference.seeds)}" if len(difference.seeds) > 1 else ""
    mean, low, high = (scale * value for value in (difference.mean, difference.low, difference.high))
    return f"{mean:{form}} [{low:{form}}, {high:{form}}]{of}"


def _scale(figure: str) -> float:
    return 1.0 if figure in NO_SHARES else 100.0


def _form(figure: str) -> str:
    return ".3f" if figure in ("joints/separation", "joints/rank") else ".2f"


if __name__ == "__main__":
    main()
