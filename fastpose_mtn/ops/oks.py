"""Object keypoint similarity: COCO's measure of how near two poses are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

# A person's mask, whose area OKS takes, fills about this much of the person's box: the share with which the
# evaluation APIs of CrowdPose and Halpe replace the mask that their labels, like ours, do not have.
AREA_PER_BOX = 0.53


def object_keypoint_similarity(
    predicted: Tensor, truth: Tensor, areas: Tensor, sigmas: Sequence[float]
) -> Tensor:
    """OKS of every prediction with every labelled person, as pycocotools computes it.

    Args:
        predicted: (P, K, >=2) x, y in pixels.
        truth: (T, K, 3) x, y in pixels and v; joints with v = 0 do not count.
        areas: (T,) square pixels, COCO's ``area`` of the person.
        sigmas: K per-joint constants.

    Returns:
        (P, T) in [0, 1]; 0 for a person without any labelled joint.
    """
    variance = (2 * torch.as_tensor(sigmas, dtype=torch.float32, device=predicted.device)) ** 2
    offset = predicted[:, None, :, :2] - truth[None, :, :, :2]
    scaled = offset.square().sum(dim=-1) / (
        2 * variance * (areas[None, :, None] + torch.finfo(torch.float64).eps)
    )
    labelled = (truth[..., 2] > 0).to(scaled.dtype)
    return (torch.exp(-scaled) * labelled).sum(dim=-1) / labelled.sum(dim=-1).clamp(min=1)
