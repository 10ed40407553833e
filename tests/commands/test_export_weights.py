import numpy as np
import pytest
import torch
import yaml

from fastpose_mtn.checkpoints.loading import save_weights
from fastpose_mtn.checkpoints.weight_files import read_weight_file
from fastpose_mtn.commands.export_weights import export, main
from fastpose_mtn.config import get_cfg
from fastpose_mtn.systems.mtn.estimator import MTNEstimator
from fastpose_mtn.systems.mtn.network import build_model


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Weights as a run leaves them: with a classifier, and a configuration that tells where it ran."""
    cfg = get_cfg()
    cfg.merge_from_list([
        "MODEL.TIMM.NAME", "mobilenetv2_035", "MODEL.BACKBONE.NORM", "BN", "MODEL.FPN.OUT_CHANNELS", "16",
        "MODEL.ROI_BOX_HEAD.FC_DIM", "16", "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", "(8,)",
        "MODEL.ROI_KEYPOINT_HEAD.DECONV_DIM", "8", "MODEL.ROI_REID_HEAD.CONV_DIMS", "(8,)",
        "MODEL.ROI_REID_HEAD.POOLER_RESOLUTION", "4", "MODEL.ROI_REID_HEAD.NUM_IDENTITIES", "5",
        "INPUT.MIN_SIZE_TEST", "0", "OUTPUT_DIR", "/home/somebody/run7", "MODEL.DEVICE", "cpu",
        "MODEL.ROI_HEADS.SCORE_THRESH_TEST", "0.0",
    ])  # fmt: skip
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("run") / "model_final.safetensors"
    save_weights(path, build_model(cfg), cfg, classifier=True)
    return path


def people(path):
    frame = np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)
    metadata = read_weight_file(path).metadata
    cfg = get_cfg()
    cfg.merge_from_other_cfg(type(cfg)(yaml.safe_load(metadata["config"])))
    return MTNEstimator.from_config(cfg, weights=str(path), precision="fp32").estimate([frame])[0]


def test_exported_weights_find_the_same_people(trained, tmp_path):
    target = export(str(trained), tmp_path / "new" / "mine.safetensors")
    assert [p.name for p in target.parent.iterdir()] == ["mine.safetensors"]
    before, after = people(trained), people(target)
    assert len(before) > 0
    assert np.array_equal(before.boxes, after.boxes)
    assert np.array_equal(before.embeddings, after.embeddings)


def test_nothing_of_the_run_is_left(trained, tmp_path):
    file = read_weight_file(export(str(trained), tmp_path / "mine.safetensors"))
    assert "roi_heads.reid_head.classifier.weight" in read_weight_file(trained).tensors
    assert not [name for name in file.tensors if "classifier" in name]
    config = yaml.safe_load(file.metadata["config"])
    assert config["OUTPUT_DIR"] == "./output"
    assert config["MODEL"]["ROI_REID_HEAD"]["NUM_IDENTITIES"] == 0
    assert config["MODEL"]["TIMM"]["NAME"] == "mobilenetv2_035"
    assert "somebody" not in file.metadata["config"]


def test_half_is_half_the_size(trained, tmp_path, capsys):
    whole = export(str(trained), tmp_path / "whole.safetensors")
    main([str(trained), str(tmp_path / "half.safetensors"), "--half"])
    assert "half.safetensors: " in capsys.readouterr().out
    half = tmp_path / "half.safetensors"
    assert {t.dtype for t in read_weight_file(half).tensors.values()} == {torch.float16}
    assert half.stat().st_size < 0.55 * whole.stat().st_size
    assert len(people(half)) > 0


def test_bad_names_are_one_line(trained, tmp_path, capsys):
    for arguments, text in [
        ([str(trained), "out.pth"], "error: out.pth: expected a name that ends in .safetensors"),
        (["absent.safetensors", "out.safetensors"], "error: weights file not found: absent.safetensors"),
    ]:
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 2
        assert capsys.readouterr().err == f"{text}\n"
