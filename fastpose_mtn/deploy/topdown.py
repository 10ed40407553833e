"""A top-down network as a graph that runtimes can hold."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastpose_mtn.deploy.network import upsample_by_convolutions
from fastpose_mtn.errors import InputError
from fastpose_mtn.estimators.exported import CROPS, PEOPLE
from fastpose_mtn.runtime.inference import folded
from fastpose_mtn.systems.alphapose.backbone import DeformableConv
from fastpose_mtn.systems.topdown.network import TopDownNetwork


class PortableTopDown(nn.Module):
    """A network as a graph that runtimes can hold: crops and the people's sizes in, joints and identity vectors out.

    Args:
        network: is copied; normalisation is folded into the copy's convolutions.
        flip_test: look at mirror images too.

    Raises:
        InputError: it has deformable convolutions, which no runtime is known to hold.
    """

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

    def forward(self, crops: Tensor, people: Tensor) -> tuple[Tensor, ...]:
        """Joints (N, K, 4) and, if there are any, vectors, see ``Located``, of crops (N, H, W, 3) uint8 and sizes (N, 2)."""
        pixels = self.network.preprocess(crops.permute(0, 3, 1, 2))
        mirrored = self.network.maps(pixels.flip(-1)) if self._flip_test else None
        maps, vectors = self.network.maps_and_vectors(pixels)
        joints = self.network.joints(maps, people, mirrored)
        return (joints,) if vectors is None else (joints, vectors)
