"""The size of a top-down network's parts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastpose_mtn.modeling.size import Part, operations_of, parameters_of
from fastpose_mtn.systems.topdown.network import TopDownNetwork


def parts_of(network: TopDownNetwork, *, people: int) -> list[Part]:
    """Counts each part of a network that looks at one person at a time.

    Args:
        network: the network.
        people: crops that it sees.
    """
    network.eval()
    pixels = network.preprocess(torch.zeros(1, 3, *network.size_hw))
    with torch.no_grad():
        features = network.backbone(pixels)
        maps = network.upsampler(features)
    parts: list[tuple[str, nn.Module, tuple[Tensor, ...]]] = [
        ("backbone", network.backbone, (pixels,)),
        ("upsampler", network.upsampler, (features,)),
    ]
    if network.reid is not None:
        parts.append(("identity branch", network.reid, (pixels, features, maps)))
    return [
        Part(name, parameters_of(part), operations_of(part, *given), people) for name, part, given in parts
    ]
