"""AlphaPose's published pose networks: whose names these are, and the configuration that their shapes tell.

Only names change; the numbers are theirs. They were trained on pixel indices, and on RGB without a deviation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_BACKBONE = "backbone.bottom_up."
# the released name (a pattern) -> ours; {0}, {1} are its groups
_NAMES: tuple[tuple[str, str], ...] = (
    (r"preact\.(layer\d\.0)\.se\.fc\.0\.(.+)", _BACKBONE + "{0}.se.fc1.{1}"),
    (r"preact\.(layer\d\.0)\.se\.fc\.2\.(.+)", _BACKBONE + "{0}.se.fc2.{1}"),
    (r"preact\.(.+)", _BACKBONE + "{0}"),
    (r"(duc[12]\.(?:conv|bn)\..+)", "upsampler.{0}"),
    (r"(?:conv_out|final_layer)\.(.+)", "upsampler.output.{0}"),
)
DECONVOLUTIONS = {
    "0": "deconv1", "1": "bn1", "3": "deconv2", "4": "bn2", "6": "deconv3", "7": "bn3",
}  # fmt: skip
# what their shapes cannot be built as, by a part of a name
_NOT_BUILT = {
    "conv2_offset": "deformable convolutions",
    "conv2.1.": "unshuffling convolutions",
    "duc1.1.": "deep DUCs",
}
_DEPTHS = {(3, 4, 6, 3): "resnet50", (3, 4, 23, 3): "resnet101", (3, 8, 36, 3): "resnet152"}
_SKELETONS = {
    17: "COCO17",
    26: "HALPE26",
    68: "HALPE68",
    133: "COCO_WHOLEBODY133",
    136: "HALPE136",
}  # by their joints


def is_alphapose(tensors: Mapping[str, Tensor]) -> bool:
    """Whether these are a published pose network's."""
    return any(name.removeprefix("module.").startswith("preact.layer1.") for name in tensors)


def from_alphapose(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under our names; a name that is none of the published networks' stays as it is."""
    return {_ours(name.removeprefix("module.")): tensor for name, tensor in tensors.items()}


def _ours(name: str) -> str:
    if match := re.fullmatch(r"deconv_layers\.(\d)\.(.+)", name):
        return f"upsampler.layers.{DECONVOLUTIONS.get(match[1], match[1])}.{match[2]}"
    for pattern, ours in _NAMES:
        if match := re.fullmatch(pattern, name):
            return ours.format(*match.groups())
    return name


def alphapose_options(tensors: Mapping[str, Tensor], source: str) -> list[str]:
    """``[KEY, VALUE, ...]`` of the network, on top of ``Base-TopDown.yaml``.

    Whole bodies are taken for networks trained by integrals, which their shapes do not tell from those trained by both:
    ``MODEL.TOPDOWN.LOSS`` says otherwise.

    Args:
        tensors: under the released names.
        source: where they are from, for messages.

    Raises:
        ValueError: there is no such network here.
    """
    names = [name.removeprefix("module.") for name in tensors]
    for part, what in _NOT_BUILT.items():
        if any(part in name for name in names):
            raise ValueError(f"{source}: an AlphaPose network with {what}, which this version does not build")
    shapes = {
        name.removeprefix("module."): tuple(tensor.shape)
        for name, tensor in tensors.items()
        if name.endswith("weight")
    }
    output = shapes.get("conv_out.weight", shapes.get("final_layer.weight"))
    blocks = tuple(
        1 + max((int(n.split(".")[2]) for n in names if n.startswith(f"preact.layer{stage}.")), default=-1)
        for stage in range(1, 5)
    )
    if output is None or blocks not in _DEPTHS or output[0] not in _SKELETONS:
        joints = "no output" if output is None else f"{output[0]} joints"
        raise ValueError(
            f"{source}: an AlphaPose network that is not known here: {joints}, stages of {blocks} blocks; known: "
            f"{', '.join(map(str, _SKELETONS))} joints, {', '.join(_DEPTHS.values())}"
        )
    deconv = "final_layer.weight" in shapes
    return [
        "MODEL.SKELETON", _SKELETONS[output[0]], "MODEL.TIMM.NAME", _DEPTHS[blocks], "MODEL.TIMM.PRETRAINED", "False",
        "MODEL.TOPDOWN.SQUEEZE_EXCITATION", str(any(".se." in name for name in names)),
        "MODEL.TOPDOWN.UPSAMPLER", "deconv" if deconv else "duc",
        "MODEL.TOPDOWN.CONV_DIM", str(output[1]),
        "MODEL.TOPDOWN.LOSS", "integral" if output[0] > 100 else "heatmap",
        "MODEL.TOPDOWN.COORDINATES", "index",
        "MODEL.PIXEL_MEAN", "[103.53, 116.535, 122.4]", "MODEL.PIXEL_STD", "[255.0, 255.0, 255.0]",
    ]  # fmt: skip
