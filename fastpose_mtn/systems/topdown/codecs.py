"""Keypoint representations: what a network's maps mean, how they are trained, and how they are read out.

Positions are in cells of the maps, cell j's centre being j + 0.5; regions are the parts of the frame that maps show.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypedDict

import torch
from torch import Tensor
from torch.nn import functional as F

from fastpose_mtn.config import CfgNode
from fastpose_mtn.ops.gaussian_maps import gaussian_targets, kernel_targets
from fastpose_mtn.ops.heatmap_peaks import DECODERS, decode_peaks
from fastpose_mtn.ops.heatmaps import decode_keypoints
from fastpose_mtn.ops.integral import normalise, soft_argmax
from fastpose_mtn.skeletons import Skeleton


class DecodedJoints(NamedTuple):
    """Where the joints of N people are.

    positions (N, K, 2) float32 x, y in cells; confidences (N, K) float32 in [0, 1]; similarities (N, K), the OKS that is
    expected of the positions, or None where the representation does not tell.
    """

    positions: Tensor
    confidences: Tensor
    similarities: Tensor | None


class KeypointCodec(Protocol):
    """One keypoint representation.

    Attributes:
        averages_maps: of a crop and its mirror image the mean of the maps is read; else of what is read of each.
    """

    averages_maps: bool

    def loss(self, maps: Tensor, positions: Tensor, labelled: Tensor) -> Tensor:
        """How far maps are from where the joints are, a scalar.

        Args:
            maps: (N, K, H, W), the network's.
            positions: (N, K, 2) x, y in cells, also outside the maps.
            labelled: (N, K) bool.
        """
        ...

    def decode(self, maps: Tensor, people_wh: Tensor) -> DecodedJoints:
        """The joints of all people at once.

        Args:
            maps: (N, K, H, W).
            people_wh: (N, 2) the sizes of the people's boxes, in cells.
        """
        ...

    def heights(self, maps: Tensor) -> Tensor:
        """Maps (N, K, H, W) float32 of where joints are, in [0, 1], whatever the network's own mean."""
        ...


class HeatmapCodec:
    """A Gaussian at each joint, by the mean squared error; read out at the maximum (Xiao et al. 2018).

    Args:
        sigma: standard deviation, cells.
        subpixel: whether Gaussians lie between cells.
        kernel: cells of the filter that makes a target of one cell, in place of a Gaussian, as in MSPN's release; 0: not.
        peak: height of the targets in the maps. Losses are of maps in shares of it.
        decoder, filter_kernel: see ``ops.heatmap_peaks.decode_peaks``.
    """

    averages_maps = True

    def __init__(
        self,
        *,
        sigma: float = 2.0,
        subpixel: bool = False,
        kernel: int = 0,
        peak: float = 1.0,
        decoder: str = "quarter",
        filter_kernel: int = 0,
    ) -> None:
        if not sigma > 0:
            raise ValueError(f"MODEL.TOPDOWN.HEATMAP_SIGMA: expected cells above 0, got {sigma}")
        if not peak > 0:
            raise ValueError(f"MODEL.TOPDOWN.HEATMAP_PEAK: expected a height above 0, got {peak}")
        if decoder not in DECODERS:
            raise ValueError(f"MODEL.TOPDOWN.DECODER: expected one of {', '.join(DECODERS)}, got {decoder!r}")
        if filter_kernel and (filter_kernel < 0 or filter_kernel % 2 == 0):
            raise ValueError(
                f"MODEL.TOPDOWN.FILTER_KERNEL: expected an odd number of cells, or 0, got {filter_kernel}"
            )
        self._sigma, self._subpixel, self._kernel, self.peak = sigma, subpixel, kernel, peak
        self._decoder, self._filter_kernel = decoder, filter_kernel

    def loss(self, maps: Tensor, positions: Tensor, labelled: Tensor) -> Tensor:
        """Half the mean over all cells of all maps; maps without a labelled Gaussian count nothing."""
        return 0.5 * self.each(maps, positions, labelled).mean()

    def each(self, maps: Tensor, positions: Tensor, counts: Tensor, drawn: Tensor | None = None) -> Tensor:
        """(N, K) mean squared error of each map over its cells, 0 for those that count nothing.

        Args:
            maps: (N, K, H, W).
            positions: (N, K, 2) in cells.
            counts: (N, K) bool.
            drawn: (N, K) bool: joints that have a Gaussian; maps of the others are to be empty. None: maps without a
                Gaussian count nothing.
        """
        size_hw = (maps.shape[-2], maps.shape[-1])
        if self._kernel:
            wanted, touches = kernel_targets(positions, size_hw, kernel=self._kernel)
        else:
            wanted, touches = gaussian_targets(positions, size_hw, sigma=self._sigma, subpixel=self._subpixel)
        if drawn is None:
            counts = counts & touches
        else:
            wanted = wanted * drawn[..., None, None]
        errors = (maps.float() / self.peak - wanted).square().mean(dim=(2, 3))
        return torch.where(counts, errors, 0.0)

    def decode(self, maps: Tensor, people_wh: Tensor) -> DecodedJoints:
        """The maximum and a part of a cell; confidences are the heights there."""
        positions, heights = decode_peaks(
            maps.float() / self.peak, decoder=self._decoder, kernel=self._filter_kernel
        )
        return DecodedJoints(positions, heights, None)

    def heights(self, maps: Tensor) -> Tensor:
        """The maps themselves, cut at what the targets' heights are."""
        return (maps.float() / self.peak).clamp(0.0, 1.0)


class IntegralCodec:
    """The mean of a normalised map, by the distance to the joint; see ``ops.integral``.

    Args:
        weights: (K,) of the joints.
        two_step: how maps are normalised, see ``ops.integral.normalise``.
        amplitude: of the symmetric gradient, a share of each side; None: the true gradient.
        absolute: amplitude in cells, the same along both axes; 0: ``amplitude`` counts.
    """

    averages_maps = False

    def __init__(
        self,
        weights: Tensor,
        *,
        two_step: bool = True,
        amplitude: float | None = 0.125,
        absolute: float = 0.0,
    ) -> None:
        self._weights, self._two_step = weights, two_step
        self._amplitude, self._absolute = amplitude, absolute

    def loss(self, maps: Tensor, positions: Tensor, labelled: Tensor) -> Tensor:
        """Distances along both axes in shares of the map, summed over joints, the mean over people.

        Joints outside the map count nothing: they would draw means to its border.
        """
        height, width = maps.shape[-2:]
        size = torch.tensor([width, height], dtype=torch.float32, device=maps.device)
        inside = ((positions >= 0) & (positions < size)).all(dim=-1) & labelled
        found = soft_argmax(normalise(maps, two_step=self._two_step)[0], self._amplitudes((height, width)))
        distance = ((found - positions) / size).abs().sum(dim=-1)
        weights = self._weights.to(maps.device) * inside
        return torch.where(inside, distance * weights, 0.0).sum() / max(1, len(maps))

    def _amplitudes(self, size_hw: tuple[int, int]) -> tuple[float, float] | None:
        if self._amplitude is None:
            return None
        if self._absolute:
            return self._absolute, self._absolute
        return self._amplitude * size_hw[1], self._amplitude * size_hw[0]

    def decode(self, maps: Tensor, people_wh: Tensor) -> DecodedJoints:
        """Means of the maps; confidences are the maxima of what they are normalised from."""
        probabilities, confidences = normalise(maps, two_step=self._two_step)
        return DecodedJoints(soft_argmax(probabilities), confidences, None)

    def heights(self, maps: Tensor) -> Tensor:
        """What is normalised by its sum (equation 13); of one softmax its shares of the highest cell."""
        return maps.float().sigmoid() if self._two_step else _of_highest(maps)


class CrossEntropyCodec:
    """A softmax over the cells, by the cross-entropy, as in Mask R-CNN; read out where the expected OKS is greatest.

    Args:
        sigmas: OKS's constant of each joint.
    """

    averages_maps = True

    def __init__(self, sigmas: Tensor) -> None:
        self._sigmas = sigmas

    def loss(self, maps: Tensor, positions: Tensor, labelled: Tensor) -> Tensor:
        """The mean over the labelled joints inside their maps."""
        each, inside = self.each(maps, positions, labelled)
        return each.sum() / inside.sum().clamp(min=1)

    def each(self, maps: Tensor, positions: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
        """(N, K) cross-entropies, 0 where a joint counts nothing, and (N, K) bool: which count."""
        height, width = maps.shape[-2:]
        column, row = positions.floor().to(torch.int64).unbind(dim=-1)
        inside = labelled & (column >= 0) & (row >= 0) & (column < width) & (row < height)
        cell = torch.where(inside, row * width + column, 0)
        each = F.cross_entropy(maps.float().flatten(0, 1).flatten(1), cell.flatten(), reduction="none")
        return torch.where(inside, each.view_as(inside), 0.0), inside

    def decode(self, maps: Tensor, people_wh: Tensor) -> DecodedJoints:
        """Positions and expected OKS, which are the confidences too; see ``ops.heatmaps.decode_keypoints``."""
        height, width = maps.shape[-2:]
        whole = torch.tensor([0.0, 0.0, width, height], device=maps.device).expand(maps.shape[0], 4)
        people = torch.cat((torch.zeros_like(people_wh), people_wh), dim=1).float()
        positions, similarity = decode_keypoints(maps, whole, people, self._sigmas.to(maps.device))
        return DecodedJoints(positions, similarity, similarity)

    def heights(self, maps: Tensor) -> Tensor:
        """Probabilities as shares of the likeliest cell's, which alone would be as small as peaks are wide."""
        return _of_highest(maps)


def _of_highest(logits: Tensor) -> Tensor:
    """A softmax over the cells of (N, K, H, W) logits, divided by its maximum, float32."""
    z = logits.float()
    return (z - z.amax(dim=(-2, -1), keepdim=True)).exp()


class CombinedCodec:
    """Heatmaps for the body and feet, means for faces and hands (AlphaPose's combined loss).

    Args:
        heatmaps: of the body and feet.
        integrals: of all joints, whose weights count for the others.
        coarse: (K,) bool, the joints of the body and feet.
    """

    averages_maps = False
    # the released ones: a mean over cells against a sum of joints
    _HEATMAP_WEIGHT, _INTEGRAL_WEIGHT = (100.0, 0.01)

    def __init__(self, heatmaps: HeatmapCodec, integrals: IntegralCodec, coarse: Tensor) -> None:
        self._heatmaps, self._integrals, self._coarse = heatmaps, integrals, coarse

    def loss(self, maps: Tensor, positions: Tensor, labelled: Tensor) -> Tensor:
        """The sum of both losses, each of its own joints."""
        coarse = self._coarse.to(maps.device)
        heatmap = self._heatmaps.loss(maps[:, coarse], positions[:, coarse], labelled[:, coarse])
        integral = self._integrals.loss(maps, positions, labelled & ~coarse)
        return self._HEATMAP_WEIGHT * heatmap + self._INTEGRAL_WEIGHT * integral

    def decode(self, maps: Tensor, people_wh: Tensor) -> DecodedJoints:
        """Each joint as its loss has it."""
        coarse = self._coarse.to(maps.device)
        one, other = self._heatmaps.decode(maps, people_wh), self._integrals.decode(maps, people_wh)
        positions = torch.where(coarse[:, None], one.positions, other.positions)
        return DecodedJoints(positions, torch.where(coarse, one.confidences, other.confidences), None)

    def heights(self, maps: Tensor) -> Tensor:
        """Each joint's as its loss has it."""
        coarse = self._coarse.to(maps.device)[:, None, None]
        return torch.where(coarse, self._heatmaps.heights(maps), self._integrals.heights(maps))


def hardest_of(losses: Tensor, count: int) -> Tensor:
    """The greatest ``count`` losses (N, count) of each person's (N, K), or all where there are fewer (OHKM)."""
    return losses.topk(min(count, losses.shape[1]), dim=1).values


class HeatmapSettings(TypedDict):
    """How heatmaps are read; see ``HeatmapCodec``."""

    peak: float
    decoder: str
    filter_kernel: int


def heatmap_settings(cfg: CfgNode) -> HeatmapSettings:
    """Those of ``MODEL.TOPDOWN``."""
    c = cfg.MODEL.TOPDOWN
    return HeatmapSettings(peak=c.HEATMAP_PEAK, decoder=c.DECODER, filter_kernel=c.FILTER_KERNEL)


def build_codec(cfg: CfgNode, skeleton: Skeleton) -> KeypointCodec:
    """The representation that ``MODEL.TOPDOWN.LOSS`` names.

    Raises:
        ValueError: there is none, or one of its values means nothing.
    """
    c = cfg.MODEL.TOPDOWN
    if c.VISIBILITY_LOSS_WEIGHT and c.LOSS in ("heatmap", "combined"):
        raise ValueError(
            f"MODEL.TOPDOWN.VISIBILITY_LOSS_WEIGHT {c.VISIBILITY_LOSS_WEIGHT}: the heights of heatmaps are trained "
            f"already with MODEL.TOPDOWN.LOSS {c.LOSS}; set it to 0"
        )
    heatmaps = HeatmapCodec(sigma=c.HEATMAP_SIGMA, subpixel=c.SUBPIXEL_TARGET, **heatmap_settings(cfg))
    if c.LOSS == "heatmap":
        return heatmaps
    if c.LOSS == "cross_entropy":
        return CrossEntropyCodec(torch.tensor(skeleton.sigmas))
    if c.LOSS not in ("integral", "combined"):
        raise ValueError(
            f"MODEL.TOPDOWN.LOSS: expected integral, heatmap, combined or cross_entropy, got {c.LOSS!r}"
        )
    for key, known in (("NORMALISATION", ("two_step", "softmax")), ("GRADIENT", ("symmetric", "true"))):
        if c[key] not in known:
            raise ValueError(f"MODEL.TOPDOWN.{key}: expected {' or '.join(known)}, got {c[key]!r}")
    weights = torch.zeros(len(skeleton))
    for part, joints in skeleton.parts.items():
        weights[list(joints)] = float(c.PART_WEIGHTS[part.upper()])
    integrals = IntegralCodec(
        weights,
        two_step=c.NORMALISATION == "two_step",
        amplitude=c.ASG_AMPLITUDE if c.GRADIENT == "symmetric" else None,
        absolute=c.ASG_AMPLITUDE_ABSOLUTE,
    )
    if c.LOSS == "integral":
        return integrals
    coarse = torch.zeros(len(skeleton), dtype=torch.bool)
    coarse[[*skeleton.parts["body"], *skeleton.parts["foot"]]] = True
    return CombinedCodec(heatmaps, integrals, coarse)
