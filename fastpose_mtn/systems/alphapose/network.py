"""AlphaPose's pose network, which its paper calls FastPose: SE-ResNet, DUC, symmetric integral regression.

Here it is ``DUCPose``, as ``FastPose`` is this package's own. Any backbone of timm's that the package knows will do.
"""

from __future__ import annotations

from typing import cast

import torch
from timm.models import FeatureListNet
from timm.models.resnet import Bottleneck
from torch import Tensor, nn

from fastpose_mtn.config import CfgNode
from fastpose_mtn.modeling.bottom_up import bottom_up_from_config
from fastpose_mtn.skeletons import get_skeleton
from fastpose_mtn.systems.alphapose.upsamplers import DUC, Deconvolutions
from fastpose_mtn.systems.topdown.codecs import build_codec
from fastpose_mtn.systems.topdown.identity import build_identity_branch
from fastpose_mtn.systems.topdown.network import TopDownNetwork, crop_settings

_STRIDES = (4, 8, 16, 32)


class SqueezeExcitation(nn.Module):
    """Weights channels by what the whole map shows (Hu et al. 2018); without reduction, as in the released networks."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) of the same."""
        weights = self.fc2(self.relu(self.fc1(x.mean(dim=(2, 3))))).sigmoid()
        return x * weights[:, :, None, None]


def add_squeeze_excitation(bottom_up: FeatureListNet) -> None:
    """Puts a layer into the first block of each stage of a ResNet, after its last normalisation, in place.

    Raises:
        ValueError: the network is no ResNet of bottlenecks.
    """
    for stage in range(1, 5):
        layers = dict(bottom_up.named_children()).get(f"layer{stage}")
        block = next(layers.children(), None) if layers is not None else None
        if not isinstance(block, Bottleneck):
            raise ValueError(
                "MODEL.TOPDOWN.SQUEEZE_EXCITATION True: it goes into resnet50, resnet101 and resnet152; set it False for "
                "another MODEL.TIMM.NAME"
            )
        block.se = SqueezeExcitation(cast(nn.Conv2d, block.conv3).out_channels)


class LastFeatures(nn.Module):
    """An extractor's features of stride 32 alone.

    Args:
        bottom_up: see ``modeling.bottom_up``; parameters are named as in FastPose MTN's backbones, whose weights fit.
    """

    def __init__(self, bottom_up: FeatureListNet) -> None:
        super().__init__()
        self.bottom_up = bottom_up
        self.out_channels = int(bottom_up.feature_info.channels()[-1])

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H/32, W/32) of (B, 3, H, W)."""
        return self.bottom_up(x)[-1]


def build_duc_pose(cfg: CfgNode) -> TopDownNetwork:
    """Builds the network that ``MODEL.TOPDOWN`` and ``MODEL.TIMM`` describe, in channels-last memory.

    Raises:
        ValueError: the configuration contradicts itself or names something unknown.
    """
    c, skeleton = cfg.MODEL.TOPDOWN, get_skeleton(cfg.MODEL.SKELETON)
    crops = crop_settings(cfg)
    backbone = _backbone(cfg)
    if c.UPSAMPLER == "duc":
        upsampler: nn.Module = DUC(
            backbone.out_channels, len(skeleton), dim=c.UPSAMPLER_DIM, conv_dim=c.CONV_DIM
        )
    elif c.UPSAMPLER == "deconv":
        upsampler = Deconvolutions(backbone.out_channels, len(skeleton), dim=c.UPSAMPLER_DIM)
    else:
        raise ValueError(f"MODEL.TOPDOWN.UPSAMPLER: expected duc or deconv, got {c.UPSAMPLER!r}")
    network = TopDownNetwork(
        backbone=backbone,
        upsampler=upsampler,
        codec=build_codec(cfg, skeleton),
        skeleton=skeleton,
        loss_weight=c.LOSS_WEIGHT,
        visibility_loss_weight=c.VISIBILITY_LOSS_WEIGHT,
        reid=build_identity_branch(cfg, skeleton, backbone.out_channels, lambda: _backbone(cfg)),
        **crops,
    )
    return network.to(memory_format=torch.channels_last)


def _backbone(cfg: CfgNode) -> LastFeatures:
    bottom_up = bottom_up_from_config(cfg, _STRIDES)
    if cfg.MODEL.TOPDOWN.SQUEEZE_EXCITATION:
        add_squeeze_excitation(bottom_up)
    return LastFeatures(bottom_up)
