"""Anchor boxes: the shapes at every position of the feature pyramid that proposals start from."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fastpose_mtn.config import CfgNode


class AnchorGenerator(nn.Module):
    """Generates anchor boxes of given sizes and shapes around every position of every level, in Detectron2's order.

    Args:
        sizes: for each level, square roots of anchor areas in pixels; one entry serves all levels.
        aspect_ratios: for each level, height to width; one entry serves all levels.
        strides: pixels between positions, for each level.
        offset: of the first centre from the image's corner, in strides (0 in Detectron2, not 0.5).
        round_to_pixels: torchvision's anchors: corners rounded to whole pixels, and a level's stride is
            the image's size divided by the level's, rounded down (61 instead of 64 for P6 of an image
            800 pixels high).
    """

    def __init__(
        self,
        *,
        sizes: Sequence[Sequence[float]],
        aspect_ratios: Sequence[Sequence[float]],
        strides: Sequence[int],
        offset: float = 0.0,
        round_to_pixels: bool = False,
    ) -> None:
        super().__init__()
        self.strides, self.offset, self.whole_pixels = list(strides), offset, round_to_pixels
        sizes = _one_per_level(sizes, len(strides), "SIZES")
        aspect_ratios = _one_per_level(aspect_ratios, len(strides), "ASPECT_RATIOS")
        for level, (s, a) in enumerate(zip(sizes, aspect_ratios, strict=True)):
            cell = cell_anchors(s, a)
            # not saved: the configuration determines them
            self.register_buffer(f"cell_{level}", cell.round() if round_to_pixels else cell, persistent=False)
        counts = {len(s) * len(a) for s, a in zip(sizes, aspect_ratios, strict=True)}
        if len(counts) != 1:
            raise ValueError(
                "MODEL.ANCHOR_GENERATOR: expected the same number of anchors a position on every level, "
                f"got {sorted(counts)}"
            )
        self.num_anchors = counts.pop()

    @classmethod
    def from_config(cls, cfg: CfgNode, strides: Sequence[int]) -> AnchorGenerator:
        """The anchors that ``MODEL.ANCHOR_GENERATOR`` describes, for levels of these strides in pixels."""
        return cls(
            sizes=cfg.MODEL.ANCHOR_GENERATOR.SIZES,
            aspect_ratios=cfg.MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS,
            strides=strides,
            offset=cfg.MODEL.ANCHOR_GENERATOR.OFFSET,
            round_to_pixels=cfg.MODEL.ANCHOR_GENERATOR.ROUND,
        )

    def forward(self, grid_sizes_hw: Sequence[tuple[int, int]]) -> list[Tensor]:
        """Generates each level's anchors (H * W * A, 4) float32: by rows, then columns, then the cell's anchors."""
        out = []
        padded_height, padded_width = (size * self.strides[0] for size in grid_sizes_hw[0])
        for level, ((height, width), stride) in enumerate(zip(grid_sizes_hw, self.strides, strict=True)):
            cell: Tensor = getattr(self, f"cell_{level}")
            stride_y = padded_height // height if self.whole_pixels else stride
            stride_x = padded_width // width if self.whole_pixels else stride
            y = (torch.arange(height, device=cell.device, dtype=torch.float32) + self.offset) * stride_y
            x = (torch.arange(width, device=cell.device, dtype=torch.float32) + self.offset) * stride_x
            shift_y, shift_x = torch.meshgrid(y, x, indexing="ij")
            shift = torch.stack((shift_x, shift_y, shift_x, shift_y), dim=-1)
            out.append((shift[:, :, None] + cell).reshape(-1, 4))
        return out


def cell_anchors(sizes: Sequence[float], aspect_ratios: Sequence[float]) -> Tensor:
    """Anchors (len(sizes) * len(aspect_ratios), 4) around the origin: for each size, each shape."""
    boxes = []
    for size in sizes:
        for ratio in aspect_ratios:
            width = math.sqrt(size**2 / ratio)
            height = ratio * width
            boxes.append([-width / 2, -height / 2, width / 2, height / 2])
    return torch.tensor(boxes, dtype=torch.float32)


def _one_per_level(values: Sequence[Sequence[float]], levels: int, key: str) -> Sequence[Sequence[float]]:
    if len(values) not in (1, levels):
        raise ValueError(
            f"MODEL.ANCHOR_GENERATOR.{key}: expected 1 or {levels} lists (one a level of MODEL.RPN.IN_FEATURES), "
            f"got {len(values)}"
        )
    return list(values) * levels if len(values) == 1 else values
