"""What networks that look at images share: their pixels' normalisation, and how they are called."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fastpose_mtn.modeling.images import normalize_and_pad
from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import TASKS, Batch, PersonDetections, PersonTargets


class ImageNetwork(nn.Module):
    """A network of images, or of crops of them, whose pixels it normalises.

    Args:
        skeleton: what the joints are.
        pixel_mean, pixel_std: of the three channels, on 0..255, in the order of ``input_format``.
        input_format: order of the channels that the weights expect, RGB or BGR; images are always given as RGB.

    Attributes:
        reverses_channels: whether the weights expect BGR.
        exact_layers: names of layers, in the network whose normalisation is folded, that stay in float32 whatever it is
            computed in. They say where people are, and how sure, and are little work: rounding their results to 8 bits
            would move small boxes, and change which of two suppresses the other.

    Raises:
        ValueError: there is no such order.
    """

    exact_layers: Sequence[str] = ()

    def __init__(
        self,
        *,
        skeleton: Skeleton,
        pixel_mean: Sequence[float],
        pixel_std: Sequence[float],
        input_format: str = "RGB",
    ) -> None:
        super().__init__()
        if input_format not in ("RGB", "BGR"):
            raise ValueError(f"INPUT.FORMAT: expected RGB or BGR, got {input_format!r}")
        self.reverses_channels = input_format == "BGR"
        self.skeleton = skeleton
        self.pixel_mean: Tensor
        self.pixel_std: Tensor
        self.register_buffer("pixel_mean", torch.tensor(pixel_mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(pixel_std).view(-1, 1, 1), persistent=False)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.pixel_mean.device

    @property
    def trunks(self) -> Sequence[nn.Module]:
        """Its extractors of features, see ``modeling.bottom_up``."""
        return [self.get_submodule("backbone.bottom_up")]


class PeopleNetwork(ImageNetwork, ABC):
    """A network that finds the people of whole images.

    Attributes:
        backbone: images to features; its ``size_divisibility`` divides their sides.
        trunk: what is computed everywhere: the same steps for every preprocessed batch (B, 3, H, W) of a shape.
        least_side: pixels that the sides of a batch have at least.
    """

    backbone: Any
    trunk: Callable[[Tensor], Any]
    least_side = 0

    @property
    @abstractmethod
    def embedding_dim(self) -> int | None:
        """Numbers of an identity vector; None: the network describes nobody."""

    def preprocess(self, images: Sequence[Tensor]) -> tuple[Tensor, list[tuple[int, int]]]:
        """Normalises images and pads them, right and below, to one size that the backbone divides.

        Returns:
            The batch (B, 3, H, W) float32, and each image's own (height, width).
        """
        return normalize_and_pad(
            images,
            mean=self.pixel_mean,
            std=self.pixel_std,
            reverse_channels=self.reverses_channels,
            unit=self.backbone.size_divisibility,
            least=self.least_side,
        )

    def forward(
        self,
        images: Sequence[Tensor],
        targets: Sequence[PersonTargets] | None = None,
        tasks: Sequence[frozenset[str]] | None = None,
    ) -> dict[str, Tensor] | list[PersonDetections]:
        """Computes the losses in training, and finds people otherwise.

        Args:
            images: each (3, H, W) uint8 or float, 0..255, RGB, of any size.
            targets: each image's people, in its pixels; needed in training.
            tasks: which of "boxes", "keypoints" and "identities" each image trains; None: all.

        Returns:
            In training a dictionary of weighted losses, see ``losses``.
            In evaluation each image's people, best first, as NumPy arrays in its pixels.
        """
        if self.training:
            if targets is None:
                raise ValueError(
                    f"{type(self).__name__}.forward: training needs targets; call .eval() to find people"
                )
            return self.losses(Batch(images, targets, [TASKS] * len(images) if tasks is None else tasks))
        with torch.no_grad():
            return self._people_of(*self.preprocess(images))

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """See ``system_protocols.TrainableNetwork``."""

    @abstractmethod
    def _people_of(self, batch: Tensor, sizes_hw: Sequence[tuple[int, int]]) -> list[PersonDetections]:
        """Each image's people, best first, NumPy, in a preprocessed batch."""

    def _check(self, batch: Batch) -> None:
        """Raises a ValueError where targets have another skeleton."""
        for index, target in enumerate(batch.targets):
            if target.keypoints.shape[1] != len(self.skeleton):
                raise ValueError(
                    f"{type(self).__name__}.losses: targets of image {index} have {target.keypoints.shape[1]} joints, "
                    f"but the network's skeleton {self.skeleton.name} has {len(self.skeleton)}"
                )
