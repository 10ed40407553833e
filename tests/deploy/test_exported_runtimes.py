"""How a runtime is driven: streams, sizes, precisions; and what cannot be exported or read."""

import importlib
import re
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import numpy as np
import pytest
from networks_to_export import ENDINGS, image, needs, network

from fastpose_mtn import build
from fastpose_mtn.checkpoints.loading import save_weights
from fastpose_mtn.commands.export import main
from fastpose_mtn.deploy.formats import write
from fastpose_mtn.errors import InputError
from fastpose_mtn.estimators.exported import ExportedEstimator
from fastpose_mtn.estimators.runtimes import _SideBySide
from fastpose_mtn.systems.mtn.portable import PortableMTN


class Request:
    """Stands for OpenVINO's: doubles a number once it is waited for."""

    def start_async(self, feed):
        self.output_tensors = None
        self.feed = feed

    def wait(self):
        self.output_tensors = [types.SimpleNamespace(data=2 * self.feed["x"])]


def test_streams_are_as_many_as_frames_that_come(threads):
    """A video's last frame is no reason to compile the network again; a camera's frames after it are."""
    threads(2)
    compiled = []

    def compile_for(streams, size_hw):
        compiled.append(streams)
        return types.SimpleNamespace(create_infer_request=Request)

    run = _SideBySide(compile_for)
    for frames, streams in [
        (4, [2]),
        (4, [2]),
        (1, [2]),
        (3, [2]),
        (1, [2]),
        (1, [2, 1]),
        (1, [2, 1]),
        (2, [2, 1, 2]),
    ]:
        feeds = [{"x": np.array(number)} for number in range(frames)]
        assert [int(output) for (output,) in run(feeds)] == [2 * number for number in range(frames)]
        assert compiled == streams


def test_two_batches_in_openvino_have_requests_of_their_own(threads):
    threads(2)
    made = []

    def compile_for(streams, size_hw):
        return types.SimpleNamespace(create_infer_request=lambda: made.append(Request()) or made[-1])

    run = _SideBySide(compile_for)
    one, two = ([{"x": np.array(10 * call + number)} for number in range(3)] for call in range(2))
    first, second = run(one), run(two)
    found = [[int(next(call)[0])] for call in (first, second)]  # both are under way
    for call, outputs in zip((first, second), found, strict=True):
        outputs += [int(output) for (output,) in call]
    assert found == [[0, 2, 4], [20, 22, 24]]
    assert len(made) == 4
    assert [int(output) for (output,) in run(one)] == [0, 2, 4]
    assert len(made) == 4  # those that were used are used again


def test_openvino_is_called_by_one_thread_at_a_time_but_for_waiting(threads):
    """Its first calls would wait for each other for ever."""
    threads(2)
    inside, waiting = threading.Lock(), threading.Barrier(2)

    def alone():
        assert inside.acquire(blocking=False)
        time.sleep(0.01)
        inside.release()

    class Exclusive(Request):
        def start_async(self, feed):
            alone()
            super().start_async(feed)

        def wait(self):
            waiting.wait(20)  # both threads are here
            super().wait()

        @property
        def output_tensors(self):
            alone()
            return self._tensors

        @output_tensors.setter
        def output_tensors(self, tensors):
            self._tensors = tensors

    run = _SideBySide(lambda streams, size_hw: types.SimpleNamespace(create_infer_request=Exclusive))
    with ThreadPoolExecutor(2) as callers:
        calls = callers.map(lambda first: list(run([{"x": np.array(first + n)} for n in range(4)])), (0, 10))
        found = [[int(output) for (output,) in call] for call in calls]
    assert found == [[0, 2, 4, 6], [20, 22, 24, 26]]


def test_openvino_compiles_for_the_size_of_all_frames_and_for_any_when_another_comes(threads):
    threads(2)
    compiled = []

    class Request:
        def start_async(self, feed):
            self.output_tensors = [types.SimpleNamespace(data=np.array(feed["image"].shape[0]))]

        def wait(self):
            pass

    def compile_for(streams, size_hw):
        compiled.append(size_hw)
        return types.SimpleNamespace(create_infer_request=Request)

    run = _SideBySide(compile_for)
    for heights, expected in [
        ([4], [(4, 6)]),
        ([4], [(4, 6)]),
        ([5], [(4, 6), None]),
        ([4, 7], [(4, 6), None, None]),  # more at once
        ([8, 9], [(4, 6), None, None]),
    ]:
        feeds = [{"image": np.zeros((height, 6, 3), np.uint8)} for height in heights]
        assert [int(output) for (output,) in run(feeds)] == heights
        assert compiled == expected


def test_openvino_is_told_to_compute_coordinates_exactly(exported):
    """In bfloat16 a place in a frame would be off by pixels; layers, and what they read, may be in it."""
    path, _ = exported("openvino")
    exact = {"": [], "precise": []}
    for layer in ElementTree.parse(path).iterfind("layers/layer"):
        marks = {mark.get("name") for mark in layer.iterfind("rt_info/attribute")}
        exact["precise" if "precise" in marks else ""].append((layer.get("type"), layer.get("name")))
    assert {"NonMaxSuppression", "Exp", "TopK", "Gather"} <= {kind for kind, _ in exact["precise"]}
    assert "ROIAlign" not in {kind for kind, _ in exact["precise"]}
    layers = {name for kind, name in exact["precise"] if kind == "Convolution"}
    where = ("/rpn_head/predictions", "/box_predictor/")
    assert {next(part for part in where if name.startswith(part)) for name in layers} == set(where)
    assert {"Convolution", "MatMul", "ROIAlign", "Const"} <= {kind for kind, _ in exact[""]}
    assert not {"Gather", "Exp"} & {kind for kind, _ in exact[""]}


def test_openvino_is_told_to_compute_exactly_what_rounding_would_change(tmp_path):
    """The second stage's first normalisation takes away a mean of a thousand deviations: all up to there keeps its digits."""
    needs("openvino")
    model, cfg = network()
    model.backbone.bottom_up.layer1[0].bn1.running_mean[0] = 1000.0
    write("openvino", tmp_path / "small.xml", model, cfg)
    marked = {True: set(), False: set()}
    for layer in ElementTree.parse(tmp_path / "small.xml").iterfind("layers/layer"):
        part = re.match(r"/backbone/bottom_up/(?:\w+/)??(conv1|layer\d\.\d)/", layer.get("name"))
        if part and layer.get("type") in ("Convolution", "Add", "ReLU"):
            marks = {mark.get("name") for mark in layer.iterfind("rt_info/attribute")}
            marked["precise" in marks].add(part[1])
    assert marked[True] == {"conv1", "layer1.0"}
    assert marked[False] == {f"layer{stage}.{block}" for stage in (1, 2, 3, 4) for block in (0, 1)} - {
        "layer1.0"
    }
    openvino = pytest.importorskip("openvino")
    hint = {"INFERENCE_PRECISION_HINT": "bf16"}  # float32 on CPUs that do not compute in it
    graph = openvino.Core().read_model(str(tmp_path / "small.xml"))
    graph.reshape({"image": [96, 160, 3]})
    compiled = openvino.Core().compile_model(graph, "CPU", hint)
    told = [step.get_rt_info() for step in compiled.get_runtime_model().get_ordered_ops()]
    steps = [(str(info["layerType"].value), str(info["outputPrecisions"].value)) for info in told]
    before = steps[: [kind for kind, _ in steps].index("Convolution")]
    assert "f32" in {kind for _, kind in before}
    assert "bf16" not in {kind for _, kind in before}  # pixels, too


def test_onnx_has_a_default_of_the_score_below_which_people_are_left_out(exported):
    """Whoever runs the file without us gives the image alone."""
    path, _ = exported("onnx")
    session = importlib.import_module("onnxruntime").InferenceSession(str(path))
    assert [port.name for port in session.get_inputs()] == ["image"]
    everyone = session.run(None, {"image": image(97, 131)})[0]
    nobody = session.run(None, {"image": image(97, 131), "min_score": np.array(1, np.float32)})[0]
    assert len(everyone) == 5
    assert len(nobody) == 0


@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_the_factory_runs_an_exported_network(exported, form):
    path, _ = exported(form)
    built = build.build_pose_tracking(
        weights=str(path), device="cpu", strategy="iou", options=["TRACKER.MIN_SCORE", "0.1"]
    )
    assert isinstance(built.estimator, ExportedEstimator)
    assert (built.cfg.MODEL.TIMM.NAME, built.batch_size) == ("resnet18", 4)
    assert (built.new_tracker().parameters.strategy, built.new_tracker().parameters.min_score) == ("iou", 0.1)
    with pytest.raises(InputError, match=r"MODEL.SKELETON: it is fixed in .*small"):
        build.build_pose_tracking(weights=str(path), options=["MODEL.SKELETON", "COCO17"])
    with pytest.raises(InputError, match=r"--config-file c.yaml: .* carries its own configuration"):
        build.build_pose_tracking(weights=str(path), config_file="c.yaml")


def test_what_a_runtime_cannot_do_is_told(exported):
    with pytest.raises(
        InputError, match="--precision bf16: ONNX Runtime computes in the precision of the file"
    ):
        ExportedEstimator(exported("onnx")[0], precision="bf16")
    with pytest.raises(InputError, match="--device cuda: OpenVINO runs on the CPU here"):
        ExportedEstimator(exported("openvino")[0], device="cuda")


@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_a_file_that_is_no_network_is_refused(form, tmp_path):
    needs(form)
    path = tmp_path / f"broken{ENDINGS[form]}"
    with pytest.raises(InputError, match="weights file not found"):
        ExportedEstimator(path)
    path.write_text("nothing of the kind")
    with pytest.raises(InputError, match=r"broken.* cannot read it: .*export the network with"):
        ExportedEstimator(path)


def test_what_cannot_be_exported_is_told():
    with pytest.raises(InputError, match="DECODER resize: it cannot be exported; choose"):
        PortableMTN(network(**{"MODEL.ROI_KEYPOINT_HEAD.DECODER": "resize"})[0])
    with pytest.raises(InputError, match="a network without joints"):
        PortableMTN(network(**{"MODEL.KEYPOINT_ON": "False"})[0])


def test_the_command_exports_weights(tmp_path, capsys):
    needs("onnx")
    model, cfg = network()
    save_weights(tmp_path / "w.safetensors", model, cfg)
    arguments = ["--weights", str(tmp_path / "w.safetensors"), "--output", str(tmp_path / "new" / "w.onnx")]
    main(["--format", "onnx", *arguments])
    assert "w.onnx: " in capsys.readouterr().out
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["w.onnx"]


@pytest.mark.parametrize(("arguments", "text"), [
    (["--format", "onnx", "--output", "a.xml"], "--output a.xml: expected a name that ends in .onnx"),
    (["--format", "torchscript", "--int8", "a.mp4"], "--int8: quantisation is the runtimes' own"),
    (["--format", "onnx", "--weights", "absent.safetensors"], "weights file not found: absent.safetensors"),
])  # fmt: skip
def test_bad_arguments_are_one_line(arguments, text, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert text in capsys.readouterr().err
