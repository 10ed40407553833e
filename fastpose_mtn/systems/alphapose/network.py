"""AlphaPose's pose network, which its paper calls FastPose: SE-ResNet, DUC, symmetric integral regression.

Here it is ``DUCPose``, as ``FastPose`` is this package's own. Any backbone of timm's that the package knows will do.
"""

from __future__ import annotations

from fastpose_mtn.config import CfgNode
from fastpose_mtn.modeling.layout import channels_last
from fastpose_mtn.skeletons import get_skeleton
from fastpose_mtn.systems.alphapose.backbone import build_backbone
from fastpose_mtn.systems.alphapose.upsamplers import build_upsampler
from fastpose_mtn.systems.topdown.codecs import build_codec
from fastpose_mtn.systems.topdown.identity import build_identity_branch
from fastpose_mtn.systems.topdown.network import TopDownNetwork, crop_settings


def build_duc_pose(cfg: CfgNode) -> TopDownNetwork:
    """Builds the network that ``MODEL.TOPDOWN`` and ``MODEL.TIMM`` describe, in channels-last memory.

    Raises:
        ValueError: the configuration contradicts itself or names something unknown.
    """
    c, skeleton = cfg.MODEL.TOPDOWN, get_skeleton(cfg.MODEL.SKELETON)
    crops = crop_settings(cfg)
    backbone = build_backbone(cfg)
    network = TopDownNetwork(
        backbone=backbone,
        upsampler=build_upsampler(
            c.UPSAMPLER, backbone.out_channels, len(skeleton), dim=c.UPSAMPLER_DIM, conv_dim=c.CONV_DIM
        ),
        codec=build_codec(cfg, skeleton),
        skeleton=skeleton,
        loss_weight=c.LOSS_WEIGHT,
        visibility_loss_weight=c.VISIBILITY_LOSS_WEIGHT,
        reid=build_identity_branch(cfg, skeleton, backbone.out_channels, lambda: build_backbone(cfg)),
        **crops,
    )
    return channels_last(network)
