"""RoI pooling: cuts the features of each person's region out of the feature pyramid."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from fastpose_mtn.ops.roi import assign_levels, multiscale_roi_align


class RoIPooler(nn.Module):
    """Pools the features of regions by RoIAlign, each from the pyramid level that fits its size.

    Args:
        output_size_hw: of the result.
        min_level, max_level: levels that are read.
        sampling_ratio: samples a bin and axis; 0: as many as its pixels.
        pooler_type: ``ROIAlignV2`` (samples at pixel centres) or ``ROIAlign`` (torchvision's weights).
    """

    def __init__(
        self,
        *,
        output_size_hw: tuple[int, int],
        min_level: int,
        max_level: int,
        sampling_ratio: int = 0,
        pooler_type: str = "ROIAlignV2",
    ) -> None:
        super().__init__()
        if pooler_type not in ("ROIAlign", "ROIAlignV2"):
            raise ValueError(f"POOLER_TYPE: expected ROIAlign or ROIAlignV2, got {pooler_type!r}")
        self.output_size_hw = output_size_hw
        self.min_level, self.max_level = min_level, max_level
        self.sampling_ratio, self.aligned = sampling_ratio, pooler_type == "ROIAlignV2"

    def forward(
        self,
        features: Sequence[Tensor],
        boxes_xyxy: Tensor,
        image: Tensor,
        regions_xyxy: Tensor | None = None,
    ) -> Tensor:
        """Pools features (R, C, h, w) of ``regions_xyxy`` (None: the boxes themselves) from the boxes' levels.

        Args:
            features: the pyramid's levels (B, C, H, W), from ``min_level`` on.
            boxes_xyxy: (R, 4) in pixels of the batch; their sizes choose the levels.
            image: (R,) int64, each box's image in the batch.
            regions_xyxy: (R, 4) what is read in their place.
        """
        return multiscale_roi_align(
            features,
            boxes_xyxy if regions_xyxy is None else regions_xyxy,
            image,
            assign_levels(boxes_xyxy, self.min_level, self.max_level),
            output_size_hw=self.output_size_hw,
            min_level=self.min_level,
            sampling_ratio=self.sampling_ratio,
            aligned=self.aligned,
        )
