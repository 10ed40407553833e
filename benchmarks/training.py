#!/usr/bin/env python
"""Time and memory of a training step, FastPose beside torchvision's Keypoint R-CNN: one run, the same examples.

    python benchmarks/training.py [--size 600x1000] [--batch 2] [--people 4] [--rounds 2] [--threads N]
    python benchmarks/training.py --device cuda --batch 16 --workers 0 2 4 8

A step is the forward pass, the losses, the backward pass and SGD's update. Weights are random, so no proposals would
be examples of anybody: each network runs its own proposal network and learns from it, and then its proposals give way to
the same given ones, --people times four of each image around people and the rest between them. Both keep the norms and the
first two stages of ResNet-50 as they are, as their users do. FastPose learns identities too, and locates joints on 22x16
positions, torchvision on 14x14. Its memory is channels-last by default, and it samples regions as densely as
Detectron2 does by default, torchvision at four points a bin (MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO). Settings of one
precision take turns, each in a process of its own, and the fastest step counts. Memory is a process' peak above what it
takes to import everything.

--workers: how many images a second ``train_net.py``'s loader and network make together, for each number of loader processes,
and the share of the time that the network is at work; the images are drawn ones of 1280x720, written as JPEG.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import platform
import sys
import tempfile
import time
from pathlib import Path

import torch
from training_step import our_config, our_losses, our_network, torchvision_losses, training_step
from worker import Worker, size_hw

from fastpose_mtn.errors import InputError, exit_on_error
from fastpose_mtn.runtime.memory import peak_process_bytes

REFERENCE = "torchvision"


def settings(network: str) -> dict[str, str]:
    """What takes turns, and how it is called in the table; ``-`` parts a setting's words."""
    return {
        f"{REFERENCE}-contiguous": "torchvision R50",
        f"{REFERENCE}-channels_last": "torchvision R50, channels-last",
        f"{network}-channels_last": network,
    }


def work(options: argparse.Namespace) -> None:
    """The worker's side: builds one setting and makes steps as it is told."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    name, layout, precision = options.worker.rsplit("-", 2)
    import torchvision.models.detection  # noqa: F401

    import fastpose_mtn.modeling  # noqa: F401  what is imported does not count

    before = _peak_megabytes(options.device)
    if name == REFERENCE:
        model, losses = torchvision_losses(options, layout == "channels_last")
    else:
        model, losses = our_losses(options)
    step = training_step(model, precision, options.device)
    step(losses)  # the first one prepares and chooses
    for line in sys.stdin:
        taken = []
        for _ in range(json.loads(line)["steps"]):
            began = time.perf_counter()
            step(losses)
            taken.append(time.perf_counter() - began)
        megabytes = _peak_megabytes(options.device) - before
        print(json.dumps({"seconds": min(taken, default=0.0), "megabytes": megabytes}), flush=True)


def _peak_megabytes(device: str) -> float:
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    peak = peak_process_bytes()
    return math.nan if peak is None else peak / 1e6


def measure(options: argparse.Namespace) -> dict[str, dict[str, dict[str, float]]]:
    """For each precision and setting, seconds and megabytes of a step."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for precision in options.precisions:
        command = [sys.executable, __file__, *_shared(options), "--worker"]
        workers = {
            name: Worker([*command, f"{name}-{precision}"], options.threads)
            for name in settings(options.network)
        }
        best: dict[str, dict[str, float]] = {}
        try:
            for number in range(options.rounds + 1):  # round 0 waits until all have made their first step
                for name, worker in list(workers.items()):
                    print(f"{precision}, round {number}: {name}", file=sys.stderr)
                    try:
                        answer = worker.ask(steps=options.steps if number else 0)
                    except InputError as error:
                        print(f"{name}, {precision}: left out: {error}")
                        workers.pop(name).close()
                        best.pop(name, None)
                        continue
                    fastest = min(answer["seconds"], best.get(name, answer)["seconds"])
                    if number:
                        best[name] = {"seconds": fastest, "megabytes": answer["megabytes"]}
        finally:
            for worker in workers.values():
                worker.close()
        found[precision] = best
    return found


def table(found: dict[str, dict[str, dict[str, float]]], options: argparse.Namespace) -> str:
    """A line a setting: time, memory, and how many times the reference's of its precision."""
    lines = [
        f"{options.size[0]}x{options.size[1]}, {options.batch} images a step, {options.people} people each, {_machine(options)}",
        f"fastest of {options.rounds} rounds of {options.steps} steps",
        "",
        f"{'':<40}{'s a step':>10}{'images/s':>10}{'peak MB':>9}{'time':>8}{'memory':>8}",
    ]
    for precision, best in found.items():
        base = best.get(f"{REFERENCE}-contiguous")
        for name, own in best.items():
            line = f"{settings(options.network)[name] + ', ' + precision:<40}{own['seconds']:>10.3f}"
            line += f"{options.batch / own['seconds']:>10.2f}{own['megabytes']:>9.0f}"
            if base:
                line += "".join(f"{own[key] / base[key]:>7.2f}x" for key in ("seconds", "megabytes"))
            lines.append(line)
    return "\n".join(lines)


def _machine(options: argparse.Namespace) -> str:
    if options.device == "cuda":
        name = torch.cuda.get_device_name()
    else:
        name = f"{_processor()}, {options.threads} threads"
    import torchvision

    return f"{name}, torch {torch.__version__}, torchvision {torchvision.__version__}"


def _processor() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    return platform.processor() or platform.machine()


def measure_loader(options: argparse.Namespace) -> str:
    """The table of ``--workers``."""
    from loader import drawn_dataset

    from fastpose_mtn.engine.training_data import make_training_loader, training_images

    device, on_gpu = options.device, options.device == "cuda"
    cfg = our_config(options)
    with tempfile.TemporaryDirectory() as folder:
        cfg.merge_from_list(
            ["DATASETS.TRAIN", (drawn_dataset(Path(folder)),), "SOLVER.IMS_PER_BATCH", options.batch,
             "INPUT.MIN_SIZE_TRAIN", (min(options.size),), "INPUT.MAX_SIZE_TRAIN", max(options.size)]
        )  # fmt: skip
        model = our_network(cfg, options)
        step = training_step(model, options.precisions[-1], device)
        lines = [
            f"{options.network}, {options.precisions[-1]}, {options.batch} images a step of {options.size[0]}x{options.size[1]}, {_machine(options)}",
            f"{'loader processes':>16}{'images/s':>10}{'network at work':>17}",
        ]
        for count in options.workers:
            cfg.DATALOADER.NUM_WORKERS = count
            batches = iter(
                make_training_loader(
                    cfg, training_images(cfg, 0), seed=0, step=0, rank=0, world_size=1, pin_memory=on_gpu
                )
            )
            busy, began = 0.0, 0.0
            for number in range(options.loader_steps + 2):
                if number == 2:  # the first ones prepare
                    busy, began = 0.0, time.perf_counter()
                batch = next(batches)
                start = time.perf_counter()
                step(lambda: model.losses(batch.to(device)))  # noqa: B023  called at once
                busy += time.perf_counter() - start
            seconds = time.perf_counter() - began
            lines.append(
                f"{count:>16}{options.loader_steps * options.batch / seconds:>10.1f}{busy / seconds:>16.0%}"
            )
            del batches
    return "\n".join(lines)


def _shared(options: argparse.Namespace) -> list[str]:
    return [
        "--size", f"{options.size[0]}x{options.size[1]}", "--batch", str(options.batch), "--people", str(options.people),
        "--threads", str(options.threads), "--device", options.device, "--network", options.network,
    ]  # fmt: skip


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--size", type=size_hw, default=(600, 1000), metavar="HxW", help="of the images (default: 600x1000)")
    add("--batch", type=int, default=2, metavar="N", help="images a step (default: 2)")
    add("--people", type=int, default=4, metavar="N", help="an image (default: 4)")
    add(
        "--steps",
        type=int,
        default=1,
        metavar="N",
        help="a round, after one that does not count (default: 1)",
    )
    add("--rounds", type=int, default=2, metavar="N", help="the fastest step counts (default: 2)")
    add("--precisions", nargs="+", default=["fp32", "bf16"], choices=["fp32", "bf16"])
    add("--threads", type=int, default=torch.get_num_threads(), metavar="N")
    add("--device", default="cpu", choices=["cpu", "cuda"])
    add("--network", default="FastPose-50", metavar="NAME", help="of configs/ (default: FastPose-50)")
    add("--workers", type=int, nargs="+", default=[], metavar="N", help="measure the loader with these too")
    add(
        "--loader-steps", type=int, default=20, metavar="N", help="for each number of --workers (default: 20)"
    )
    add("--json", metavar="FILE", help="write the seconds and megabytes")
    add("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.worker:
        work(options)
        return
    with exit_on_error():
        found = measure(options)
        print(table(found, options))
        if options.json:
            Path(options.json).write_text(json.dumps(found, indent=2))
        if options.workers:
            print(f"\n{measure_loader(options)}")


if __name__ == "__main__":
    main()
