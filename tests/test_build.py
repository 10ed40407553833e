"""The real network, small and untrained, put together as the command line and the API do it."""

import numpy as np
import pytest
from rectangles import moving, write_video

from fastpose_mtn import build
from fastpose_mtn.api import FastPose
from fastpose_mtn.checkpoints.loading import save_weights
from fastpose_mtn.config import get_cfg
from fastpose_mtn.skeletons import POSETRACK15
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
