"""Exported networks that give no numbers, or are not what their files say of them, are refused: nobody is lost in silence."""

import importlib
import json
import shutil
import struct
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from networks_to_export import ENDINGS, image, needs, network
from tiny_posedet import posedet_config
from tiny_topdown import topdown_config

from fastpose_mtn.build import build_network, build_pose_tracking
from fastpose_mtn.deploy.formats import write
from fastpose_mtn.errors import InputError

FRAME = image(64, 96)
BOX, SCORE = np.array([[10.0, 5, 60, 60]]), np.array([0.9])


def small(system):
    torch.manual_seed(0)
    if system == "mtn":
        return network()
    cfg = topdown_config() if system == "topdown" else posedet_config()
    return build_network(cfg).eval(), cfg


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Makes each kind of file once."""
    made = {}

    def get(system, form, folder):
        needs(form)
        if (system, form) not in made:
            made[system, form] = tmp_path_factory.mktemp("whole")
            write(form, made[system, form] / f"{system}{ENDINGS[form]}", *small(system))
        for file in made[system, form].iterdir():
            shutil.copy(file, folder)
        return folder / f"{system}{ENDINGS[form]}"

    return get


def look(path):
    """What a file's network says of a frame; of a person in it, where it takes crops."""
    detector = "drawn" if path.stem == "topdown" else None
    built = build_pose_tracking(weights=str(path), device="cpu", precision="fp32", detector=detector)
    if detector:
        return built.estimator.estimate_given(FRAME, BOX, SCORE)
    return built.estimator.estimate([FRAME])[0]


def spoil(path):
    """Makes one number of a convolution's weights NaN."""
    if path.suffix == ".onnx":
        onnx = importlib.import_module("onnx")
        model = onnx.load(path)
        tensor = next(one for one in model.graph.initializer if len(one.dims) == 4)
        values = onnx.numpy_helper.to_array(tensor).copy()
        values.flat[0] = np.nan
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
        onnx.save(model, path)
        return
    layers = ElementTree.parse(path).iterfind("layers/layer[@type='Const']/data[@element_type='f32']")
    place = next(data for data in layers if data.get("shape").count(",") == 3)
    weights = bytearray(path.with_suffix(".bin").read_bytes())
    struct.pack_into("<f", weights, int(place.get("offset")), np.nan)
    path.with_suffix(".bin").write_bytes(weights)


@pytest.mark.parametrize("form", ["onnx", "openvino"])
@pytest.mark.parametrize("system", ["mtn", "posedet", "topdown"])
def test_weights_that_are_no_numbers(system, form, whole, tmp_path):
    """OpenVINO's ReLU makes 0 of NaN: other people came out than the network's, and of ONNX Runtime nobody."""
    path = whole(system, form, tmp_path)
    look(path)
    spoil(path)
    with pytest.raises(InputError, match=rf"{path.name}: its tensor \S+ holds NaN or infinity; the training"):
        look(path)


@pytest.mark.parametrize(
    ("form", "system", "layer"),
    [
        ("onnx", "mtn", "proposal_generator.rpn_head.anchor_deltas"),
        ("onnx", "mtn", "roi_heads.box_predictor.cls_score"),
        ("onnx", "posedet", "head.coarse"),
        ("onnx", "topdown", "upsampler.output"),
        ("openvino", "mtn", "roi_heads.box_predictor.cls_score"),
        ("openvino", "posedet", "head.score"),
    ],
)
def test_results_that_are_no_numbers(form, system, layer, tmp_path):
    """As half precision gives them of weights that are too large for it."""
    needs(form)
    model, cfg = small(system)
    for value in model.get_submodule(layer).parameters():
        value.data.fill_(3e38)
    path = tmp_path / f"{system}{ENDINGS[form]}"
    write(form, path, model, cfg)
    with pytest.raises(
        InputError, match=rf"{path.name}: expected finite numbers, got NaN or infinity; its wei"
    ):
        look(path)


def edited(path, **changed):
    """The file with other words about itself: ``config``'s as text, or of its keys."""
    onnx = importlib.import_module("onnx")
    model = onnx.load(path)
    said = {entry.key: entry.value for entry in model.metadata_props}
    config = json.loads(said["config"])
    for key, value in changed.items():
        if key in said:
            said[key] = value
        else:
            *parents, last = key.split("__")
            place = config
            for parent in parents:
                place = place[parent]
            place[last] = value
            said["config"] = json.dumps(config)
    onnx.helper.set_model_props(model, said)
    onnx.save(model, path)


@pytest.mark.parametrize(
    ("system", "changed", "message"),
    [
        ("mtn", {"config": "[1, 2]"}, r"its configuration does not fit .* expected keys .*, got \[1, 2\]"),
        ("mtn", {"config": "text"}, "its configuration does not fit .* expected keys .*, got 'text'"),
        ("mtn", {"skeleton": "COCO17"}, "its skeleton is COCO17, its configuration's POSETRACK15; export"),
        ("mtn", {"skeleton": "COCO17", "MODEL__SKELETON": "COCO17"}, r"expected arrays \(4,\), \(\), \(17, 3\), \(16,\)"),
        ("mtn", {"MODEL__REID_ON": False}, r"expected arrays .*\(15, 3\) of each .* got .*15, 3\), \(\d+, 16\); ex"),
        ("mtn", {"MODEL__ROI_REID_HEAD__EMBEDDING_DIM": 8}, r"expected arrays .*, \(8,\) of each person, as its"),
        ("mtn", {"MODEL__META_ARCHITECTURE": "TopDownPose"}, "it takes image and min_score, not crops of people; export"),
        ("topdown", {"MODEL__REID_ON": True}, r"expected arrays \(19, 4\), \(128,\) .* got \(1, 19, 4\)"),
        ("topdown", {"MODEL__TOPDOWN__INPUT_SIZE": [32, 32]}, "it does not compute what is expected .* Got: 32"),
        ("topdown", {"MODEL__TOPDOWN__INPUT_SIZE": [64]}, r"INPUT_SIZE: expected \[height, width\] .*, got \[64\]"),
    ],
)  # fmt: skip
def test_what_a_file_says_of_itself_is_another_networks(system, changed, message, whole, tmp_path):
    path = whole(system, "onnx", tmp_path)
    edited(path, **changed)
    with pytest.raises(ValueError, match=message):
        look(path)


def test_weights_that_openvino_does_not_find(whole, tmp_path):
    path = whole("mtn", "openvino", tmp_path)
    weights = path.with_suffix(".bin")
    for content in (weights.read_bytes()[:1000], None):
        weights.unlink()
        if content is not None:
            weights.write_bytes(content)
        with pytest.raises(
            InputError, match=r"mtn\.xml: OpenVINO cannot read it: .*put its mtn\.bin beside it"
        ):
            look(path)
