"""MSPN's published networks, of its release (megvii-detection/MSPN) and of mmpose, under our names.

Only names change, but for the release's biases of convolutions, which become part of the normalisations behind them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

_SCALES = 4
# mmpose's name (a pattern) -> ours; a head I is that of unit I % 4 + 1 of stage I // 4, in both
_MMPOSE: tuple[tuple[str, str], ...] = (
    (r"backbone\.top\.top\.0\.(.+)", "backbone.top.{0}"),
    (r"backbone\.multi_stage_mspn\.(\d+)\.downsample\.(layer\d\.\d+)\.downsample\.conv\.(.+)",
     "backbone.stages.{0}.down.{1}.downsample.0.{2}"),
    (r"backbone\.multi_stage_mspn\.(\d+)\.downsample\.(layer\d\.\d+)\.downsample\.bn\.(.+)",
     "backbone.stages.{0}.down.{1}.downsample.1.{2}"),
    (r"backbone\.multi_stage_mspn\.(\d+)\.downsample\.(layer\d\.\d+\.(?:conv|bn)\d\..+)", "backbone.stages.{0}.down.{1}"),
    (r"backbone\.multi_stage_mspn\.(\d+)\.upsample\.up(\d)\.in_skip\.(.+)", "backbone.stages.{0}.up.{1}.lateral.{2}"),
    (r"backbone\.multi_stage_mspn\.(\d+)\.upsample\.up(\d)\.up_conv\.(.+)", "backbone.stages.{0}.up.{1}.up.{2}"),
    (r"backbone\.multi_stage_mspn\.(\d+)\.upsample\.up(\d)\.out_skip1\.(.+)",
     "backbone.stages.{0}.up.{1}.skip_down.{2}"),
    (r"backbone\.multi_stage_mspn\.(\d+)\.upsample\.up(\d)\.out_skip2\.(.+)", "backbone.stages.{0}.up.{1}.skip_up.{2}"),
    (r"backbone\.multi_stage_mspn\.(\d+)\.upsample\.up(\d)\.cross_conv\.(.+)", "backbone.stages.{0}.up.{1}.next.{2}"),
    (r"(?:keypoint_head|head)\.predict_layers\.(\d+)\.conv_layers\.(\d)\.(.+)", "upsampler.predict.{0}.{1}.{2}"),
)  # fmt: skip
_RELEASE_PARTS = {"u_skip": "in_skip", "skip1": "out_skip1", "skip2": "out_skip2"}


def is_mmpose_mspn(tensors: Mapping[str, Tensor]) -> bool:
    """Whether these are mmpose's."""
    return any(name.startswith("backbone.multi_stage_mspn.") for name in tensors)


def is_released_mspn(tensors: Mapping[str, Tensor]) -> bool:
    """Whether these are the release's."""
    return any(name.startswith("stage0.downsample.") for name in tensors)


def refuse_rsn(tensors: Mapping[str, Tensor]) -> None:
    """Tells that a residual steps network, MSPN's successor, is not one.

    Raises:
        ValueError: it is one.
    """
    if any(name.startswith("backbone.multi_stage_rsn.") for name in tensors):
        raise ValueError(
            "weights of RSN (residual steps network), which this version does not build; only MSPN's are read"
        )


def from_mmpose(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of mmpose under our names, of versions 0 and 1; a name that is none of MSPN's stays as it is."""
    return {_ours(name): tensor for name, tensor in tensors.items()}


def _ours(name: str) -> str:
    for pattern, ours in _MMPOSE:
        if match := re.fullmatch(pattern, name):
            return ours.format(*match.groups())
    return name


def from_release(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The release's tensors under our names.

    What a convolution's bias b adds, the running mean of the normalisation behind it, less by b, does not take away: the
    same numbers in evaluation.
    """
    named = from_mmpose({_mmpose_name(name): tensor for name, tensor in tensors.items()})
    out = dict(named)
    for name, bias in named.items():
        norm = _norm_behind(name)
        mean = None if norm is None else named.get(f"{norm}.running_mean")
        if mean is not None:
            out[f"{norm}.running_mean"] = mean - bias
            del out[name]
    return out


def _norm_behind(name: str) -> str | None:
    """The normalisation behind the convolution that a bias of ours is of."""
    if not name.endswith(".bias"):
        return None
    place, _, layer = name.removesuffix(".bias").rpartition(".")
    if layer.startswith("conv"):
        return f"{place}.{layer.replace('conv', 'bn')}"
    return f"{place}.1" if layer == "0" and place.endswith(".downsample") else None


def _mmpose_name(name: str) -> str:
    """The name that mmpose has for one of the release's."""
    if name.startswith("top.conv."):
        return "backbone.top.top.0." + name.removeprefix("top.conv.")
    if not (match := re.fullmatch(r"stage(\d+)\.(downsample|upsample)\.(.+)", name)):
        return name
    stage, way, rest = match.groups()
    if head := re.fullmatch(r"up(\d)\.res_conv([12])\.(.+)", rest):
        unit, layer, part = head.groups()
        index = _SCALES * int(stage) + int(unit) - 1
        return f"head.predict_layers.{index}.conv_layers.{int(layer) - 1}.{part}"
    rest = re.sub(r"conv_bn_relu(\d)\.(conv|bn)\.", r"\2\1.", rest)
    rest = re.sub(r"^(up\d)\.(\w+)\.", lambda m: f"{m[1]}.{_RELEASE_PARTS.get(m[2], m[2])}.", rest)
    return f"backbone.multi_stage_mspn.{stage}.{way}.{rest}"


def stages_in(names: Iterable[str]) -> int:
    """Stages of a network, by our names of its tensors; 0: it is no MSPN."""
    found = (re.match(r"backbone\.stages\.(\d+)\.", name) for name in names)
    return 1 + max((int(match[1]) for match in found if match), default=-1)
