"""The straight line: people are learned from crops, and tracked in a video with a detector's boxes."""

import json

import numpy as np
import pytest
from rectangles import moving, write_video
from tiny_topdown import SMALL

from fastpose_mtn.build import build_pose_tracking
from fastpose_mtn.checkpoints.loading import inference_config
from fastpose_mtn.commands.track import main as track
from fastpose_mtn.commands.train import main as train
from fastpose_mtn.data.box_offsets import fit_table
from fastpose_mtn.data.proposals import save_table
from fastpose_mtn.tracking.detections_file import load

DRAWN = "synthetic://t?seeds=0-1&frames=4&size=96x64&people=2"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    table = folder / "boxes.yaml"
    save_table(table, fit_table({"whole": np.random.default_rng(0).normal(0, 0.05, (50, 2, 2))}))
    train(
        [
            "--config-file", "alphapose-s", *SMALL, "OUTPUT_DIR", str(folder), "SEED", "1", "DATALOADER.NUM_WORKERS", "0",
            "DATASETS.TRAIN", f"['{DRAWN}']", "DATASETS.TEST", "['synthetic://v?seeds=800000&frames=2&size=96x64&people=2']",
            "SOLVER.IMS_PER_BATCH", "4", "SOLVER.MAX_ITER", "2", "SOLVER.WARMUP_ITERS", "0", "VIS_PERIOD", "1",
            "INPUT.PGPG.SAMPLER", "mixture", "INPUT.PGPG.TABLE", str(table), "INPUT.PGPG.FROM_ITER", "1",
        ]
    )  # fmt: skip
    return folder / "model_final.safetensors"


def test_weights_do_not_name_the_table_that_their_crops_were_drawn_from(weights):
    assert inference_config(str(weights)).INPUT.PGPG.SAMPLER == ""


def test_training_evaluates_in_the_boxes_of_the_labels(weights):
    (metrics,) = json.loads((weights.parent / "evaluation.json").read_text()).values()
    assert metrics["box/AP"] == pytest.approx(1.0)
    assert "keypoint/AP" in metrics


def test_weights_are_tracked_with_a_detectors_boxes(weights, tmp_path):
    clip = write_video(tmp_path / "walk.mp4", [moving(i, (96, 128)) for i in range(3)])
    with pytest.raises(SystemExit) as stop:
        track(
            [
                str(clip), "--weights", str(weights), "--detector", "drawn", "--output", str(tmp_path / "out"), "--formats",
                "posetrack,jsonl,coco", "--save-detections", "--quiet", "--device", "cpu",
            ]
        )  # fmt: skip
    assert not stop.value.code
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"walk.json", "walk.jsonl", "walk.mp4", "walk.detections.npz"} <= names


def test_the_detector_gives_vectors_and_its_own_weights_are_asked_for(weights):
    built = build_pose_tracking(weights=str(weights), detector="people", device="cpu")
    assert built.estimator.embedding_dim == 128
    (boxes,) = built.estimator.detector.estimate([np.zeros((64, 64, 3), np.uint8)])
    assert boxes.keypoints.shape[1] == 0  # the detector's joints are not even computed
    (found,) = built.estimator.estimate([np.zeros((64, 64, 3), np.uint8)])
    assert found.keypoints.shape[1:] == (19, 3)
    with pytest.raises(ValueError, match="--detector people: these weights find people by themselves"):
        build_pose_tracking(weights="people", detector="people", device="cpu")
    with pytest.raises(ValueError, match="a top-down network finds nobody; name another system's weights"):
        build_pose_tracking(weights=str(weights), detector=str(weights), device="cpu")


def test_boxes_may_lie_in_a_file(weights, tmp_path):
    clip = write_video(tmp_path / "walk.mp4", [moving(i, (96, 128)) for i in range(3)])
    boxes = [{"image_id": i, "category_id": 1, "bbox": [10 + i, 10, 30, 60], "score": 0.9} for i in (0, 2)]
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    with pytest.raises(SystemExit) as stop:
        track(
            [
                str(clip), "--weights", str(weights), "--detector", str(tmp_path / "boxes.json"), "--output", str(tmp_path / "out"),
                "--save-detections", "--no-video", "--quiet", "--device", "cpu", "MODEL.TOPDOWN.SCORE", "box",
            ]
        )  # fmt: skip
    assert not stop.value.code
    saved = load(tmp_path / "out" / "walk.detections.npz")
    assert [len(frame.detections) for frame in saved] == [1, 0, 1]
    assert saved.frames[2].detections.boxes.tolist() == [[12, 10, 42, 70]]
