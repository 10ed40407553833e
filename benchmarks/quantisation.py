#!/usr/bin/env python
"""What reading a heatmap costs a perfect network: AlphaPose's figure 1 as numbers. Half a minute, no network.

    OMP_NUM_THREADS=1 python benchmarks/quantisation.py [--maps 4000] [--people 200]

Maps are exact Gaussians with centres anywhere between cells. They are read at the highest cell, with a quarter of a cell
towards the higher neighbour, as DARK does, and at their mean, as integral regression does. First the error along an axis,
in cells; then, for a person of 110 such joints who fills a crop of 256x192 pixels that is padded by 1.25, the object
keypoint similarity, and in brackets the share of people above a threshold of it, averaged over 0.5 to 0.95.

It bounds decoders and says nothing about a trained network. Targets that are rounded to cells add an error of their own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from torch import Tensor

from fastpose_mtn.ops.gaussian_maps import gaussian_targets
from fastpose_mtn.ops.heatmap_peaks import decode_peaks, highest_cells
from fastpose_mtn.ops.integral import soft_argmax
from fastpose_mtn.ops.oks import AREA_PER_BOX

SIZE = 32  # cells of a map's side
CROP_HW, PADDING, JOINTS = (256, 192), 1.25, 110
JOINT_SIGMAS = {"0.015 (face, hand)": 0.015, "0.026 (nose)": 0.026, "0.089 (ankle)": 0.089}
STRIDES = (4, 8, 16)
THRESHOLDS = torch.linspace(0.5, 0.95, 10)

Reading = Callable[[Tensor], Tensor]
READINGS: dict[str, Reading] = {
    "highest cell": lambda maps: torch.stack(highest_cells(maps), dim=-1) + 0.5,
    "+ quarter cell": lambda maps: decode_peaks(maps)[0],
    "DARK": lambda maps: decode_peaks(maps, decoder="dark")[0],
    "mean": lambda maps: soft_argmax(maps / maps.sum(dim=(2, 3), keepdim=True)),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--maps", type=int, default=4000, metavar="N", help="of which errors are measured")
    parser.add_argument("--people", type=int, default=200, metavar="N", help="of whom similarities are")
    options = parser.parse_args()
    print(f"| error along an axis, cells | {' | '.join(READINGS)} |\n|---|{'---|' * len(READINGS)}")
    values = errors(options.maps)
    print("| mean | " + " | ".join(f"{values[name].abs().mean():.4f}" for name in READINGS) + " |\n")
    print(f"| joint's sigma, stride | {' | '.join(READINGS)} |\n|---|{'---|' * len(READINGS)}")
    values = {name: e.view(options.people, JOINTS, 2) for name, e in errors(options.people * JOINTS).items()}
    for label, sigma in JOINT_SIGMAS.items():
        for stride in STRIDES:
            each = [similarity(values[name], sigma, stride) for name in READINGS]
            cells = [f"{own.mean():.3f} ({(own[:, None] >= THRESHOLDS).float().mean():.2f})" for own in each]
            print(f"| {label}, {stride} | {' | '.join(cells)} |")


def errors(count: int, seed: int = 0) -> dict[str, Tensor]:
    """(N, 2) of N maps, in cells, by how they are read; centres keep away from the border."""
    generator = torch.Generator().manual_seed(seed)
    places = SIZE / 3 + SIZE / 3 * torch.rand(count, 1, 2, generator=generator)
    found: dict[str, list[Tensor]] = {name: [] for name in READINGS}
    for part in places.split(2000):
        maps, _ = gaussian_targets(part, (SIZE, SIZE), subpixel=True)
        for name, read in READINGS.items():
            found[name].append((read(maps) - part)[:, 0])
    return {name: torch.cat(parts) for name, parts in found.items()}


def similarity(errors_cells: Tensor, sigma: float, stride: int) -> Tensor:
    """(P,) object keypoint similarity of P people whose joints are so many cells (P, K, 2) off."""
    area = AREA_PER_BOX * CROP_HW[0] * CROP_HW[1] / PADDING**2
    square = (stride * errors_cells).square().sum(dim=-1)
    return torch.exp(-square / (2 * (2 * sigma) ** 2 * area)).mean(dim=-1)


if __name__ == "__main__":
    main()
