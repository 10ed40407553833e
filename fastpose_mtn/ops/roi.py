"""Which pyramid level a box is read from, and RoIAlign over all levels at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.ops import roi_align

CANONICAL_SIZE = 224.0  # pixels: the box scale that is read from CANONICAL_LEVEL (FPN, equation 1)
CANONICAL_LEVEL = 4


def assign_levels(boxes_xyxy: Tensor, min_level: int, max_level: int) -> Tensor:
    """FPN's level for each box: floor(4 + log2(sqrt(wh) / 224)), clamped.

    Args:
        boxes_xyxy: (R, 4); the person's own box, before any padding.
        min_level: the finest level there is (2 is stride 4).
        max_level: the coarsest.

    Returns:
        (R,) int64 levels from ``min_level`` to ``max_level``.
    """
    size = torch.sqrt((boxes_xyxy[:, 2] - boxes_xyxy[:, 0]) * (boxes_xyxy[:, 3] - boxes_xyxy[:, 1]))
    # 1e-8 as in Detectron2: an empty box must not become -inf before the clamp
    level = torch.floor(CANONICAL_LEVEL + torch.log2(size / CANONICAL_SIZE + 1e-8))
    return level.clamp(min=min_level, max=max_level).to(torch.int64)


def multiscale_roi_align(
    features: Sequence[Tensor],
    boxes_xyxy: Tensor,
    image_index: Tensor,
    levels: Tensor,
    *,
    output_size_hw: tuple[int, int],
    min_level: int,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    """RoIAlign of every box from its own level.

    Args:
        features: L maps (B, C, H_l, W_l), level ``min_level + l`` with stride ``2 ** level``.
        boxes_xyxy: (R, 4) regions to read, image pixels.
        image_index: (R,) int64, each region's image in the batch.
        levels: (R,) int64 from ``assign_levels``.
        output_size_hw: bins of the result.
        min_level: level of ``features[0]``.
        sampling_ratio: samples a bin and axis; 0: as many as the bin has pixels.
        aligned: samples at pixel centres (Detectron2's ROIAlignV2).

    Returns:
        (R, C, *output_size_hw), in the features' dtype.
    """
    rois = torch.cat((image_index[:, None].to(boxes_xyxy.dtype), boxes_xyxy), dim=1).float()
    channels, dtype = features[0].shape[1], features[0].dtype
    out = torch.zeros(len(rois), channels, *output_size_hw, dtype=dtype, device=rois.device)
    for offset, feature in enumerate(features):
        level = min_level + offset
        rows = torch.nonzero(levels == level).flatten()
        if len(rows) == 0:
            continue
        # float32: torchvision's CPU kernel has no bfloat16, and half-precision box coordinates lose pixels
        pooled = roi_align(
            feature.float(), rois[rows], output_size_hw, 1.0 / 2**level, sampling_ratio, aligned
        )
        out = out.index_copy(0, rows, pooled.to(dtype))
    return out
