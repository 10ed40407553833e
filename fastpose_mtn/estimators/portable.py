"""What a system says of its networks to whoever writes them for a runtime."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastpose_mtn.estimators.runtimes import GIVEN, INPUT, MIN_SCORE
from fastpose_mtn.modeling.image_network import PeopleNetwork

_EXAMPLE_HW = (96, 160)  # of the image that is traced; no number in the graph depends on it


class PortableNetwork(nn.Module):
    """A network as a graph that runtimes can hold: no Python decision in ``forward`` depends on an image.

    Attributes:
        inputs: names of what ``forward`` takes, in order, of those in ``estimators.runtimes``.
        coarse_layers: pattern of the operations, by their names behind the first ``/``, that may compute in whatever
            precision a runtime finds fastest; not of those that say where people are, and how sure: all others compute in
            float32.
    """

    inputs: tuple[str, ...]
    coarse_layers: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what ``forward`` returns, in order."""
        raise NotImplementedError

    def example(self) -> tuple[Tensor, ...]:
        """Values of the inputs, in order, that the graph is traced with."""
        generator = torch.Generator().manual_seed(0)
        image = torch.randint(0, 256, (*_EXAMPLE_HW, 3), dtype=torch.uint8, generator=generator)
        given = torch.tensor([[10.0, 5.0, 40.0, 80.0], [60.0, 20.0, 100.0, 90.0]])
        values = {INPUT: image, GIVEN: given, MIN_SCORE: torch.tensor(0.0)}
        return tuple(values[name] for name in self.inputs)

    @staticmethod
    def told(found: Sequence[Tensor], count: Tensor, finite: Tensor) -> tuple[Tensor, ...]:
        """What a graph returns of people, as it cannot raise an error: somebody infinite where its numbers are not finite.

        Args:
            found: (N, ...) each, N from 1.
            count: () int64, of the first people, who were found.
            finite: () bool.
        """
        end = torch.maximum(count, (~finite).long())
        return tuple(torch.where(finite, value, math.inf)[:end] for value in found)

    @staticmethod
    def batch_of(image: Tensor, network: PeopleNetwork) -> Tensor:
        """An RGB image (H, W, 3), normalised and padded as by ``network.preprocess``: (1, 3, H', W') float32."""
        sides, unit = (torch.as_tensor(size) for size in image.shape[:2]), network.backbone.size_divisibility
        below, right = (
            torch.clamp((side + unit - 1) // unit * unit, min=network.least_side) - side for side in sides
        )
        picture = image[..., [2, 1, 0]] if network.reverses_channels else image
        # Pixels are computed with in the order in which they lie, and turned over last, which runtimes then do by another
        # name for the same memory: it took a twentieth of a small network's time.
        row = picture.shape[1]
        scale, shift = (
            value.flatten().repeat(row)
            for value in (1 / network.pixel_std, -network.pixel_mean / network.pixel_std)
        )
        normal = (picture.flatten(1)[None].float() * scale + shift).unflatten(2, (-1, 3))
        padded = F.pad(normal, [0, 0, 0, right, 0, below])  # type: ignore[list-item]  # in a graph sizes are tensors
        return padded.permute(0, 3, 1, 2)


class RoundedLayers(NamedTuple):
    """Which operations of a graph become 8 bits.

    Attributes:
        onnx, openvino: patterns of their names, which are after the network's modules.
        exact_types: OpenVINO's types of operations that keep their digits all the same.
        rounds_early: OpenVINO rounds where values are written, see ``deploy.quantize``.
        coarse: see ``PortableNetwork.coarse_layers``.
    """

    onnx: str
    openvino: str
    exact_types: tuple[str, ...]
    rounds_early: bool
    coarse: str
