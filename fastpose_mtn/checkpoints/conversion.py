"""Other projects' names for the same weights: torchvision's Keypoint R-CNN, Detectron2's model zoo, classifiers.

Only names (and, where an order differs, rows) change; the numbers are theirs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from fastpose_mtn.checkpoints.alphapose import from_published, is_duc_pose
from fastpose_mtn.checkpoints.mspn import (
    from_mmpose,
    from_release,
    is_mmpose_mspn,
    is_released_mspn,
    refuse_rsn,
)
from fastpose_mtn.checkpoints.posedet import from_released_posedet, is_released_posedet

# torchvision's name (a pattern) -> ours; {0}, {1} are its groups.
_TORCHVISION: tuple[tuple[str, str], ...] = (
    (r"backbone\.body\.(.+)", "backbone.bottom_up.{0}"),
    (r"backbone\.fpn\.inner_blocks\.(\d)\.(?:0\.)?(weight|bias)", "backbone.fpn_lateral{level}.{1}"),
    (r"backbone\.fpn\.layer_blocks\.(\d)\.(?:0\.)?(weight|bias)", "backbone.fpn_output{level}.{1}"),
    (r"rpn\.head\.conv\.(?:0\.0\.)?(weight|bias)", "proposal_generator.rpn_head.conv.{0}"),
    (r"rpn\.head\.cls_logits\.(.+)", "proposal_generator.rpn_head.objectness_logits.{0}"),
    (r"rpn\.head\.bbox_pred\.(.+)", "proposal_generator.rpn_head.anchor_deltas.{0}"),
    (r"roi_heads\.box_head\.fc6\.(.+)", "roi_heads.box_head.fc1.{0}"),
    (r"roi_heads\.box_head\.fc7\.(.+)", "roi_heads.box_head.fc2.{0}"),
    (r"roi_heads\.box_predictor\.(cls_score|bbox_pred)\.(.+)", "roi_heads.box_predictor.{0}.{1}"),
    (r"roi_heads\.keypoint_head\.(\d+)\.(weight|bias)", "roi_heads.keypoint_head.conv_fcn{number}.{1}"),
    (r"roi_heads\.keypoint_predictor\.kps_score_lowres\.(.+)", "roi_heads.keypoint_head.score_lowres.{0}"),
)


def from_torchvision(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames the weights of torchvision's Keypoint R-CNN to our names.

    torchvision's class 0 is the background and Detectron2's last class is; torchvision also predicts
    a box for the background, which nothing reads.

    Raises:
        ValueError: a name is not one of torchvision's Keypoint R-CNN.
    """
    out = {}
    for name, tensor in tensors.items():
        for pattern, ours in _TORCHVISION:
            if match := re.fullmatch(pattern, name):
                groups = match.groups()
                number = int(groups[0]) if groups[0].isdigit() else 0
                name = ours.format(*groups, level=number + 2, number=number // 2 + 1)
                break
        else:
            raise ValueError(f"torchvision weights: unknown name {name!r}; expected a Keypoint R-CNN's")
        if ".cls_score." in name:
            tensor = torch.cat((tensor[1:], tensor[:1]))
        elif ".bbox_pred." in name:
            tensor = tensor[4:]
        out[name] = tensor
    return out


def from_detectron2(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Detectron2's ResNet-FPN under timm's names; everything else is called the same.

    ``stem.conv1.norm`` becomes ``bn1``, ``res2.0.shortcut`` becomes ``layer1.0.downsample.0``, and so on.
    """
    settings = ("pixel_", "proposal_generator.anchor_generator.")  # of the configuration; old files save them
    return {_timm_name(name): tensor for name, tensor in tensors.items() if not name.startswith(settings)}


def _timm_name(name: str) -> str:
    prefix, _, rest = name.partition("backbone.bottom_up.")
    if prefix or not re.match(r"(stem|res\d)\.", rest):
        return name
    rest = rest.removeprefix("stem.")
    rest = re.sub(r"^res(\d)", lambda m: f"layer{int(m[1]) - 1}", rest)
    rest = re.sub(r"conv(\d)\.norm\.", r"bn\1.", rest)
    rest = rest.replace("shortcut.norm.", "downsample.1.").replace("shortcut.weight", "downsample.0.weight")
    return f"backbone.bottom_up.{rest}"


def to_detectron2(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames timm's ResNet-FPN weights to Detectron2's names, the inverse of ``from_detectron2``."""
    return {_detectron2_name(name): tensor for name, tensor in tensors.items()}


def _detectron2_name(name: str) -> str:
    prefix, _, rest = name.partition("backbone.bottom_up.")
    if prefix or not re.match(r"(conv1|bn1|layer\d)\.", rest):
        return name
    rest = re.sub(r"^(?=(conv|bn)1\.)", "stem.", rest)
    rest = re.sub(r"^layer(\d)", lambda m: f"res{int(m[1]) + 1}", rest)
    rest = re.sub(r"\bbn(\d)\.", r"conv\1.norm.", rest)
    rest = rest.replace("downsample.0.weight", "shortcut.weight").replace("downsample.1.", "shortcut.norm.")
    return f"backbone.bottom_up.{rest}"


# A classifier's names, without the prefix that a detector's backbone has: whose they are, by the first layers'.
_CAFFE2 = re.compile(r"conv1_[wb]|res_conv1_bn_[sb]|res\d_\d+_branch\w+")
_DETECTRON2_BODY = re.compile(r"(stem|res[2-5])\.")
_TIMM_STEM = ("conv1.weight", "conv1.0.weight", "conv_stem.weight")
_FROZEN_EPS = 1e-5  # what Detectron2 and torchvision add to the variance of a frozen norm


def from_classifier(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """An ImageNet classifier's tensors as those of our backbone; None where they are none.

    timm's and torchvision's ResNets have our names; ``ImageNetPretrained/torchvision`` of Detectron2's model zoo
    has its own, ``ImageNetPretrained/MSRA`` Caffe2's. The last layer keeps its name: nothing reads it.
    """
    prefix = "backbone.bottom_up."
    if any(_CAFFE2.fullmatch(name) for name in tensors):
        tensors = _from_caffe2(tensors)
    if any(_DETECTRON2_BODY.match(name) for name in tensors):
        body = {n: t for n, t in tensors.items() if _DETECTRON2_BODY.match(n)}
        rest = {n: t for n, t in tensors.items() if n not in body}
        return from_detectron2({prefix + n: t for n, t in body.items()}) | rest
    if any(name in tensors for name in _TIMM_STEM):
        return {prefix + name: tensor for name, tensor in tensors.items()}
    return None


def _from_caffe2(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``res2_0_branch2a_bn_s`` becomes ``res2.0.conv1.norm.weight``; the norms' statistics are in their weights."""
    branches = {"1": "shortcut", "2a": "conv1", "2b": "conv2", "2c": "conv3"}
    out = {}
    for name, tensor in tensors.items():
        name = name.replace("res_conv1_bn", "conv1_bn")
        name = re.sub(r"^conv1_", "stem.conv1.", name)
        name = re.sub(r"^(res\d)_(\d+)_branch(1|2[abc])_", lambda m: f"{m[1]}.{m[2]}.{branches[m[3]]}.", name)
        name = re.sub(r"\.w$", ".weight", re.sub(r"\.b$", ".bias", name))
        name = name.replace("bn_s", "norm.weight").replace("bn_b", "norm.bias")
        out[name] = tensor
        if name.endswith("norm.weight"):
            stem = name.removesuffix("weight")
            out[f"{stem}running_mean"] = torch.zeros_like(tensor)
            out[f"{stem}running_var"] = torch.ones_like(tensor) - _FROZEN_EPS
    return out


def convert(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Recognises whose names these are and gives ours."""
    refuse_rsn(tensors)
    if is_mmpose_mspn(tensors):
        return from_mmpose(tensors)
    if is_released_mspn(tensors):
        return from_release(tensors)
    if is_released_posedet(tensors):
        return from_released_posedet(tensors)
    if is_duc_pose(tensors):
        return from_published(tensors)
    if any(name.startswith("roi_heads.keypoint_predictor.") for name in tensors):
        return from_torchvision(tensors)
    if any(name.startswith(("backbone.bottom_up.stem.", "backbone.bottom_up.res2.")) for name in tensors):
        return from_detectron2(tensors)
    if tensors and all(name.startswith("model.") for name in tensors):  # a training checkpoint of Lightning's
        return {name.removeprefix("model."): tensor for name, tensor in tensors.items()}
    return from_classifier(tensors) or tensors
