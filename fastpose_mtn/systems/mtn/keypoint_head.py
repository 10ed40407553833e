"""The keypoint heads: the paper's (22x16 to 88x64) and Mask R-CNN's own (14x14 to 56x56)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastpose_mtn.config import CfgNode
from fastpose_mtn.modeling.layers import add_convs, msra_init
from fastpose_mtn.ops.boxes import pad_to_aspect
from fastpose_mtn.ops.heatmaps import decode_keypoints, decode_keypoints_resized, encode_keypoints
from fastpose_mtn.skeletons import Skeleton, get_skeleton

if TYPE_CHECKING:
    from typing_extensions import Unpack

DECODERS = {"subpixel": decode_keypoints, "resize": decode_keypoints_resized}


class KeypointPrediction(NamedTuple):
    """What a keypoint head predicts for R regions.

    heatmaps (R, K, H, W) float32 logits; visibility (R, K) float32 logits of "visible", or None.
    """

    heatmaps: Tensor
    visibility: Tensor | None


class SharedArguments(TypedDict, total=False):
    """Arguments of ``KeypointHead`` that both heads hand on."""

    loss_weight: float
    loss_normalizer: float | None
    batch_size_per_image: int
    decoder: str


class KeypointHead(nn.Module):
    """Base class of the keypoint heads: regions, losses, decoding.

    Args:
        sigmas: OKS's constant of each of the K joints (see ``Skeleton``), by which they are decoded.
        resolution_hw: of the features that are read.
        visibility_loss_weight: of the visibility loss; 0: there is no visibility branch.
        loss_weight: of the heatmap loss.
        loss_normalizer: heatmap losses are divided by this times the number of images; None: by the
            number of joints trained (Detectron2's NORMALIZE_LOSS_BY_VISIBLE_KEYPOINTS).
        batch_size_per_image: positive proposals trained, an image.
        decoder: ``subpixel``, or ``resize`` as Mask R-CNN does; see ``ops.heatmaps``.
    """

    sigmas: Tensor

    def __init__(
        self,
        *,
        sigmas: Sequence[float],
        resolution_hw: tuple[int, int],
        visibility_loss_weight: float,
        loss_weight: float = 1.0,
        loss_normalizer: float | None = None,
        batch_size_per_image: int = 128,
        decoder: str = "subpixel",
    ) -> None:
        super().__init__()
        if decoder not in DECODERS:
            raise ValueError(
                f"MODEL.ROI_KEYPOINT_HEAD.DECODER: expected one of {', '.join(DECODERS)}, got {decoder!r}"
            )
        self.decoder = decoder
        self.num_keypoints = len(sigmas)
        self.register_buffer("sigmas", torch.tensor(sigmas), persistent=False)
        self.resolution_hw = resolution_hw
        self.loss_weight, self.visibility_loss_weight = loss_weight, visibility_loss_weight
        self.loss_normalizer = loss_normalizer
        self.batch_size_per_image = batch_size_per_image

    def regions(self, boxes_xyxy: Tensor) -> Tensor:
        """The part of the image (R, 4) that is read, and that the heatmaps cover, for each person's box."""
        return boxes_xyxy

    def losses(
        self, prediction: KeypointPrediction, boxes_xyxy: Tensor, keypoints: Tensor, num_images: int
    ) -> dict[str, Tensor]:
        """Computes spatial and visibility cross-entropy over the labelled joints inside the region.

        Args:
            prediction: from ``forward``, R rows.
            boxes_xyxy: (R, 4) the proposals, before ``regions``.
            keypoints: (R, K, 3) of the matched people, v 0 for joints that do not train.
            num_images: images that train keypoints.
        """
        heatmaps = prediction.heatmaps
        cell, valid = encode_keypoints(
            keypoints, self.regions(boxes_xyxy), (heatmaps.shape[2], heatmaps.shape[3])
        )
        spatial = F.cross_entropy(heatmaps.flatten(2)[valid], cell[valid], reduction="sum")
        count = max(1, int(valid.sum()))
        normalizer = count if self.loss_normalizer is None else self.loss_normalizer * max(1, num_images)
        losses = {"loss_keypoint": self.loss_weight * spatial / normalizer}
        if prediction.visibility is not None:
            visible = (keypoints[..., 2] == 2).float()
            entropy = F.binary_cross_entropy_with_logits(
                prediction.visibility[valid], visible[valid], reduction="sum"
            )
            losses["loss_visibility"] = self.visibility_loss_weight * entropy / count
        return losses

    def no_losses(self) -> dict[str, Tensor]:
        """The losses of a step without a joint to train."""
        zero = self.sigmas.new_zeros(())
        losses = {"loss_keypoint": zero}
        if self.visibility_loss_weight > 0:
            losses["loss_visibility"] = zero
        return losses

    def decode(
        self, prediction: KeypointPrediction, boxes_xyxy: Tensor, scores: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Decodes the joints of all people at once.

        A joint's confidence is the probability that it is visible, where there is a visibility branch;
        otherwise it is the expected OKS of its position. Neither depends on the person's size.

        A person's score is the box's times the mean expected OKS of the joints: a box that is surely a
        person's but whose joints are guesses ranks lower. Mask R-CNN (``decoder`` resize) keeps the box's.

        Args:
            prediction: from ``forward``, R rows.
            boxes_xyxy: (R, 4), as found.
            scores: (R,) of the boxes.

        Returns:
            (R, K, 3) float32 x, y in pixels and a confidence in [0, 1], and (R,) scores in [0, 1].
        """
        position, similarity = DECODERS[self.decoder](
            prediction.heatmaps, self.regions(boxes_xyxy), boxes_xyxy, self.sigmas
        )
        confidence = similarity if prediction.visibility is None else prediction.visibility.float().sigmoid()
        keypoints = torch.cat((position, confidence[..., None]), dim=-1)
        return keypoints, scores * similarity.mean(dim=1) if self.decoder == "subpixel" else scores


class MTNKeypointHead(KeypointHead):
    """The paper's head: 3x3 convolutions on 22x16 features, then two deconvolutions to 88x64.

    The person's box is padded to the features' proportions, never cut. With a visibility branch, the
    last deconvolution also gives one map a joint, which is read out where the joint's heatmap has
    its mass: whether a joint is hidden is seen at its place.

    Args:
        in_channels: of the pyramid.
        conv_dims: channels of the 3x3 convolutions (8 or 4 times 512 in the paper).
        conv_dilations: of each of them; empty: 1, as in the paper. Four of them see 9x9 of the 22x16
            positions, too little to tell from the face which ankle is the left one; with dilations 1, 2,
            4, 8 they see all of them at the same cost.
        deconv_dim: channels between the two deconvolutions.
        norm: normalisation of the 3x3 convolutions and of the first deconvolution.
        See ``KeypointHead`` for the others.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        sigmas: Sequence[float],
        conv_dims: Sequence[int] = (512,) * 8,
        conv_dilations: Sequence[int] = (),
        deconv_dim: int = 256,
        norm: str = "",
        resolution_hw: tuple[int, int] = (22, 16),
        visibility_loss_weight: float = 0.5,
        **shared: Unpack[SharedArguments],
    ) -> None:
        super().__init__(
            sigmas=sigmas,
            resolution_hw=resolution_hw,
            visibility_loss_weight=visibility_loss_weight,
            **shared,
        )
        self.convs, channels = add_convs(
            self,
            "conv_fcn",
            in_channels,
            conv_dims,
            dilations=conv_dilations,
            norm=norm,
            section="MODEL.ROI_KEYPOINT_HEAD",
        )
        self.has_visibility = visibility_loss_weight > 0
        maps = self.num_keypoints * (2 if self.has_visibility else 1)
        self.deconv1 = nn.ConvTranspose2d(channels, deconv_dim, 4, stride=2, padding=1)
        self.deconv_relu1 = nn.ReLU(inplace=True)
        self.deconv2 = nn.ConvTranspose2d(deconv_dim, maps, 4, stride=2, padding=1)
        for deconv in (self.deconv1, self.deconv2):
            msra_init(deconv)
        # a random start of confident heatmaps far from the truth costs cross-entropies of hundreds
        nn.init.normal_(self.deconv2.weight, std=0.001)

    @classmethod
    def from_config(cls, cfg: CfgNode, in_channels: int) -> MTNKeypointHead:
        """The head that ``MODEL.ROI_KEYPOINT_HEAD`` describes."""
        return cls(**cls.arguments(cfg, in_channels))

    @staticmethod
    def arguments(cfg: CfgNode, in_channels: int) -> dict[str, Any]:
        """The constructor's arguments that a configuration gives."""
        c = cfg.MODEL.ROI_KEYPOINT_HEAD
        return {
            "in_channels": in_channels,
            "conv_dims": c.CONV_DIMS,
            "conv_dilations": c.CONV_DILATIONS,
            "deconv_dim": c.DECONV_DIM,
            "norm": c.NORM,
            "visibility_loss_weight": c.VISIBILITY_LOSS_WEIGHT,
            **_shared_from_config(cfg),
        }

    def regions(self, boxes_xyxy: Tensor) -> Tensor:
        """The boxes (R, 4) padded to the features' proportions."""
        height, width = self.resolution_hw
        return pad_to_aspect(boxes_xyxy, height / width)

    def forward(self, x: Tensor) -> KeypointPrediction:
        """Predicts heatmaps four times as fine as the features (R, C, 22, 16)."""
        for name in self.convs:
            x = getattr(self, name)(x)
        x = self.deconv_relu1(self.deconv1(x))
        maps = self.deconv2(x).float()
        if not self.has_visibility:
            return KeypointPrediction(maps, None)
        heatmaps, visibility = maps[:, : self.num_keypoints], maps[:, self.num_keypoints :]
        # detached: visibility must not move the joint to where it would be easier to judge
        attention = heatmaps.detach().flatten(2).softmax(dim=-1)
        return KeypointPrediction(heatmaps, (attention * visibility.flatten(2)).sum(dim=-1))


class KRCNNConvDeconvUpsampleHead(KeypointHead):
    """Mask R-CNN's own head: convolutions on 14x14 features, one deconvolution, bilinear to 56x56.

    The baseline of the paper's Table 1a. Parameters are named as in Detectron2.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        sigmas: Sequence[float],
        conv_dims: Sequence[int] = (512,) * 8,
        resolution_hw: tuple[int, int] = (14, 14),
        **shared: Unpack[SharedArguments],
    ) -> None:
        super().__init__(sigmas=sigmas, resolution_hw=resolution_hw, visibility_loss_weight=0.0, **shared)
        self.convs, channels = add_convs(self, "conv_fcn", in_channels, conv_dims)
        self.score_lowres = nn.ConvTranspose2d(channels, self.num_keypoints, 4, stride=2, padding=1)
        msra_init(self.score_lowres)

    @classmethod
    def from_config(cls, cfg: CfgNode, in_channels: int) -> KRCNNConvDeconvUpsampleHead:
        """The head that ``MODEL.ROI_KEYPOINT_HEAD`` describes."""
        return cls(
            in_channels=in_channels,
            conv_dims=cfg.MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS,
            **_shared_from_config(cfg),
        )

    def forward(self, x: Tensor) -> KeypointPrediction:
        """Predicts heatmaps four times as fine as the features (R, C, 14, 14)."""
        for name in self.convs:
            x = getattr(self, name)(x)
        x = self.score_lowres(x).float()
        return KeypointPrediction(
            F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False), None
        )


def head_skeleton(cfg: CfgNode) -> Skeleton:
    """The skeleton whose joints the head locates.

    Raises:
        ValueError: it is unknown, or has not ``NUM_KEYPOINTS`` joints.
    """
    skeleton = get_skeleton(cfg.MODEL.SKELETON)
    _check_count(cfg, f"MODEL.SKELETON {skeleton.name} has {len(skeleton)} joints", len(skeleton))
    return skeleton


def _sigmas(cfg: CfgNode) -> tuple[float, ...]:
    """OKS's constants: those that are given, for joints that need no skeleton of ours, or the skeleton's."""
    given = tuple(cfg.TEST.KEYPOINT_OKS_SIGMAS)
    if not given:
        return head_skeleton(cfg).sigmas
    _check_count(cfg, f"TEST.KEYPOINT_OKS_SIGMAS has {len(given)} numbers", len(given))
    return given


def _check_count(cfg: CfgNode, found: str, count: int) -> None:
    expected = cfg.MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS
    if count != expected:
        raise ValueError(f"MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS is {expected}, but {found}; make them equal")


def _shared_from_config(cfg: CfgNode) -> dict[str, Any]:
    c, roi = cfg.MODEL.ROI_KEYPOINT_HEAD, cfg.MODEL.ROI_HEADS
    resolution = c.POOLER_RESOLUTION
    per_image = c.NUM_KEYPOINTS * roi.BATCH_SIZE_PER_IMAGE * roi.POSITIVE_FRACTION
    return {
        "sigmas": _sigmas(cfg),
        "resolution_hw": tuple(resolution) if isinstance(resolution, (list, tuple)) else (resolution,) * 2,
        "loss_weight": c.LOSS_WEIGHT,
        "loss_normalizer": None if c.NORMALIZE_LOSS_BY_VISIBLE_KEYPOINTS else per_image,
        "batch_size_per_image": c.BATCH_SIZE_PER_IMAGE,
        "decoder": c.DECODER,
    }


KEYPOINT_HEADS: dict[str, type[MTNKeypointHead] | type[KRCNNConvDeconvUpsampleHead]] = {
    "MTNKeypointHead": MTNKeypointHead,
    "KRCNNConvDeconvUpsampleHead": KRCNNConvDeconvUpsampleHead,
}


def build_keypoint_head(cfg: CfgNode, in_channels: int) -> KeypointHead:
    """Builds the head that ``MODEL.ROI_KEYPOINT_HEAD.NAME`` names.

    Raises:
        ValueError: there is none.
    """
    name = cfg.MODEL.ROI_KEYPOINT_HEAD.NAME
    if name not in KEYPOINT_HEADS:
        raise ValueError(
            f"MODEL.ROI_KEYPOINT_HEAD.NAME: unknown head {name!r}; known: {', '.join(KEYPOINT_HEADS)}"
        )
    return KEYPOINT_HEADS[name].from_config(cfg, in_channels)
