"""Published networks that are ``DUCPose`` here: AlphaPose's, and Simple Baselines' (Xiao et al. 2018), its own and mmpose's.

Only names change; the numbers are theirs. AlphaPose's were trained on pixel indices, and on RGB without a deviation; their
shapes tell the rest of the configuration.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_BACKBONE = "backbone.bottom_up."
# what stands before the names of a ResNet's and of the layers behind it: AlphaPose's, mmpose's 0 and 1, Microsoft's nothing
_TRUNK, _HEAD = r"(?:preact\.|backbone\.)?", r"(?:(?:keypoint_)?head\.)?"
# the released name (a pattern) -> ours; {0}, {1} are its groups
_NAMES: tuple[tuple[str, str], ...] = (
    (_TRUNK + r"(layer\d\.0)\.se\.fc\.0\.(.+)", _BACKBONE + "{0}.se.fc1.{1}"),
    (_TRUNK + r"(layer\d\.0)\.se\.fc\.2\.(.+)", _BACKBONE + "{0}.se.fc2.{1}"),
    (_TRUNK + r"(layer\d\.\d+)\.conv2_offset\.(.+)", _BACKBONE + "{0}.conv2.offset.{1}"),
    (_TRUNK + r"(layer\d\.0)\.conv2\.1\.(.+)", _BACKBONE + "{0}.conv2.conv.{1}"),
    (_TRUNK + r"((?:conv1|bn1|layer\d)\..+)", _BACKBONE + "{0}"),
    (r"duc([123])\.(\d+)\.(.+)", "upsampler.stage{0}.{1}.{2}"),
    (r"(duc[12]\.(?:conv|bn)\..+)", "upsampler.{0}"),
    (_HEAD + r"(?:conv_out|final_layer)\.(.+)", "upsampler.output.{0}"),
    *(
        (_HEAD + rf"deconv_layers\.{number}\.(.+)", f"upsampler.layers.{layer}.{{0}}")
        for number, layer in zip(
            (0, 1, 3, 4, 6, 7), ("deconv1", "bn1", "deconv2", "bn2", "deconv3", "bn3"), strict=True
        )
    ),
)
# what the names tell, by a part of one of them
_CONVOLUTIONS = {"conv2_offset": "deformable", "conv2.1.": "unshuffle"}
_UPSAMPLERS = {"duc1.1.": "duc_deep", "final_layer.": "deconv"}
_DEPTHS = {(3, 4, 6, 3): "resnet50", (3, 4, 23, 3): "resnet101", (3, 8, 36, 3): "resnet152"}
_SKELETONS = {
    17: "COCO17",
    26: "HALPE26",
    68: "HALPE68",
    133: "COCO_WHOLEBODY133",
    136: "HALPE136",
}  # by their joints


def is_alphapose(tensors: Mapping[str, Tensor]) -> bool:
    """Whether these are one of AlphaPose's."""
    return any(name.startswith("preact.layer1.") for name in tensors)


def is_duc_pose(tensors: Mapping[str, Tensor]) -> bool:
    """Whether these are AlphaPose's or Simple Baselines': a ResNet's and, of the latter, of deconvolutions."""
    names = set(from_published(tensors)) - set(tensors)
    ends = {_BACKBONE + "layer1.0.conv1.weight", "upsampler.layers.deconv1.weight"}
    return is_alphapose(tensors) or ends <= names


def from_published(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under our names; a name that is none of the published networks' stays as it is."""
    return {_ours(name): tensor for name, tensor in tensors.items()}


def _ours(name: str) -> str:
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
    names = list(tensors)

    def told(by: Mapping[str, str], otherwise: str) -> str:
        return next((kind for part, kind in by.items() if any(part in name for name in names)), otherwise)

    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items() if name.endswith("weight")}
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
    return [
        "MODEL.SKELETON", _SKELETONS[output[0]], "MODEL.TIMM.NAME", _DEPTHS[blocks], "MODEL.TIMM.PRETRAINED", "False",
        "MODEL.TOPDOWN.SQUEEZE_EXCITATION", str(any(".se." in name for name in names)),
        "MODEL.TOPDOWN.CONVOLUTIONS", told(_CONVOLUTIONS, "plain"),
        "MODEL.TOPDOWN.UPSAMPLER", told(_UPSAMPLERS, "duc"),
        "MODEL.TOPDOWN.CONV_DIM", str(output[1]),
        "MODEL.TOPDOWN.LOSS", "integral" if output[0] > 100 else "heatmap",
        "MODEL.TOPDOWN.COORDINATES", "index",
        "MODEL.PIXEL_MEAN", "[103.53, 116.535, 122.4]", "MODEL.PIXEL_STD", "[255.0, 255.0, 255.0]",
    ]  # fmt: skip
