"""Exported PoseDet: the people that PyTorch finds, in frames of any size."""

import cv2
import numpy as np
import pytest
import torch
from networks_to_export import ENDINGS, image, needs
from tiny_posedet import posedet_config

from fastpose_mtn.build import build_estimator, build_network, build_pose_tracking
from fastpose_mtn.deploy.formats import write
from fastpose_mtn.deploy.quantize import quantize


def network(*options):
    cfg = posedet_config(
        "MODEL.POSEDET.NMS_TOPK",
        "40",
        "TEST.POSE_NMS.ENABLED",
        "False",
        "MODEL.POSEDET.SCORE_THRESH",
        "0.0",
        *options,
    )
    torch.manual_seed(0)
    model = build_network(cfg).eval()
    torch.nn.init.normal_(model.head.score.weight, std=1.0)  # scores that no rounding puts in another order
    return model, cfg


@pytest.mark.parametrize("form", ["onnx", "openvino"])
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("MODEL.REID_ON", "False", "MODEL.POSEDET.SCORE", "visible", "MODEL.POSEDET.EMBEDDING", "grid3x3"),
        ("MODEL.POSEDET.CLASSIFY", "chosen", "MODEL.POSEDET.CONV", "separable"),
    ],
    ids=["default", "others", "light"],
)
def test_people_are_those_of_pytorch(form, options, tmp_path):
    needs(form)
    model, cfg = network(*options)
    path = tmp_path / f"one{ENDINGS[form]}"
    write(form, path, model, cfg)
    built = build_pose_tracking(weights=str(path), device="cpu", precision="fp32")
    expected = build_estimator(cfg, model, device="cpu", precision="fp32")
    assert built.estimator.embedding_dim == expected.embedding_dim
    frames = [image(97, 131), image(150, 70, 1), image(20, 30, 2)]
    for frame in frames:  # one by one: group normalisation sees what a batch is padded by
        (wanted,) = expected.estimate([frame])
        (found,) = built.estimator.estimate([frame])
        assert len(found) == len(wanted) > 0
        np.testing.assert_allclose(found.keypoints[..., :2], wanted.keypoints[..., :2], atol=0.01)
        np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-4)
        np.testing.assert_allclose(found.boxes, wanted.boxes, atol=0.01)
        (few,) = built.estimator.estimate([frame], min_score=1.01)  # above all
        assert len(few) == 0
    if found.embeddings is not None:
        np.testing.assert_allclose(found.embeddings, wanted.embeddings, atol=1e-3)


@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_eight_bits_find_the_same_people(form, tmp_path):
    needs(form)
    if form == "openvino":
        pytest.importorskip("nncf", reason="nncf is not installed: pip install -e '.[export]'")
    model, cfg = network("MODEL.POSEDET.CLASSIFY", "chosen", "MODEL.POSEDET.CONV", "separable")
    path, frames = tmp_path / f"one{ENDINGS[form]}", [image(96, 128, seed) for seed in range(3)]
    write(form, path, model, cfg)
    for seed, frame in enumerate(frames):
        cv2.imwrite(str(tmp_path / f"{seed}.png"), frame[..., ::-1])
    assert quantize(path, str(tmp_path), frames=3)[0] == path
    assert (b"FakeQuantize" if form == "openvino" else b"QuantizeLinear") in path.read_bytes()
    built = build_pose_tracking(weights=str(path), device="cpu", precision="fp32")
    exact = build_estimator(cfg, model, device="cpu", precision="fp32")
    for frame in frames:
        (found,), (wanted,) = built.estimator.estimate([frame]), exact.estimate([frame])
        middle, other = (people.keypoints[..., :2].mean(axis=1) for people in (wanted, found))
        near = np.linalg.norm(middle[:, None] - other[None], axis=-1).min(axis=1)
        assert (
            np.mean(near < 4) > 0.5
        )  # scores of random weights differ by little, and change who is looked at
