"""A top-down network as a graph that runtimes can hold."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from fastpose_mtn.deploy.network import upsample_by_convolutions
from fastpose_mtn.estimators.exported import CROPS, PEOPLE
from fastpose_mtn.runtime.fuse import fuse
from fastpose_mtn.runtime.precision import cancelling_parts, keep_float32
from fastpose_mtn.systems.topdown.network import TopDownNetwork


class PortableTopDown(nn.Module):
    """A network as a graph that runtimes can hold: crops and the people's sizes in, joints out.

    Args:
        network: is copied; normalisation is folded into the copy's convolutions.
        flip_test: look at mirror images too.
    """

    inputs = (CROPS, PEOPLE)  # names of what ``forward`` takes
    outputs = ("joints",)  # and of what it returns

    def __init__(self, network: TopDownNetwork, *, flip_test: bool = False) -> None:
        super().__init__()
        own = copy.deepcopy(network).float().eval().requires_grad_(False)
        cancelling = cancelling_parts(own.trunk, torch.bfloat16)  # the coarsest that runtimes use
        self.network = fuse(own)
        keep_float32(self.network.trunk, cancelling)
        upsample_by_convolutions(self.network)
        self._flip_test = flip_test

    def forward(self, crops: Tensor, people: Tensor) -> Tensor:
        """Joints (N, K, 4), see ``JointLocator``, of crops (N, H, W, 3) uint8 and sizes (N, 2)."""
        pixels = self.network.preprocess(crops.permute(0, 3, 1, 2))
        mirrored = self.network.maps(pixels.flip(-1)) if self._flip_test else None
        return self.network.joints(self.network.maps(pixels), people, mirrored)
