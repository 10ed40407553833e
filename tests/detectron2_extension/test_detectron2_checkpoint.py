import pickle

import numpy as np
import pytest
import torch
from detectron2_helpers import SMALL, THIN, assert_same_people, random_image

pytest.importorskip("detectron2", reason="Detectron2 is not installed")

from detectron2 import model_zoo
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.config import get_cfg
from detectron2.modeling import build_model

from fastpose_mtn.checkpoints.conversion import from_detectron2
from fastpose_mtn.checkpoints.loading import inference_config, load_weights, save_weights
from fastpose_mtn.config import get_cfg as default_cfg
from fastpose_mtn.detectron2.checkpoint import FastPoseCheckpointer
from fastpose_mtn.detectron2.config import add_fastpose_config
from fastpose_mtn.detectron2.convert import convert, main
from fastpose_mtn.systems.mtn.network import build_model as build_default

NETWORKS = ["mobilenetv2_100", "resnet18", "resnet50", "resnet101"]


@pytest.mark.parametrize("name", NETWORKS)
def test_there_and_back(small, tmp_path, name):
    ours, _, _ = small("MODEL.TIMM.NAME", name, "MODEL.BACKBONE.NORM", "FrozenBN")
    torch.nn.init.normal_(
        ours.roi_heads.keypoint_head.deconv2.weight, std=0.5
    )  # flat heatmaps have many best places
    cfg = default_cfg()
    cfg.merge_from_list([*SMALL, "MODEL.TIMM.NAME", name, "MODEL.BACKBONE.NORM", "FrozenBN"])
    save_weights(tmp_path / "a.safetensors", ours, cfg)
    assert convert(str(tmp_path / "a.safetensors"), tmp_path / "b.pth") == [
        tmp_path / "b.pth",
        tmp_path / "b.yaml",
    ]

    d2 = get_cfg()
    add_fastpose_config(d2)
    d2.merge_from_file(str(tmp_path / "b.yaml"))
    theirs = build_model(d2)
    DetectionCheckpointer(theirs).load(d2.MODEL.WEIGHTS)  # Detectron2's own
    ours.roi_heads.reid_head.classifier = None
    assert_same_people(ours, theirs, [random_image(96, 128), random_image(75, 140)])

    convert(str(tmp_path / "b.pth"), tmp_path / "c.safetensors")
    again = build_default(inference_config(str(tmp_path / "c.safetensors")))
    load_weights(again, tmp_path / "c.safetensors")
    for key, value in again.state_dict().items():
        torch.testing.assert_close(value, ours.state_dict()[key], rtol=0, atol=0)


def zoo(depth):
    """A model of Detectron2's own Keypoint R-CNN, thinned where its names do not depend on it."""
    cfg = get_cfg()
    cfg.merge_from_file(model_zoo.get_config_file("COCO-Keypoints/keypoint_rcnn_R_50_FPN_1x.yaml"))
    cfg.merge_from_list(["MODEL.DEVICE", "cpu", "MODEL.WEIGHTS", "", "MODEL.RESNETS.DEPTH", str(depth)])
    cfg.merge_from_list(["MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", "(16,)", "MODEL.ROI_BOX_HEAD.FC_DIM", "32"])
    cfg.merge_from_list(["MODEL.FPN.OUT_CHANNELS", "32", "TEST.DETECTIONS_PER_IMAGE", "10"])
    torch.manual_seed(depth)
    model = build_model(cfg).eval()
    with torch.no_grad():
        for name, value in model.named_buffers():
            if name.endswith("conv3.norm.weight"):
                value.fill_(0.1)  # or what the blocks add up to grows without bound in a random network
        model.roi_heads.box_predictor.cls_score.bias.copy_(torch.tensor([1.0, 0.0]))
        model.roi_heads.keypoint_head.score_lowres.weight.normal_(std=0.1)
    return model


def write_zoo_file(model, path):
    """As Detectron2's model zoo has them."""
    arrays = {name: value.numpy() for name, value in model.state_dict().items()}
    with path.open("wb") as file:
        pickle.dump({"model": arrays, "__author__": "Detectron2 Model Zoo"}, file)


def baseline(depth, path):
    cfg = get_cfg()
    add_fastpose_config(cfg)
    cfg.merge_from_file("configs/keypoint_rcnn_R50_FPN_detectron2.yaml")
    cfg.merge_from_list(
        [
            *THIN,
            "MODEL.RPN.POST_NMS_TOPK_TEST",
            "1000",
            "MODEL.TIMM.NAME",
            f"resnet{depth}",
            "MODEL.WEIGHTS",
            str(path),
        ]
    )
    return cfg


@pytest.mark.parametrize("depth", [50, 101])
def test_a_model_zoo_file_gives_detectron2s_output(tmp_path, depth, caplog, monkeypatch, request):
    monkeypatch.chdir(request.config.rootpath)
    theirs = zoo(depth)
    write_zoo_file(theirs, tmp_path / "zoo.pkl")
    cfg = baseline(depth, tmp_path / "zoo.pkl")
    model = build_model(cfg).eval()
    checkpointer = FastPoseCheckpointer(model, strict=True)
    with caplog.at_level("INFO", logger="fastpose_mtn"):
        checkpointer.load(cfg.MODEL.WEIGHTS)
    assert "weights from " in caplog.text
    assert "roi_heads.keypoint_head: 4 of 4 tensors loaded" in caplog.text
    for height, width in [(96, 128), (75, 140)]:
        inputs = [{"image": random_image(height, width)}]
        with torch.no_grad():
            wanted, got = (m.inference(inputs, do_postprocess=False)[0] for m in (theirs, model))
        assert len(got) == len(wanted) > 0
        np.testing.assert_allclose(got.pred_boxes.tensor, wanted.pred_boxes.tensor, atol=0.01)
        np.testing.assert_allclose(got.scores, wanted.scores, atol=1e-4)
        np.testing.assert_allclose(got.pred_keypoints[..., :2], wanted.pred_keypoints[..., :2], atol=0.01)


def test_a_model_zoo_file_starts_a_training(tmp_path, monkeypatch, request):
    """What fits of it; the paper's heads are new."""
    monkeypatch.chdir(request.config.rootpath)
    theirs = zoo(50)
    write_zoo_file(theirs, tmp_path / "zoo.pkl")
    cfg = baseline(50, tmp_path / "zoo.pkl")
    cfg.merge_from_list(["MODEL.ROI_KEYPOINT_HEAD.NAME", "MTNKeypointHead", "MODEL.REID_ON", "True"])
    model = build_model(cfg)
    checkpointer = FastPoseCheckpointer(model)
    checkpointer.load(cfg.MODEL.WEIGHTS)
    report = checkpointer.report
    assert any(name.startswith("roi_heads.reid_head.") for name in report.missing)
    assert "roi_heads.keypoint_head.score_lowres.weight" in report.unexpected
    assert "backbone.bottom_up.layer4.2.conv3.weight" in report.loaded
    with pytest.raises(ValueError, match=r"zoo.pkl: weights of another architecture; .* missing: "):
        FastPoseCheckpointer(model, strict=True).load(cfg.MODEL.WEIGHTS)

    # and the other way: weights with timm's names into Detectron2's own ResNet
    torch.save({"model": from_detectron2(theirs.state_dict())}, tmp_path / "timm.pth")
    other = zoo(50)
    checkpointer = FastPoseCheckpointer(other, strict=True)
    checkpointer.load(str(tmp_path / "timm.pth"))
    assert len(checkpointer.report.loaded) == len(theirs.state_dict())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{0}/absent.safetensors", "{0}/b.pth"], "absent.safetensors"),
        (["demo", "{0}/b.bin"], "expected a name that ends in .pth (for Detectron2) or .safetensors"),
        (
            ["{0}/alone.pth", "{0}/b.safetensors"],
            "these weights carry no configuration and none is beside them",
        ),
        (["{0}/code.pkl", "{0}/b.safetensors", "--config-file", "{0}/r50.yaml"], "which could run code"),
        (["demo", "{0}/b.pth", "--config-file", "{0}/r50.yaml"], "weights of another architecture"),
    ],
)
def test_what_cannot_be_converted(tmp_path, capsys, arguments, message):
    torch.save({"model": {"a": torch.zeros(1)}}, tmp_path / "alone.pth")
    (tmp_path / "code.pkl").write_bytes(pickle.dumps({"model": print}))
    (tmp_path / "r50.yaml").write_text("MODEL:\n  TIMM:\n    NAME: resnet18\n")
    with pytest.raises(SystemExit) as stop:
        main([argument.format(tmp_path) for argument in arguments])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
