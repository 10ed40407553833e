import sys
from pathlib import Path

import pytest

pytest.importorskip("detectron2", reason="Detectron2 is not installed")

from detectron2 import model_zoo
from detectron2.config import CfgNode, get_cfg
from detectron2.modeling import (
    BACKBONE_REGISTRY,
    PROPOSAL_GENERATOR_REGISTRY,
    ROI_HEADS_REGISTRY,
    ROI_KEYPOINT_HEAD_REGISTRY,
    build_model,
)

import fastpose_mtn.config
import fastpose_mtn.detectron2 as extension
from fastpose_mtn.detectron2.config import from_default_host, to_default_host
from fastpose_mtn.detectron2.installed import check_detectron2


def _trained_by_detectron2(path):
    """Networks of the other systems are Lightning's."""
    cfg = fastpose_mtn.config.get_cfg()
    cfg.merge_from_file(str(path))
    return cfg.MODEL.META_ARCHITECTURE == "GeneralizedRCNN"


CONFIGS = [
    path
    for path in sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
    if _trained_by_detectron2(path)
]


@pytest.fixture
def cfg():
    cfg = get_cfg()
    extension.add_fastpose_config(cfg)
    return cfg


def test_registries():
    assert ROI_HEADS_REGISTRY.get("MTNROIHeads") is extension.MTNROIHeads
    assert ROI_KEYPOINT_HEAD_REGISTRY.get("MTNKeypointHead") is extension.MTNKeypointHead
    assert BACKBONE_REGISTRY.get("build_timm_fpn_backbone") is extension.build_timm_fpn_backbone
    assert PROPOSAL_GENERATOR_REGISTRY.get("MTNRPN") is extension.MTNRPN


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_a_yaml_file_means_the_same_to_both_hosts(cfg, path):
    default = fastpose_mtn.config.get_cfg()
    default.merge_from_file(str(path))
    cfg.merge_from_file(str(path))
    known = to_default_host(cfg)
    known.MODEL.DEVICE = default.MODEL.DEVICE  # Detectron2 knows no "auto"
    assert known == default
    assert to_default_host(from_default_host(default)).MODEL == known.MODEL or default.MODEL.DEVICE == "auto"


@pytest.mark.parametrize("value", ["14", 14, [14, 14], (22, 16), "[22, 16]"])
def test_the_keypoint_poolers_resolution_may_be_one_number(cfg, value, tmp_path):
    cfg.merge_from_list(["MODEL.ROI_KEYPOINT_HEAD.POOLER_RESOLUTION", value])
    wanted = [22, 16] if "22" in str(value) else [14, 14]
    assert list(cfg.MODEL.ROI_KEYPOINT_HEAD.POOLER_RESOLUTION) == wanted
    (tmp_path / "a.yaml").write_text(f"MODEL:\n  ROI_KEYPOINT_HEAD:\n    POOLER_RESOLUTION: {value}\n")
    cfg.merge_from_file(str(tmp_path / "a.yaml"))
    assert list(cfg.MODEL.ROI_KEYPOINT_HEAD.POOLER_RESOLUTION) == wanted


def test_a_mapping_of_any_names_replaces_the_bases(cfg, tmp_path):
    (tmp_path / "base.yaml").write_text("MODEL: {TIMM: {NAME: resnet18, ARGS: {stem_type: deep}}}")
    (tmp_path / "a.yaml").write_text("_BASE_: base.yaml\nMODEL: {TIMM: {ARGS: {}}}")
    for name, expected in (("base", {"stem_type": "deep"}), ("a", {})):
        cfg.merge_from_file(str(tmp_path / f"{name}.yaml"))
        assert expected == cfg.MODEL.TIMM.ARGS
    cfg.merge_from_list(["MODEL.TIMM.ARGS", "{stem_width: 16}"])
    assert to_default_host(cfg).MODEL.TIMM.ARGS == {"stem_width": 16}
    assert from_default_host(to_default_host(cfg)).MODEL.TIMM.ARGS == {"stem_width": 16}


def test_a_number_stands_for_a_number(cfg, tmp_path):
    """Of FastPose's keys, of Detectron2's own, and of another project's."""
    cfg.OTHER_PROJECT = CfgNode({"RATE": 0.5, "SIZES": (1, 2)})
    cfg.merge_from_list(
        ["TRACKER.MAX_LOST_SECONDS", "4", "SOLVER.MAX_ITER", "9e4", "OTHER_PROJECT.RATE", "2"]
    )
    assert (cfg.TRACKER.MAX_LOST_SECONDS, cfg.SOLVER.MAX_ITER, cfg.OTHER_PROJECT.RATE) == (4.0, 90000, 2.0)
    assert type(cfg.OTHER_PROJECT.RATE) is float
    (tmp_path / "a.yaml").write_text(
        "MODEL:\n  RETINANET:\n    FOCAL_LOSS_GAMMA: 3\nINPUT:\n  MIN_SIZE_TRAIN: [640.0]\n"
        "OTHER_PROJECT:\n  SIZES: [3, 4]\n"
    )
    cfg.merge_from_file(str(tmp_path / "a.yaml"))
    assert (cfg.MODEL.RETINANET.FOCAL_LOSS_GAMMA, cfg.INPUT.MIN_SIZE_TRAIN) == (3.0, (640,))
    assert cfg.OTHER_PROJECT.SIZES == (3, 4)
    with pytest.raises(ValueError, match="SOLVER.MAX_ITER: expected a whole number such as 90000, got 5.5"):
        cfg.merge_from_list(["SOLVER.MAX_ITER", "5.5"])


def test_detectron2s_own_files_keep_detectron2s_defaults(cfg):
    name = "COCO-Keypoints/keypoint_rcnn_R_50_FPN_1x.yaml"
    theirs = get_cfg()
    theirs.merge_from_file(model_zoo.get_config_file(name))
    cfg.merge_from_file(model_zoo.get_config_file(name))
    cfg.MODEL.DEVICE = theirs.MODEL.DEVICE
    assert cfg.MODEL.SKELETON == "COCO17"
    assert not cfg.TEST.POSE_NMS.ENABLED  # results are Detectron2's
    assert _differences(theirs, cfg) == ["MODEL.ROI_KEYPOINT_HEAD.POOLER_RESOLUTION"]
    assert cfg.MODEL.ROI_KEYPOINT_HEAD.POOLER_RESOLUTION == [14, 14]


def _differences(a, b, prefix=""):
    out = []
    for name, value in a.items():
        if isinstance(value, CfgNode):
            out += _differences(value, b[name], f"{prefix}{name}.")
        elif (list(value) if isinstance(value, tuple) else value) != (
            list(b[name]) if isinstance(b[name], tuple) else b[name]
        ):
            out.append(prefix + name)
    return out


def test_what_was_set_before_stays():
    cfg = get_cfg()
    cfg.SOLVER.BASE_LR = 0.5
    extension.add_fastpose_config(cfg)
    assert cfg.TEST.POSE_NMS.ENABLED
    assert cfg.SOLVER.BASE_LR == 0.5
    assert cfg.MODEL.ROI_HEADS.NAME == "MTNROIHeads"
    cfg.OTHER_PROJECT = CfgNode({"KEY": 1})
    cfg.merge_from_list(["OTHER_PROJECT.KEY", "2"])
    cfg.merge_from_other_cfg(CfgNode({"OTHER_PROJECT": {"KEY": 3}}))
    assert cfg.clone().OTHER_PROJECT.KEY == 3
    cfg.freeze()
    with pytest.raises(ValueError, match="frozen"):
        extension.add_fastpose_config(cfg)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["MODEL.ROI_HEADS.NUM_CLASSES", "2"],
            "MODEL.ROI_HEADS.NUM_CLASSES is 2, but MTNROIHeads finds people only",
        ),
        (["MODEL.MASK_ON", "True"], "MODEL.MASK_ON: MTNROIHeads has no mask head"),
        (["MODEL.SKELETON", "COCO17"], "MODEL.SKELETON COCO17 has 17 joints; make them equal"),
        (["MODEL.ROI_KEYPOINT_HEAD.NAME", "None"], "MODEL.ROI_KEYPOINT_HEAD.NAME: unknown head"),
    ],
)
def test_bad_configurations(cfg, options, message):
    cfg.merge_from_list(["MODEL.DEVICE", "cpu", "MODEL.TIMM.NAME", "resnet18", *options])
    with pytest.raises(ValueError, match=message):
        build_model(cfg)


def test_a_key_that_does_not_exist(cfg, tmp_path):
    (tmp_path / "a.yaml").write_text("MODEL:\n  RESNETS:\n    DEPHT: 50\n")
    with pytest.raises(
        ValueError, match=r"a.yaml: unknown configuration key MODEL.RESNETS.DEPHT; did you mean"
    ):
        cfg.merge_from_file(str(tmp_path / "a.yaml"))
    with pytest.raises(ValueError, match=r"unknown configuration key MODEL.RESNETS.DEPTH"):
        fastpose_mtn.config.get_cfg().merge_from_list(["MODEL.RESNETS.DEPTH", "50"])


@pytest.mark.parametrize("absent", ["detectron2.tracking.base_tracker", "detectron2"])
def test_a_detectron2_that_is_too_old_or_absent(absent, monkeypatch):
    monkeypatch.setitem(sys.modules, absent, None)
    why = "too old" if "." in absent else "is not installed"
    with pytest.raises(
        ImportError, match=rf"{why}.*https://detectron2.readthedocs.io/tutorials/install.html"
    ):
        check_detectron2()
