import types

import numpy as np
import pytest
import torch

from fastpose_mtn.checkpoints.loading import save_weights
from fastpose_mtn.estimators import frames
from fastpose_mtn.estimators.adapter import FrameAdapter
from fastpose_mtn.estimators.frames import to_frame
from fastpose_mtn.estimators.views import View
from fastpose_mtn.runtime.precision import resolve_device, resolve_precision
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.systems.mtn.estimator import MTNEstimator
from fastpose_mtn.systems.mtn.network import build_model


def frame(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def model(cfg):
    torch.manual_seed(0)
    return build_model(cfg)


def test_differently_sized_frames(model):
    estimator = MTNEstimator(model, device="cpu", precision="fp32")
    frames = [frame(64, 96), frame(40, 130, 1)]
    found = estimator.estimate(frames)
    assert estimator.skeleton.name == "POSETRACK15"
    for people, picture in zip(found, frames, strict=True):
        assert len(people)
        assert (people.boxes[:, 2:] <= [picture.shape[1], picture.shape[0]]).all()
    assert estimator.estimate([]) == []


def test_equals_the_network_itself(model):
    """Folding normalisation and copying change nothing."""
    picture = frame(64, 96)
    expected = model.eval()([torch.from_numpy(picture).permute(2, 0, 1)])[0]
    found = MTNEstimator(model, device="cpu", precision="fp32").estimate([picture])[0]
    for name in ("boxes", "scores", "keypoints", "embeddings"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=2e-3)


def test_the_network_given_is_left_alone(model):
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    MTNEstimator(model, device="cpu", precision="bf16").estimate([frame(64, 64)])
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.requires_grad for p in model.parameters())


def test_resized_frames_come_back_in_their_own_pixels(model):
    """The same picture at twice the size: the network sees the same, and reports twice the coordinates."""
    small = frame(64, 96)
    large = small.repeat(2, axis=0).repeat(2, axis=1)
    estimator = MTNEstimator(model, frames=at(64), device="cpu", precision="fp32")
    a, b = estimator.estimate([small, large])
    np.testing.assert_allclose(b.boxes, a.boxes * 2, atol=1e-2)
    np.testing.assert_allclose(b.keypoints[..., :2], a.keypoints[..., :2] * 2, atol=2e-2)


def at(size):
    """Frames are looked at with so many pixels on their shorter side."""
    return FrameAdapter(POSETRACK15, views=(View(size, 1000),))


@pytest.mark.parametrize(
    ("size", "precision", "close"), [(0, "fp32", 1e-4), (128, "fp32", 1e-4), (128, "bf16", 0.1)]
)
def test_given_people_are_the_people_found(model, size, precision, close):
    estimator = MTNEstimator(model, frames=at(size), device="cpu", precision=precision)
    picture = frame(64, 96)
    found = estimator.estimate([picture])[0]
    order = np.arange(len(found))[::-1]
    boxes = found.boxes[order]
    given = estimator.estimate_given(picture, boxes, np.ones(len(order), np.float32))
    np.testing.assert_array_equal(given.boxes, boxes)
    np.testing.assert_allclose(given.keypoints, found.keypoints[order], atol=100 * close)
    np.testing.assert_allclose(given.embeddings, found.embeddings[order], atol=close)
    np.testing.assert_allclose(estimator.describe(picture, boxes), given.embeddings, atol=1e-6)
    half = estimator.estimate_given(picture, boxes, np.full(len(order), 0.5, np.float32))
    np.testing.assert_allclose(half.scores, given.scores / 2, rtol=1e-6)  # joints weigh in both alike


def test_nobody_and_a_box_without_area_are_given_too(model):
    estimator = MTNEstimator(model, frames=at(128), device="cpu", precision="fp32")
    assert estimator.describe(frame(64, 96), np.zeros((0, 4))).shape == (0, 16)
    nobody = estimator.estimate_given(frame(64, 96), np.zeros((0, 4)), np.zeros(0))
    assert nobody.keypoints.shape == (0, 15, 3)
    point = estimator.estimate_given(frame(64, 96), np.array([[5, 5, 5, 5]]), np.ones(1))
    assert point.keypoints.shape == (1, 15, 3)


def test_a_network_without_identities_describes_nobody(cfg):
    cfg.MODEL.REID_ON = False
    estimator = MTNEstimator(build_model(cfg), device="cpu", precision="fp32")
    assert estimator.embedding_dim is None
    with pytest.raises(ValueError, match="no identity head: MODEL.REID_ON True"):
        estimator.describe(frame(64, 96), np.array([[5, 5, 30, 60]]))
    boxes = np.array([[5, 5, 30, 60]])
    assert estimator.estimate_given(frame(64, 96), boxes, np.ones(1)).embeddings is None


@pytest.mark.parametrize(
    ("size", "limits", "expected"),
    [
        ((480, 640), (600, 1000), (600, 800)),
        ((480, 960), (600, 1000), (500, 1000)),
        ((960, 480), (600, 1000), (1000, 500)),
        ((480, 640), (0, 1000), (480, 640)),
        ((480, 960), (600, 0), (600, 1200)),
        ((1, 5000), (600, 1000), (1, 1000)),
    ],
)
def test_size_is_detectron2s(size, limits, expected):
    assert frames.test_size(*size, *limits) == expected


def test_boxes_are_cut_and_empty_ones_left_out():
    people = PersonDetections(
        boxes=np.float32([[-4, 0, 10, 10], [30, 0, 40, 10]]),
        scores=np.float32([0.9, 0.8]),
        keypoints=np.float32([[[1, 2, 0.5]], [[3, 4, 0.5]]]),
        embeddings=np.float32([[1], [2]]),
    )
    out = to_frame(people, image_size_hw=(10, 20), frame_size_hw=(20, 50))
    assert out.boxes.tolist() == [[0, 0, 25, 20]]
    assert out.keypoints.tolist() == [[[2.5, 4, 0.5]]]
    assert out.embeddings.tolist() == [[1]]


def test_from_config_with_weights(cfg, model, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_weights(path, model, cfg)
    picture = frame(64, 96)
    expected = MTNEstimator.from_config(cfg, model, precision="fp32").estimate([picture])[0]
    found = MTNEstimator.from_config(cfg, weights=str(path), device="cpu", precision="fp32").estimate(
        [picture]
    )[0]
    np.testing.assert_array_equal(found.keypoints, expected.keypoints)
    with pytest.raises(ValueError, match="no weights: set MODEL.WEIGHTS"):
        MTNEstimator.from_config(cfg)


def test_bfloat16_leaves_the_boxes_their_digits(model):
    """8 bits would put coordinates on a grid of a pixel or more; the proposals of a frame are not on one."""
    estimator = MTNEstimator(model, device="cpu", precision="bf16")
    seen = {}
    network = estimator._model
    for name, part in (
        ("proposals", network.proposal_generator.rpn_head.predictions),
        ("boxes", network.roi_heads.box_predictor.bbox_pred),
        ("features", network.backbone.bottom_up),
    ):
        part.register_forward_hook(lambda _m, _i, out, name=name: seen.update({name: out}))
    estimator.estimate([frame(64, 96)])
    for name in ("proposals", "boxes"):
        assert seen[name].dtype == torch.float32
        assert (seen[name] != seen[name].bfloat16().float()).any()
    assert seen["features"][-1].dtype == torch.bfloat16


def test_what_rounding_would_change_stays_in_float32(model):
    """MobileNet-V2's weights of ImageNet have such a normalisation: a tenth of the people got other boxes."""
    picture = frame(64, 96)
    norm = model.backbone.bottom_up.layer1[0].bn1
    norm.running_mean[0] = 1000.0
    seen = {}
    for precision in ("fp32", "bf16"):
        bottom_up = MTNEstimator(model, device="cpu", precision=precision)._model.backbone.bottom_up
        image = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            features = bottom_up.maxpool(bottom_up.act1(bottom_up.bn1(bottom_up.conv1(image))))
            seen[precision] = features, bottom_up.layer1[0](features), bottom_up.layer1(features)
    for exact, found in zip(seen["fp32"][:2], seen["bf16"][:2], strict=True):
        assert torch.equal(exact, found)
    assert seen["bf16"][2].dtype == torch.bfloat16


def test_bfloat16_is_near_float32(model):
    picture = frame(64, 96)
    fine, coarse = (
        MTNEstimator(model, device="cpu", precision=p).estimate([picture])[0] for p in ("fp32", "bf16")
    )
    assert coarse.boxes.dtype == np.float32
    assert abs(coarse.scores.max() - fine.scores.max()) < 0.02


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)]
)  # fmt: skip
def test_bad_frame(model, bad):
    estimator = MTNEstimator(model, device="cpu", precision="fp32")
    with pytest.raises(ValueError, match=r"frame 1: expected an RGB image \(H, W, 3\) of uint8, got \("):
        estimator.estimate([frame(8, 8), bad])


def test_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto").type == resolve_device("cpu").type == "cpu"
    with pytest.raises(ValueError, match="device 'cuda': there are 0 CUDA devices here; use cpu, or auto"):
        resolve_device("cuda")
    for name in ("tpu", "mps"):
        with pytest.raises(ValueError, match=f"device '{name}': choose from auto, cpu, cuda"):
            resolve_device(name)


def test_precision(monkeypatch):
    cpu = torch.device("cpu")
    assert resolve_precision("fp32", cpu) == torch.float32
    for fast, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda fast=fast: fast)
        assert resolve_precision("auto", cpu) == expected
    with pytest.raises(ValueError, match="precision 'int8': choose from auto, fp32, bf16, fp16"):
        resolve_precision("int8", cpu)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_fp16_supported", lambda: False)
    with pytest.raises(ValueError, match="precision 'fp16': this CPU does not compute in it"):
        resolve_precision("fp16", cpu)
    monkeypatch.setattr(torch.ops, "mkldnn", types.SimpleNamespace())  # PyTorch for Apple's processors
    assert resolve_precision("auto", cpu) == torch.float32


def test_pytorch_without_onednn(model, monkeypatch):
    picture = frame(64, 96)
    expected = MTNEstimator(model, device="cpu", precision="fp32").estimate([picture])[0]
    monkeypatch.setattr(torch.ops, "mkldnn", types.SimpleNamespace())
    found = MTNEstimator(model, device="cpu", precision="fp32").estimate([picture])[0]
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-3)
    np.testing.assert_allclose(found.keypoints, expected.keypoints, atol=1e-2)
