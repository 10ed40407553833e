"""MSPN: coarse-to-fine supervision of several stages, the hardest joints on the finest scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, cast

import timm
import torch
from torch import Tensor, nn

from fastpose_mtn.checkpoints.mspn import stages_in
from fastpose_mtn.config import CfgNode
from fastpose_mtn.modeling.bottom_up import replace_norm
from fastpose_mtn.modeling.layout import channels_last
from fastpose_mtn.ops.gaussian_maps import kernel_sigma
from fastpose_mtn.skeletons import get_skeleton
from fastpose_mtn.systems.mspn.stages import SCALES, MultiStageBackbone, MultiStageHead
from fastpose_mtn.systems.topdown.codecs import (
    CrossEntropyCodec,
    HeatmapCodec,
    KeypointCodec,
    build_codec,
    hardest_of,
    heatmap_settings,
)
from fastpose_mtn.systems.topdown.network import LabelledPeople, TopDownNetwork, crop_settings

_TARGETS, _VISIBILITIES = ("gaussian", "megvii"), ("mask", "release")
_RELEASED_PEAK = 255.0  # of the targets for which the release begins with maps of standard deviation 1
_TRUNK = "backbone.bottom_up."  # of a classifier's tensors, see ``checkpoints.conversion.from_classifier``


class UnitLoss(Protocol):
    """What trains the maps of one unit."""

    def __call__(
        self, maps: Tensor, people: LabelledPeople, *, hardest: int, hidden_are_empty: bool
    ) -> Tensor:
        """A scalar.

        Args:
            maps: (N, K, h, w) float32.
            people: the N people.
            hardest: joints of each person that train, those of the greatest loss; 0: all.
            hidden_are_empty: maps of joints that are not visible are to be empty.
        """
        ...


class HeatmapLoss:
    """Squared errors of heatmaps; the mean is over all cells of all maps, those without a label too.

    Args:
        codec: of the unit's targets.
    """

    def __init__(self, codec: HeatmapCodec) -> None:
        self._codec = codec

    def __call__(
        self, maps: Tensor, people: LabelledPeople, *, hardest: int, hidden_are_empty: bool
    ) -> Tensor:
        """See ``UnitLoss``."""
        if hidden_are_empty:
            counts = people.trains[:, None].expand_as(people.visibility)
            each = self._codec.each(maps, people.positions, counts, people.visibility == 2)
        else:
            each = self._codec.each(maps, people.positions, people.labelled)
        return (hardest_of(each, hardest) if hardest else each).mean() if each.numel() else each.sum()


class CrossEntropyLoss:
    """Cross-entropies over the cells, the mean over the joints that count; what is hidden counts as what is visible.

    Args:
        codec: of all units.
    """

    def __init__(self, codec: CrossEntropyCodec) -> None:
        self._codec = codec

    def __call__(
        self, maps: Tensor, people: LabelledPeople, *, hardest: int, hidden_are_empty: bool
    ) -> Tensor:
        """See ``UnitLoss``."""
        each, counts = self._codec.each(maps, people.positions, people.labelled)
        number = counts.sum(dim=1)
        if hardest:
            each, number = hardest_of(each, hardest), number.clamp(max=hardest)
        return each.sum() / number.sum().clamp(min=1)


class MSPNNetwork(TopDownNetwork):
    """Several stages, each trained on four scales; the last unit of the last stage is what is read.

    Args:
        backbone, head: of as many stages.
        unit_losses: of each stage's units, coarsest first.
        hardest: joints of each person that train the finest scale; 0: all.
        coarse_weight: of the other scales' losses; 0: they are not trained.
        hidden_are_empty: on the other scales maps of joints that are not visible are to be empty.
        others: arguments of ``TopDownNetwork``.
    """

    loss_tasks: Mapping[str, str] = {
        "loss_coarse": "keypoints", "loss_keypoint": "keypoints", "loss_visibility": "keypoints",
    }  # fmt: skip

    def __init__(
        self,
        backbone: MultiStageBackbone,
        head: MultiStageHead,
        *,
        unit_losses: Sequence[Sequence[UnitLoss]],
        hardest: int,
        coarse_weight: float,
        hidden_are_empty: bool,
        **others: object,
    ) -> None:
        super().__init__(backbone=backbone, upsampler=head, **others)  # type: ignore[arg-type]
        self._unit_losses, self._hardest = unit_losses, hardest
        self._coarse_weight, self._hidden_are_empty = coarse_weight, hidden_are_empty
        self.exact_layers = (f"upsampler.predict.{len(head.predict) - 1}.1",)

    @property
    def _stages(self) -> MultiStageBackbone:
        return cast(MultiStageBackbone, self.backbone)

    @property
    def _heads(self) -> MultiStageHead:
        return cast(MultiStageHead, self.upsampler)

    @property
    def trunks(self) -> Sequence[nn.Module]:
        """The stem."""
        return [self.backbone.get_submodule("top")]

    def person_losses(self, crops: Tensor, people: LabelledPeople) -> dict[str, Tensor]:
        """``loss_keypoint`` of the stages' finest scales, ``loss_coarse`` of the others, each the stages' sum."""
        units = self._stages.units(self.preprocess(crops))
        if not self._coarse_weight:
            units = [stage[-1:] for stage in units]
        maps = [[one.float() for one in stage] for stage in self._all_maps(units)]
        fine, coarse = maps[0][-1].new_zeros(()), maps[0][-1].new_zeros(())
        for stage, losses in zip(maps, self._unit_losses, strict=True):
            fine = fine + losses[-1](stage[-1], people, hardest=self._hardest, hidden_are_empty=False)
            for own, loss in zip(stage[:-1], losses, strict=False):
                coarse = coarse + loss(own, people, hardest=0, hidden_are_empty=self._hidden_are_empty)
        found = {"loss_keypoint": self._loss_weight * fine}
        if self._coarse_weight:
            found["loss_coarse"] = self._loss_weight * self._coarse_weight * coarse
        if self._visibility_loss_weight:
            visibility = self.visibility_loss(maps[-1][-1], people)
            found["loss_visibility"] = self._visibility_loss_weight * visibility
        return found

    def _all_maps(self, units: Sequence[Sequence[Tensor]]) -> list[list[Tensor]]:
        if len(units[0]) == SCALES:
            return self._heads.all(units)
        return [
            [self._heads.predict[SCALES * (index + 1) - 1](stage[-1])] for index, stage in enumerate(units)
        ]

    def adapted(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A ResNet classifier's tensors as the stem's and every stage's way down; others as they are."""
        if not any(name.startswith(f"{_TRUNK}layer1.") for name in tensors):
            return dict(tensors)
        own: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            part = name.removeprefix(_TRUNK)
            if part.startswith(("conv1.", "bn1.")):
                own["backbone.top." + part.replace("1.", ".", 1)] = tensor
            elif part.startswith("layer"):
                own |= {f"backbone.stages.{i}.down.{part}": tensor for i in range(len(self._stages.stages))}
        return own

    def misfit(self, tensors: Mapping[str, Tensor]) -> str:
        """What to set where a file's tensors are of another number of stages or of joints; "" where they are not."""
        theirs, own = stages_in(tensors), len(self._stages.stages)
        if theirs in (0, own):
            return super().misfit(tensors)
        return f"the file's network has {theirs} stages, this one {own}: set MODEL.MSPN.STAGES {theirs} to use it"


def build_mspn(cfg: CfgNode) -> MSPNNetwork:
    """Builds the network that ``MODEL.TOPDOWN`` and ``MODEL.MSPN`` describe, in channels-last memory.

    Raises:
        ValueError: the configuration contradicts itself, or the classifier to start from has other stages.
    """
    c, own, skeleton = cfg.MODEL.TOPDOWN, cfg.MODEL.MSPN, get_skeleton(cfg.MODEL.SKELETON)
    if cfg.MODEL.BACKBONE.FREEZE_AT:
        raise ValueError(
            f"MODEL.BACKBONE.FREEZE_AT {cfg.MODEL.BACKBONE.FREEZE_AT}: MSPN trains all its stages; set it 0, or name what "
            f"trains in SOLVER.TRAINED_PARTS"
        )
    for key, known in (("TARGETS", _TARGETS), ("VISIBILITY_TARGETS", _VISIBILITIES)):
        if own[key] not in known:
            raise ValueError(f"MODEL.MSPN.{key}: expected {' or '.join(known)}, got {own[key]!r}")
    if own.OHKM_TOPK < 1:
        raise ValueError(
            f"MODEL.MSPN.OHKM_TOPK: expected 1 or more, got {own.OHKM_TOPK}; MODEL.MSPN.OHKM False takes all joints"
        )
    backbone = MultiStageBackbone(
        stages=own.STAGES,
        block=own.BLOCK,
        blocks=own.BLOCKS,
        channels=own.CHANNELS,
        up_channels=own.UP_CHANNELS,
        skips=own.CSFA,
    )
    codec, unit_losses = _supervision(cfg)
    network = MSPNNetwork(
        backbone,
        MultiStageHead(
            own.UP_CHANNELS,
            len(skeleton),
            own.STAGES,
            spread=c.HEATMAP_PEAK / _RELEASED_PEAK if c.LOSS == "heatmap" else 1.0,
        ),
        unit_losses=unit_losses,
        hardest=own.OHKM_TOPK if own.OHKM else 0,
        coarse_weight=own.COARSE_WEIGHT if own.UNIT_SUPERVISION else 0.0,
        hidden_are_empty=own.VISIBILITY_TARGETS == "release",
        codec=codec,
        skeleton=skeleton,
        loss_weight=c.LOSS_WEIGHT,
        visibility_loss_weight=c.VISIBILITY_LOSS_WEIGHT,
        **crop_settings(cfg),
    )
    if cfg.MODEL.TIMM.PRETRAINED:
        _start_from_classifier(network, cfg.MODEL.TIMM.NAME)
    replace_norm(network, cfg.MODEL.BACKBONE.NORM)
    return channels_last(network)


def stage_kernels(kernels: Sequence[int], stages: int, *, coarse_to_fine: bool) -> list[list[int]]:
    """Kernels of each stage's units, coarsest first (paper, section 3.3; which unit has which, from the release).

    Raises:
        ValueError: there are too few or too many, or one is no odd number.
    """
    needed = SCALES + coarse_to_fine
    if not needed <= len(kernels) <= SCALES + 1 or any(kernel < 1 or kernel % 2 != 1 for kernel in kernels):
        raise ValueError(f"MODEL.MSPN.KERNELS: expected {needed} odd numbers of cells, got {list(kernels)}")
    last = list(kernels[1 : SCALES + 1] if coarse_to_fine else kernels[:SCALES])
    return [list(kernels[:SCALES])] * (stages - 1) + [last]


def _supervision(cfg: CfgNode) -> tuple[KeypointCodec, list[list[UnitLoss]]]:
    """What reads the last map, and what trains each stage's units."""
    own = cfg.MODEL.MSPN
    kernels = stage_kernels(own.KERNELS, own.STAGES, coarse_to_fine=own.COARSE_TO_FINE)
    codec = build_codec(cfg, get_skeleton(cfg.MODEL.SKELETON))
    if isinstance(codec, CrossEntropyCodec):
        return codec, [[CrossEntropyLoss(codec)] * SCALES for _ in kernels]
    if not isinstance(codec, HeatmapCodec):
        raise ValueError(
            f"MODEL.TOPDOWN.LOSS: expected heatmap or cross_entropy of MSPN, got {cfg.MODEL.TOPDOWN.LOSS!r}"
        )
    codecs = [[_kernel_codec(cfg, kernel) for kernel in stage] for stage in kernels]
    return codecs[-1][-1], [[HeatmapLoss(one) for one in stage] for stage in codecs]


def _kernel_codec(cfg: CfgNode, kernel: int) -> HeatmapCodec:
    if cfg.MODEL.MSPN.TARGETS == "megvii":
        return HeatmapCodec(kernel=kernel, **heatmap_settings(cfg))
    return HeatmapCodec(sigma=kernel_sigma(kernel), subpixel=True, **heatmap_settings(cfg))


def _start_from_classifier(network: MSPNNetwork, name: str) -> None:
    """Fills the stem and every stage's way down with timm's ImageNet weights, as mmpose does."""
    try:
        classifier = timm.create_model(name, pretrained=True)
    except Exception as error:  # the hub's client has its own kinds of errors, and others in each release
        raise ValueError(
            f"MODEL.TIMM.PRETRAINED: cannot get timm's ImageNet weights of {name} ({' '.join(str(error).split())[:200]}); "
            f"set it False, and MODEL.WEIGHTS to a file to start from"
        ) from error
    start_from(network, classifier.state_dict(), name)


@torch.no_grad()
def start_from(network: MSPNNetwork, tensors: Mapping[str, Tensor], name: str) -> None:
    """Fills the stem and every stage's way down with a ResNet's tensors, in place.

    Raises:
        ValueError: its stages are others.
    """
    own = network.state_dict()
    given = network.adapted({_TRUNK + key: tensor for key, tensor in tensors.items()})
    wanted = [key for key in own if key.startswith("backbone.top.") or ".down." in key]
    other = [key for key in wanted if key not in given or given[key].shape != own[key].shape]
    other += [key for key in given if key not in own]
    if other:
        raise ValueError(
            f"MODEL.TIMM.NAME {name}: its stages are not those of MODEL.MSPN.BLOCK, BLOCKS and CHANNELS (first {other[0]}): "
            f"name the ResNet that they are of, or set MODEL.TIMM.PRETRAINED False"
        )
    for key in wanted:
        own[key].copy_(given[key])
