"""Matches anchors and proposals with labelled people, and draws examples for the losses.

The rules are Detectron2's (``Matcher``, ``subsample_labels``); the treatment of ignored people is ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fastpose_mtn.ops.boxes import pairwise_ioa, pairwise_iou

IGNORED, NEGATIVE, POSITIVE = -1, 0, 1
IGNORE_SHARE = 0.5  # a candidate with this share of its area inside an ignored box is no negative example


def match_boxes(
    candidates_xyxy: Tensor,
    boxes_xyxy: Tensor,
    ignore: Tensor,
    *,
    thresholds: Sequence[float],
    labels: Sequence[int],
    allow_low_quality: bool,
) -> tuple[Tensor, Tensor]:
    """Labels candidates (anchors or proposals) by their overlap with one image's people.

    Without ignored people, and where a candidate overlaps every person, this is Detectron2's ``Matcher``. An ignored
    person is neither a positive nor a negative example: a candidate is dropped where it matches an ignored box better
    than any valid one, and where it would be a negative but half of it lies inside an ignored box.

    Args:
        candidates_xyxy: (A, 4).
        boxes_xyxy: (N, 4) people, ignored ones included.
        ignore: (N,) bool.
        thresholds: rising IoU limits between the labels.
        labels: one more than thresholds: ``IGNORED``, ``NEGATIVE`` or ``POSITIVE`` for each interval.
        allow_low_quality: a valid person's best candidates are positive whatever their IoU.

    Returns:
        (A,) int64 index of the best valid person in ``boxes_xyxy`` (0 where there is none), and
        (A,) int64 label.
    """
    valid = torch.nonzero(~ignore).flatten()
    count = len(candidates_xyxy)
    iou = pairwise_iou(boxes_xyxy[valid], candidates_xyxy)
    if len(valid):
        best, index = iou.max(dim=0)
    else:
        best, index = candidates_xyxy.new_zeros(count), valid.new_zeros(count)
    bins = torch.bucketize(best, best.new_tensor(list(thresholds)), right=True)
    label = torch.tensor(list(labels), device=best.device)[bins]
    if allow_low_quality and len(valid):
        # Ties count, but not at 0: a person whom no candidate touches would make every candidate positive, as
        # in Detectron2, a box outside the image for example.
        label[((iou == iou.max(dim=1, keepdim=True).values) & (iou > 0)).any(dim=0)] = POSITIVE
    if ignore.any():
        ignored_boxes = boxes_xyxy[ignore]
        ignored_iou = pairwise_iou(ignored_boxes, candidates_xyxy).amax(dim=0)
        inside = pairwise_ioa(ignored_boxes, candidates_xyxy).amax(dim=0) >= IGNORE_SHARE
        stolen = (ignored_iou >= thresholds[0]) & (ignored_iou > best)
        label[stolen | (inside & (label != POSITIVE))] = IGNORED
    return (valid[index] if len(valid) else index), label


def sample_balanced(label: Tensor, count: int, positive_fraction: float) -> tuple[Tensor, Tensor]:
    """Draws examples for a loss at random: few enough positives, the rest negatives.

    Args:
        label: (A,) of ``IGNORED``, ``NEGATIVE`` and ``POSITIVE``.
        count: how many in all, fewer where there are not enough.
        positive_fraction: at most this share of ``count`` is positive.

    Returns:
        int64 indices of the positives and of the negatives, each in random order.
    """
    positive = torch.nonzero(label == POSITIVE).flatten()
    negative = torch.nonzero(label == NEGATIVE).flatten()
    num_positive = min(len(positive), int(count * positive_fraction))
    num_negative = min(len(negative), count - num_positive)
    positive = positive[torch.randperm(len(positive), device=label.device)[:num_positive]]
    negative = negative[torch.randperm(len(negative), device=label.device)[:num_negative]]
    return positive, negative
