"""The seam of systems: what a network promises whoever trains it, and a system all commands.

What only some systems can do has a protocol of its own, such as ``ExportedSystem``: commands ask for it, and never for a
system by its name, so that somebody else's gets the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:  # a command's help does not wait for torch
    import numpy as np
    from torch import Tensor, nn

    from fastpose_mtn.config import CfgNode
    from fastpose_mtn.data.dataset import PoseDataset
    from fastpose_mtn.data.transforms.augment import Augmentation
    from fastpose_mtn.estimators.exported import ExportedNetwork
    from fastpose_mtn.estimators.portable import PortableNetwork, RoundedLayers
    from fastpose_mtn.estimators.runtimes import Feed
    from fastpose_mtn.modeling.size import NetworkSize
    from fastpose_mtn.protocols import PoseEstimator
    from fastpose_mtn.skeletons import Skeleton
    from fastpose_mtn.structures import Batch


@runtime_checkable
class TrainableNetwork(Protocol):
    """A network as the engines train it; besides a ``torch.nn.Module``.

    Attributes:
        loss_tasks: for each loss that ``losses`` can give, the one of ``structures.TASKS`` that it trains, such as
            ``{"loss_keypoint": "keypoints"}``; learned task weights go by it.
    """

    loss_tasks: Mapping[str, str]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The weighted losses of a batch on the network's device, each a scalar.

        Raises:
            FloatingPointError: the network's own numbers are not finite: training has diverged.
        """
        ...


@runtime_checkable
class ScheduledNetwork(Protocol):
    """What a trainable network is besides, where what it learns changes in the course of the training."""

    def begin_step(self, step: int) -> None:
        """Tells it, before the losses of each step, its number from 0."""
        ...


class System(Protocol):
    """One of the networks that share this roof, by ``MODEL.META_ARCHITECTURE``."""

    def add_config(self, cfg: CfgNode) -> None:
        """Adds the system's own configuration keys and their defaults."""
        ...

    def training_config(self, cfg: CfgNode, *, num_identities: int, world_size: int) -> CfgNode:
        """The configuration to train with, where what the data decide is filled in.

        Args:
            cfg: the configuration as it was given.
            num_identities: of ``DATASETS.TRAIN``; their people's identities are below it, or -1.
            world_size: processes that train together.

        Raises:
            InputError: the network cannot be trained so.
        """
        ...

    def training_skeleton(self, cfg: CfgNode) -> Skeleton:
        """What labels are read in to learn from: ``MODEL.SKELETON``, or where a network learns more than it gives, all."""
        ...

    def training_data(
        self, cfg: CfgNode, datasets: Sequence[PoseDataset]
    ) -> tuple[list[PoseDataset], list[Augmentation]]:
        """What the network learns from, and how it is changed at random: whole images, or people one by one.

        Args:
            cfg: the configuration.
            datasets: of ``DATASETS.TRAIN``.

        Raises:
            InputError: a dataset has nothing for this network.
        """
        ...

    def build_network(self, cfg: CfgNode) -> nn.Module:
        """The network that a configuration describes, with initial weights; a ``TrainableNetwork``."""
        ...

    def build_estimator(
        self,
        cfg: CfgNode,
        network: nn.Module | None = None,
        *,
        device: str | None = None,
        precision: str = "auto",
    ) -> PoseEstimator:
        """The network as a pose estimator.

        Args:
            cfg: of the network; says how images are resized and people selected.
            network: one that is there already, which is copied; None: built, with ``MODEL.WEIGHTS``.
            device: auto, cpu, cuda or cuda:N; None: the network's, or ``MODEL.DEVICE`` for one built here.
            precision: auto, fp32, bf16 or fp16.
        """
        ...


@runtime_checkable
class MultiEngineSystem(Protocol):
    """What a system is besides, where engines other than Lightning can train its networks.

    Attributes:
        engines: of ``engine.launch.ENGINES``, those that can.
    """

    engines: tuple[str, ...]


def engines_of(system: System) -> tuple[str, ...]:
    """The engines that can train a system's networks."""
    return system.engines if isinstance(system, MultiEngineSystem) else ("lightning",)


@runtime_checkable
class DetectorSystem(Protocol):
    """What a system is besides, where its networks find nobody and look at the boxes of a detector.

    Attributes:
        detector_key: the configuration key that says whose: weights, or a file of boxes.
    """

    detector_key: str


@runtime_checkable
class CountedSystem(Protocol):
    """What a system is besides, where its networks' parameters and operations can be counted part by part."""

    def count(
        self,
        cfg: CfgNode,
        network: nn.Module,
        *,
        image_size_hw: tuple[int, int],
        proposals: int | None,
        people: int,
    ) -> NetworkSize:
        """The size of a network.

        Args:
            cfg: of the network.
            network: built from it.
            image_size_hw: of the image that it sees, where it sees images.
            proposals: boxes that are looked at for people; None: as many as ``cfg`` says.
            people: people that are described.
        """
        ...


@runtime_checkable
class ExportedSystem(Protocol):
    """What a system is besides, where ``python -m fastpose_mtn.export`` writes its networks, and files of it are run.

    Attributes:
        free_keys: beginnings of the system's own keys that an exported network does not depend on.
    """

    free_keys: tuple[str, ...]

    def build_portable(
        self, network: nn.Module, cfg: CfgNode, *, given_boxes: bool, min_score: bool
    ) -> PortableNetwork:
        """A network in the form that runtimes can hold.

        Args:
            network: with its weights; is left as it is.
            cfg: its configuration.
            given_boxes: it has an input for boxes of people too.
            min_score: it has one for the score below which people are left out.

        Raises:
            InputError: the network cannot be expressed so.
        """
        ...

    def build_exported(self, network: ExportedNetwork, *, device: str) -> PoseEstimator:
        """An exported network as a pose estimator.

        Args:
            network: opened, with the configuration that its file carries.
            device: auto, cpu, cuda or cuda:N, of what does not run in the file's runtime, such as a detector.
        """
        ...


@runtime_checkable
class QuantizedSystem(Protocol):
    """What an exported system is besides, where its networks can be rounded to 8 bits."""

    def calibration(self, network: ExportedNetwork, images: Sequence[np.ndarray]) -> list[Feed]:
        """What a network is shown while the ranges of its values are measured.

        Args:
            network: opened, on the CPU.
            images: RGB uint8 (H, W, 3).
        """
        ...

    def rounded_layers(self, cfg: CfgNode) -> RoundedLayers:
        """Which operations become 8 bits."""
        ...
