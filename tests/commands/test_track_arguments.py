"""What the words of the command line mean, and what is said of a wrong one."""

import pytest
from rectangles import RectangleEstimator, moving, write_video
from result_files import names

from fastpose_mtn import build
from fastpose_mtn.commands import track as track_video
from fastpose_mtn.commands.track_sources import split_overrides
from fastpose_mtn.config import get_cfg


def test_arguments_reach_the_network(run, tmp_path):
    write_video(tmp_path / "walk.mp4", [moving(i) for i in range(9)])
    estimator = RectangleEstimator()
    done = run(
        "--weights", "w.safetensors", "--config-file", "c.yaml", "--device", "cpu", "--precision", "bf16", "--strategy",
        "iou", "--batch-size", "2", "--max-frames", "5", "--no-video", "--input", "walk.mp4", "TRACKER.MIN_SCORE", "0.3",
        estimator=estimator,
    )  # fmt: skip
    assert done.status == 0
    assert done.asked == {
        "weights": "w.safetensors", "config_file": "c.yaml", "device": "cpu", "precision": "bf16", "strategy": "iou",
        "options": ["TRACKER.MIN_SCORE", "0.3"], "host": "default",
        "image_size": None, "detector": None,
    }  # fmt: skip
    assert estimator.batches == [2, 2, 1]


@pytest.mark.parametrize("flag", ["--host", "--engine"])  # the second is what it was called first
def test_whose_detector_runs(run, tmp_path, flag):
    write_video(tmp_path / "walk.mp4", [moving(i) for i in range(2)])
    assert run("walk.mp4", "--no-video", flag, "detectron2").asked["host"] == "detectron2"


def test_a_tracker_by_its_name(run, tmp_path):
    write_video(tmp_path / "walk.mp4", [moving(i) for i in range(2)])
    done = run("--input", "walk.mp4", "--no-video", "--tracker", "msim", "TRACKER.MIN_SCORE", "0.3")
    assert done.asked["options"] == ["TRACKER.NAME", "msim", "TRACKER.MIN_SCORE", "0.3"]
    assert "choose from" in run("--input", "walk.mp4", "--tracker", "sort").err


def test_overrides_may_stand_at_the_very_end(run, tmp_path):
    write_video(tmp_path / "walk.mp4", [moving(i) for i in range(2)])
    assert run("--input", "walk.mp4", "--no-video", "TRACKER.MIN_SCORE", "0.3").asked["options"] == [
        "TRACKER.MIN_SCORE",
        "0.3",
    ]


def test_a_bare_path_is_a_source_and_a_key_begins_the_overrides(run, tmp_path):
    (tmp_path / "more").mkdir()
    for name in ("walk.mp4", "more/run.mp4", "last.mp4", "TRACKER.mp4"):
        write_video(tmp_path / name, [moving(i) for i in range(2)])
    done = run(
        "walk.mp4",
        "more/",
        "--no-video",
        "TRACKER.mp4",
        "TRACKER.BIRTH_SCORE",
        "0.5",
        "SEED",
        "-1",
        "--input",
        "last.mp4",
    )
    assert done.status == 0
    assert done.asked["options"] == ["TRACKER.BIRTH_SCORE", "0.5", "SEED", "-1"]
    assert names("output") == ["TRACKER.json", "last.json", "run.json", "walk.json"]


def test_overrides_alone_are_for_the_demos_clip(run, monkeypatch, tmp_path):
    clip = write_video(tmp_path / "walk.mp4", [moving(i) for i in range(2)])
    monkeypatch.setattr(track_video, "DEMO_CLIP", clip)
    assert run("SEED", "3", "--no-video").asked["options"] == ["SEED", "3"]
    assert names("output") == ["walk.json"]


KEYS = get_cfg().keys_with_dots()


@pytest.mark.parametrize(
    ("words", "sources"),
    [
        (["a.mp4", "TRACKER.BIRTH_SCORE", "0.5"], 1),
        (["a.mp4", "TRACKER.BIRTH", "0.5"], 1),  # mistyped: told by the configuration
        (["a.mp4", "TRAKER.BIRTH_SCORE", "0.5"], 1),
        (["a.mp4", "SEED", "5"], 1),
        (["MODEL.WEIGHTS", "x.mp4"], 0),
        (["CLIP.MP4", "VIDEO.MP4", "TEST.PNG"], 3),
        (["0", "rtsp://camera/TEST.AUG", "TEST"], 3),
        (["A.B", "SOLVER.MAX_ITER", "1"], 1),
    ],
)
def test_which_words_are_sources(words, sources, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "TEST").mkdir()  # a folder, and a section's name
    assert split_overrides(words, KEYS) == (words[:sources], words[sources:])


def test_a_folder_is_a_source_although_its_name_is_written_like_a_key(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "TEST.SET").mkdir()
    assert split_overrides(["TEST.SET"], KEYS) == (["TEST.SET"], [])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["walk.mp4", "tracker.birth_score", "0.5"],
            "tracker.birth_score: write TRACKER.BIRTH_SCORE VALUE, behind",
        ),
        (
            ["walk.mp4", "TRACKER.BIRTH_SCORE=0.5"],
            "TRACKER.BIRTH_SCORE=0.5: write TRACKER.BIRTH_SCORE 0.5, behind",
        ),
        (
            ["walk.mp4", "TRACKER.BIRTH", "0.5"],
            "unknown configuration key TRACKER.BIRTH; did you mean TRACKER.BIRTH_SCORE?",
        ),
        (["wakl.mp4"], "wakl.mp4: no such file or folder; did you mean walk.mp4?"),
        (["--video", "walk.mp4"], "unrecognized arguments: --video; here that is --input;"),
        (["--source", "walk.mp4"], "unrecognized arguments: --source; here that is --input;"),
        (["--indir", "."], "unrecognized arguments: --indir; here that is --input;"),
        (
            ["walk.mp4", "--outdir", "results"],
            "unrecognized arguments: --outdir results; here that is --output;",
        ),
        (
            ["walk.mp4", "--checkpoint", "w.pth"],
            "unrecognized arguments: --checkpoint w.pth; here that is --weights;",
        ),
        (["walk.mp4", "--no_video"], "unrecognized arguments: --no_video; did you mean --no-video?"),
    ],
)
def test_a_wrong_word_gets_the_right_one_named(run, tmp_path, words, told):
    write_video(tmp_path / "walk.mp4", [moving(0)])
    done = run(*words)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert told in done.err


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ("peple", "did you mean people?"),
        ("own.saftensors", "did you mean own.safetensors?"),
        ("absent", "absent\n"),
    ],
)
def test_weights_that_are_not_there(tmp_path, monkeypatch, capsys, weights, told):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "walk.mp4", [moving(0)])
    (tmp_path / "own.safetensors").touch()
    with pytest.raises(SystemExit) as stop:
        track_video.main(["walk.mp4", "--weights", weights])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: weights file not found: {weights}")
    assert error.endswith(f"{told}\n" if told.endswith("?") else told)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--formats", "posetrack,xml"],
            "--formats: unknown format 'xml'; choose from posetrack,jsonl,csv,mot,coco",
        ),
        (["--batch-size", "0"], "--batch-size 0: expected at least 1"),
        (["--max-frames", "none"], "argument --max-frames: invalid int value: 'none'"),
        (["--speed", "3"], "unrecognized arguments: --speed"),
        (["TRACKER.NO_SUCH_KEY", "1"], "TRACKER.NO_SUCH_KEY"),
        (["TRACKER.MIN_SCORE"], "'TRACKER.MIN_SCORE' has no value"),
    ],
)
def test_bad_arguments_are_one_line_and_status_2(run, tmp_path, arguments, message):
    write_video(tmp_path / "walk.mp4", [moving(0)])
    done = run("--input", "walk.mp4", *arguments)
    assert done.status == 2
    assert done.err.count("\n") == 1
    assert message in done.err


def build_errors(**arguments):
    with pytest.raises(ValueError, match=r"\w") as caught:
        build.build_pose_tracking(**arguments)
    return str(caught.value)


def test_a_network_that_cannot_be_built_is_told_before_any_weights_are_read(tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    config = tmp_path / "c.yaml"
    config.write_text("MODEL: {WEIGHTS: absent.safetensors}")
    given = {"config_file": str(config)}
    assert "device 'cuda': there are 0 CUDA devices here; use cpu, or auto" in build_errors(
        device="cuda", **given
    )
    assert "--precision int8: choose from auto, fp32, bf16, fp16" in build_errors(precision="int8", **given)
    assert "TRACKER.NO_SUCH_KEY" in build_errors(options=["TRACKER.NO_SUCH_KEY", "1"], **given)
    assert "TRACKER.BIRTH_SCORE): expected a number from 0 to 1, got 3.0" in build_errors(
        options=["TRACKER.BIRTH_SCORE", "3.0"], **given
    )
    assert "absent.safetensors" in build_errors(**given)
    assert "absent.yaml" in build_errors(config_file="absent.yaml")
