#!/usr/bin/env python
"""How near the machine's best convolution rate the network's convolutions run.

    python benchmarks/convolutions.py [--config-file configs/FastPose-50.yaml] [--people 20] [--threads N]

The best rate is that of 3x3 convolutions of 512 channels, channels-last, on the map that suits the machine best.
Beside it, in the same rounds and the same precision: the backbone with its pyramid on one frame, and the keypoint
head on all people at once, as the estimator runs them. The fastest round counts. Operations are those of ordinary
convolutions, so one that gets by with fewer (modeling/winograd.py) can be above the best rate.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from worker import size_hw

from fastpose_mtn.config import get_cfg
from fastpose_mtn.errors import exit_on_error
from fastpose_mtn.runtime.precision import resolve_precision
from fastpose_mtn.systems.mtn.estimator import MTNEstimator
from fastpose_mtn.systems.mtn.network import build_model
from fastpose_mtn.systems.mtn.size import parts_of

CONFIG = Path(__file__).parent.parent / "configs" / "FastPose-50.yaml"
CHANNELS = 512
MAPS = ((20, 22, 16), (1, 75, 125), (4, 38, 64))  # images, height, width


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", default=str(CONFIG), metavar="YAML")
    parser.add_argument("--people", type=int, default=20, metavar="N")
    parser.add_argument("--size", type=size_hw, default=(600, 1000), metavar="HxW")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), metavar="N")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with exit_on_error(), torch.inference_mode():
        work = {f"3x3, {CHANNELS} channels, {n}x{h}x{w}": best_rate(n, h, w) for n, h, w in MAPS}
        work |= network(options.config_file, options.size, options.people)
        seconds = {name: float("inf") for name in work}
        for _ in range(options.rounds):
            for name, (run, _) in work.items():
                began = time.perf_counter()
                run()
                seconds[name] = min(seconds[name], time.perf_counter() - began)
    rates = {name: operations / seconds[name] / 1e9 for name, (_, operations) in work.items()}
    best = max(list(rates.values())[: len(MAPS)])
    ours = list(work)[len(MAPS) :]
    rates["together"] = sum(work[n][1] for n in ours) / sum(seconds[n] for n in ours) / 1e9
    print(
        f"{torch.__version__}, {options.threads} threads, {options.people} people, {options.size[0]}x{options.size[1]}"
    )
    for name, rate in rates.items():
        print(f"{name:<36}{rate:8.0f} GFLOP/s{rate / best:8.0%}")


Work = tuple[Callable[[], object], float]  # what runs, and how many additions and multiplications it takes


def best_rate(images: int, height: int, width: int) -> Work:
    dtype = resolve_precision("auto", torch.device("cpu"))
    layer = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1).to(dtype).to(memory_format=torch.channels_last)
    x = torch.randn(images, CHANNELS, height, width, dtype=dtype)
    x = x.contiguous(memory_format=torch.channels_last)
    return lambda: layer(x), 2.0 * 9 * CHANNELS**2 * images * height * width


def network(config_file: str, size_hw: tuple[int, int], people: int) -> dict[str, Work]:
    cfg = get_cfg()
    cfg.merge_from_file(config_file)
    cfg.merge_from_list(["MODEL.TIMM.PRETRAINED", "False"])
    model = build_model(cfg).eval()
    parts = {p.name: p for p in parts_of(model, image_size_hw=size_hw, proposals=100, people=people)}
    estimator = MTNEstimator(model, device="cpu")
    backbone, head = estimator._model.backbone, estimator._model.roi_heads.keypoint_head
    image, _ = estimator._model.preprocess([torch.zeros(3, *size_hw)])
    pooled = torch.randn(people, model.backbone.out_channels, *head.resolution_hw).to(estimator.dtype)
    pooled = pooled.contiguous(memory_format=torch.channels_last)

    def run(module: nn.Module, x: Tensor) -> Callable[[], object]:
        def call() -> object:
            with estimator._autocast():
                return module(x)

        return call

    return {
        "backbone and pyramid": (
            run(backbone, image),
            2 * (parts["backbone"].total + parts["pyramid"].total),
        ),
        f"keypoint head, {people} people": (run(head, pooled), 2 * parts["keypoint head"].total),
    }


if __name__ == "__main__":
    main()
