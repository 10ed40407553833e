"""The multi-task network: one pass finds people, locates their joints and describes each (paper, section 3.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor

from fastpose_mtn.config import CfgNode
from fastpose_mtn.errors import InputError
from fastpose_mtn.modeling.backbone import TimmDC5, TimmFPN, build_backbone
from fastpose_mtn.modeling.image_network import PeopleNetwork
from fastpose_mtn.modeling.layers import involve
from fastpose_mtn.modeling.layout import channels_last
from fastpose_mtn.modeling.rpn import RPN, Candidates
from fastpose_mtn.ops.matching import IGNORED, NEGATIVE, POSITIVE
from fastpose_mtn.skeletons import Skeleton, get_skeleton
from fastpose_mtn.structures import Batch, PersonDetections
from fastpose_mtn.systems.mtn.keypoint_head import head_skeleton
from fastpose_mtn.systems.mtn.roi_heads import MTNROIHeads, People


class MTN(PeopleNetwork):
    """The multi-task network: backbone, region proposals and heads.

    Parameters are named as in Detectron2's GeneralizedRCNN with our heads, so checkpoints are the same.

    Args:
        backbone: images to pyramid levels, with ``size_divisibility``.
        proposal_generator: pyramid levels to candidate boxes.
        roi_heads: candidate boxes to people.
        skeleton: what the joints are.
        pixel_mean, pixel_std: of the three channels, on 0..255, in the order of ``input_format``.
        input_format: order of the channels that the weights expect; images are always given as RGB.

    Attributes:
        loss_tasks: see ``system_protocols.TrainableNetwork``; those of absent heads never come.
    """

    loss_tasks: Mapping[str, str] = {
        "loss_rpn_cls": "boxes",
        "loss_rpn_loc": "boxes",
        "loss_cls": "boxes",
        "loss_box_reg": "boxes",
        "loss_keypoint": "keypoints",
        "loss_visibility": "keypoints",
        "loss_reid": "identities",
    }
    exact_layers = (
        "proposal_generator.rpn_head.predictions",
        "roi_heads.box_predictor.cls_score",
        "roi_heads.box_predictor.bbox_pred",
    )

    def __init__(
        self,
        *,
        backbone: TimmFPN | TimmDC5,
        proposal_generator: RPN,
        roi_heads: MTNROIHeads,
        skeleton: Skeleton,
        pixel_mean: Sequence[float],
        pixel_std: Sequence[float],
        input_format: str = "RGB",
    ) -> None:
        super().__init__(
            skeleton=skeleton, pixel_mean=pixel_mean, pixel_std=pixel_std, input_format=input_format
        )
        self.backbone, self.proposal_generator, self.roi_heads = backbone, proposal_generator, roi_heads

    @property
    def num_keypoints(self) -> int:
        """K: joints of the skeleton."""
        return len(self.skeleton)

    @property
    def embedding_dim(self) -> int | None:
        """Numbers of an embedding; None: there is no identity head."""
        return None if self.roi_heads.reid_head is None else self.roi_heads.reid_head.embedding_dim

    def _people_of(self, batch: Tensor, sizes_hw: Sequence[tuple[int, int]]) -> list[PersonDetections]:
        return [one.best_first() for one in to_detections(self.find_people(batch, sizes_hw))]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Computes the weighted losses, by the names of ``loss_tasks``; see ``system_protocols.TrainableNetwork``.

        Raises:
            ValueError: the targets have another skeleton than the network.
            FloatingPointError: proposals are not finite: training has diverged.
        """
        self._check(batch)
        pixels, sizes = self.preprocess(batch.images)
        targets = [target.to(self.device) for target in batch.targets]
        features = self.backbone(pixels)
        has_boxes = ["boxes" in tasks for tasks in batch.tasks]
        proposals, losses = self.proposal_generator(features, sizes, targets, has_boxes)
        losses.update(self.roi_heads.losses(features, proposals, targets, batch.tasks))
        return involve(losses, self.parameters())

    def find_people(self, batch: Tensor, image_sizes_hw: Sequence[tuple[int, int]]) -> People:
        """Finds the people of a preprocessed batch, on the model's device; coordinates in the batch's pixels."""
        return self.run_heads(*self.trunk(batch), image_sizes_hw)

    def run_heads(
        self,
        features: dict[str, Tensor],
        candidates: Candidates,
        image_sizes_hw: Sequence[tuple[int, int]],
        min_score: float = 0.0,
    ) -> People:
        """Finds the people among the candidates that ``trunk`` gives: other steps for every batch.

        Whoever would score below ``min_score`` may be left out.
        """
        proposals = self.proposal_generator.suppress(candidates, image_sizes_hw)
        return self.roi_heads.inference(features, proposals, image_sizes_hw, min_score)

    def trunk(self, batch: Tensor) -> tuple[dict[str, Tensor], Candidates]:
        """Computes pyramid levels and candidate boxes: the same steps for every batch (B, 3, H, W) of a shape."""
        features = self.backbone(batch)
        return features, self.proposal_generator.candidates(features)


def to_detections(people: People) -> list[PersonDetections]:
    """Converts each image's people to NumPy arrays, in their order, in one transfer from the device."""
    boxes, scores, keypoints = (tensor.float().cpu().numpy() for tensor in people[:3])
    embeddings = None if people.embeddings is None else people.embeddings.float().cpu().numpy()
    out, start = [], 0
    for count in people.counts:
        rows = slice(start, start + count)
        out.append(
            PersonDetections(
                boxes=boxes[rows],
                scores=scores[rows],
                keypoints=keypoints[rows],
                embeddings=None if embeddings is None else embeddings[rows],
            )
        )
        start += count
    return out


def check_config(cfg: CfgNode) -> Skeleton:
    """Checks that the heads can do what the configuration asks of them, and returns the network's skeleton.

    Raises:
        ValueError: there are other classes than people, the skeleton is unknown or has another number of joints than the
            keypoint head, the RPN has no convolution, or what overlaps mean is not said of each of their ranges.
    """
    classes = cfg.MODEL.ROI_HEADS.NUM_CLASSES
    if classes != 1:
        raise ValueError(
            f"MODEL.ROI_HEADS.NUM_CLASSES is {classes}, but MTNROIHeads finds people only: set it to 1"
        )
    dims = list(cfg.MODEL.RPN.CONV_DIMS)
    if not dims or not all(dim == -1 or dim >= 1 for dim in dims):
        raise InputError(
            f"MODEL.RPN.CONV_DIMS: expected channels of 1 convolution or more, each -1 or 1 or more, got {dims}"
        )
    for section in ("RPN", "ROI_HEADS"):
        _check_ranges(section, list(cfg.MODEL[section].IOU_THRESHOLDS), list(cfg.MODEL[section].IOU_LABELS))
    return head_skeleton(cfg) if cfg.MODEL.KEYPOINT_ON else get_skeleton(cfg.MODEL.SKELETON)


def _check_ranges(section: str, thresholds: list[float], labels: list[int]) -> None:
    if thresholds != sorted(thresholds) or not all(0 < threshold <= 1 for threshold in thresholds):
        raise InputError(
            f"MODEL.{section}.IOU_THRESHOLDS: expected overlaps that rise, above 0 and at most 1, got {thresholds}"
        )
    if len(labels) != len(thresholds) + 1 or not {IGNORED, NEGATIVE, POSITIVE}.issuperset(labels):
        raise InputError(
            f"MODEL.{section}.IOU_LABELS: expected {NEGATIVE}, {IGNORED} or {POSITIVE} for each of the "
            f"{len(thresholds) + 1} ranges between IOU_THRESHOLDS, got {labels}"
        )


def _check_levels(cfg: CfgNode, known: Iterable[str]) -> None:
    for section in ("RPN", "ROI_HEADS"):
        names = list(cfg.MODEL[section].IN_FEATURES)
        if not names or not set(names) <= set(known):
            raise InputError(
                f"MODEL.{section}.IN_FEATURES: expected some of the backbone's levels {', '.join(known)}, got {names}"
            )


def build_model(cfg: CfgNode) -> MTN:
    """Builds the network that a configuration describes, with initial weights, in channels-last memory.

    Raises:
        ValueError: the configuration contradicts itself or names something unknown.
    """
    skeleton = check_config(cfg)
    backbone = build_backbone(cfg)
    _check_levels(cfg, backbone.out_strides)
    model = MTN(
        backbone=backbone,
        proposal_generator=RPN.from_config(cfg, backbone.out_channels, backbone.out_strides),
        roi_heads=MTNROIHeads.from_config(cfg, backbone.out_channels),
        skeleton=skeleton,
        pixel_mean=cfg.MODEL.PIXEL_MEAN,
        pixel_std=cfg.MODEL.PIXEL_STD,
        input_format=cfg.INPUT.FORMAT,
    )
    return channels_last(model)
