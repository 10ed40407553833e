"""Detectron2's configuration with FastPose's keys and defaults; the same YAML files serve both hosts."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from detectron2.config import CfgNode as _Detectron2CfgNode
from detectron2.config import get_cfg as get_detectron2_cfg

from fastpose_mtn import config as fastpose
from fastpose_mtn.modeling.backbone import BACKBONES
from fastpose_mtn.runtime.precision import resolve_device
from fastpose_mtn.skeletons import COCO17


class FastPoseCfgNode(fastpose.CfgNode, _Detectron2CfgNode):
    """Detectron2's configuration tree with FastPose's error messages.

    A YAML file whose model has other ROI heads than ours (Detectron2's model zoo, one's own) goes on top of
    Detectron2's defaults, any other on top of FastPose's: see ``merge_from_file``.
    """

    def merge_from_file(self, cfg_filename: str, allow_unsafe: bool = False) -> None:
        """Merges a YAML file.

        Detectron2's own configurations rely on its defaults (BGR images, 17 joints, 800 pixels), so for
        these every key that FastPose sets differently, and nobody has set since, goes back first.

        Raises:
            ValueError: see ``fastpose_mtn.config.CfgNode.merge_from_file``.
        """
        before = copy.deepcopy(self)
        super().merge_from_file(cfg_filename)
        if _is_ours(before) and not _is_ours(self):
            _use_defaults(before, old=fastpose.get_cfg(), new=get_detectron2_cfg())
            if len(COCO17) == before.MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS:
                before.MODEL.SKELETON = COCO17.name
            before.TEST.POSE_NMS.ENABLED = False
            head = before.MODEL.ROI_KEYPOINT_HEAD
            head.POOLER_RESOLUTION = _height_and_width(head.POOLER_RESOLUTION)
            self.clear()
            self.update(before)
            super().merge_from_file(cfg_filename)

    def merge_from_other_cfg(self, cfg_other: Mapping[str, object]) -> None:
        """Takes over another configuration's values; a ``POOLER_RESOLUTION`` may be Detectron2's single number."""
        other: Mapping = copy.deepcopy(cfg_other)
        head = (other.get("MODEL") or {}).get("ROI_KEYPOINT_HEAD") or {}
        if "POOLER_RESOLUTION" in head:
            head["POOLER_RESOLUTION"] = _height_and_width(head["POOLER_RESOLUTION"])
        super().merge_from_other_cfg(other)
        _resolve_device(self)

    def merge_from_list(self, cfg_list: list[str]) -> None:
        """Takes over ``[KEY, VALUE, ...]``; a ``POOLER_RESOLUTION`` may be Detectron2's single number."""
        values: list = list(cfg_list)
        for i in range(0, len(values) - 1, 2):
            if values[i] == "MODEL.ROI_KEYPOINT_HEAD.POOLER_RESOLUTION":
                values[i + 1] = _height_and_width(values[i + 1])
        super().merge_from_list(values)
        _resolve_device(self)


def add_fastpose_config(cfg: _Detectron2CfgNode) -> None:
    """Makes Detectron2's configuration FastPose's, in place: its keys, and its defaults for shared ones.

    Call it right after Detectron2's ``get_cfg()``, before YAML files are merged. A key of Detectron2's
    that was changed before keeps its value.

    Raises:
        ValueError: the configuration is frozen.
    """
    if cfg.is_frozen():
        raise ValueError("add_fastpose_config: the configuration is frozen; call it before freeze()")
    _own(cfg, FastPoseCfgNode)
    default = get_detectron2_cfg()
    if cfg.MODEL.DEVICE == default.MODEL.DEVICE:
        cfg.MODEL.DEVICE = "auto"
    _use_defaults(cfg, old=default, new=fastpose.get_cfg())
    head = cfg.MODEL.ROI_KEYPOINT_HEAD
    head.POOLER_RESOLUTION = _height_and_width(head.POOLER_RESOLUTION)
    _resolve_device(cfg)


def get_cfg() -> FastPoseCfgNode:
    """Detectron2's ``get_cfg()`` after ``add_fastpose_config``: the paper's FastPose-50."""
    cfg = get_detectron2_cfg()
    add_fastpose_config(cfg)
    return cfg


def from_default_host(cfg: fastpose.CfgNode) -> FastPoseCfgNode:
    """A configuration of the default host as Detectron2's."""
    own = get_cfg()
    own.merge_from_other_cfg(cfg)
    return own


def to_default_host(cfg: _Detectron2CfgNode) -> fastpose.CfgNode:
    """The default host's configuration of the same network; Detectron2's ResNet-FPN becomes timm's.

    Raises:
        ValueError: the default host has no such network.
    """
    own = fastpose.get_cfg()
    _copy_known(own, cfg)
    model, backbone = own.MODEL, cfg.MODEL.BACKBONE.NAME
    if backbone == "build_resnet_fpn_backbone":
        resnet = cfg.MODEL.RESNETS
        model.BACKBONE.NAME, model.BACKBONE.NORM = "build_timm_fpn_backbone", resnet.NORM
        model.TIMM.NAME, model.TIMM.STRIDE_IN_1X1 = f"resnet{resnet.DEPTH}", resnet.STRIDE_IN_1X1
    elif backbone not in BACKBONES:
        raise ValueError(f"MODEL.BACKBONE.NAME: the default host has no {backbone}")
    if cfg.MODEL.ROI_HEADS.NAME == "StandardROIHeads":
        if model.ROI_KEYPOINT_HEAD.NAME != "KRCNNConvDeconvUpsampleHead" or not model.KEYPOINT_ON:
            raise ValueError(
                "MODEL.ROI_HEADS.NAME StandardROIHeads: the default host has only its KRCNNConvDeconvUpsampleHead, "
                f"not {model.ROI_KEYPOINT_HEAD.NAME}"
            )
        model.ROI_HEADS.NAME, model.REID_ON = "MTNROIHeads", False
        model.ROI_KEYPOINT_HEAD.DECODER, model.ROI_KEYPOINT_HEAD.VISIBILITY_LOSS_WEIGHT = "resize", 0.0
    elif not _is_ours(cfg):
        raise ValueError(f"MODEL.ROI_HEADS.NAME: the default host has no {cfg.MODEL.ROI_HEADS.NAME}")
    return own


def _copy_known(own: dict, cfg: fastpose.CfgNode) -> None:
    for name, value in own.items():
        if name not in cfg:
            continue
        if isinstance(value, dict) and not value.is_new_allowed():  # type: ignore[attr-defined]
            _copy_known(value, cfg[name])
        elif isinstance(value, dict):
            own[name] = fastpose.CfgNode(copy.deepcopy(dict(cfg[name])), new_allowed=True)
        else:
            own[name] = copy.deepcopy(cfg[name])


def _use_defaults(cfg: fastpose.CfgNode, *, old: dict, new: dict) -> None:
    """Gives each key its ``new`` default where it is absent or has its ``old`` one."""
    for name, value in new.items():
        if isinstance(value, dict):
            if name in cfg:
                _use_defaults(cfg[name], old=old.get(name, {}), new=value)
            else:
                cfg[name] = copy.deepcopy(value)
                _own(cfg[name], type(cfg))
        elif name == "DEVICE" or (name in cfg and not _same(cfg[name], old.get(name))):
            continue
        else:
            cfg[name] = copy.deepcopy(value)


def _same(value: object, default: object) -> bool:
    if isinstance(value, (list, tuple)):
        one = isinstance(default, int) and list(value) == [default, default]
        return one or (isinstance(default, (list, tuple)) and list(value) == list(default))
    return type(value) is type(default) and value == default


def _own(cfg: dict, kind: type) -> None:
    """Makes every node of the tree of one class."""
    object.__setattr__(cfg, "__class__", kind)  # past yacs, which takes an attribute for a key
    for value in cfg.values():
        if isinstance(value, dict):
            _own(value, kind)


def _height_and_width(resolution: object) -> object:
    """Detectron2 writes one number where the features are square."""
    if isinstance(resolution, str) and resolution.strip().isdigit():
        resolution = int(resolution)
    return [resolution, resolution] if isinstance(resolution, int) else resolution


def _is_ours(cfg: fastpose.CfgNode) -> bool:
    return cfg.MODEL.META_ARCHITECTURE == "GeneralizedRCNN" and cfg.MODEL.ROI_HEADS.NAME == "MTNROIHeads"


def _resolve_device(cfg: fastpose.CfgNode) -> None:
    """Detectron2 takes a device as it is written."""
    if cfg.get("MODEL", {}).get("DEVICE") == "auto":
        cfg.MODEL.DEVICE = str(resolve_device("auto"))
