"""Simple Baselines' published networks (Xiao et al. 2018), of Microsoft's release and of mmpose, under our names.

Only names change. They become those of ``DUCPose`` with deconvolutions, which is that network; MDPN takes them from there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from fastpose_mtn.checkpoints.alphapose import DECONVOLUTIONS

# what stands before the deconvolutions: nothing in the release, a head in mmpose 0 and 1
_LAYERS = re.compile(r"(?:(?:keypoint_head|head)\.)?(deconv_layers|final_layer)\.(?:(\d)\.)?(.+)")


def is_simple_baselines(tensors: Mapping[str, Tensor]) -> bool:
    """Whether these are a ResNet's with deconvolutions."""
    names = {name.removeprefix("module.").removeprefix("backbone.") for name in tensors}
    layers = {match[1] for match in map(_LAYERS.fullmatch, names) if match}
    return {"conv1.weight", "layer1.0.conv1.weight"} <= names and layers == {"deconv_layers", "final_layer"}


def from_simple_baselines(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under our names; a name that is none of theirs stays as it is."""
    return {_ours(name.removeprefix("module.")): tensor for name, tensor in tensors.items()}


def _ours(name: str) -> str:
    if match := _LAYERS.fullmatch(name):
        kind, number, part = match.groups()
        if kind == "final_layer":
            return f"upsampler.output.{part}"
        return f"upsampler.layers.{DECONVOLUTIONS.get(number, number)}.{part}"
    name = name.removeprefix("backbone.")
    is_resnet = re.match(r"(conv1|bn1|layer[1-4])\.", name)
    return f"backbone.bottom_up.{name}" if is_resnet else name
