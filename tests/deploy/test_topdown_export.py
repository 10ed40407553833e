"""Exported top-down networks: crops in, the joints that PyTorch finds out."""

import numpy as np
import pytest
import torch
from networks_to_export import ENDINGS, image, needs
from tiny_mspn import mspn_config
from tiny_topdown import topdown_config

from fastpose_mtn.build import build_estimator, build_network, build_pose_tracking
from fastpose_mtn.checkpoints.loading import save_weights
from fastpose_mtn.commands.export import main
from fastpose_mtn.deploy.formats import write

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
    with pytest.raises(SystemExit):
        main([*arguments, "--output", str(path), "--int8", "clip.mp4"])
