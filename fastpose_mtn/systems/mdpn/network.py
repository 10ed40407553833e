"""MDPN: one backbone, one head a domain; a sample trains its own domain's head and no other."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from fastpose_mtn.config import CfgNode
from fastpose_mtn.modeling.bottom_up import bottom_up_from_config
from fastpose_mtn.modeling.layers import ConvNorm, msra_init
from fastpose_mtn.modeling.layout import channels_last
from fastpose_mtn.skeletons import Skeleton, get_skeleton
from fastpose_mtn.systems.mdpn.backbone import DeconvolutionBackbone
from fastpose_mtn.systems.mdpn.branches import BranchCombination
from fastpose_mtn.systems.mdpn.domains import domain_skeletons, per_domain
from fastpose_mtn.systems.topdown.codecs import (
    DecodedJoints,
    HeatmapCodec,
    build_codec,
    hardest_of,
    heatmap_settings,
)
from fastpose_mtn.systems.topdown.layers import heatmap_conv
from fastpose_mtn.systems.topdown.network import LabelledPeople, TopDownNetwork, crop_settings

_STRIDES = (4, 8, 16, 32)


class MultiDomainHeads(nn.ModuleDict):
    """One head a domain, each from the same features to its own heatmaps.

    Args:
        in_channels: of the features.
        joints: of each domain.
        convs: 3x3 convolutions of a head before its last one.
    """

    def __init__(self, in_channels: int, joints: Mapping[str, int], convs: int) -> None:
        super().__init__()
        for name, count in joints.items():
            layers: OrderedDict[str, nn.Module] = OrderedDict()
            for number in range(1, convs + 1):
                conv = ConvNorm(in_channels, in_channels, 3, norm="BN", relu=True)
                msra_init(conv)
                layers[f"conv{number}"] = conv
            layers["predict"] = heatmap_conv(in_channels, count)
            self[name] = nn.Sequential(layers)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The heads' maps (N, K, h, w), in order."""
        return tuple(head(x) for head in self.values())


class MDPNNetwork(TopDownNetwork):
    """Joints are learned in a union of all domains' and given in another skeleton.

    Args:
        backbone: crops to features, and to intermediate heatmaps of each domain.
        heads: of the same domains.
        branches: makes one set of joints of the heads' maps.
        domains: the joints of each.
        union: what the joints of targets are.
        intermediate_codec: trains the backbone's heatmaps.
        intermediate_weight: of that loss; 0: they are not trained.
        domain_weights: of each head's loss.
        hardest_from: step from which the ``hardest`` joints of each person alone train their head; -1: never.
        hardest: how many.
        others: arguments of ``TopDownNetwork``; its codec a ``HeatmapCodec``.
    """

    def __init__(
        self,
        backbone: DeconvolutionBackbone,
        heads: MultiDomainHeads,
        branches: BranchCombination,
        *,
        domains: Mapping[str, Skeleton],
        union: Skeleton,
        intermediate_codec: HeatmapCodec,
        intermediate_weight: float,
        domain_weights: Mapping[str, float],
        hardest_from: int,
        hardest: int,
        **others: object,
    ) -> None:
        super().__init__(backbone=backbone, upsampler=None, **others)  # type: ignore[arg-type]
        self.heads, self.branches, self.training_skeleton = heads, branches, union
        self._joints = {
            name: [union.index(joint) for joint in skeleton.joints] for name, skeleton in domains.items()
        }
        self._intermediate_codec, self._intermediate_weight = intermediate_codec, intermediate_weight
        self._domain_weights, self._hardest_from, self._hardest = domain_weights, hardest_from, hardest
        self._step = 0
        self.exact_layers = tuple(f"heads.{name}.predict" for name in domains)
        self.loss_tasks = {f"loss_keypoint_{name}": "keypoints" for name in domains}
        if intermediate_weight and backbone.skip is not None and backbone.skip.predict:
            self.loss_tasks["loss_intermediate"] = "keypoints"

    @property
    def upsampler(self) -> nn.Module:  # type: ignore[override]
        """The heads."""
        return self.heads

    @property
    def _features(self) -> DeconvolutionBackbone:
        return cast(DeconvolutionBackbone, self.backbone)

    def begin_step(self, step: int) -> None:
        """See ``system_protocols.ScheduledNetwork``."""
        self._step = step

    def maps(self, pixels: Tensor) -> Tensor:
        """Maps (N, K, h, w) of the output's joints; heads that these do not need are not computed."""
        features = self.backbone(pixels)
        return self.branches([self.heads[name](features) for name in self.branches.names])

    def decode(self, maps: Tensor, people_wh: Tensor) -> DecodedJoints:
        """See ``TopDownNetwork``; joints that no head has are estimated from their neighbours."""
        return self.branches.estimate_missing(super().decode(maps, people_wh))

    def person_losses(self, crops: Tensor, people: LabelledPeople) -> dict[str, Tensor]:
        """``loss_keypoint_DOMAIN`` of each head, and ``loss_intermediate`` of the backbone's heatmaps.

        A head's loss is the mean over its own samples times their share of the batch: the sum is the mean over all. From
        others' samples it has no gradient at all, as it does not see them.

        Raises:
            ValueError: a sample is of no head's domain.
        """
        rows = self._rows(people.domains, len(crops))
        features, intermediate = self._features.features(self.preprocess(crops))
        hardest = self._hardest if 0 <= self._hardest_from <= self._step else 0
        losses = {f"loss_keypoint_{name}": features.new_zeros((), dtype=torch.float32) for name in self.heads}
        for name, own in rows.items():
            each = self._each(
                self.heads[name](features[own]), name, own, people, cast(HeatmapCodec, self.codec)
            )
            weight = self._loss_weight * self._domain_weights[name]
            losses[f"loss_keypoint_{name}"] = weight * _share(each, len(crops), hardest)
        if "loss_intermediate" in self.loss_tasks:
            losses["loss_intermediate"] = self._intermediate_loss(intermediate, rows, people)
        return losses

    def _rows(self, domains: Sequence[str], count: int) -> dict[str, Tensor]:
        """Numbers of each head's samples, of the heads that have any."""
        unknown = sorted(set(domains) - set(self.heads))
        if len(domains) != count or unknown:
            said = f"domain {', '.join(unknown)}" if unknown else f"{len(domains)} domains of {count} samples"
            raise ValueError(
                f"MDPNNetwork.losses: expected each sample's domain, one of {', '.join(self.heads)}, got {said}"
            )
        own = {name: [row for row, domain in enumerate(domains) if domain == name] for name in self.heads}
        return {name: torch.tensor(numbers, device=self.device) for name, numbers in own.items() if numbers}

    def _each(
        self, maps: Tensor, domain: str, rows: Tensor, people: LabelledPeople, codec: HeatmapCodec
    ) -> Tensor:
        """(n, K) squared errors of a domain's samples."""
        index = self._joints[domain]
        labelled = people.labelled[rows][:, index]
        return codec.each(maps.float(), people.positions[rows][:, index], labelled)

    def _intermediate_loss(
        self, maps: Mapping[str, Tensor], rows: Mapping[str, Tensor], people: LabelledPeople
    ) -> Tensor:
        height, width = next(iter(maps.values())).shape[2:]
        points = self.coordinates.points(people.positions, self.size_hw, self.map_size_hw)
        positions = self.coordinates.cells(points, self.size_hw, (height, width))
        coarse, total = people._replace(positions=positions), people.positions.new_zeros(())
        for name, own in rows.items():
            each = self._each(maps[name][own], name, own, coarse, self._intermediate_codec)
            total = total + self._domain_weights[name] * _share(each, len(people.positions), 0)
        return self._loss_weight * self._intermediate_weight * total

    def adapted(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Simple Baselines' tensors, as ``DUCPose`` has them, as the backbone's and the head coco's; others as they are."""
        return {_ours(name): tensor for name, tensor in tensors.items()}

    def misfit(self, tensors: Mapping[str, Tensor]) -> str:
        """What to set where a file's tensors are of other heads; "" where they are not."""
        theirs = dict.fromkeys(name.split(".")[1] for name in tensors if name.startswith("heads."))
        if not theirs or set(theirs) == set(self.heads):
            return ""
        return f"the file's heads are {', '.join(theirs)}, this network's {', '.join(self.heads)}: see MODEL.MDPN.DOMAINS"


def _share(each: Tensor, count: int, hardest: int) -> Tensor:
    """Half the errors (n, K), the mean over each person's joints, or the hardest of them, and over ``count`` people."""
    return 0.5 * (hardest_of(each, hardest) if hardest else each).mean(dim=1).sum() / count


def _ours(name: str) -> str:
    if match := re.fullmatch(r"upsampler\.layers\.(deconv|bn)([123])\.(.+)", name):
        layer = "conv" if match[1] == "deconv" else "bn"
        return f"backbone.deconv.{int(match[2]) - 1}.{layer}.{match[3]}"
    return re.sub(r"^upsampler\.output\.", "heads.coco.predict.", name)


def build_mdpn(cfg: CfgNode) -> MDPNNetwork:
    """Builds the network that ``MODEL.TOPDOWN``, ``MODEL.MDPN`` and ``MODEL.TIMM`` describe, in channels-last memory.

    Raises:
        ValueError: the configuration contradicts itself or names something unknown.
    """
    c, own, skeleton = cfg.MODEL.TOPDOWN, cfg.MODEL.MDPN, get_skeleton(cfg.MODEL.SKELETON)
    codec = build_codec(cfg, skeleton)
    if not isinstance(codec, HeatmapCodec):
        raise ValueError(f"MODEL.TOPDOWN.LOSS: expected heatmap of MDPN, got {c.LOSS!r}")
    if own.HEAD_CONVS < 0 or own.OHKM_TOPK < 1:
        raise ValueError(
            f"MODEL.MDPN.HEAD_CONVS and OHKM_TOPK: expected 0 or more and 1 or more, got {own.HEAD_CONVS} and "
            f"{own.OHKM_TOPK}"
        )
    domains = domain_skeletons(cfg)
    counts = {name: len(joints) for name, joints in domains.items()}
    backbone = DeconvolutionBackbone(
        bottom_up_from_config(cfg, _STRIDES), c.UPSAMPLER_DIM, skip=own.SKIP, joints=counts
    )
    network = MDPNNetwork(
        backbone,
        MultiDomainHeads(backbone.out_channels, counts, own.HEAD_CONVS),
        BranchCombination(
            own.BRANCH,
            domains,
            skeleton,
            weights=per_domain(own.VOTE_WEIGHTS, list(domains), "VOTE_WEIGHTS"),
            shares=own.HEAD_INTERPOLATION,
        ),
        domains=domains,
        union=get_skeleton(own.UNION),
        # the same Gaussian in pixels
        intermediate_codec=HeatmapCodec(
            sigma=c.HEATMAP_SIGMA / 2, subpixel=c.SUBPIXEL_TARGET, **heatmap_settings(cfg)
        ),
        intermediate_weight=own.INTERMEDIATE_WEIGHT,
        domain_weights=per_domain(own.DOMAIN_WEIGHTS, list(domains), "DOMAIN_WEIGHTS"),
        hardest_from=own.OHKM_FROM_STEP,
        hardest=own.OHKM_TOPK,
        codec=codec,
        skeleton=skeleton,
        loss_weight=c.LOSS_WEIGHT,
        **crop_settings(cfg),
    )
    return channels_last(network)
