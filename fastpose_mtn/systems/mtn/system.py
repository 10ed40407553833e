"""FastPose MTN as one of the systems of ``registry.SYSTEMS``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpose_mtn.config.node import CfgNode
from fastpose_mtn.systems.mtn.config import add_mtn_config, training_config
from fastpose_mtn.systems.whole_images import WholeImageSystem

if TYPE_CHECKING:  # torch takes seconds to import, and configurations do without it
    from torch import nn

    from fastpose_mtn.estimators.portable import RoundedLayers
    from fastpose_mtn.modeling.size import NetworkSize
    from fastpose_mtn.systems.mtn.estimator import MTNEstimator
    from fastpose_mtn.systems.mtn.network import MTN
    from fastpose_mtn.systems.mtn.portable import PortableMTN


class MTNSystem(WholeImageSystem):
    """The system FastPose MTN; see ``system_protocols.System``."""

    engines = ("lightning", "detectron2")

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

        own = None if network is None else self._own(network)
        return MTNEstimator.from_config(cfg, own, device=device, precision=precision)

    def count(
        self,
        cfg: CfgNode,
        network: nn.Module,
        *,
        image_size_hw: tuple[int, int],
        proposals: int | None,
        people: int,
    ) -> NetworkSize:
        """The size of a network: of an image, and of the boxes that its heads see."""
        from fastpose_mtn.modeling.size import NetworkSize
        from fastpose_mtn.systems.mtn.size import PAPER, parts_of

        backbone, (height, width) = cfg.MODEL.TIMM.NAME, image_size_hw
        seen = cfg.MODEL.RPN.POST_NMS_TOPK_TEST if proposals is None else proposals
        parts = parts_of(self._own(network), image_size_hw=image_size_hw, proposals=seen, people=people)
        title = (
            f"{backbone} at {height}x{width} (padded to multiples of 32); G: 10^9 multiply-additions; "
            f"box head for {seen} proposals, joints and identities for {people} boxes"
        )
        return NetworkSize(title, parts, PAPER.get(backbone))

    def build_portable(
        self, network: nn.Module, cfg: CfgNode, *, given_boxes: bool, min_score: bool
    ) -> PortableMTN:
        """The network in the form that runtimes can hold.

        Raises:
            InputError: it cannot be expressed so.
        """
        from fastpose_mtn.systems.mtn.portable import PortableMTN

        return PortableMTN(self._own(network), given_boxes=given_boxes, min_score=min_score)

    def rounded_layers(self, cfg: CfgNode) -> RoundedLayers:
        """The heads, and of the box head the first layer."""
        from fastpose_mtn.systems.mtn.portable import HEADS

        return HEADS

    def _own(self, network: nn.Module) -> MTN:
        from fastpose_mtn.systems.mtn.network import MTN

        if not isinstance(network, MTN):
            raise TypeError(f"network: expected an MTN, got {type(network).__name__}")
        return network


MTN_SYSTEM = MTNSystem()
