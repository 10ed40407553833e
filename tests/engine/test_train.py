import csv
import json
import logging
from types import MappingProxyType

import numpy as np
import pytest
import torch
from offline_timm import timm_offline
from safetensors.torch import load_file
from torch import nn

from fastpose_mtn.checkpoints.loading import save_weights
from fastpose_mtn.config import get_cfg
from fastpose_mtn.engine import train as train_module
from fastpose_mtn.engine.train import train
from fastpose_mtn.errors import InputError
from fastpose_mtn.systems.mtn.network import build_model


class TinyNetwork(nn.Module):
    """Has what training touches: trained weights, a norm's statistics, frozen weights, randomness."""

    loss_tasks = MappingProxyType({"loss_cls": "boxes", "loss_reid": "identities"})

    def __init__(self, explode_at=None):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1))
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)
        self.calls, self.explode_at = 0, explode_at

    def losses(self, batch):
        self.calls += 1
        images = torch.stack([image.float() / 255 for image in batch.images])
        out = self.layers(images).mean((2, 3)) * self.frozen
        wanted = torch.stack([t.boxes.sum(0)[:2] for t in batch.targets]) / 500
        wanted += 0.1 * torch.rand(len(batch), 2)
        losses = {"loss_cls": (out - wanted).abs().mean(), "loss_reid": (out[:, 0] ** 2).mean()}
        if self.calls == self.explode_at:
            losses["loss_reid"] = losses["loss_reid"] * float("inf")
        return losses


def config(folder, **changes):
    cfg = get_cfg()
    values = {
        "OUTPUT_DIR": str(folder),
        "SEED": 5,
        "MODEL.DEVICE": "cpu",
        "DATASETS.TRAIN": ("synthetic://tiny?seeds=0-3&frames=6&size=96x64&people=1-3",),
        "DATALOADER.NUM_WORKERS": 0,
        "INPUT.MIN_SIZE_TRAIN": (64,),
        "SOLVER.IMS_PER_BATCH": 4,
        "SOLVER.MAX_ITER": 6,
        "SOLVER.WARMUP_ITERS": 2,
        "SOLVER.BASE_LR": 0.05,
        "SOLVER.EMA": 0.9,
        "SOLVER.CHECKPOINT_PERIOD": 2,
        "SOLVER.LOG_PERIOD": 3,
        **changes,
    }
    cfg.merge_from_list([item for pair in values.items() for item in pair])
    return cfg


@pytest.fixture
def tiny(monkeypatch):
    built = []

    def build_network(cfg):
        built.append(TinyNetwork())
        return built[-1]

    monkeypatch.setattr(train_module, "build_network", build_network)
    return built


@pytest.mark.parametrize("trained", [(), ("layers.3",)])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, tiny, trained):
    """Where a normalisation is frozen, the checkpoint lacks its count of batches."""
    options = {"SOLVER.TRAINED_PARTS": trained}
    whole = load_file(train(config(tmp_path / "whole", **options)))
    # Stopped after step 4, as by a power cut: the files of step 6 were never written.
    cut = tmp_path / "cut"
    train(config(cut, **options))
    for path in (*cut.glob("*0000006*"), cut / "model_final.safetensors"):
        path.unlink()
    again = load_file(train(config(cut, **options), resume=True))
    assert tiny[-1].calls == 2  # steps 5 and 6
    assert set(whole) == set(again)
    for name, value in whole.items():
        assert torch.equal(value, again[name]), name


def test_the_same_seed_trains_the_same_network_and_another_does_not(tmp_path, tiny):
    a, b, c = (
        load_file(train(config(tmp_path / name, SEED=seed))) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert torch.equal(a["layers.0.weight"], b["layers.0.weight"])
    assert not torch.equal(a["layers.0.weight"], c["layers.0.weight"])


def test_what_a_run_leaves(tmp_path, tiny, caplog):
    with caplog.at_level(logging.INFO, "fastpose_mtn"):
        train(config(tmp_path, **{"SOLVER.CHECKPOINTS_KEPT": 2}))
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {
        "config.yaml", "logs", "model_final.safetensors",
        "checkpoint_0000004.ckpt", "model_0000004.safetensors",
        "checkpoint_0000006.ckpt", "model_0000006.safetensors",
    }  # fmt: skip
    # A run goes on with the configuration that it wrote.
    again = get_cfg()
    again.merge_from_file(str(tmp_path / "config.yaml"))
    assert again.SOLVER.MAX_ITER == 6
    assert again.MODEL.ROI_REID_HEAD.NUM_IDENTITIES > 0
    rows = list(csv.DictReader((tmp_path / "logs" / "version_0" / "metrics.csv").open()))
    assert [row["step"] for row in rows] == ["3", "6"]
    total = float(rows[0]["loss_cls"]) + float(rows[0]["loss_reid"])
    assert float(rows[0]["total_loss"]) == pytest.approx(total)
    text = "\n".join(caplog.messages)
    assert "24 images" in text
    assert "step 3/6 loss" in text
    assert "images/s" in text


def test_the_average_is_what_is_exported(tmp_path, tiny):
    exported = load_file(train(config(tmp_path)))
    own = tiny[-1].state_dict()
    assert not torch.equal(exported["layers.0.weight"], own["layers.0.weight"])
    assert torch.equal(exported["frozen"], own["frozen"])
    plain = load_file(train(config(tmp_path / "plain", **{"SOLVER.EMA": 0.0})))
    assert torch.equal(plain["layers.0.weight"], own["layers.0.weight"])


class DivergedNetwork(TinyNetwork):
    """Its own numbers are not finite in the fourth step, before there is any loss."""

    def losses(self, batch):
        if self.calls == 3:
            raise FloatingPointError("the region proposals are not finite")
        return super().losses(batch)


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (lambda: TinyNetwork(explode_at=4), "loss_reid = inf is not finite"),
        (DivergedNetwork, "the region proposals are not finite"),
    ],
)
def test_a_training_that_diverges_stops_the_run_and_keeps_the_checkpoint(
    tmp_path, monkeypatch, network, told
):
    monkeypatch.setattr(train_module, "build_network", lambda cfg: network())
    with pytest.raises(
        InputError, match=f"step 3: training has diverged: {told}; the last checkpoint is kept"
    ):
        train(config(tmp_path))
    assert [p.name for p in tmp_path.glob("*.ckpt")] == ["checkpoint_0000002.ckpt"]
    checkpoint = torch.load(tmp_path / "checkpoint_0000002.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 2


def test_a_second_run_does_not_overwrite_the_first(tmp_path, tiny):
    train(config(tmp_path))
    with pytest.raises(ValueError, match=r"holds the checkpoints of a run; go on from them with --resume"):
        train(config(tmp_path))


def test_training_begins_from_weights_that_fit(tmp_path, tiny, caplog):
    first = train(config(tmp_path / "first", **{"SOLVER.BASE_LR": 0.5}))
    still = {"MODEL.WEIGHTS": str(first), "SOLVER.BASE_LR": 1e-12, "SOLVER.EMA": 0.0}
    with caplog.at_level(logging.INFO, "fastpose_mtn"):
        second = load_file(train(config(tmp_path / "second", **still)))
    torch.testing.assert_close(second["layers.0.weight"], load_file(first)["layers.0.weight"])
    assert "model_final.safetensors:\n  frozen: 1 of 1 tensors loaded\n  layers.0: 2 of 2" in caplog.text
    with pytest.raises(ValueError, match="weights file not found: absent.safetensors"):
        train(config(tmp_path / "third", **{"MODEL.WEIGHTS": "absent.safetensors"}))


def test_resuming_what_cannot_be_resumed(tmp_path, tiny, monkeypatch):
    train(config(tmp_path))
    wider = TinyNetwork()
    wider.layers[3] = nn.Conv2d(4, 3, 1)
    with monkeypatch.context() as patch:
        patch.setattr(train_module, "build_network", lambda cfg: wider)
        text = r"checkpoint_0000006.ckpt: of another network .* layers.3.weight is \(2, 4, 1, 1\) there and \(3, 4"
        with pytest.raises(ValueError, match=text):
            train(config(tmp_path), resume=True)
    newest = tmp_path / "checkpoint_0000006.ckpt"
    newest.write_bytes(newest.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"not a whole checkpoint \(.*\); delete it, and --resume"):
        train(config(tmp_path), resume=True)
    newest.unlink()
    train(config(tmp_path), resume=True)
    assert tiny[-1].calls == 2


def test_resuming_nothing_begins(tmp_path, tiny):
    assert train(config(tmp_path), resume=True).is_file()


def test_an_unreadable_image_stops_with_one_line(tmp_path, tiny):
    (tmp_path / "1.jpg").write_bytes(b"cut short")
    person = {"id": 1, "image_id": 1, "bbox": [1, 1, 5, 5]}
    labels = {"images": [{"id": 1, "file_name": "1.jpg", "width": 9, "height": 9}], "annotations": [person]}
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    name = f"json://{tmp_path}/labels.json?images={tmp_path}"
    for workers in (0, 1):
        with pytest.raises(ValueError, match=r"1.jpg: expected an image, got 9 bytes") as error:
            train(config(tmp_path / "out", **{"DATASETS.TRAIN": (name,), "DATALOADER.NUM_WORKERS": workers}))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"DATASETS.TRAIN": ()}, "DATASETS.TRAIN names no dataset"),
        (
            {"MODEL.ROI_REID_HEAD.NUM_IDENTITIES": 1},
            "NUM_IDENTITIES is 1, but DATASETS.TRAIN has .* identities",
        ),
        ({"SOLVER.AMP.ENABLED": True, "SOLVER.AMP.DTYPE": "fp16"}, "fp16 needs a GPU"),
        ({"SOLVER.AMP.ENABLED": True, "SOLVER.AMP.DTYPE": "int8"}, "expected bf16 or fp16, got 'int8'"),
        ({"MODEL.DEVICE": "tpu"}, "MODEL.DEVICE: expected auto, cuda or cpu, got 'tpu'"),
    ],
)
def test_configurations_that_cannot_train(tmp_path, tiny, changes, text):
    with pytest.raises(ValueError, match=text):
        train(config(tmp_path, **changes))


def test_mixed_precision_trains(tmp_path, tiny):
    weights = load_file(train(config(tmp_path, **{"SOLVER.AMP.ENABLED": True, "SOLVER.MAX_ITER": 2})))
    assert weights["layers.0.weight"].dtype == torch.float32
    assert np.isfinite(weights["layers.0.weight"].numpy()).all()


def test_start_weights_of_other_joints_are_told_with_the_remedy(tmp_path, cfg, caplog):
    save_weights(tmp_path / "w.safetensors", build_model(cfg), cfg)
    cfg.MODEL.WEIGHTS = str(tmp_path / "w.safetensors")
    cfg.MODEL.SKELETON, cfg.MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS = "PERSON19", 19
    train_module._starting_network(cfg, None, seed=1)
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warning.startswith(f"MODEL.WEIGHTS {cfg.MODEL.WEIGHTS}: the file's joints are POSETRACK15's 15")


def test_imagenet_weights_are_fetched_only_for_a_backbone_that_others_do_not_fill(
    tmp_path, cfg, caplog, monkeypatch
):
    """People without a network connection go on from weights that they have."""
    asked = timm_offline(monkeypatch)
    whole = build_model(cfg)
    save_weights(tmp_path / "whole.safetensors", whole, cfg)
    del whole.backbone.bottom_up
    save_weights(tmp_path / "heads.safetensors", whole, cfg)
    cfg.MODEL.TIMM.PRETRAINED, cfg.MODEL.WEIGHTS = True, str(tmp_path / "whole.safetensors")
    asked.clear()
    begun = train_module._starting_network(cfg, None, seed=1)
    name = "backbone.bottom_up.layer4.1.conv2.weight"
    torch.testing.assert_close(begun.state_dict()[name], load_file(cfg.MODEL.WEIGHTS)[name])
    assert asked == [False]
    for weights in (str(tmp_path / "heads.safetensors"), ""):
        cfg.MODEL.WEIGHTS = weights
        with pytest.raises(
            ValueError, match=r"MODEL.TIMM.PRETRAINED: cannot get timm's ImageNet weights .*no network"
        ):
            train_module._starting_network(cfg, None, seed=1)
