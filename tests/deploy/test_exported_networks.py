"""Exported networks find the people that the network finds, by whatever runtime."""

import json
import shutil
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import torch
from networks_to_export import image, network

from fastpose_mtn import build
from fastpose_mtn.config import get_cfg
from fastpose_mtn.deploy import formats
from fastpose_mtn.deploy.agreement import agreement
from fastpose_mtn.deploy.formats import write
from fastpose_mtn.deploy.quantize import quantize
from fastpose_mtn.estimators.exported import ExportedEstimator
from fastpose_mtn.estimators.runtimes import OUTPUTS
from fastpose_mtn.estimators.views import View
from fastpose_mtn.ops.pose_nms import PoseNMS
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.systems.mtn.estimator import MTNEstimator
from fastpose_mtn.systems.mtn.portable import PortableMTN

SIZES_HW = [(64, 96), (97, 131), (40, 200), (256, 320)]


def test_the_portable_form_is_the_network():
    model, _ = network()
    portable = PortableMTN(model)
    for size in SIZES_HW:
        picture = torch.from_numpy(image(*size))
        expected = model([picture.permute(2, 0, 1)])[0]
        assert len(expected)
        with torch.no_grad():
            found = best_first(portable.outputs, portable(picture))
        for name, value in found.items():
            np.testing.assert_allclose(value, getattr(expected, name), atol=1e-3)


def strong(people):
    """An untrained network is sure of nobody; the agreement counts who has a score of 0.5."""
    return type(people)(people.boxes, people.scores.clip(0.5), people.keypoints, people.embeddings)


def best_first(names, values):
    """A graph's outputs by name, in the order that people are reported in."""
    found = {name: value.numpy() for name, value in zip(names, values, strict=True)}
    order = np.argsort(-found["scores"], kind="stable")
    return {name: value[order] for name, value in found.items()}


@pytest.mark.parametrize("change", [
    {"INPUT.FORMAT": "BGR"}, {"MODEL.REID_ON": "False"}, {"MODEL.ANCHOR_GENERATOR.ROUND": "True"},
    {"MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG": "True"}, {"MODEL.ROI_KEYPOINT_HEAD.POOLER_TYPE": "ROIAlign"},
])  # fmt: skip
def test_every_kind_of_network_has_a_portable_form(change):
    model, _ = network(**change)
    picture = torch.from_numpy(image(70, 90))
    expected = model([picture.permute(2, 0, 1)])[0]
    assert len(expected)
    portable = PortableMTN(model)
    with torch.no_grad():
        found = best_first(portable.outputs, portable(picture))
    assert ("embeddings" in found) == (expected.embeddings is not None)
    np.testing.assert_allclose(found["keypoints"], expected.keypoints, atol=1e-3)


@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_a_runtime_finds_the_same_people(exported, form):
    path, model = exported(form)
    frames = [image(*size, seed=seed) for seed, size in enumerate(SIZES_HW)]
    reference = MTNEstimator(model, device="cpu", precision="fp32")
    expected = [
        reference.estimate([frame])[0] for frame in frames
    ]  # alone: no border is padded to a batch's size
    estimator = ExportedEstimator(path, device="cpu", precision="fp32")
    found = estimator.estimate(frames)
    judged = agreement([strong(people) for people in expected], found)
    assert judged.people >= len(frames)
    assert judged.within_guard
    assert judged.found == 1.0
    assert judged.embedding_distance < 1e-3
    assert (estimator.skeleton.name, estimator.embedding_dim) == ("POSETRACK15", 16)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a.scores, b.scores, atol=1e-4)
        np.testing.assert_allclose(a.keypoints, b.keypoints, atol=0.05)


def test_the_portable_form_drops_unlikely_proposals_as_the_network_does():
    """All but the best are below the threshold."""
    model, _ = network(**{"MODEL.RPN.SCORE_THRESH_TEST": "0.9"})
    every, _ = network()
    picture = torch.from_numpy(image(64, 96))
    expected = model([picture.permute(2, 0, 1)])[0]
    assert len(expected) == 1 < len(every([picture.permute(2, 0, 1)])[0])
    portable = PortableMTN(model)
    with torch.no_grad():
        found = best_first(portable.outputs, portable(picture))
    np.testing.assert_allclose(found["boxes"], expected.boxes, atol=1e-3)


@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_frames_side_by_side_are_those_one_by_one(exported, form, threads):
    """Of different sizes, so that a later frame may be done before an earlier one."""
    path, _ = exported(form)
    threads(2)
    estimator = ExportedEstimator(path, device="cpu", precision="fp32")
    frames = [image(*size, seed=seed) for seed, size in enumerate(SIZES_HW * 2)]
    alone = [estimator.estimate([frame])[0] for frame in frames]
    for count in (len(frames), 1, 3):
        together = estimator.estimate(frames[:count])
        for a, b in zip(alone[:count], together, strict=True):
            np.testing.assert_allclose(a.boxes, b.boxes, atol=1e-3)
            np.testing.assert_allclose(a.keypoints, b.keypoints, atol=1e-3)
    assert estimator.estimate([]) == []


@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_frames_are_looked_at_as_the_configuration_says(exported, form):
    """Several sizes and their mirror images, as PyTorch's estimator does it; they were ignored."""
    path, model = exported(form)
    options = [
        "TEST.AUG.ENABLED", "True", "TEST.AUG.MIN_SIZES", "(64, 96)", "TEST.AUG.MAX_SIZE", "200",
        "MODEL.ROI_HEADS.NMS_THRESH_TEST", "0.5", "TEST.DETECTIONS_PER_IMAGE", "5",
    ]  # fmt: skip
    cfg = get_cfg()
    cfg.merge_from_list(options)
    reference = MTNEstimator.from_config(cfg, model, device="cpu", precision="fp32")
    frame = image(64, 96)
    expected = reference.estimate([frame])[0]
    built = build.build_pose_tracking(weights=str(path), device="cpu", precision="fp32", options=options[:6])
    found = built.estimator.estimate([frame])[0]
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.05)
    np.testing.assert_allclose(found.keypoints, expected.keypoints, atol=0.05)
    options = ["INPUT.MIN_SIZE_TEST", "96", "TEST.POSE_NMS.ENABLED", "False"]
    assert built.estimator.frames.pose_nms == PoseNMS(POSETRACK15)
    alone = ExportedEstimator(path, device="cpu", precision="fp32", options=options)
    assert alone.frames.pose_nms is None
    assert alone.frames.views == (View(96, 1000),)
    assert not np.allclose(alone.estimate([frame])[0].scores, found.scores, atol=1e-6)
    sized = build.build_pose_tracking(weights=str(path), device="cpu", precision="fp32", image_size=48)
    assert sized.estimator.frames.views == (View(48, 96),)
    assert sized.estimator.estimate([image(640, 960)])[0].boxes.max() > 480  # in the frame's pixels


@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_a_runtime_finds_nobody(exported, form):
    path, _ = exported(form, score_thresh=0.999999)
    estimator = ExportedEstimator(path, device="cpu")
    (nobody,) = estimator.estimate([image(64, 96)])
    assert (len(nobody), nobody.keypoints.shape, nobody.embeddings.shape) == (0, (0, 15, 3), (0, 16))


@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_people_of_low_scores_are_left_out_where_the_file_has_that_input(
    exported, form, tmp_path, monkeypatch
):
    """The others are the same; a file of before there was such an input finds everyone."""
    path, model = exported(form)
    estimator = ExportedEstimator(path, device="cpu", precision="fp32")
    frame = image(97, 131)
    (everyone,) = estimator.estimate([frame])
    reference = MTNEstimator(model, device="cpu", precision="fp32")
    heads, of_boxes = reference._model.roi_heads, []
    describe = heads.describe
    heads.describe = lambda *given: of_boxes.append(given[2]) or describe(*given)
    reference.estimate([frame])
    least = float(of_boxes[0][1:3].mean())  # between the second and the third
    (expected,) = reference.estimate([frame], least)
    (some,) = estimator.estimate([frame], least)
    assert len(some) == 2 < len(everyone)
    rows = [int(np.abs(everyone.boxes - box).sum(axis=1).argmin()) for box in some.boxes]
    for name in ("boxes", "scores", "keypoints", "embeddings"):
        np.testing.assert_allclose(getattr(some, name), getattr(everyone, name)[rows], atol=1e-3)
        np.testing.assert_allclose(getattr(some, name), getattr(expected, name), atol=0.05)
    (nobody,) = estimator.estimate([frame], 1.0)
    assert (len(nobody), nobody.keypoints.shape, nobody.embeddings.shape) == (0, (0, 15, 3), (0, 16))

    def write_without(draft, network, metadata):
        writers[form](draft, PortableMTN(model), metadata)

    writers = dict(formats._WRITERS)
    monkeypatch.setitem(formats._WRITERS, form, write_without)
    old = tmp_path / path.name
    write(form, old, *network())
    before = ExportedEstimator(old, device="cpu", precision="fp32")
    assert "min_score" not in before._inputs
    assert len(before.estimate([frame], least)[0]) == len(everyone)


@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_eight_bits_find_the_same_people(exported, form, tmp_path):
    if form == "openvino":
        pytest.importorskip("nncf", reason="nncf is not installed: pip install -e '.[export]'")
    path, model = exported(form)
    copy = tmp_path / path.name
    for file in path.parent.iterdir():
        shutil.copy(file, tmp_path)
    frames = [image(96, 128, seed=seed) for seed in range(3)]
    for seed, frame in enumerate(frames):
        cv2.imwrite(str(tmp_path / f"{seed}.png"), frame[..., ::-1])
    whole = copy.read_bytes()
    assert quantize(copy, str(tmp_path), frames=3)[0] == copy
    assert copy.read_bytes() != whole
    estimator = ExportedEstimator(copy, device="cpu")
    exact = MTNEstimator.from_config(estimator.cfg, model, device="cpu", precision="fp32")
    expected, found = exact.estimate(frames), estimator.estimate(frames)
    assert [len(people) for people in found] == [len(people) for people in expected]
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a.scores, b.scores, atol=0.1)
    assert [len(people) for people in estimator.estimate(frames, 1.0)] == [0, 0, 0]
    if form == "openvino":
        rounded = sources_of_rounding(copy)
        assert {kind for kind, _ in rounded} == {"ReLU", "Maximum"}
        levels = {name for name in ("conv", "conv_1", "conv_2") if f"/rpn_head/{name}/" in str(rounded)}
        assert levels == {"conv", "conv_1"}
    else:
        import onnx

        rounded = {node.name for node in onnx.load(copy).graph.node if node.op_type == "QuantizeLinear"}
        modules = {name.split("/")[1] for name in rounded}
        assert {"box_head", "keypoint_head", "reid_head"} <= modules
        assert "rpn_head" not in modules


def sources_of_rounding(path):
    """Type and name of what gives the values, not weights, that are rounded to 8 bits."""
    tree = ElementTree.parse(path)
    layers = {layer.get("id"): layer for layer in tree.iterfind("layers/layer")}
    before = {
        (edge.get("to-layer"), edge.get("to-port")): layers[edge.get("from-layer")]
        for edge in tree.iterfind("edges/edge")
    }
    sources = [before[key, "0"] for key, layer in layers.items() if layer.get("type") == "FakeQuantize"]
    return [(layer.get("type"), layer.get("name")) for layer in sources if layer.get("type") != "Const"]


def test_torchscript_carries_the_network_and_its_configuration(tmp_path):
    model, cfg = network()
    path = tmp_path / "small.torchscript"
    assert write("torchscript", path, model, cfg) == [path]
    extra = {"config": "", "skeleton": ""}
    script = torch.jit.load(str(path), _extra_files=extra)
    assert extra["skeleton"] == b"POSETRACK15"
    assert json.loads(extra["config"])["MODEL"]["TIMM"]["NAME"] == "resnet18"
    for size in SIZES_HW:
        picture = image(*size)
        expected = model([torch.from_numpy(picture).permute(2, 0, 1)])[0]
        found = best_first(OUTPUTS, script(torch.from_numpy(picture)))
        np.testing.assert_allclose(found["boxes"], expected.boxes, atol=1e-3)
        np.testing.assert_allclose(found["keypoints"], expected.keypoints, atol=1e-3)
        np.testing.assert_allclose(found["embeddings"], expected.embeddings, atol=1e-4)
