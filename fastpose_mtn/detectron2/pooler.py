"""Our pooler over Detectron2's feature shapes."""

from __future__ import annotations

import math
from collections.abc import Mapping

from detectron2.layers import ShapeSpec

from fastpose_mtn.modeling.pooler import RoIPooler


def pooler_from_shapes(
    input_shape: Mapping[str, ShapeSpec],
    output_size_hw: tuple[int, int],
    sampling_ratio: int,
    pooler_type: str = "ROIAlignV2",
) -> RoIPooler:
    """A pooler with FPN's scale assignment.

    Args:
        input_shape: the levels that are read, finest first; strides are powers of two, each twice the last.
        output_size_hw: (height, width) of the pooled features.
        sampling_ratio: samples a bin and axis; 0: as many as its pixels.
        pooler_type: ``ROIAlignV2`` (samples at pixel centres) or ``ROIAlign``.

    Raises:
        ValueError: the levels are no pyramid.
    """
    strides = [shape.stride for shape in input_shape.values()]
    if any(2 ** int(math.log2(strides[0]) + i) != stride for i, stride in enumerate(strides)):
        raise ValueError(
            f"MODEL.ROI_HEADS.IN_FEATURES: expected a pyramid, each stride twice the last, got {strides}"
        )
    first = int(math.log2(strides[0]))
    return RoIPooler(
        output_size_hw=output_size_hw,
        min_level=first,
        max_level=first + len(strides) - 1,
        sampling_ratio=sampling_ratio,
        pooler_type=pooler_type,
    )
