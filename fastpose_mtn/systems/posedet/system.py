"""PoseDet as one of the systems of ``registry.SYSTEMS``: ``MODEL.META_ARCHITECTURE PoseDet``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpose_mtn.config.node import CfgNode
from fastpose_mtn.errors import InputError
from fastpose_mtn.systems.mtn.config import with_identities
from fastpose_mtn.systems.posedet.config import add_posedet_config
from fastpose_mtn.systems.whole_images import WholeImageSystem

if TYPE_CHECKING:  # torch takes seconds to import, and configurations do without it
    from torch import nn

    from fastpose_mtn.estimators.exported import ExportedEstimator, ExportedNetwork
    from fastpose_mtn.estimators.portable import RoundedLayers
    from fastpose_mtn.systems.posedet.estimator import PoseDetEstimator
    from fastpose_mtn.systems.posedet.network import PoseDet
    from fastpose_mtn.systems.posedet.portable import PortablePoseDet


class PoseDetSystem(WholeImageSystem):
    """Boxes, joints and identities of everybody in one stage; see ``system_protocols.System``."""

    def add_config(self, cfg: CfgNode) -> None:
        """Adds the keys of this network, and their defaults, to ``cfg``."""
        add_posedet_config(cfg)

    def training_config(self, cfg: CfgNode, *, num_identities: int, world_size: int) -> CfgNode:
        """The configuration to train with: the identity branch classifies as many identities as the data have.

        Raises:
            InputError: the configuration names fewer.
        """
        return with_identities(cfg, num_identities)

    def build_network(self, cfg: CfgNode) -> PoseDet:
        """The network that a configuration describes, with initial weights."""
        from fastpose_mtn.systems.posedet.network import build_posedet

        return build_posedet(cfg)

    def build_estimator(
        self,
        cfg: CfgNode,
        network: nn.Module | None = None,
        *,
        device: str | None = None,
        precision: str = "auto",
    ) -> PoseDetEstimator:
        """The network as a pose estimator on a device.

        Raises:
            TypeError: ``network`` is not a ``PoseDet``.
            ValueError: no weights are named, or they do not fit the configuration.
        """
        from fastpose_mtn.systems.posedet.estimator import PoseDetEstimator

        own = None if network is None else self._own(network)
        return PoseDetEstimator.from_config(cfg, own, device=device, precision=precision)

    def build_exported(self, network: ExportedNetwork, *, device: str) -> ExportedEstimator:
        """An exported network as a pose estimator: its graph gives candidates, and suppression follows."""
        from fastpose_mtn.estimators.exported import ExportedEstimator
        from fastpose_mtn.systems.posedet.selection import Suppression, joint_constants

        suppress = Suppression.from_config(network.cfg, joint_constants(network.cfg))
        return ExportedEstimator.of(network, device=device, select=suppress)

    def build_portable(
        self, network: nn.Module, cfg: CfgNode, *, given_boxes: bool, min_score: bool
    ) -> PortablePoseDet:
        """The network in the form that runtimes can hold, which gives candidates.

        Raises:
            InputError: boxes are to be given.
        """
        from fastpose_mtn.systems.posedet.portable import PortablePoseDet

        if given_boxes:
            raise InputError(
                "--given-boxes: PoseDet finds people by themselves and takes no boxes; leave it out"
            )
        return PortablePoseDet(self._own(network), min_score=min_score)

    def rounded_layers(self, cfg: CfgNode) -> RoundedLayers:
        """The backbone and the convolutions of the head's branches."""
        from fastpose_mtn.systems.posedet.portable import ROUNDED

        return ROUNDED

    def _own(self, network: nn.Module) -> PoseDet:
        from fastpose_mtn.systems.posedet.network import PoseDet

        if not isinstance(network, PoseDet):
            raise TypeError(f"network: expected a PoseDet, got {type(network).__name__}")
        return network


POSEDET_SYSTEM = PoseDetSystem()
