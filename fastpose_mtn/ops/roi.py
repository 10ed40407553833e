"""Which pyramid level a box is read from, and RoIAlign over all levels at once."""

from __future__ import annotations

from collections.abc import Sequence

from fastpose_mtn import libraries  # noqa: F401  (before torchvision)

# isort: split
import torch
from torch import Tensor
from torch.nn import functional as F
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
        (R, C, *output_size_hw), in the features' dtype, or autocast's; channels-last on a CPU.
    """
    rois = torch.cat((image_index[:, None].to(boxes_xyxy.dtype), boxes_xyxy), dim=1).float()
    channels, device = features[0].shape[1], features[0].device.type
    halved = torch.is_autocast_enabled(device)  # the heads would convert it
    dtype = torch.get_autocast_dtype(device) if halved else features[0].dtype
    tracing = torch.jit.is_tracing()  # the trace must serve other numbers of boxes on each level
    gathers = device == "cpu" and not tracing
    layout = torch.channels_last if gathers else torch.contiguous_format
    shape = (rois.shape[0], channels, *output_size_hw)
    # a box that is no number has no level, and no features
    out = torch.empty(shape, dtype=dtype, device=rois.device, memory_format=layout).zero_()
    for offset, feature in enumerate(features):
        level = min_level + offset
        rows = torch.nonzero(levels == level).flatten()
        if not tracing and len(rows) == 0:
            continue
        # float32: torchvision's CPU kernel has no bfloat16, and half-precision box coordinates lose pixels
        exact = feature.float()
        options = (rois[rows], output_size_hw, 1.0 / 2**level, sampling_ratio, aligned)
        if gathers:
            gather_roi_align(exact, *options, out=out, rows=rows)
        else:
            out.index_copy_(0, rows, roi_align(exact, *options).to(dtype))
    return out


def gather_roi_align(
    feature: Tensor,
    rois: Tensor,
    output_size_hw: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
    *,
    out: Tensor | None = None,
    rows: Tensor | None = None,
) -> Tensor:
    """Computes torchvision's ``roi_align`` as weighted sums of rows of a channels-last map.

    The same numbers, two to five times faster on a CPU, forward and backward: torchvision's kernel
    copies the map to channels-first memory, walks it pixel by pixel and scatters the gradient on one core.

    Args:
        feature: (B, C, H, W) float32.
        rois: (R, 5) float32: image in the batch, then xyxy in the image's pixels.
        output_size_hw: bins.
        spatial_scale: of the map relative to the image.
        sampling_ratio: samples a bin and axis; 0: as many as the bin has pixels.
        aligned: samples at pixel centres.
        out: a tensor (N, C, *output_size_hw) to write into; None: a new one.
        rows: (R,) which of its rows to write.

    Returns:
        ``out``; a new one is (R, C, *output_size_hw), float32.
    """
    if out is None or rows is None:
        shape = (len(rois), feature.shape[1], *output_size_hw)
        out = feature.new_zeros(shape).contiguous(memory_format=torch.channels_last)
        rows = torch.arange(len(rois), device=rois.device)
    batch, channels, height, width = feature.shape
    corners = rois[:, 1:] * spatial_scale - (0.5 if aligned else 0.0)
    size = corners[:, 2:] - corners[:, :2]
    if not aligned:
        size = size.clamp(min=1.0)
    table = feature.permute(0, 2, 3, 1).reshape(batch * height * width, channels)
    first = rois[:, 0].to(torch.int64) * height
    bins = size.new_tensor(output_size_hw[::-1])
    samples = torch.full_like(size, sampling_ratio) if sampling_ratio else (size / bins).ceil()
    most = samples.amax(dim=1)
    # regions of like size together, or small ones would cost as much as large
    for count in most.unique().tolist():
        alike = torch.nonzero(most == count).flatten()
        column, column_weight = _taps(
            corners[alike, 0], size[alike, 0], output_size_hw[1], samples[alike, 0], width
        )
        row, row_weight = _taps(
            corners[alike, 1], size[alike, 1], output_size_hw[0], samples[alike, 1], height
        )
        row = (first[alike, None, None] + row) * width
        # (R, bins high, bins wide, pixels high, pixels wide): every bin's pixels and their weights
        index = row[:, :, None, :, None] + column[:, None, :, None, :]
        weight = row_weight[:, :, None, :, None] * column_weight[:, None, :, None, :]
        sums = F.embedding_bag(
            index.flatten(3).flatten(0, 2),
            table,
            per_sample_weights=weight.flatten(3).flatten(0, 2),
            mode="sum",
        )
        pooled = sums.view(len(alike), *output_size_hw, channels).permute(0, 3, 1, 2)
        out.index_copy_(0, rows[alike], pooled.to(out.dtype))
    return out


def _taps(start: Tensor, size: Tensor, bins: int, samples: Tensor, limit: int) -> tuple[Tensor, Tensor]:
    """Pixels of each bin along one axis and their weights: (R, bins, n) each.

    A bin's samples are at most a pixel apart, or there are as many as asked for: of ``samples`` samples' two pixels
    each, those that they share are named once where that is fewer. A sample more than a pixel outside the map is
    zero; one less than that is moved onto it.

    Args:
        start: (R,) of the regions, pixels of the map.
        size: (R,) of the regions, pixels of the map.
        bins: of a region.
        samples: (R,) a bin; 0: the bin is empty.
        limit: pixels of the map.
    """
    most = max(1, int(samples.max()))
    number = torch.arange(most, device=start.device, dtype=start.dtype)
    used = number < samples[:, None]  # (R, most)
    within = (number + 0.5) / samples[:, None].clamp(min=1)
    bin_start = torch.arange(bins, device=start.device, dtype=start.dtype)
    position = start[:, None, None] + (size / bins)[:, None, None] * (bin_start[:, None] + within[:, None])
    inside = (position >= -1.0) & (position <= limit) & used[:, None]
    position = position.clamp(min=0.0, max=limit - 1.0)
    low = position.floor()
    share = position - low
    value = inside / samples.clamp(min=1)[:, None, None]
    weight = torch.stack(((1 - share) * value, share * value), dim=-1)
    pixel = torch.stack((low, (low + 1).clamp(max=limit - 1)), dim=-1)
    base = low[..., 0]
    spread = int((pixel - base[..., None, None]).masked_fill(~used[:, None, :, None], 0).max()) + 1
    if spread >= 2 * most:
        return pixel.flatten(2).to(torch.int64), weight.flatten(2)
    offset = torch.arange(spread, device=start.device, dtype=start.dtype)
    place = (pixel - base[..., None, None]).flatten(2)[..., None] == offset
    merged = (weight.flatten(2)[..., None] * place).sum(dim=2)
    return (base[..., None] + offset).clamp(max=limit - 1).to(torch.int64), merged
