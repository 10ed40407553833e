"""The real network, small and untrained, put together as the command line and the API do it."""

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from rectangles import moving, write_video

from fastpose_mtn import build
from fastpose_mtn.api import FastPose
from fastpose_mtn.checkpoints.loading import inference_config, save_weights
from fastpose_mtn.commands.export import parse as parse_export
from fastpose_mtn.commands.export import run as run_export
from fastpose_mtn.commands.track import network_arguments
from fastpose_mtn.commands.track import parse as parse_track
from fastpose_mtn.config import get_cfg
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.systems.mtn.estimator import MTNEstimator
from fastpose_mtn.systems.mtn.network import build_model

SMALL = [
    "MODEL.TIMM.NAME", "resnet18", "MODEL.FPN.OUT_CHANNELS", "16", "MODEL.ROI_BOX_HEAD.FC_DIM", "16",
    "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", "[16]", "MODEL.ROI_KEYPOINT_HEAD.DECONV_DIM", "16",
    "MODEL.ROI_REID_HEAD.CONV_DIMS", "[16]", "INPUT.MIN_SIZE_TEST", "0", "TEST.DETECTIONS_PER_IMAGE", "5",
    "MODEL.ROI_HEADS.SCORE_THRESH_TEST", "0.0",
]  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    cfg = get_cfg()
    cfg.merge_from_list(SMALL)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(path, build_model(cfg), cfg)
    return path


def test_weights_bring_their_configuration_and_overrides_win(weights):
    built = build.build_pose_tracking(
        weights=str(weights), device="cpu", strategy="iou", options=["TRACKER.MIN_SCORE", "0.1"]
    )
    assert built.cfg.MODEL.TIMM.NAME == "resnet18"
    assert built.estimator.skeleton is POSETRACK15
    assert built.batch_size == 4
    first, second = built.new_tracker(), built.new_tracker()
    assert first is not second
    assert (first.parameters.strategy, first.parameters.min_score) == ("iou", 0.1)


def test_a_configuration_file_wins_and_weights_that_do_not_fit_it_are_refused(weights, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("MODEL: {TIMM: {NAME: resnet18}, FPN: {OUT_CHANNELS: 32}}")
    with pytest.raises(
        ValueError, match=r"small\.safetensors: weights of another architecture; .*backbone\."
    ):
        build.build_pose_tracking(weights=str(weights), config_file=str(config), device="cpu")


def test_the_network_is_used_from_python(weights, tmp_path):
    options = ["TRACKER.MIN_SCORE", "0.0", "TRACKER.BIRTH_SCORE", "0.0"]
    pose = FastPose.from_pretrained(weights, device="cpu", precision="fp32", options=options)
    path = write_video(tmp_path / "walk.mp4", [moving(i, (96, 128)) for i in range(3)])
    frames = list(pose.track(path))
    assert [frame.index for frame in frames] == [0, 1, 2]
    for frame in frames:
        n = len(frame.people)
        assert frame.people.keypoints.shape == (n, 15, 3)
        assert frame.detections.embeddings.shape == (len(frame.detections), 128)
    (people,) = pose.detect([np.ascontiguousarray(frames[0].image)])
    assert len(people) <= 5


@pytest.fixture
def people_weights(tmp_path):
    """Weights that were trained on images of 64 pixels."""
    torch.manual_seed(0)  # of some the boxes are small
    cfg = get_cfg()
    cfg.merge_from_list([*SMALL, "INPUT.MIN_SIZE_TEST", "64", "INPUT.MAX_SIZE_TEST", "100"])
    save_weights(tmp_path / "small.safetensors", build_model(cfg), cfg)
    return tmp_path / "small.safetensors"


def test_frames_of_any_size_are_resized_to_what_the_weights_were_trained_at(people_weights, monkeypatch):
    """Boxes and joints come back in the source's pixels; ``image_size`` changes what the network sees."""
    seen = []
    network = MTNEstimator._find

    def find(self, images, **arguments):
        seen.extend(image.shape[:2] for image in images)
        return network(self, images, **arguments)

    monkeypatch.setattr(MTNEstimator, "_find", find)
    frame = np.ascontiguousarray(moving(0, (480, 640)))
    reached = []
    for size in (None, 48, 0):
        pose = FastPose.from_pretrained(people_weights, device="cpu", precision="fp32", image_size=size)
        (people,) = pose.detect([frame], min_score=0.0)
        reached.append(people.boxes.max())
    assert seen == [(64, 85), (48, 64), (480, 640)]
    assert min(reached[:2]) > 300  # of 640, not of 64


def test_an_image_size_that_cannot_be_is_told(people_weights):
    given = {"weights": str(people_weights), "device": "cpu"}
    for size, options, message in [
        (8, [], "--image-size 8: expected at least 32 pixels, or 0 for frames as they are"),
        (-1, [], "--image-size -1: expected at least 32 pixels"),
        (2.5, [], "image_size: expected a whole number of pixels, got 2.5"),
        (
            64,
            ["INPUT.MAX_SIZE_TEST", "90"],
            "--image-size 64: INPUT.MAX_SIZE_TEST 90 says otherwise; give one of them",
        ),
        (64, ["TEST.AUG.ENABLED", "True"], "--image-size 64: TEST.AUG looks at several sizes"),
        (None, ["INPUT.MIN_SIZE_TEST", "-5"], "INPUT.MIN_SIZE_TEST: expected pixels, 0 or more, got -5"),
    ]:
        with pytest.raises(ValueError, match=re.escape(message)):
            build.build_pose_tracking(image_size=size, options=options, **given)


@pytest.mark.parametrize("name", ["people", "drawn"])
def test_packaged_weights_carry_the_size_that_they_were_trained_at_and_a_crowds_limits(name):
    cfg = inference_config(name)
    assert cfg.INPUT.MIN_SIZE_TEST > 0
    assert cfg.INPUT.MAX_SIZE_TEST >= cfg.INPUT.MIN_SIZE_TEST
    assert cfg.TEST.DETECTIONS_PER_IMAGE >= 100
    assert cfg.MODEL.RPN.POST_NMS_TOPK_TEST >= cfg.TEST.DETECTIONS_PER_IMAGE


def test_every_packaged_configuration_says_what_size_frames_are_resized_to():
    for path in sorted((Path(build.__file__).parent / "configs").glob("*.yaml")):
        cfg = get_cfg()
        cfg.merge_from_file(str(path))
        if cfg.MODEL.META_ARCHITECTURE == "TopDownPose":  # crops have a size, and frames their detector's
            continue
        assert 0 < cfg.INPUT.MIN_SIZE_TEST <= cfg.INPUT.MAX_SIZE_TEST, path.name


def test_the_device_may_be_a_key_too(weights):
    options = ["MODEL.DEVICE", "cpu", "TRACKER.MIN_SCORE", "0.1", "MODEL.DEVICE", "cuda:77"]
    with pytest.raises(ValueError, match="device 'cuda:77'"):
        build.build_pose_tracking(weights=str(weights), options=options)
    tracking = build.build_pose_tracking(weights=str(weights), options=options[:4])
    assert (tracking.cfg.MODEL.DEVICE, tracking.min_score) == ("cpu", 0.1)


@pytest.mark.parametrize(
    ("given", "key", "other"),
    [
        ({"strategy": "iou"}, "TRACKER.STRATEGY", "reid"),
        ({"detector": "people"}, "MODEL.TOPDOWN.DETECTOR.WEIGHTS", "drawn"),
        ({"device": "cpu"}, "MODEL.DEVICE", "cuda"),
        ({"image_size": 64}, "INPUT.MIN_SIZE_TEST", "48"),
        ({"weights": "drawn"}, "MODEL.WEIGHTS", "people"),
    ],
)
def test_a_flag_and_the_key_that_it_sets_must_not_differ(given, key, other):
    """Whichever of them won, the other would be ignored without a word."""
    ((name, value),) = given.items()
    told = f"--{name.replace('_', '-')} {value}: {key} {other} says otherwise; give one of them"
    given = {"weights": "alphapose-s", "device": "cpu", **given}  # which looks at a detector's boxes
    with pytest.raises(ValueError, match=re.escape(told)):
        build.build_pose_tracking(options=["TRACKER.MIN_SCORE", "0.1", key, other], **given)


def test_a_flag_and_its_key_may_say_the_same(weights):
    options = ["TRACKER.STRATEGY", "iou", "MODEL.DEVICE", "cpu", "INPUT.MIN_SIZE_TEST", "64"]
    built = build.build_pose_tracking(
        weights=str(weights), device="cpu", strategy="iou", image_size=64, options=options
    )
    c = built.cfg
    assert (c.TRACKER.STRATEGY, c.INPUT.MIN_SIZE_TEST, c.INPUT.MAX_SIZE_TEST) == ("iou", 64, 128)


def test_the_flag_of_the_tracker_and_its_key_must_not_differ():
    args = parse_track(["clip.mp4", "--tracker", "flow"])
    assert network_arguments(args, ["SEED", "3"])["options"] == ["TRACKER.NAME", "flow", "SEED", "3"]
    with pytest.raises(ValueError, match=r"--tracker flow: TRACKER\.NAME msim says otherwise; give one"):
        network_arguments(args, ["TRACKER.NAME", "msim"])


def test_weights_named_by_an_override_bring_their_configuration_too(weights):
    options = ["TRACKER.MIN_SCORE", "0.1", "MODEL.WEIGHTS", str(weights)]
    built = build.build_pose_tracking(device="cpu", options=options)
    assert ("resnet18", str(weights)) == (built.cfg.MODEL.TIMM.NAME, built.cfg.MODEL.WEIGHTS)
    assert built.min_score == 0.1
    assert build.build_pose_tracking(weights=str(weights), device="cpu", options=options).cfg == built.cfg
    pose = FastPose.from_pretrained(device="cpu", options=options)
    assert pickle.loads(pickle.dumps(pose)).cfg == pose.cfg == built.cfg


def test_weights_that_are_named_twice_and_differ_are_told(weights):
    told = r"--weights drawn: MODEL\.WEIGHTS .*small\.safetensors says otherwise; give one"
    options = ["MODEL.WEIGHTS", str(weights)]
    with pytest.raises(ValueError, match=told):
        build.build_pose_tracking(weights="drawn", options=options)
    with pytest.raises(ValueError, match=told):
        FastPose.from_pretrained("drawn", options=options)
    with pytest.raises(ValueError, match=told):
        run_export(parse_export(["--weights", "drawn", "--format", "onnx", *options]))


def test_exported_networks_may_be_named_by_an_override(tmp_path):
    """It is looked for where exported networks are, not among weights."""
    with pytest.raises(ValueError, match=r"absent\.onnx"):
        build.build_pose_tracking(options=["MODEL.WEIGHTS", str(tmp_path / "absent.onnx")])


def test_an_export_of_weights_named_by_an_override_is_called_after_them(weights, monkeypatch):
    seen = []
    monkeypatch.setattr("fastpose_mtn.deploy.formats.write", lambda *given, **_: seen.append(given) or [])
    run_export(parse_export(["--format", "onnx", "MODEL.WEIGHTS", str(weights)]))
    _, target, _, cfg = seen[0]
    assert (target.name, cfg.MODEL.TIMM.NAME) == ("small.onnx", "resnet18")
