"""Every row of the paper's Table 1: its file loads, builds as the paper has it, and trains."""

import json
import re
from pathlib import Path

import pytest
import torch

from fastpose_mtn.build import build_network
from fastpose_mtn.checkpoints.loading import load_weights, save_weights
from fastpose_mtn.config import CfgNode, get_cfg
from fastpose_mtn.data.catalog import DATASETS, coco_files
from fastpose_mtn.data.crops.dataset import CropsSpec
from fastpose_mtn.data.synthetic.images import SyntheticSpec
from fastpose_mtn.data.transforms.sifp import SIFP
from fastpose_mtn.engine import train as train_module
from fastpose_mtn.systems.mtn.network import build_model

CONFIGS = Path(__file__).parents[1] / "configs"
ROWS = sorted(p.name for p in CONFIGS.glob("*.yaml") if p.name.startswith(("FastPose-", "MaskRCNN-")))


def load(name):
    cfg = get_cfg()
    cfg.merge_from_file(str(CONFIGS / name))
    return cfg


def shrink(cfg, folder):
    """A tenth of the sizes, few channels, two steps; what makes the row what it is stays."""
    if "mobilenet" in cfg.MODEL.TIMM.NAME:
        cfg.MODEL.TIMM.NAME = "mobilenetv2_035"
    else:
        cfg.MODEL.TIMM.ARGS.channels = [8, 8, 16, 16]
    for node in (cfg.MODEL.ROI_KEYPOINT_HEAD, cfg.MODEL.ROI_REID_HEAD):
        node.CONV_DIMS = [8] * len(node.CONV_DIMS)
    anchors = [[size / 8 for size in level] for level in cfg.MODEL.ANCHOR_GENERATOR.SIZES]
    for key in ("MIN_SIZE_TRAIN", "MAX_SIZE_TRAIN", "MIN_SIZE_TEST", "MAX_SIZE_TEST"):
        cfg.INPUT[key] = tenth(cfg.INPUT[key])
    for key in ("MIN_SIZES", "MAX_SIZE", "MAX_SIZES"):
        cfg.TEST.AUG[key] = tenth(cfg.TEST.AUG[key])
    cfg.INPUT.SIFP.VALID_RANGE = [size / 10 for size in cfg.INPUT.SIFP.VALID_RANGE]
    cfg.merge_from_list(
        [
            "OUTPUT_DIR", str(folder), "SEED", 1, "MODEL.DEVICE", "cpu", "MODEL.TIMM.PRETRAINED", False,
            "MODEL.ANCHOR_GENERATOR.SIZES", anchors, "MODEL.FPN.OUT_CHANNELS", 8, "MODEL.ROI_BOX_HEAD.FC_DIM", 8,
            "MODEL.ROI_KEYPOINT_HEAD.DECONV_DIM", 8, "MODEL.RPN.POST_NMS_TOPK_TRAIN", 20,
            "MODEL.RPN.POST_NMS_TOPK_TEST", 20, "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE", 16,
            "TEST.DETECTIONS_PER_IMAGE", 5, "DATALOADER.NUM_WORKERS", 0, "SOLVER.IMS_PER_BATCH", 2, "SOLVER.MAX_ITER", 2,
            "DATASETS.TRAIN", ("synthetic://train?seeds=0-1&frames=4&size=128x72&people=3",), "DATASETS.TRAIN_WEIGHTS", (),
            "DATASETS.TEST", ("synthetic://test?seeds=800000&frames=1&size=128x72&people=2",),
        ]
    )  # fmt: skip
    return cfg


def tenth(size):
    return tuple(s // 10 for s in size) if isinstance(size, (list, tuple)) else size // 10


@pytest.mark.parametrize("name", ROWS)
def test_a_row_trains_two_steps_and_is_evaluated(name, tmp_path, monkeypatch):
    built = []

    def build_and_keep(cfg):
        model = build_model(cfg)
        built.append((model, {key: value.clone() for key, value in model.state_dict().items()}))
        return model

    monkeypatch.setattr(train_module, "build_network", build_and_keep)
    assert train_module.train(shrink(load(name), tmp_path)).is_file()
    ((model, before),) = built
    changed = {
        key.split(".")[0] for key, value in model.state_dict().items() if not torch.equal(value, before[key])
    }
    assert changed == {"backbone", "proposal_generator", "roi_heads"}
    (metrics,) = json.loads((tmp_path / "evaluation.json").read_text()).values()
    assert "keypoint/AP" in metrics


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_what_the_paper_describes(name):
    cfg = load(name)
    kind, backbone, *rest = name.removesuffix(".yaml").split("-")
    with torch.device("meta"):
        cfg.MODEL.TIMM.PRETRAINED = False
        cfg.MODEL.ROI_REID_HEAD.NUM_IDENTITIES = 10
        model = build_model(cfg)
    heads = model.roi_heads
    small = backbone in ("18", "MobileNetV2")
    assert {"MobileNetV2": "mobilenetv2_100"}.get(backbone, f"resnet{backbone}") == cfg.MODEL.TIMM.NAME
    assert len(heads.keypoint_head.convs) == (4 if small else 8)
    if kind == "FastPose":
        assert len(heads.reid_head.convs) == (2 if small else 4)
        assert heads.keypoint_head.resolution_hw == (22, 16)
    else:
        assert heads.reid_head is None
        assert heads.keypoint_head.resolution_hw == (14, 14)
    assert bool({"SIFP", "SNIP"} & set(rest)) == cfg.INPUT.SIFP.ENABLED
    if cfg.INPUT.SIFP.ENABLED:
        sifp = SIFP.from_config(cfg)
        assert (sifp.factors, sifp.valid_range) == ((2.0, 1.5, 1.0, 0.75), (16.0, 560.0))
    assert list(model.backbone.out_strides) == (["p4"] if "SNIP" in rest else ["p2", "p3", "p4", "p5", "p6"])
    assert ("MST" in rest) == cfg.TEST.AUG.ENABLED
    assert (rest[-1] if rest and rest[-1] in ("iou", "reid") else "occlusion_aware") == cfg.TRACKER.STRATEGY
    assert {dataset.partition("?")[0] for dataset in (*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST)} <= set(
        DATASETS
    )


def test_the_table_names_every_file():
    text = (CONFIGS / "README.md").read_text()
    named = set(re.findall(r"`([\w-]+\.yaml)`", text))
    assert named == {path.name for path in CONFIGS.glob("*.yaml")}


PEOPLE = ("people.yaml", "people-identities.yaml")


@pytest.mark.parametrize("name", PEOPLE)
def test_the_recipe_for_real_people_trains_two_steps_and_is_evaluated(name, tmp_path):
    cfg = shrink(load(name), tmp_path)
    cfg.INPUT.AUG.SIZE = [64, 64]
    cfg.MODEL.ANCHOR_GENERATOR.SIZES = load(name).MODEL.ANCHOR_GENERATOR.SIZES
    assert train_module.train(cfg).is_file()
    (metrics,) = json.loads((tmp_path / "evaluation.json").read_text()).values()
    assert {"box/AP", "keypoint/AP", "posetrack/MOTA"} <= set(metrics)


@pytest.mark.parametrize("name", PEOPLE)
def test_the_recipe_for_real_people_names_datasets_that_can_be_put_in_place(name):
    cfg = load(name)
    assert (cfg.MODEL.SKELETON, cfg.MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS) == ("PERSON19", 19)
    assert len(cfg.DATASETS.TRAIN_WEIGHTS) in (0, len(cfg.DATASETS.TRAIN))
    for dataset in (*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST):
        if dataset.startswith("synthetic://"):
            SyntheticSpec.parse(dataset)
            continue
        if dataset.startswith("crops://"):
            spec = CropsSpec.parse(dataset)
            paths = [spec.folder, spec.backgrounds]
        else:
            files = coco_files(dataset)
            paths = [files.annotations, files.images]
        assert all(path.parts[:2] == ("datasets", "people") for path in paths)
    train, test = (
        CropsSpec.parse(next(d for d in names if d.startswith("crops://")))
        for names in (cfg.DATASETS.TRAIN, cfg.DATASETS.TEST)
    )
    assert train.split[1] < test.split[0]  # nobody is both learned and searched for


ONE_STAGE = sorted(p.name for p in CONFIGS.glob("PoseDet-*.yaml") if p.stem != "PoseDet-micro")


@pytest.mark.parametrize("name", ONE_STAGE)
def test_a_row_of_posedets_tables_trains_two_steps(name, tmp_path):
    cfg = load(name)
    is_hrnet = "HRNet" in name
    assert (f"hrnet_w{name[14:16]}" if is_hrnet else "dla34") == cfg.MODEL.TIMM.NAME
    assert (("hrfpn", 256) if is_hrnet else ("fpn", 128)) == (
        cfg.MODEL.POSEDET.NECK,
        cfg.MODEL.FPN.OUT_CHANNELS,
    )
    assert ("norefine" not in name) == cfg.MODEL.POSEDET.REFINE
    assert ("box" if "boxcentroid" in name else "keypoints") == cfg.MODEL.POSEDET.CENTROID
    assert ("iou" if "iounms" in name else "oks") == cfg.MODEL.POSEDET.NMS
    assert (cfg.MODEL.POSEDET.HEATMAP_WEIGHT > 0) == ("noheatmap" not in name)
    assert ("MST" in name) == cfg.TEST.AUG.ENABLED
    assert cfg.INPUT.AUG.AROUND_PERSON
    assert {*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST} <= set(DATASETS)
    cfg = shrink(cfg, tmp_path)
    if is_hrnet:
        cfg.MODEL.TIMM.NAME, cfg.MODEL.TIMM.ARGS = "hrnet_w18_small", CfgNode(new_allowed=True)
    else:
        cfg.MODEL.TIMM.ARGS = CfgNode({"channels": [8, 8, 8, 16, 16, 32]}, new_allowed=True)
    cfg.merge_from_list(["INPUT.AUG.SIZE", [64, 64], "DATASETS.TEST", ()])
    assert train_module.train(cfg).is_file()


@pytest.mark.parametrize("name", ["posedet-s.yaml", "posedet-s-identities.yaml"])
def test_the_one_stage_network_for_real_people_starts_from_people_and_trains(name, tmp_path):
    cfg = load(name)
    torch.manual_seed(0)
    network = build_network(cfg)
    report = load_weights(network, cfg.MODEL.WEIGHTS, strict=False)
    backbone = {name for name in network.state_dict() if name.startswith("backbone.bottom_up.")}
    assert {n for n in backbone if not n.endswith("num_batches_tracked")} <= set(report.loaded)
    save_weights(tmp_path / "half.safetensors", network, cfg, half=True)
    assert (tmp_path / "half.safetensors").stat().st_size < 12e6
    cfg = shrink(cfg, tmp_path)
    cfg.merge_from_list(["INPUT.AUG.SIZE", [64, 64], "MODEL.WEIGHTS", ""])
    assert train_module.train(cfg).is_file()
    (metrics,) = json.loads((tmp_path / "evaluation.json").read_text()).values()
    assert {"box/AP", "keypoint/AP", "posetrack/MOTA"} <= set(metrics)


def test_the_one_stage_network_for_a_try_starts_from_drawn_and_trains(tmp_path):
    cfg = load("PoseDet-micro.yaml")
    torch.manual_seed(0)
    report = load_weights(build_network(cfg), cfg.MODEL.WEIGHTS, strict=False)
    assert not [name for name in report.missing if name.startswith("backbone.bottom_up.")]
    cfg = shrink(cfg, tmp_path)
    cfg.merge_from_list(["INPUT.AUG.SIZE", [64, 64], "MODEL.WEIGHTS", ""])
    assert train_module.train(cfg).is_file()
    (metrics,) = json.loads((tmp_path / "evaluation.json").read_text()).values()
    assert {"box/AP", "keypoint/AP", "posetrack/MOTA"} <= set(metrics)
