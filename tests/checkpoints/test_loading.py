import pickle

import numpy as np
import pytest
import torch

from fastpose_mtn import FastPose
from fastpose_mtn.checkpoints import loading as checkpoint
from fastpose_mtn.checkpoints.loading import inference_config, load_weights, portable_config, save_weights
from fastpose_mtn.config import get_cfg
from fastpose_mtn.systems.mtn.network import build_model


@pytest.fixture
def model(cfg):
    torch.manual_seed(0)
    return build_model(cfg)


def different(cfg, **keys):
    cfg = cfg.clone()
    cfg.merge_from_list([item for pair in keys.items() for item in (pair[0].replace("__", "."), pair[1])])
    torch.manual_seed(1)
    return build_model(cfg)


def equal(a, b):
    a, b = a.state_dict(), b.state_dict()
    names = [n for n in a if n in b and "num_batches" not in n and "classifier" not in n]
    return all(torch.equal(a[n], b[n]) for n in names)


def test_round_trip(cfg, model, tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, model, cfg)
    other = different(cfg)
    assert not equal(model, other)
    report = load_weights(other, path)
    assert equal(model, other)
    assert (report.missing, report.unexpected, report.mismatched) == ((), (), ())
    assert str(report) == f"{len(report.loaded)} loaded"


def test_file_alone_is_enough(cfg, model, tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, model, cfg)
    found = inference_config(str(path))
    assert str(path) == found.MODEL.WEIGHTS
    found.MODEL.WEIGHTS = cfg.MODEL.WEIGHTS
    assert found == cfg


def test_half_precision_halves_the_file(cfg, model, tmp_path):
    save_weights(tmp_path / "full", model, cfg)
    save_weights(tmp_path / "half", model, cfg, half=True)
    sizes = [(tmp_path / n).stat().st_size for n in ("half", "full")]
    assert sizes[0] / sizes[1] < 0.6
    other = different(cfg)
    load_weights(other, tmp_path / "half")
    weight, same = (m.roi_heads.box_head.fc1.weight for m in (model, other))
    assert same.dtype == torch.float32
    torch.testing.assert_close(weight, same, atol=1e-3, rtol=1e-3)


def test_numbers_beyond_half_precision_are_kept(cfg, model, tmp_path):
    variance = model.backbone.bottom_up.bn1.running_var
    variance[0] = 1e6
    save_weights(tmp_path / "half", model, cfg, half=True)
    other = different(cfg)
    load_weights(other, tmp_path / "half")
    assert torch.equal(other.backbone.bottom_up.bn1.running_var, variance)


@pytest.mark.parametrize("strict", [True, False])
def test_numbers_that_are_none_are_refused(cfg, model, tmp_path, strict):
    """A classifier whose scores are NaN finds nobody, which looks like an empty video."""
    path = tmp_path / "w.safetensors"
    with torch.no_grad():
        model.roi_heads.box_predictor.cls_score.weight[1, 3] = np.nan
        model.roi_heads.box_predictor.cls_score.bias[0] = np.inf
    save_weights(path, model, cfg)
    expected = r"w\.safetensors: 2 of its \d+ tensors hold NaN or infinity, the first is roi_heads\.box_predictor\.cls_"
    with pytest.raises(ValueError, match=expected):
        load_weights(different(cfg), path, strict=strict)


def test_classifier_serves_training_only(cfg, model, tmp_path):
    """It is not saved unless asked for, and a file that has one fits a network with another or none."""
    save_weights(tmp_path / "without", model, cfg)
    save_weights(tmp_path / "with", model, cfg, classifier=True)
    name = "roi_heads.reid_head.classifier.weight"
    assert name not in checkpoint.read_source(tmp_path / "without").tensors
    assert name in checkpoint.read_source(tmp_path / "with").tensors
    for count in (0, 5, 9):
        other = different(cfg, MODEL__ROI_REID_HEAD__NUM_IDENTITIES=count)
        for file in ("with", "without"):
            load_weights(other, tmp_path / file)
            assert equal(model, other)
    same = different(cfg)
    assert name in load_weights(same, tmp_path / "with").loaded
    assert torch.equal(
        same.roi_heads.reid_head.classifier.weight, model.roi_heads.reid_head.classifier.weight
    )


def test_another_architecture_is_named(cfg, model, tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, model, cfg)
    with pytest.raises(
        ValueError, match=r"another architecture; .* of another shape: .*fpn_lateral2.weight \(8, 64, 1, 1\) in the file, "
    ):  # fmt: skip
        load_weights(different(cfg, MODEL__FPN__OUT_CHANNELS=16), path)
    with pytest.raises(ValueError, match="another architecture; .* missing: backbone.bottom_up"):
        load_weights(different(cfg, MODEL__TIMM__NAME="mobilenetv2_100"), path)


def test_fine_tuning_takes_what_fits(cfg, model, tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, model, cfg)
    other = different(cfg, MODEL__ROI_KEYPOINT_HEAD__DECONV_DIM=4)
    report = load_weights(other, path, strict=False)
    assert {n for n, _, _ in report.mismatched} == {
        f"roi_heads.keypoint_head.{n}" for n in ("deconv1.weight", "deconv1.bias", "deconv2.weight")
    }
    assert torch.equal(other.roi_heads.box_head.fc1.weight, model.roi_heads.box_head.fc1.weight)
    torch.save({"x": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="none of its weights fit the network; x"):
        load_weights(other, tmp_path / "other.pth", strict=False)


@pytest.mark.parametrize("name", ["people", "posedet-s"])
def test_identities_can_be_switched_off(name):
    without = FastPose.from_pretrained(name, options=("MODEL.REID_ON", "False"))
    (found,) = without.detect([np.zeros((64, 96, 3), np.uint8)])
    assert found.embeddings is None


def test_a_part_that_is_none_of_identities_is_not_left_over_unsaid(cfg, model, tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, model, cfg)
    with pytest.raises(ValueError, match=r"6 unexpected: roi_heads\.keypoint_head") as refused:
        load_weights(different(cfg, MODEL__REID_ON=False, MODEL__KEYPOINT_ON=False), path)
    assert "reid_head" not in str(refused.value)


def test_training_checkpoint(cfg, model, tmp_path):
    path = tmp_path / "checkpoint.ckpt"
    state = {f"model.{n}": v for n, v in model.state_dict().items()}
    torch.save({"state_dict": state, "global_step": 7, "optimizer_states": [{}]}, path)
    other = different(cfg)
    load_weights(other, path)
    assert equal(model, other)


def test_detectron2_zoo_names(cfg, model, tmp_path):
    """A zoo file's ResNet is called differently; the rest is called the same."""

    def zoo(name):
        name = name.replace("bottom_up.conv1.", "bottom_up.stem.conv1.").replace(
            "bottom_up.bn1.", "bottom_up.stem.conv1.norm."
        )
        for i in range(1, 5):
            name = name.replace(f"bottom_up.layer{i}.", f"bottom_up.res{i + 1}.")
        for i in range(1, 4):
            name = name.replace(f".bn{i}.", f".conv{i}.norm.")
        return name.replace("downsample.0", "shortcut").replace("downsample.1", "shortcut.norm")

    arrays = {zoo(n): v.numpy() for n, v in model.state_dict().items() if "num_batches" not in n}
    assert "backbone.bottom_up.res3.0.shortcut.norm.running_mean" in arrays
    arrays["proposal_generator.anchor_generator.cell_anchors.0"] = np.zeros((3, 4), np.float32)
    path = tmp_path / "model_final.pkl"
    path.write_bytes(pickle.dumps({"model": arrays, "__author__": "Detectron2"}, protocol=2))
    other = different(cfg)
    load_weights(other, path)
    assert equal(model, other)


def test_configuration_file_wins(cfg, tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("MODEL:\n  WEIGHTS: there.pth\n  SKELETON: COCO17\n")
    assert inference_config(None, str(file)).MODEL.WEIGHTS == "there.pth"
    found = inference_config("here.pth", str(file))
    assert (found.MODEL.WEIGHTS, found.MODEL.SKELETON) == ("here.pth", "COCO17")


def test_torchvision_needs_no_configuration():
    cfg = inference_config("torchvision://keypointrcnn_resnet50_fpn")
    assert cfg.MODEL.ROI_KEYPOINT_HEAD.NAME == "KRCNNConvDeconvUpsampleHead"
    assert cfg.MODEL.ANCHOR_GENERATOR.ROUND is True


@pytest.mark.parametrize(
    ("name", "skeleton"),
    [
        ("people", "PERSON19"),
        ("alphapose-s", "PERSON19"),
        ("posedet-s", "PERSON19"),
        ("drawn", "POSETRACK15"),
        ("demo", "POSETRACK15"),
    ],
)
def test_packaged_weights_carry_their_configuration_and_no_folder(name, skeleton):
    cfg, default = inference_config(name), get_cfg()
    assert (skeleton, name) == (cfg.MODEL.SKELETON, cfg.MODEL.WEIGHTS)
    assert cfg.OUTPUT_DIR == default.OUTPUT_DIR
    assert not [
        name for name in (*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST) if "json:" in name or "crops:" in name
    ]


def test_people_are_looked_for_where_nothing_else_is_asked_for():
    assert inference_config().MODEL.WEIGHTS == "people"


def test_no_way_to_know_the_network(tmp_path, monkeypatch):
    torch.save({"x": torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"w\.pth: these weights carry no configuration; give --config-file"):
        inference_config(str(tmp_path / "w.pth"))
    (tmp_path / "c.yaml").write_text("VERSION: 2\n")
    with pytest.raises(ValueError, match="it names no MODEL.WEIGHTS; give --weights"):
        inference_config(None, str(tmp_path / "c.yaml"))
    with pytest.raises(ValueError, match="torchvision://nonesuch: unknown; known: keypointrcnn_resnet50_fpn"):
        inference_config("torchvision://nonesuch")
    monkeypatch.setattr(checkpoint.resources, "files", lambda _: tmp_path)
    with pytest.raises(ValueError, match="the weights 'people' are not installed .* give --weights"):
        inference_config()


def test_configuration_of_another_version(tmp_path):
    from fastpose_mtn.checkpoints.weight_files import write_weight_file

    path = tmp_path / "w.safetensors"
    write_weight_file(path, {"x": torch.zeros(1)}, {"config": "MODEL:\n  NONESUCH: 1\n"})
    with pytest.raises(ValueError, match="its configuration does not fit this version: .*NONESUCH"):
        inference_config(str(path))


def test_a_classifiers_weights_are_a_start(cfg, model, tmp_path):
    prefix = "backbone.bottom_up."
    state = {n.removeprefix(prefix): v for n, v in model.state_dict().items() if n.startswith(prefix)}
    torch.save({**state, "fc.weight": torch.zeros(1000, 512)}, tmp_path / "resnet18.pth")
    other = different(cfg)
    report = load_weights(other, tmp_path / "resnet18.pth", strict=False)
    for name, value in model.backbone.bottom_up.state_dict().items():
        assert torch.equal(value, other.backbone.bottom_up.state_dict()[name]), name
    lines = dict(line.split(": ", 1) for line in report.account().splitlines())
    count = len(report.loaded)
    assert lines["backbone.bottom_up"] == f"{count} of {count} tensors loaded"
    assert lines["roi_heads.box_head"].startswith(
        "0 of 4 tensors loaded; not in the file: roi_heads.box_head.fc1.weight"
    )
    assert lines["not used, as the network has no such tensors"] == f"{prefix}fc.weight"


def test_the_account_says_what_has_another_shape(cfg, model, tmp_path):
    save_weights(tmp_path / "w.safetensors", model, cfg)
    other = different(cfg, MODEL__ROI_KEYPOINT_HEAD__DECONV_DIM=4)
    account = load_weights(other, tmp_path / "w.safetensors", strict=False).account()
    line = next(line for line in account.splitlines() if line.startswith("roi_heads.keypoint_head"))
    assert "3 of 6 tensors loaded; of another shape in the file: " in line
    assert "roi_heads.keypoint_head.deconv1.weight is (8, 8, 4, 4), here (8, 4, 4, 4)" in line
    assert "not in the file" not in account


def test_another_number_of_joints_is_named_with_the_remedy(cfg, model, tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, model, cfg)
    other = different(cfg, MODEL__SKELETON="PERSON19", MODEL__ROI_KEYPOINT_HEAD__NUM_KEYPOINTS=19)
    text = (
        "the file's joints are POSETRACK15's 15, the network's PERSON19's 19: set MODEL.SKELETON POSETRACK15 "
        "MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS 15 to use them"
    )
    with pytest.raises(ValueError, match=f"another architecture; .*{text}"):
        load_weights(other, path)
    report = load_weights(other, path, strict=False)
    assert report.joints().startswith(text)
    assert report.loaded
    narrower = different(cfg, MODEL__ROI_KEYPOINT_HEAD__DECONV_DIM=4)
    assert load_weights(narrower, path, strict=False).joints() == ""


def test_weights_name_nobodys_folders(cfg):
    cfg.DATASETS.TRAIN, cfg.DATASETS.TEST = ("synthetic://a?seeds=1",), ("mpii_train?tasks=keypoints",)
    assert portable_config(cfg).DATASETS == cfg.DATASETS
    cfg.DATASETS.TRAIN_WEIGHTS = (1.0, 2.0)
    for name in ("json:///home/me/a.json?images=/home/me", "crops://mine/people"):
        cfg.DATASETS.TRAIN = ("synthetic://a?seeds=1", name)
        assert portable_config(cfg).DATASETS == get_cfg().DATASETS
