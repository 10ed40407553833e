"""The straight line: people are learned from images, and found and tracked in a video."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from rectangles import moving, write_video
from tiny_posedet import TINY_POSEDET

from fastpose_mtn.build import build_network, build_pose_tracking
from fastpose_mtn.checkpoints.loading import save_weights
from fastpose_mtn.commands.track import main as track
from fastpose_mtn.commands.train import main as train
from fastpose_mtn.config import get_cfg
from fastpose_mtn.tracking.detections_file import load

MICRO = Path(__file__).parents[3] / "configs" / "PoseDet-micro.yaml"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    train(
        [
            *TINY_POSEDET, "OUTPUT_DIR", str(folder), "SEED", "1", "DATALOADER.NUM_WORKERS", "0", "INPUT.MIN_SIZE_TRAIN", "(64,)",
            "DATASETS.TRAIN", "['synthetic://t?seeds=0-1&frames=4&size=96x64&people=2']",
            "DATASETS.TEST", "['synthetic://v?seeds=800000&frames=2&size=96x64&people=2']",
            "SOLVER.IMS_PER_BATCH", "2", "SOLVER.MAX_ITER", "2", "SOLVER.WARMUP_ITERS", "0", "SOLVER.BASE_LR", "0.001",
            "SOLVER.GRADIENT_ACCUMULATION", "2", "SOLVER.LOSS_WEIGHTS", "uncertainty", "SOLVER.EMA", "0.5",
        ]
    )  # fmt: skip
    return folder / "model_final.safetensors"


def test_training_is_evaluated(weights):
    (metrics,) = json.loads((weights.parent / "evaluation.json").read_text()).values()
    assert {"box/AP", "keypoint/AP", "posetrack/MOTA"} <= set(metrics)


def test_weights_are_tracked_and_need_nothing_but_themselves(weights, tmp_path):
    clip = write_video(tmp_path / "walk.mp4", [moving(i, (96, 128)) for i in range(3)])
    with pytest.raises(SystemExit) as stop:
        track(
            [
                str(clip), "--weights", str(weights), "--output", str(tmp_path / "out"), "--formats", "posetrack,jsonl",
                "--save-detections", "--quiet", "--device", "cpu", "MODEL.POSEDET.SCORE_THRESH", "0.0",
            ]
        )  # fmt: skip
    assert not stop.value.code
    assert {"walk.json", "walk.jsonl", "walk.mp4"} <= {path.name for path in (tmp_path / "out").iterdir()}
    saved = load(tmp_path / "out" / "walk.detections.npz")
    assert len(saved) == 3
    found = saved.frames[0].detections
    assert found.embeddings.shape == (len(found), 8)
    assert (found.keypoints.shape[1:], len(found) > 0) == ((15, 3), True)


@pytest.fixture(scope="module")
def micro(tmp_path_factory):
    """The network of ``PoseDet-micro.yaml`` as it begins."""
    cfg = get_cfg()
    cfg.merge_from_file(str(MICRO))
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("micro") / "micro.safetensors"
    save_weights(path, build_network(cfg), cfg)
    return path


@pytest.mark.parametrize(
    ("size_hw", "flags", "somebody"),
    [
        ((96, 128), ["MODEL.POSEDET.SCORE_THRESH", "0.0"], True),
        ((96, 128), ["MODEL.POSEDET.SCORE_THRESH", "1.0"], False),
        ((20, 32), ["INPUT.MIN_SIZE_TEST", "0", "MODEL.POSEDET.SCORE_THRESH", "0.0"], True),
        ((96, 128), ["--live", "on", "MODEL.POSEDET.SCORE_THRESH", "0.0"], True),
    ],
    ids=["people", "nobody", "smaller than a cell", "live"],
)
def test_the_files_network_is_tracked(micro, tmp_path, size_hw, flags, somebody):
    """Boxes that are boxes, scores from 0 to 1 and best first, the same in every run."""
    clip = write_video(tmp_path / "walk.mp4", [moving(i, size_hw) for i in range(3)])
    runs = []
    for run in ("a", "b"):
        arguments = [
            str(clip),
            "--config-file",
            str(MICRO),
            "--weights",
            str(micro),
            "--output",
            str(tmp_path / run),
        ]
        with pytest.raises(SystemExit) as stop:
            track([*arguments, "--save-detections", "--no-video", "--quiet", "--device", "cpu", *flags])
        assert not stop.value.code
        frames = load(tmp_path / run / "walk.detections.npz").frames
        runs.append({frame.number: frame.detections for frame in frames})
    both = runs[0].keys() & runs[1].keys()
    # live, a late frame makes way for the newest
    assert both == {0, 1, 2} or ("--live" in flags and 2 in both)
    for one, again in ((runs[0][number], runs[1][number]) for number in both):
        assert (len(one) > 0) == somebody
        assert ((one.boxes[:, :2] <= one.boxes[:, 2:]).all(), (np.diff(one.scores) <= 0).all()) == (
            True,
            True,
        )
        assert (one.boxes >= 0).all()
        assert (one.boxes <= [*size_hw[::-1], *size_hw[::-1]]).all()
        assert one.scores.tolist() == again.scores.tolist()
        assert one.boxes.tolist() == again.boxes.tolist()


def test_weights_of_other_joints_are_refused(weights):
    with pytest.raises(ValueError, match="the file's joints are POSETRACK15's 15, the network's COCO17's 17"):
        build_pose_tracking(weights=str(weights), device="cpu", options=["MODEL.SKELETON", "COCO17"])
    with pytest.raises(ValueError, match="--detector people: these weights find people by themselves"):
        build_pose_tracking(weights=str(weights), device="cpu", detector="people")
