"""PoseDet's published networks (IIGROUP/PoseDet, in mmdetection's names) under our names; only names change."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_FIRST_LEVEL = 3  # p3, of stride 8
_BRANCHES = r"(init|refine|cls|heatmap)"
_UNUSED = r"backbone\.level[34]\.project\."  # of its DLA-34, which has layers that it does not use
_OUTPUTS = {"init": "coarse", "refine": "fine", "cls": "score", "heatmap": "heatmap"}
# their name (a pattern) -> ours; {0}, {1} are its groups, {level} the first one's pyramid level
_RELEASE: tuple[tuple[str, str], ...] = (
    (r"backbone\.(.+)", "backbone.bottom_up.{0}"),
    (r"neck\.reduction_conv\.conv\.(.+)", "backbone.fpn_reduction.{0}"),
    (r"neck\.lateral_convs\.(\d)\.conv\.(.+)", "backbone.fpn_lateral{level}.{1}"),
    (r"neck\.lateral_convs\.(\d)\.gn\.(.+)", "backbone.fpn_lateral{level}.norm.{1}"),
    (r"neck\.fpn_convs\.(\d)\.conv\.(.+)", "backbone.fpn_output{level}.{1}"),
    (r"neck\.fpn_convs\.(\d)\.gn\.(.+)", "backbone.fpn_output{level}.norm.{1}"),
    (rf"bbox_head\.{_BRANCHES}_pre_convs\.(\d)\.conv\.(.+)", "head.{0}_convs.{1}.{2}"),
    (rf"bbox_head\.{_BRANCHES}_pre_convs\.(\d)\.gn\.(.+)", "head.{0}_convs.{1}.norm.{2}"),
    (r"bbox_head\.(cls|refine)_embedding_conv\.weight", "head.{0}_embedding"),
    (rf"bbox_head\.{_BRANCHES}_out\.(.+)", "head.{output}.{1}"),
)


def is_released_posedet(tensors: Mapping[str, Tensor]) -> bool:
    """Whether these are PoseDet's release's."""
    return "bbox_head.cls_embedding_conv.weight" in tensors


def from_released_posedet(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The release's tensors under our names; a name that is none of PoseDet's stays as it is.

    The refinement's last layer, a 1x1 convolution there, is a linear one here. Of joints' visibility, which the release
    does not know, the network is half sure everywhere until it is trained.
    """
    out = {_ours(name): tensor for name, tensor in tensors.items() if not re.match(_UNUSED, name)}
    if "head.fine.weight" in out:
        fine = out["head.fine.weight"] = out["head.fine.weight"].flatten(1)
        out["head.visibility.weight"] = fine.new_zeros(len(fine) // 2, fine.shape[1])
        out["head.visibility.bias"] = fine.new_zeros(len(fine) // 2)
    return out


def _ours(name: str) -> str:
    for pattern, ours in _RELEASE:
        if match := re.fullmatch(pattern, name):
            groups = match.groups()
            level = _FIRST_LEVEL + int(groups[0]) if groups[0].isdigit() else 0
            return ours.format(*groups, level=level, output=_OUTPUTS.get(groups[0], ""))
    return name
