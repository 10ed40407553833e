"""FastPose MTN as one of the systems of ``registry.SYSTEMS``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpose_mtn.config.node import CfgNode
from fastpose_mtn.systems.mtn.config import add_mtn_config, training_config
from fastpose_mtn.systems.whole_images import WholeImageSystem

if TYPE_CHECKING:  # torch takes seconds to import, and configurations do without it
    from torch import nn

    from fastpose_mtn.systems.mtn.estimator import MTNEstimator
    from fastpose_mtn.systems.mtn.network import MTN


class MTNSystem(WholeImageSystem):
    """The system FastPose MTN; see ``protocols.System``."""

    def add_config(self, cfg: CfgNode) -> None:
        """Adds the keys of this network, and their defaults, to ``cfg``."""
        add_mtn_config(cfg)

    def training_config(self, cfg: CfgNode, *, num_identities: int, world_size: int) -> CfgNode:
        """The configuration to train with: the identity head classifies as many identities as the data have.

        Raises:
            InputError: the network cannot be trained so.
        """
        return training_config(cfg, num_identities=num_identities, world_size=world_size)

    def build_network(self, cfg: CfgNode) -> MTN:
        """The network that a configuration describes, with initial weights."""
        from fastpose_mtn.systems.mtn.network import build_model

        return build_model(cfg)

    def build_estimator(
        self,
        cfg: CfgNode,
        network: nn.Module | None = None,
        *,
        device: str | None = None,
        precision: str = "auto",
    ) -> MTNEstimator:
        """The network as a pose estimator on a device.

        Raises:
            TypeError: ``network`` is not an ``MTN``.
        """
        from fastpose_mtn.systems.mtn.estimator import MTNEstimator
        from fastpose_mtn.systems.mtn.network import MTN

        if network is not None and not isinstance(network, MTN):
            raise TypeError(f"network: expected an MTN, got {type(network).__name__}")
        return MTNEstimator.from_config(cfg, network, device=device, precision=precision)


MTN_SYSTEM = MTNSystem()
