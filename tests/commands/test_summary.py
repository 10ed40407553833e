from pathlib import Path

import pytest
import torch
from tiny_posedet import posedet_config

from fastpose_mtn.commands.summary import describe, main, table
from fastpose_mtn.config import get_cfg
from fastpose_mtn.modeling.size import Part
from fastpose_mtn.systems.mtn.network import build_model
from fastpose_mtn.systems.mtn.size import parts_of

CONFIGS = Path(__file__).parents[2] / "configs"


def test_counts_by_hand(cfg):
    cfg.MODEL.ROI_KEYPOINT_HEAD.VISIBILITY_LOSS_WEIGHT = 0.0
    parts = parts_of(build_model(cfg), image_size_hw=(64, 96), proposals=30, people=3)
    by_name = {part.name: part for part in parts}
    box = by_name["box head"]  # 7x7 of 8 channels, two layers of 16, two classes and four numbers
    assert box.operations == 8 * 49 * 16 + 16 * 16 + 16 * 2 + 16 * 4
    assert box.parameters == (8 * 49 * 16 + 16) + (16 * 16 + 16) + (16 * 2 + 2) + (16 * 4 + 4)
    assert box.total == 30 * box.operations
    # 14x14: a convolution 8 -> 8, then a layer to 16
    identity = by_name["identity head"]
    assert identity.operations == 196 * 8 * 8 * 9 + 196 * 8 * 16
    assert identity.parameters == 8 * 8 * 9 + 8 + 196 * 8 * 16 + 16  # without the classifier
    # 22x16: a convolution 8 -> 8; two deconvolutions multiply every input by 4x4 weights
    keypoints = by_name["keypoint head"]
    assert keypoints.operations == 352 * 8 * 8 * 9 + 352 * 8 * 8 * 16 + 4 * 352 * 8 * 15 * 16
    assert keypoints.runs == 3
    # 3x3 and two 1x1 convolutions (3 anchors) at 16x24, 8x12, 4x6, 2x3 and 1x2 positions
    assert by_name["proposals"].operations == (384 + 96 + 24 + 6 + 2) * (8 * 8 * 9 + 8 * 3 + 8 * 12)


def test_parts_are_the_whole_network(cfg):
    model = build_model(cfg)
    parts = parts_of(model, image_size_hw=(64, 64), proposals=1, people=1)
    classifier = model.roi_heads.reid_head.classifier.weight.numel()
    assert sum(p.parameters for p in parts) == sum(p.numel() for p in model.parameters()) - classifier


def test_table():
    text = table([Part("a", 2_000_000, 3e9, 2), Part("b", 500_000, 1e9, 1)], (3.0, 5.0))
    assert text.splitlines()[-2].split() == ["sum", "2.50", "4.000", "7.0"]
    assert text.splitlines()[-1].split() == ["paper,", "Table", "1b", "3.00", "5.0"]


def test_command(cfg, tmp_path, capsys):
    path = tmp_path / "c.yaml"
    path.write_text(cfg.dump())
    main(["--config-file", str(path), "--size", "64x96", "--people", "2"])
    out = capsys.readouterr().out
    assert "resnet18 at 64x96" in out
    assert "box head for 30 proposals, joints and identities for 2 boxes" in out
    with pytest.raises(SystemExit) as stop:
        main(["--config-file", str(path), "--size", "64"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == "error: --size 64: expected HEIGHTxWIDTH in pixels, such as 600x1000\n"
    with pytest.raises(ValueError, match="expected numbers of boxes, got one below 0"):
        describe(cfg, size="64x64", proposals=-1, people=1)


@pytest.mark.parametrize(
    ("name", "backbone", "keypoint_convs", "reid_convs"),
    [
        ("MobileNetV2", "mobilenetv2_100", 4, 2),
        ("18", "resnet18", 4, 2),
        ("50", "resnet50", 8, 4),
        ("101", "resnet101", 8, 4),
    ],
)
def test_configurations_of_the_paper(name, backbone, keypoint_convs, reid_convs):
    cfg = get_cfg()
    cfg.merge_from_file(str(CONFIGS / f"FastPose-{name}.yaml"))
    assert backbone == cfg.MODEL.TIMM.NAME
    assert tuple(cfg.MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS) == (512,) * keypoint_convs
    assert tuple(cfg.MODEL.ROI_REID_HEAD.CONV_DIMS) == (256,) * reid_convs
    assert cfg.MODEL.ROI_KEYPOINT_HEAD.POOLER_RESOLUTION == [22, 16]
    assert (cfg.MODEL.RPN.POST_NMS_TOPK_TEST, cfg.TEST.DETECTIONS_PER_IMAGE) == (1000, 100)


@pytest.mark.parametrize("name", ["people", "demo"])
def test_packaged_weights_stay_small(name):
    """In float16, without the classifier: at most 16 MB."""
    cfg = get_cfg()
    cfg.merge_from_file(str(CONFIGS / f"{name}.yaml"))
    cfg.MODEL.TIMM.PRETRAINED = False
    with torch.device("meta"):
        state = build_model(cfg).state_dict()
    assert 2 * sum(v.numel() for n, v in state.items() if "classifier" not in n) <= 16_000_000


def test_another_systems_network_is_told():
    with pytest.raises(
        ValueError, match=r"MODEL\.META_ARCHITECTURE PoseDet: its parts are not counted here; give"
    ):
        describe(posedet_config(), size="64x64", proposals=None, people=1)
