"""A top-down network as a graph that runtimes can hold."""

from __future__ import annotations

import re
from collections.abc import Iterable

import torch
from torch import Tensor

from fastpose_mtn.errors import InputError
from fastpose_mtn.estimators.portable import PortableNetwork, RoundedLayers
from fastpose_mtn.estimators.runtimes import CROPS, PEOPLE
from fastpose_mtn.runtime.inference import folded
from fastpose_mtn.runtime.portable_layers import upsample_by_convolutions
from fastpose_mtn.systems.alphapose.backbone import DeformableConv
from fastpose_mtn.systems.topdown.network import TopDownNetwork

_COARSE = "backbone|upsampler/(?!output)|reid/"


class PortableTopDown(PortableNetwork):
    """A network as a graph that runtimes can hold: crops and the people's sizes in, joints and identity vectors out.

    Args:
        network: is copied; normalisation is folded into the copy's convolutions.
        flip_test: look at mirror images too.

    Raises:
        InputError: it has deformable convolutions, which no runtime is known to hold.
    """

    coarse_layers = _COARSE
    inputs = (CROPS, PEOPLE)  # names of what ``forward`` takes

    def __init__(self, network: TopDownNetwork, *, flip_test: bool = False) -> None:
        super().__init__()
        if any(isinstance(module, DeformableConv) for module in network.modules()):
            raise InputError(
                "MODEL.TOPDOWN.CONVOLUTIONS deformable: such networks are not exported; run them in PyTorch, --weights FILE"
            )
        self.network = folded(network, torch.bfloat16)  # the coarsest that runtimes use
        upsample_by_convolutions(self.network)
        self._flip_test = flip_test

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what ``forward`` returns."""
        return ("joints",) if self.network.reid is None else ("joints", "embeddings")

    def example(self) -> tuple[Tensor, ...]:
        """Two crops, and the sizes of their people."""
        generator = torch.Generator().manual_seed(0)
        size = (2, *self.network.size_hw, 3)
        crops = torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)
        return crops, torch.tensor([[0.5, 0.8], [0.8, 0.6]])

    def forward(self, crops: Tensor, people: Tensor) -> tuple[Tensor, ...]:
        """Joints (N, K, 4) and, if there are any, vectors, see ``Located``, of crops (N, H, W, 3) uint8 and sizes (N, 2)."""
        pixels = self.network.preprocess(crops.permute(0, 3, 1, 2))
        mirrored = self.network.maps(pixels.flip(-1)) if self._flip_test else None
        maps, vectors = self.network.maps_and_vectors(pixels)
        joints = self.network.joints(maps, people, mirrored)
        return (joints,) if vectors is None else (joints, vectors)


def rounded_layers(exact_layers: Iterable[str]) -> RoundedLayers:
    """All but the layers that stay in float32, by any of the names that a graph may have for them.

    Those are the last one before the heatmaps, of identities all behind their first convolution, and what precedes a
    normalisation that rounding would change, a ``Float32Layer``.

    Args:
        exact_layers: names of modules, the network's ``exact_layers``.
    """
    exact = ["layer"]  # a Float32Layer's
    for name in exact_layers:
        parts = name.split(".")
        exact += [".".join(parts[i:]) for i, part in enumerate(parts) if not part.isdecimal()]
    kept = "|".join(map(re.escape, exact))
    pattern = rf"^/(?!.*/(?:{kept})/)(?:backbone|upsampler|heads|reid/backbone|reid/conv)[./]"
    return RoundedLayers(pattern, pattern, exact_types=(), rounds_early=False, coarse=_COARSE)
