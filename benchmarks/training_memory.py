#!/usr/bin/env python
"""Resident memory over the steps of a training on a CPU whose images are of ever other sizes.

    python benchmarks/training_memory.py [--steps 300] [--sides 96 256] [--batch 4] [--network people]

The same training twice, each in a process of its own, with and without the callback that gives freed memory back to
the system (``engine.callbacks.ReleasedMemory``); both keep it between steps as every training does. A step is the
forward pass, the losses, the backward pass and AdamW's update, on random images whose sides are drawn anew for each step.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace

import lightning
import numpy as np
import torch
from peers import crowd
from worker import Worker, resident_megabytes

from fastpose_mtn.config import get_cfg
from fastpose_mtn.engine.callbacks import ReleasedMemory
from fastpose_mtn.errors import exit_on_error
from fastpose_mtn.runtime.memory import keep_freed_memory
from fastpose_mtn.structures import TASKS, Batch, PersonTargets
from fastpose_mtn.systems.mtn.network import build_model

IDENTITIES, PEOPLE = 100, 4
CALLBACKS: dict[str, list[lightning.Callback]] = {"kept": [], "given back": [ReleasedMemory()]}


def training_step(options: argparse.Namespace) -> Callable[[int], None]:
    """What makes the step of a number; the same numbers are the same images in every process."""
    cfg = get_cfg()
    cfg.merge_from_file(options.network)
    cfg.MODEL.TIMM.PRETRAINED = False
    cfg.MODEL.ROI_REID_HEAD.NUM_IDENTITIES = IDENTITIES
    torch.manual_seed(0)
    model = build_model(cfg).train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-6)

    def step(number: int) -> None:
        batch = examples(number, options, joints=model.num_keypoints)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=cfg.SOLVER.AMP.ENABLED):
            total = torch.stack(list(model.losses(batch).values())).sum()
        total.backward()
        optimizer.step()

    return step


def examples(number: int, options: argparse.Namespace, *, joints: int) -> Batch:
    """A step's images, all of one size, with some people in each."""
    rng = np.random.default_rng(number)
    height, width = rng.integers(options.sides[0], options.sides[1] + 1, 2).tolist()
    images, targets = [], []
    for image in range(options.batch):
        images.append(torch.from_numpy(rng.integers(0, 256, (3, height, width), dtype=np.uint8)))
        boxes = crowd(PEOPLE, (height, width), seed=options.batch * number + image)
        keypoints = np.full((PEOPLE, joints, 3), 2.0, np.float32)
        sides = boxes[:, None, 2:] - boxes[:, None, :2]
        keypoints[..., :2] = boxes[:, None, :2] + rng.uniform(0.05, 0.95, (PEOPLE, joints, 2)) * sides
        targets.append(
            PersonTargets(
                boxes=torch.from_numpy(boxes),
                keypoints=torch.from_numpy(keypoints),
                identities=torch.from_numpy(rng.integers(0, IDENTITIES, PEOPLE)),
                ignore=torch.zeros(PEOPLE, dtype=torch.bool),
            )
        )
    return Batch(images, targets, [TASKS] * len(images))


def work(options: argparse.Namespace) -> None:
    """The worker's side: makes steps as it is told."""
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    step, callbacks, number = training_step(options), CALLBACKS[options.worker], 0
    for line in sys.stdin:
        began = time.perf_counter()
        for _ in range(json.loads(line)["steps"]):
            step(number)
            number += 1
            for callback in callbacks:
                callback.on_train_batch_end(SimpleNamespace(global_step=number), None)  # type: ignore[call-arg,arg-type]
        spent = time.perf_counter() - began
        print(json.dumps({"seconds": spent, "megabytes": resident_megabytes()}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--steps", type=int, default=300, metavar="N")
    add("--sides", type=int, nargs=2, default=[96, 256], metavar=("SHORTEST", "LONGEST"), help="pixels")
    add("--batch", type=int, default=4, metavar="IMAGES")
    add("--network", default="people", metavar="CONFIG")
    add("--threads", type=int, default=1, metavar="N")
    add("--worker", choices=list(CALLBACKS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    with exit_on_error():
        if options.worker:
            work(options)
            return
        command = [sys.executable, __file__, *sys.argv[1:], "--worker"]
        workers = {name: Worker([*command, name], options.threads) for name in CALLBACKS}
        print(f"{'steps':>8}" + "".join(f"{f'{name}, MB':>16}{'s/step':>8}" for name in workers))
        marks = [round(options.steps * part / 6) for part in range(7)]
        for before, mark in zip([0, *marks], marks, strict=False):  # the processes take turns
            answers = [worker.ask(steps=mark - before) for worker in workers.values()]
            cells = (f"{a['megabytes']:16.0f}{a['seconds'] / max(1, mark - before):8.2f}" for a in answers)
            print(f"{mark:8}" + "".join(cells), flush=True)
        for worker in workers.values():
            worker.close()


if __name__ == "__main__":
    main()
