"""Somebody else's system and tracker, in ten lines each, by their names in the configuration."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fastpose_mtn.build import build_estimator, build_network, build_pose_tracking, build_tracker
from fastpose_mtn.commands.summary import describe
from fastpose_mtn.commands.train import engine_of, parse_args
from fastpose_mtn.config import CfgNode, get_cfg
from fastpose_mtn.deploy.formats import write
from fastpose_mtn.estimators.exported import ExportedNetwork
from fastpose_mtn.estimators.portable import PortableNetwork, RoundedLayers
from fastpose_mtn.estimators.runtimes import INPUT
from fastpose_mtn.modeling.size import NetworkSize, Part
from fastpose_mtn.registry import SYSTEMS, TRACKERS, Registry
from fastpose_mtn.skeletons import COCO17
from fastpose_mtn.structures import PersonDetections, TrackedPersons
from fastpose_mtn.system_protocols import QuantizedSystem


class NumberingTracker:
    """Everybody is somebody new."""

    scene_cut = False

    def __init__(self, first: int) -> None:
        self._first = self._next = first

    def update(self, detections, time_s, frame=None, *, scene_cut=None):
        ids = np.arange(self._next, self._next + len(detections), dtype=np.int64)
        self._next += len(detections)
        return TrackedPersons(detections, ids)

    def reset(self):
        self._next = self._first


class OnePersonSystem:
    """Finds one person who fills the frame."""

    skeleton, embedding_dim = COCO17, None

    def add_config(self, cfg):
        cfg.MODEL.ONE_PERSON = CfgNode({"SCORE": 0.5})

    def build_network(self, cfg):
        return nn.Linear(1, 1)

    def build_estimator(self, cfg, network=None, *, device=None, precision="auto"):
        self.score = cfg.MODEL.ONE_PERSON.SCORE
        return self

    def estimate(self, frames, min_score=0.0):
        boxes = [np.array([[0, 0, f.shape[1], f.shape[0]]], np.float32) for f in frames]
        scores, joints = np.array([self.score], np.float32), np.zeros((1, 17, 3), np.float32)
        return [
            PersonDetections(boxes=box, scores=scores, keypoints=joints, embeddings=None) for box in boxes
        ]


class WholeOnePersonSystem(OnePersonSystem):
    """The same with what only some systems can do."""

    engines = ("lightning", "detectron2")
    detector_key = "MODEL.ONE_PERSON.DETECTOR"
    free_keys = ("MODEL.ONE_PERSON.DETECTOR",)

    def add_config(self, cfg):
        cfg.MODEL.ONE_PERSON = CfgNode({"SCORE": 0.5, "DETECTOR": ""})

    def count(self, cfg, network, *, image_size_hw, proposals, people):
        parameters = sum(p.numel() for p in network.parameters())
        return NetworkSize("one person", [Part("line", parameters, 1e9, people)])

    def build_portable(self, network, cfg, *, given_boxes, min_score):
        return PortableLine(network)

    def build_exported(self, network, *, device):
        return self

    def calibration(self, network, images):
        return []

    def rounded_layers(self, cfg):
        return RoundedLayers("", "", (), rounds_early=False, coarse="")


class PortableLine(PortableNetwork):
    inputs, outputs, coarse_layers = (INPUT,), ("scores",), "line"

    def __init__(self, line):
        super().__init__()
        self.line = line

    def forward(self, image):
        return self.line(image[..., :1].float().mean((0, 1)))


@pytest.fixture
def registered(monkeypatch):
    for registry in (SYSTEMS, TRACKERS):
        monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    SYSTEMS.register("OnePerson", OnePersonSystem())
    TRACKERS.register("numbering", lambda cfg: NumberingTracker(first=7))


def test_a_system_brings_its_keys_its_network_and_its_estimator(registered):
    cfg = get_cfg()
    cfg.merge_from_list(["MODEL.META_ARCHITECTURE", "OnePerson", "MODEL.ONE_PERSON.SCORE", "0.75"])
    assert isinstance(build_network(cfg), nn.Linear)
    (people,) = build_estimator(cfg).estimate([np.zeros((4, 6, 3), np.uint8)])
    assert people.boxes.tolist() == [[0, 0, 6, 4]]
    assert people.scores.tolist() == [0.75]


def test_an_exported_network_runs_where_its_system_says_how(registered, monkeypatch):
    cfg = get_cfg()
    cfg.MODEL.META_ARCHITECTURE = "OnePerson"
    opened = ExportedNetwork(Path("one.onnx"), None, cfg)
    monkeypatch.setattr("fastpose_mtn.estimators.exported.open_exported", lambda *_, **__: opened)
    with pytest.raises(
        ValueError, match=r"one\.onnx: MODEL\.META_ARCHITECTURE OnePerson does not run from exp"
    ):
        build_pose_tracking(weights="one.onnx", device="cpu")
    system = WholeOnePersonSystem()
    monkeypatch.setitem(SYSTEMS._registered, "OnePerson", system)
    assert build_pose_tracking(weights="one.onnx", device="cpu").estimator is system
    with pytest.raises(ValueError, match=r"MODEL\.ONE_PERSON\.SCORE: it is fixed in one\.onnx"):
        build_pose_tracking(weights="one.onnx", device="cpu", options=["MODEL.ONE_PERSON.SCORE", "1.0"])


@pytest.fixture
def whole(monkeypatch):
    """A system that can do all that some can, and its configuration."""
    monkeypatch.setattr(SYSTEMS, "_registered", dict(SYSTEMS._registered))
    SYSTEMS.register("OnePerson", WholeOnePersonSystem())
    cfg = get_cfg()
    cfg.MODEL.META_ARCHITECTURE = "OnePerson"
    return cfg


def test_commands_ask_somebody_elses_system_as_ours(whole, tmp_path, monkeypatch):
    table = describe(whole, size="8x8", proposals=None, people=3).splitlines()
    assert table[2].split() == ["line", "0.00", "1.000", "3", "3.0"]
    write("torchscript", tmp_path / "one.torchscript", nn.Linear(1, 1), whole)
    with torch.no_grad():
        assert torch.jit.load(tmp_path / "one.torchscript")(
            torch.zeros(4, 6, 3, dtype=torch.uint8)
        ).shape == (1,)
    config = tmp_path / "one.yaml"
    config.write_text("MODEL: {META_ARCHITECTURE: OnePerson}")
    for missing in ("fastpose_mtn.engine.launch.missing_detectron2", "fastpose_mtn.hosts.missing_detectron2"):
        monkeypatch.setattr(missing, lambda: None)
    assert engine_of(parse_args(["--config-file", str(config)]))[0] == "detectron2"
    assert isinstance(SYSTEMS.get("OnePerson"), QuantizedSystem)


def test_the_detector_of_somebody_elses_system(whole, monkeypatch):
    opened = ExportedNetwork(Path("one.onnx"), None, whole)
    monkeypatch.setattr("fastpose_mtn.estimators.exported.open_exported", lambda *_, **__: opened)
    built = build_pose_tracking(weights="one.onnx", device="cpu", detector="boxes.json")
    assert built.cfg.MODEL.ONE_PERSON.DETECTOR == "boxes.json"
    options = ["MODEL.ONE_PERSON.DETECTOR", "people"]
    with pytest.raises(ValueError, match=r"--detector boxes\.json: MODEL\.ONE_PERSON\.DETECTOR people says"):
        build_pose_tracking(weights="one.onnx", device="cpu", detector="boxes.json", options=options)
    monkeypatch.setitem(SYSTEMS._registered, "OnePerson", OnePersonSystem())
    whole.MODEL.META_ARCHITECTURE = "GeneralizedRCNN"
    with pytest.raises(ValueError, match=r"--detector boxes\.json: these weights find people by themselves"):
        build_pose_tracking(weights="one.onnx", device="cpu", detector="boxes.json")


def test_what_somebody_elses_system_cannot_do_is_told(registered, tmp_path):
    cfg = get_cfg()
    cfg.MODEL.META_ARCHITECTURE = "OnePerson"
    with pytest.raises(
        ValueError, match="OnePerson: its parts are not counted here; give a configuration of General"
    ):
        describe(cfg, size="8x8", proposals=None, people=1)
    with pytest.raises(ValueError, match="OnePerson: it cannot be exported"):
        write("torchscript", tmp_path / "one.torchscript", nn.Linear(1, 1), cfg)


def test_a_tracker_by_its_name(registered):
    cfg = get_cfg()
    cfg.TRACKER.NAME = "numbering"
    tracker = build_tracker(cfg)
    assert tracker.update(PersonDetections.empty(17, None), 0.0).track_ids.tolist() == []
    assert isinstance(tracker, NumberingTracker)


def test_what_is_there_at_first():
    assert (list(SYSTEMS), list(TRACKERS)) == (
        ["GeneralizedRCNN", "TopDownPose", "PoseDet"],
        ["occlusion_aware", "msim", "flow"],
    )


def test_a_name_that_is_unknown_or_taken(registered):
    cfg = get_cfg()
    cfg.TRACKER.NAME = "occlusion_awar"
    with pytest.raises(
        ValueError, match=r"TRACKER\.NAME: unknown 'occlusion_awar'; did you mean occlusion_aware\?"
    ):
        build_tracker(cfg)
    with pytest.raises(ValueError, match=r"TRACKER\.NAME: 'numbering' is taken"):
        TRACKERS.register("numbering", lambda cfg: NumberingTracker(0))


def test_what_is_built_in_is_imported_when_it_is_asked_for():
    registry: Registry = Registry("KEY", {"pi": "math:pi", "absent": "no_such_module:x"})
    assert registry.get("pi") == pytest.approx(3.14159, abs=1e-5)
    with pytest.raises(ModuleNotFoundError):
        registry.get("absent")
