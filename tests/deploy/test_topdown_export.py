"""Exported top-down networks: crops in, the joints that PyTorch finds out."""

import importlib

import cv2
import numpy as np
import pytest
import torch
from networks_to_export import ENDINGS, image, needs
from tiny_mspn import mspn_config
from tiny_topdown import FixedDetector, people, topdown_config

from fastpose_mtn.build import build_estimator, build_network, build_pose_tracking
from fastpose_mtn.checkpoints.loading import save_weights
from fastpose_mtn.commands.export import main
from fastpose_mtn.deploy.formats import write
from fastpose_mtn.deploy.quantize import quantize
from fastpose_mtn.systems.topdown import estimator as topdown_estimator

FRAME = image(97, 131)
BOXES = np.array([[10.0, 5, 60, 90], [70, -3, 140, 60], [5, 5, 5, 5]])
SCORES = np.array([0.5, 0.9, 1.0])


def network(*options):
    cfg = topdown_config(*options)
    torch.manual_seed(0)
    model = build_network(cfg).eval()
    torch.nn.init.normal_(model.upsampler.output.weight, std=0.5)  # flat heatmaps have many best places
    return model, cfg


@pytest.mark.parametrize("form", ["onnx", "openvino"])
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("MODEL.TOPDOWN.LOSS", "integral", "MODEL.TOPDOWN.FLIP_TEST", "True"),
        (
            "MODEL.TOPDOWN.LOSS",
            "heatmap",
            "MODEL.TOPDOWN.UPSAMPLER",
            "deconv",
            "MODEL.TOPDOWN.VISIBILITY_LOSS_WEIGHT",
            "0.0",
        ),
    ],
    ids=["cross_entropy", "integral", "heatmap"],
)
def test_joints_are_those_of_pytorch(form, options, tmp_path):
    needs(form)
    model, cfg = network(*options)
    path = tmp_path / f"top{ENDINGS[form]}"
    write(form, path, model, cfg)
    built = build_pose_tracking(weights=str(path), device="cpu", precision="fp32")
    expected = build_estimator(cfg, model, device="cpu", precision="fp32")
    for boxes, scores in ((BOXES, SCORES), (BOXES[:1], SCORES[:1]), (BOXES[:0], SCORES[:0])):
        located = built.estimator.estimate_given(FRAME, boxes, scores)
        wanted = expected.estimate_given(FRAME, boxes, scores)
        np.testing.assert_allclose(located.keypoints, wanted.keypoints, atol=0.05)
        np.testing.assert_allclose(located.scores, wanted.scores, atol=1e-3)


@pytest.mark.parametrize(
    ("form", "decoder"),
    [("onnx", "quarter"), ("onnx", "dark_udp"), ("openvino", "quarter"), ("openvino", "dark")],
)
def test_multi_stage_networks_are_exported_with_their_decoders(form, decoder, tmp_path):
    needs(form)
    options = [
        "MODEL.TOPDOWN.FLIP_TEST",
        "True",
        "MODEL.TOPDOWN.DECODER",
        decoder,
        "MODEL.TOPDOWN.FILTER_KERNEL",
        "5",
    ]
    cfg = mspn_config(*options)
    torch.manual_seed(0)
    model = build_network(cfg).eval()
    path = tmp_path / f"top{ENDINGS[form]}"
    write(form, path, model, cfg)
    built = build_pose_tracking(weights=str(path), device="cpu", precision="fp32")
    expected = build_estimator(cfg, model, device="cpu", precision="fp32")
    located, wanted = (e.estimate_given(FRAME, BOXES, SCORES) for e in (built.estimator, expected))
    near = np.abs(located.keypoints - wanted.keypoints).max(axis=2) < 0.1
    assert near.mean() > 0.95  # maps without training have several best places
    cfg.MODEL.TOPDOWN.ENSEMBLE = ["other.pth"]
    with pytest.raises(ValueError, match="ENSEMBLE: an export is of one network"):
        write(form, path, model, cfg)


def test_the_command_and_a_detector(tmp_path):
    needs("onnx")
    model, cfg = network()
    save_weights(tmp_path / "w.safetensors", model, cfg)
    arguments = ["--format", "onnx", "--weights", str(tmp_path / "w.safetensors")]
    path = tmp_path / "w.onnx"
    main([*arguments, "--output", str(path)])
    built = build_pose_tracking(weights=str(path), detector="drawn", device="cpu")
    (found,) = built.estimator.estimate([FRAME])
    assert found.keypoints.shape[1:] == (19, 3)
    with pytest.raises(ValueError, match=r"w\.onnx: it takes crops of people, not frames"):
        build_pose_tracking(weights=str(path), detector=str(path), device="cpu")


@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_identity_vectors_are_those_of_pytorch(form, tmp_path):
    needs(form)
    options = (
        "MODEL.REID_ON",
        "True",
        "MODEL.TOPDOWN.REID.SHARED",
        "False",
        "MODEL.TOPDOWN.FLIP_TEST",
        "True",
    )
    model, cfg = network(*options)
    torch.nn.init.normal_(model.reid.attention.conv.weight, std=0.5)
    path = tmp_path / f"top{ENDINGS[form]}"
    write(form, path, model, cfg)
    exported = build_pose_tracking(weights=str(path), device="cpu", precision="fp32").estimator
    expected = build_estimator(cfg, model, device="cpu", precision="fp32")
    assert exported.embedding_dim == expected.embedding_dim == 128
    for boxes in (BOXES, BOXES[:0]):
        np.testing.assert_allclose(
            exported.describe(FRAME, boxes), expected.describe(FRAME, boxes), atol=1e-4
        )


@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_eight_bits_locate_the_same_joints(form, tmp_path, monkeypatch):
    """All layers but the last one before the heatmaps; the people to measure on are a detector's."""
    needs(form)
    if form == "openvino":
        pytest.importorskip("nncf", reason="nncf is not installed: pip install -e '.[export]'")
    model, cfg = network("MODEL.REID_ON", "True", "MODEL.TOPDOWN.LOSS", "integral")
    path = tmp_path / f"top{ENDINGS[form]}"
    write(form, path, model, cfg)
    cv2.imwrite(str(tmp_path / "frame.png"), FRAME[..., ::-1])
    detector = FixedDetector(people(*BOXES[:2]))
    monkeypatch.setattr(topdown_estimator, "build_detector", lambda cfg, **given: detector)
    before = layers_in_8_bits(path)
    assert quantize(path, str(tmp_path / "frame.png"))[0] == path
    assert detector.seen == [1]
    assert not before
    rounded = layers_in_8_bits(path)
    assert {name.split("/")[1] for name in rounded} == {"backbone", "upsampler", "reid"}
    assert any(name.startswith("/upsampler/duc2/conv/") for name in rounded)
    assert not any("/output/" in name or "/head/" in name for name in rounded)
    exact = build_estimator(cfg, model, device="cpu", precision="fp32").estimate_given(FRAME, BOXES, SCORES)
    found = build_pose_tracking(weights=str(path), device="cpu").estimator.estimate_given(
        FRAME, BOXES, SCORES
    )
    assert np.abs(found.keypoints - exact.keypoints)[:2].mean() < 1.0
    assert (found.embeddings * exact.embeddings).sum(axis=1).min() > 0.95
    detector.found = people()
    with pytest.raises(ValueError, match=r"frame\.png: nobody is found in it; give frames with people"):
        quantize(path, str(tmp_path / "frame.png"))


def layers_in_8_bits(path):
    """Names of the convolutions and matrix products whose weights are rounded to 8 bits."""
    if path.suffix == ".onnx":
        graph = importlib.import_module("onnx").load(path).graph
        rounded = {one.output[0] for one in graph.node if one.op_type == "DequantizeLinear"}
        return {one.name for one in graph.node if one.op_type in ("Conv", "Gemm") and one.input[1] in rounded}
    model = importlib.import_module("openvino").Core().read_model(str(path))
    kinds = ("Convolution", "GroupConvolution", "MatMul")
    return {
        one.get_friendly_name()
        for one in model.get_ordered_ops()
        if one.get_type_name() in kinds and "quantized" in chain(one.input_value(1).get_node())
    }


def chain(node):
    """Whether weights, and what is done to them before they are used, are whole numbers or rounded ones."""
    while node.get_input_size():
        if node.get_type_name() == "FakeQuantize":
            return "quantized"
        node = node.input_value(0).get_node()
    return "quantized" if node.get_element_type().get_type_name() in ("i8", "u8") else "plain"
