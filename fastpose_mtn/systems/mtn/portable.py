"""The network for one image as a graph that runtimes can hold: no Python decision depends on the image.

The steps, numbers and weights are ``MTN``'s; only their form differs. Sizes of images and numbers of people stay open,
nobody at all included.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import nms, roi_align

from fastpose_mtn.errors import InputError
from fastpose_mtn.estimators.portable import PortableNetwork, RoundedLayers
from fastpose_mtn.estimators.runtimes import GIVEN, INPUT, MIN_SCORE, OUTPUTS
from fastpose_mtn.modeling.pooler import RoIPooler
from fastpose_mtn.modeling.rpn import likely
from fastpose_mtn.ops.boxes import decode_deltas, nonempty
from fastpose_mtn.ops.roi import assign_levels
from fastpose_mtn.runtime.inference import folded
from fastpose_mtn.runtime.portable_layers import PointwiseConv, upsample_by_convolutions
from fastpose_mtn.systems.mtn.network import MTN

_COARSE = "backbone|rpn_head/conv|box_head|reid_head|keypoint_head"
# Names of what is quantised, after the modules: most of the work where people are many. Nothing between the backbone and
# the heads may be: with the pyramid in 8 bits one box in sixty would move, and NNCF measures a level from which nobody is
# read in a frame as a range of 0, and for good. conv and conv_1 are the RPN's at the two finest levels, for OpenVINO only:
# ONNX Runtime's ranges are plain extremes, with which a percent of the people would get other boxes.
_HEAD_NAMES = "box_head/fc1|keypoint_head|reid_head"
HEADS = RoundedLayers(
    onnx=f"^/({_HEAD_NAMES})/",
    openvino=f"^/(rpn_head/conv|rpn_head/conv_1|{_HEAD_NAMES})/",
    # of vectors and heatmaps
    exact_types=(
        "Add",
        "Subtract",
        "Multiply",
        "Divide",
        "Minimum",
        "Maximum",
        "Clamp",
        "Exp",
        "Log",
        "ReduceSum",
        "ReduceL2",
    ),
    rounds_early=True,
    coarse=_COARSE,
)
_NO_CANDIDATE = -1e6  # a logit below every real one


class PortableMTN(PortableNetwork):
    """A network that finds the people of one image of any size.

    Args:
        model: is copied; normalisation is folded into the copy's convolutions.
        given_boxes: take boxes of people too, who are described beside those that are found.
        min_score: take a score too, below which boxes that are found are left out.

    Raises:
        InputError: the network has no joints, or decodes them by enlarging each person's heatmaps to their own
            size, which a graph cannot express.
    """

    coarse_layers = _COARSE

    def __init__(self, model: MTN, *, given_boxes: bool = False, min_score: bool = False) -> None:
        super().__init__()
        head = model.roi_heads.keypoint_head
        if head is None:
            raise InputError("MODEL.KEYPOINT_ON False: a network without joints cannot be exported")
        if head.decoder != "subpixel":
            raise InputError(
                "MODEL.ROI_KEYPOINT_HEAD.DECODER resize: it cannot be exported; choose "
                "MODEL.ROI_KEYPOINT_HEAD.DECODER subpixel"
            )
        self.model = folded(model, torch.bfloat16)  # the coarsest that runtimes use
        upsample_by_convolutions(self.model)
        predictor = self.model.roi_heads.box_predictor
        for name in ("cls_score", "bbox_pred"):
            setattr(predictor, name, PointwiseConv(getattr(predictor, name)))
        taken = {INPUT: True, GIVEN: given_boxes, MIN_SCORE: min_score}
        self.inputs = tuple(name for name, is_taken in taken.items() if is_taken)  # of ``forward``, in order

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what ``forward`` returns."""
        return OUTPUTS if self.model.roi_heads.reid_head is not None else OUTPUTS[:3]

    def forward(self, image: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        """Finds people.

        Args:
            image: (H, W, 3) uint8 RGB.
            others: the other ``inputs``, in order:
                ``given`` (G, 4) float32, boxes of people who come behind those found, in this order, with 1 for the
                box's score;
                ``min_score`` () float32: who is found with a box that scores lower is left out, before joints are
                located; nobody else changes by it.

        Returns:
            The N people, best box first: boxes (N, 4), scores (N,), keypoints (N, K, 3) and, where there is an identity
            head, embeddings (N, E), all float32, in the image's pixels. Boxes are cut at its borders.
        """
        height, width = (_size(image, axis).float() for axis in (0, 1))
        limit = torch.stack((width, height, width, height))
        features = self.model.backbone(self.batch_of(image, self.model))
        proposals, proposed = self._propose(features, limit)
        boxes, scores, finite = self._find(features, proposals, limit)
        named = dict(zip(self.inputs[1:], others, strict=True))
        if MIN_SCORE in named:
            above = _rows(scores >= named[MIN_SCORE])
            boxes, scores = boxes[above], scores[above]
        if GIVEN in named:
            given = named[GIVEN]
            boxes, scores = torch.cat((boxes, given)), torch.cat((scores, torch.ones_like(given[:, 0])))
        # Runtimes stumble over tensors of nobody, so where nobody is, the whole image is described, and left out.
        count = _size(boxes, 0)
        whole = torch.cat((torch.zeros(2), limit[:2]))[None]
        rows = torch.arange(count.clamp(min=1))  # type: ignore[call-overload]  # in a graph sizes are tensors
        box, score = torch.cat((boxes, whole))[rows], torch.cat((scores, torch.ones(1)))[rows]
        return self.told((box, *self._describe(features, box, score)), count, proposed & finite)

    def _propose(self, features: dict[str, Tensor], limit: Tensor) -> tuple[Tensor, Tensor]:
        """Candidates (P, 4), and whether any was finite; see ``RPN``."""
        rpn = self.model.proposal_generator
        levels = [features[name] for name in rpn.in_features]
        anchors = rpn.anchor_generator([(f.shape[-2], f.shape[-1]) for f in levels])
        logits, deltas = rpn.rpn_head(levels)
        before, after = rpn.pre_nms_topk[1], rpn.post_nms_topk[1]
        boxes, scores, level_ids = [], [], []
        for level, (anchor, logit, delta) in enumerate(zip(anchors, logits, deltas, strict=True)):
            # a small image has fewer than ``before`` candidates; a graph takes as many of every image
            score, index = F.pad(logit[0], [0, before], value=_NO_CANDIDATE).topk(before)
            index = torch.minimum(index, _size(anchor, 0) - 1)
            boxes.append(decode_deltas(delta[0][index], anchor[index], rpn.bbox_reg_weights))
            scores.append(score)
            level_ids.append(torch.full((before,), float(level)))
        box, score, level_of = torch.cat(boxes), torch.cat(scores), torch.cat(level_ids)
        finite = (_finite_rows(box) & torch.isfinite(score) & (score > _NO_CANDIDATE)).sum() > 0
        box = _clip(box, limit)
        keep = _rows(nonempty(box, rpn.min_box_size) & (score > _NO_CANDIDATE) & likely(score, rpn.min_logit))
        box, score, level_of = box[keep], score[keep], level_of[keep]
        return box[_nms_by_group(box, score, level_of, limit, rpn.nms_thresh)[:after]], finite

    def _find(
        self, features: dict[str, Tensor], proposals: Tensor, limit: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes and scores of people, and whether any proposal's was finite; see ``MTNROIHeads.inference``."""
        heads, predictor = self.model.roi_heads, self.model.roi_heads.box_predictor
        order, level_of = _by_level(heads.box_pooler, proposals)
        proposals = proposals[order]  # what comes next needs no order
        pooled = _pool(heads.box_pooler, self._levels(features), proposals, level_of)
        logits, deltas = predictor(heads.box_head(pooled))
        scores = logits.softmax(dim=1)[:, :-1]
        deltas = deltas.reshape(proposals.shape[0], predictor.num_boxes, 4)
        boxes = decode_deltas(deltas, proposals[:, None], predictor.bbox_reg_weights)
        finite = (_finite_rows(boxes.flatten(1)) & _finite_rows(scores)).sum() > 0
        boxes = _clip(boxes, limit)
        row, cls = torch.nonzero(scores > predictor.score_thresh).unbind(dim=1)
        chosen = boxes[row, torch.zeros_like(cls) if predictor.num_boxes == 1 else cls]
        score = scores[row, cls]
        keep = _nms_by_group(chosen, score, cls.float(), limit, predictor.nms_thresh)
        keep = keep[: predictor.detections_per_image]
        return predictor.vote(keep, chosen, score, cls), score[keep], finite | (_size(proposals, 0) == 0)

    def _describe(self, features: dict[str, Tensor], boxes: Tensor, scores: Tensor) -> tuple[Tensor, ...]:
        """Scores, joints, and identities where there is such a head; see ``MTNROIHeads.describe``."""
        heads, levels = self.model.roi_heads, self._levels(features)
        head = heads.keypoint_head
        assert head is not None
        assert heads.keypoint_pooler is not None
        order, level_of = _by_level(heads.keypoint_pooler, boxes)
        boxes, scores = boxes[order], scores[order]
        pooled = _pool(heads.keypoint_pooler, levels, head.regions(boxes), level_of)
        keypoints, scores = head.decode(head(pooled), boxes, scores)
        found: tuple[Tensor, ...] = (scores, keypoints)
        if heads.reid_head is not None and heads.reid_pooler is not None:
            found = (*found, heads.reid_head(_pool(heads.reid_pooler, levels, boxes, level_of)))
        place = torch.zeros_like(order).scatter(0, order, torch.arange(order.shape[0]))
        return tuple(value[place] for value in found)

    def _levels(self, features: dict[str, Tensor]) -> list[Tensor]:
        return [features[name] for name in self.model.roi_heads.in_features]


def _size(x: Tensor, axis: int) -> Tensor:
    """A tensor's size as a tensor; in a graph it is one already, which depends on the image."""
    return torch.as_tensor(x.shape[axis])


def _clip(boxes_xyxy: Tensor, limit: Tensor) -> Tensor:
    """Boxes (..., 4) cut at the image's borders; ``limit`` is width, height, width, height."""
    return torch.minimum(boxes_xyxy.clamp(min=0), limit)


def _finite_rows(values: Tensor) -> Tensor:
    """Which of (N, C) hold finite numbers alone, (N,) bool."""
    return (~torch.isfinite(values)).sum(dim=1) == 0


def _rows(mask: Tensor) -> Tensor:
    """Indices of a mask's (N,) true values."""
    return torch.nonzero(mask)[:, 0]


def _nms_by_group(
    boxes_xyxy: Tensor, scores: Tensor, group: Tensor, limit: Tensor, iou_threshold: float
) -> Tensor:
    """Indices that non-maximum suppression within groups keeps, best first; boxes lie within ``limit``.

    Groups are moved apart, so that one suppression does for all, as in ``torchvision.ops.batched_nms``.
    """
    offset = group * (limit.max() + 1)
    return nms(boxes_xyxy + offset[:, None], scores, iou_threshold)


def _by_level(pooler: RoIPooler, boxes_xyxy: Tensor) -> tuple[Tensor, Tensor]:
    """Orders boxes by the pyramid level that they are read from, the finest first.

    Returns:
        Indices in this order, and the level of each box in it.
    """
    level_of = assign_levels(boxes_xyxy, pooler.min_level, pooler.max_level)
    order = torch.cat([_rows(level_of == level) for level in range(pooler.min_level, pooler.max_level + 1)])
    return order, level_of[order]


def _pool(pooler: RoIPooler, levels: Sequence[Tensor], regions_xyxy: Tensor, level_of: Tensor) -> Tensor:
    """Features (R, C, h, w) of regions in the order of ``level_of``, the levels they are read at; see ``RoIPooler``."""
    rois = torch.cat((torch.zeros_like(regions_xyxy[:, :1]), regions_xyxy), dim=1)
    size, ratio = pooler.output_size_hw, pooler.sampling_ratio
    return torch.cat(
        [
            roi_align(feature, rois[_rows(level_of == level)], size, 1.0 / 2**level, ratio, pooler.aligned)
            for level, feature in enumerate(levels, start=pooler.min_level)
        ]
    )
