"""The command line, with an estimator that finds coloured rectangles in the place of the network."""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest
from rectangles import ColourTracker, RectangleEstimator, damage, moving, scene, stand_in, write_video

from fastpose_mtn import build
from fastpose_mtn.commands import track as track_video
from fastpose_mtn.commands.track_sources import split_overrides
from fastpose_mtn.config import get_cfg
from fastpose_mtn.video.video_source import VideoSource

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs the command line; gives its exit status, output, errors and what the network was asked for."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, estimator=None):
        fake = stand_in(estimator)
        monkeypatch.setattr(build, "build_pose_tracking", fake.build)
        with pytest.raises(SystemExit) as stop:
            track_video.main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return SimpleNamespace(status=stop.value.code, out=captured.out, err=captured.err, asked=fake.asked)

    return run


def frame_lines(path):
    """The frames of a file of JSON lines, without its header."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()[1:]]


def names(folder):
    return sorted(file.name for file in Path(folder).iterdir())


def test_a_video_becomes_results_and_an_overlay_of_its_length(run, tmp_path):
    times = [0.0, 0.1, 0.15, 0.4, 1.0, 1.05]
    write_video(tmp_path / "walk.mp4", [moving(i) for i in range(6)], times)
    done = run("--input", "walk.mp4", "--formats", "posetrack,jsonl,csv,mot,coco", "--save-detections")
    assert done.status == 0
    assert names("output") == [
        "walk.coco.json", "walk.csv", "walk.detections.npz", "walk.json", "walk.jsonl", "walk.mp4", "walk.txt",
    ]  # fmt: skip
    result = json.loads(Path("output/walk.json").read_text())
    assert len(result["images"]) == 6
    assert len(result["annotations"]) == 12
    lines = frame_lines("output/walk.jsonl")
    np.testing.assert_allclose([line["time"] for line in lines], times, atol=1e-3)
    assert len(Path("output/walk.txt").read_text().splitlines()) == 12
    assert len(json.loads(Path("output/walk.coco.json").read_text())) == 12
    with av.open("output/walk.mp4") as overlay:
        np.testing.assert_allclose([f.time for f in overlay.decode(video=0)], times, atol=1e-3)
    header, row = done.out.splitlines()[:2]
    assert header.split()[:6] == ["source", "frames", "boxes", "people", "tracks", "frames/s"]
    assert row.split()[:5] == ["walk", "6", "12", "2", "2"]
    assert "6/6" in done.err


def test_the_overlay_shows_the_people(run, tmp_path):
    write_video(tmp_path / "walk.mp4", [scene((240, 320), red=(100, 50, 160, 200))] * 3)
    run("--input", "walk.mp4")
    (plain, *_), (drawn, *_) = (list(VideoSource(p, name="x")) for p in ("walk.mp4", "output/walk.mp4"))
    changed = np.abs(plain.image.astype(int) - drawn.image).max(axis=2) > 60
    assert changed[100:150, 120:140].any()
    assert not changed[:, 220:].any()


def test_folders_images_and_several_inputs(run, tmp_path):
    videos, images = tmp_path / "videos", tmp_path / "images"
    videos.mkdir()
    images.mkdir()
    for name in ("a", "b"):
        write_video(videos / f"{name}.mp4", [moving(i) for i in range(3)])
    for i in range(4):
        cv2.imwrite(str(images / f"{i:06d}.png"), moving(i)[..., ::-1])
    done = run("--input", videos, images, images / "000002.png", "--quiet")
    assert done.status == 0
    assert (done.out, done.err) == ("", "")
    expected = [
        "000002.jpg",
        "000002.json",
        *(f"{n}.{e}" for n in ("a", "b", "images") for e in ("json", "mp4")),
    ]
    assert names("output") == sorted(expected)
    assert len(json.loads(Path("output/images.json").read_text())["images"]) == 4


def photographs(folder):
    """The same two people walk through all of them; names say that they are unrelated."""
    folder.mkdir()
    for i, name in enumerate(("anna.jpg", "bob.png", "bob.jpg")):
        cv2.imwrite(str(folder / name), moving(4 * i)[..., ::-1])
    return folder


def test_photographs_keep_their_names_and_have_a_picture_and_ids_of_their_own(run, tmp_path):
    photographs(tmp_path / "friends")
    done = run("--input", "friends", "--formats", "posetrack,jsonl,coco", "--save-detections")
    assert done.status == 0
    assert "friends: 3 images, taken as unrelated photographs" in done.err
    result = json.loads(Path("output/friends.json").read_text())
    names_in_order = ["anna.jpg", "bob.jpg", "bob.png"]
    assert [Path(image["file_name"]).name for image in result["images"]] == names_in_order
    lines = frame_lines("output/friends.jsonl")
    assert [line["file_name"] for line in lines] == names_in_order
    assert names("output") == [
        "friends", "friends.coco.json", "friends.detections.npz", "friends.json", "friends.jsonl",
    ]  # fmt: skip
    assert names("output/friends") == ["anna.jpg", "bob.jpg", "bob.png.jpg"]
    drawn = cv2.imread("output/friends/anna.jpg")[..., ::-1]
    assert (np.abs(drawn.astype(int) - moving(0)).max(axis=2) > 60).any()


def test_nobody_is_followed_from_one_photograph_to_the_next(run, tmp_path, monkeypatch):
    photographs(tmp_path / "friends")
    resets = []
    monkeypatch.setattr(ColourTracker, "reset", lambda tracker: resets.append(len(tracker.times)))
    run("--input", "friends", "--quiet", "--no-video")
    assert resets == [0, 1, 2]  # before each
    run("--input", "friends", "--quiet", "--images", "sequence")
    assert len(resets) == 3
    assert "friends.mp4" in names("output")


def test_pictures_never_take_the_place_of_the_photographs(run, tmp_path):
    folder = photographs(tmp_path / "friends")
    before = (folder / "anna.jpg").read_bytes()
    done = run("--input", "friends", "--output", ".", "--quiet")
    assert done.status == 2
    assert "friends: its result would take its place; choose another folder with --output" in done.err
    assert (folder / "anna.jpg").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("grey.png", np.full((40, 50), 80, np.uint8)),
        ("alpha.png", np.full((40, 50, 4), 80, np.uint8)),
        ("deep.png", np.full((40, 50, 3), 30_000, np.uint16)),
        ("odd.jpg", np.full((41, 51, 3), 80, np.uint8)),
    ],
)
def test_images_of_every_kind(run, tmp_path, name, array):
    cv2.imwrite(str(tmp_path / name), array)
    assert run("--input", name, "--quiet").status == 0
    height, width = array.shape[:2]
    (image,) = json.loads(Path("output", name).with_suffix(".json").read_text())["images"]
    assert (image["height"], image["width"]) == (height, width)


def test_a_turned_video_of_odd_size_is_tracked_upright(run, tmp_path):
    write_video(tmp_path / "phone.mp4", [moving(i, (47, 65)) for i in range(4)], rotation=90)
    assert run("--input", "phone.mp4").status == 0
    images = json.loads(Path("output/phone.json").read_text())["images"]
    assert {(image["height"], image["width"]) for image in images} == {(65, 47)}
    with av.open("output/phone.mp4") as overlay:
        assert (overlay.streams.video[0].height, overlay.streams.video[0].width) == (66, 48)


def test_two_inputs_of_one_name_do_not_overwrite_each_other(run, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_video(tmp_path / folder / "walk.mp4", [moving(i) for i in range(2)])
    assert run("--input", "a/walk.mp4", "--input", "b/walk.mp4", "--no-video").status == 0
    assert names("output") == ["walk.json", "walk_2.json"]


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


def test_a_folders_frame_rate_is_configured(run, tmp_path):
    (tmp_path / "f").mkdir()
    for i in range(3):
        cv2.imwrite(str(tmp_path / "f" / f"{i}.png"), moving(i))
    run("--input", "f", "--formats", "jsonl", "--no-video", "VIDEO.FOLDER_FRAME_RATE", "5.0")
    lines = frame_lines("output/f.jsonl")
    assert [line["time"] for line in lines] == [0.0, 0.2, 0.4]


def test_photographs_that_cannot_be_decoded_are_named(run, tmp_path):
    (tmp_path / "f").mkdir()
    cv2.imwrite(str(tmp_path / "f" / "anna.png"), moving(0))
    (tmp_path / "f" / "bert.png").write_bytes(b"")
    done = run("f", "--quiet")
    assert done.err == "warning: f: 1 frame could not be decoded and was left out: bert.png\n"


def test_a_frame_that_cannot_be_decoded_is_told_at_the_end(run, tmp_path):
    damage(write_video(tmp_path / "walk.mp4", [moving(i) for i in range(10)]), 4)
    done = run("--input", "walk.mp4", "--quiet")
    assert done.status == 0
    assert done.err == "warning: walk: 1 frame could not be decoded and was left out: 4\n"
    result = json.loads(Path("output/walk.json").read_text())
    assert len(result["images"]) == 10
    with av.open("output/walk.mp4") as overlay:
        times = [f.time for f in overlay.decode(video=0)]
    np.testing.assert_allclose(times, [i / 30 for i in range(10) if i != 4], atol=1e-3)


def bad_inputs(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video\n" * 50)
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "none").mkdir()
    whole = write_video(tmp_path / "whole.mp4", [moving(i) for i in range(30)])
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[:1500])
    whole.unlink()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.mp4", "absent.mp4: no such file or folder; check the path"),
        ("empty.mp4", "empty.mp4: the file is empty; copy or record the video again"),
        ("text.mp4", "text.mp4: not a video, or one that is cut off or damaged; copy or record it again"),
        ("cut.mp4", "cut.mp4: not a video, or one that is cut off or damaged; copy or record it again"),
        (
            "text.png",
            "text.png: expected an image, got 8 bytes that cannot be decoded; convert it to JPEG or PNG",
        ),
        (
            "none",
            "none: a folder without images and videos; give one that holds files such as .jpg, .png or .mp4",
        ),
    ],
)
def test_bad_input_is_one_line_and_status_2(run, tmp_path, name, message):
    bad_inputs(tmp_path)
    done = run("--input", name)
    assert (done.status, done.err) == (2, f"error: {message}\n")
    assert names("output") == []
    assert not done.asked  # the network was not loaded for nothing


def test_an_input_that_fails_does_not_stop_the_others(run, tmp_path):
    bad_inputs(tmp_path)
    write_video(tmp_path / "walk.mp4", [moving(i) for i in range(3)])
    done = run("--input", "empty.mp4", "walk.mp4", "absent.mp4", "--quiet", "--no-video")
    assert done.status == 2
    assert [line.split(":")[1] for line in done.err.splitlines()] == [" empty.mp4", " absent.mp4"]
    assert names("output") == ["walk.json"]


def test_a_video_that_is_cut_off_is_tracked_as_far_as_it_goes(run, tmp_path):
    noise = np.random.default_rng(0)
    images = [noise.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(60)]
    path = write_video(tmp_path / "a.mp4", images, options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    done = run("--input", "a.mp4", "--quiet", "--no-video")
    assert done.status == 2
    assert "error: a.mp4: the video is cut off:" in done.err
    assert 20 < len(json.loads(Path("output/a.json").read_text())["images"]) < 60


def test_a_result_never_takes_the_place_of_its_source(run, tmp_path):
    path = write_video(tmp_path / "walk.mp4", [moving(i) for i in range(3)])
    before = path.read_bytes()
    done = run("--input", "walk.mp4", "--output", ".", "--quiet")
    assert done.status == 2
    assert "walk.mp4: its result would take its place; choose another folder with --output" in done.err
    assert path.read_bytes() == before
    assert names(".") == ["walk.mp4"]


@pytest.mark.parametrize("ending", [".json", ".mp4", ".detections.npz"])
def test_a_folder_in_a_results_place_is_told_before_any_work(run, ending):
    write_video("walk.mp4", [moving(i) for i in range(3)])
    place = Path(f"output/walk{ending}")
    place.mkdir(parents=True)
    done = run("--input", "walk.mp4", "--save-detections", "--quiet")
    assert done.status == 2
    assert f"{place}: a folder stands where a result is to be; move it away, or choose another" in done.err
    assert names("output") == [place.name]


def test_an_output_folder_that_cannot_be_written_to(run, tmp_path):
    write_video(tmp_path / "walk.mp4", [moving(0)])
    (tmp_path / "file").touch()
    done = run("--input", "walk.mp4", "--output", "file")
    assert (done.status, done.err) == (
        2,
        "error: output folder file: cannot be written to: File exists; choose another with --output\n",
    )
    assert run("--input", "walk.mp4", "--output", "/proc/none").status == 2


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


def test_a_failing_network_ends_the_run_and_leaves_plainly_partial_files(run, tmp_path):
    class Broken(RectangleEstimator):
        def estimate(self, frames, min_score=0.0):
            if len(self.batches) == 5:
                raise ValueError("the network broke")
            return super().estimate(frames, min_score)

    write_video(tmp_path / "walk.mp4", [moving(i) for i in range(20)])
    done = run("--input", "walk.mp4", "--quiet", estimator=Broken())
    assert (done.status, done.err) == (2, "error: the network broke\n")
    assert all(name.endswith(".partial") for name in names("output"))


def test_out_of_gpu_memory_says_what_to_do(run, tmp_path):
    class OutOfMemoryError(RuntimeError):
        pass

    class Large(RectangleEstimator):
        def estimate(self, frames, min_score=0.0):
            raise OutOfMemoryError("CUDA out of memory")

    write_video(tmp_path / "walk.mp4", [moving(i) for i in range(4)])
    done = run("--input", "walk.mp4", "--quiet", "--batch-size", "4", estimator=Large())
    assert done.status == 2
    assert (
        done.err
        == "error: walk: out of GPU memory at 4 frames a batch; use a smaller --batch-size, or --image-size\n"
    )


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 9 GiB"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory"
        ),
    ],
)
def test_out_of_memory_on_a_cpu_is_one_line_too(run, tmp_path, error):
    class Large(RectangleEstimator):
        def estimate(self, frames, min_score=0.0):
            raise error

    write_video(tmp_path / "walk.mp4", [moving(i) for i in range(4)])
    done = run("--input", "walk.mp4", "--quiet", "--batch-size", "4", estimator=Large())
    assert (done.status, done.err) == (
        2,
        "error: walk: out of memory at 4 frames a batch; use a smaller --batch-size, or --image-size\n",
    )


DRIVER = """
import sys
sys.path[:0] = [{root!r}, {tests!r}]
import rectangles
from fastpose_mtn.commands import track as track_video
from fastpose_mtn import build
build.build_pose_tracking = rectangles.stand_in(rectangles.SlowEstimator()).build
track_video.main(sys.argv[1:])
"""


def start(tmp_path, *arguments):
    code = DRIVER.format(root=str(ROOT), tests=str(ROOT / "tests" / "helpers"))
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=tmp_path,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def wait_for_lines(path, count, process):
    for _ in range(600):
        if path.exists() and path.read_text().count("\n") >= count:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError(f"{path} did not grow")


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_end_leaves_valid_files_of_what_was_done(tmp_path, ending):
    for name in ("walk", "later"):
        write_video(tmp_path / f"{name}.mp4", [moving(i) for i in range(200)])
    process = start(tmp_path, "--input", "walk.mp4", "later.mp4", "--formats", "posetrack,jsonl,mot,coco")
    output = tmp_path / "output"
    wait_for_lines(output / "walk.jsonl.partial", 6, process)
    process.send_signal(ending)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + ending
    assert "Traceback" not in errors
    assert names(output) == ["walk.coco.json", "walk.json", "walk.jsonl", "walk.mp4", "walk.txt"]
    lines = frame_lines(output / "walk.jsonl")
    assert 5 <= len(lines) < 200
    assert [line["frame"] for line in lines] == list(range(len(lines)))
    assert len(json.loads((output / "walk.json").read_text())["images"]) == len(lines)
    assert len(json.loads((output / "walk.coco.json").read_text())) == 2 * len(lines)
    assert len(list(VideoSource(str(output / "walk.mp4"), name="x"))) == len(lines)
    assert f"walk: interrupted; the files hold the {len(lines)} frames that were done" in errors


def test_a_kill_leaves_no_file_under_a_final_name(tmp_path):
    write_video(tmp_path / "walk.mp4", [moving(i) for i in range(200)])
    process = start(
        tmp_path, "--input", "walk.mp4", "--formats", "posetrack,jsonl,mot,coco", "--save-detections"
    )
    output = tmp_path / "output"
    wait_for_lines(output / "walk.jsonl.partial", 20, process)
    process.kill()
    process.communicate()
    assert names(output)
    assert all(name.endswith(".partial") for name in names(output))
    assert len(list(VideoSource(str(output / "walk.mp4.partial"), name="x"))) >= 5


def test_a_signal_to_end_cuts_a_wait_for_the_next_frame_short(tmp_path):
    write_video(tmp_path / "walk.mp4", [moving(i) for i in range(4)], [0.0, 0.01, 0.02, 1000.0])
    process = start(tmp_path, "--input", "walk.mp4", "--live", "on", "--formats", "jsonl")
    wait_for_lines(tmp_path / "output" / "walk.jsonl.partial", 2, process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
    assert names(tmp_path / "output") == ["walk.jsonl", "walk.mp4"]


def test_real_clips_frames_and_images(real_data, run):
    clips = sorted((real_data / "clips").glob("*.mp4"))
    folder = real_data / "posetrack18/videos/000001_mpiinew_test"
    done = run("--input", *clips, folder, real_data / "coco", "--max-frames", "3", "--quiet")
    assert (done.status, done.err) == (0, "")
    images = json.loads(Path("output/000001_mpiinew_test.json").read_text())["images"]
    assert [image["id"] for image in images] == [30000010000, 30000010001, 30000010002]
    assert len(names("output")) == 8


def test_a_recording_played_as_if_it_happened_now_tells_its_latency(run, tmp_path):
    write_video(tmp_path / "walk.mp4", [moving(i) for i in range(3)], [0.0, 0.01, 0.02])
    done = run("--input", "walk.mp4", "--live", "on", "--no-video", "--formats", "jsonl")
    assert done.status == 0
    assert "latency ms  95 % below" in done.out
    assert frame_lines("output/walk.jsonl")


def test_the_overlay_as_pictures(run, tmp_path):
    write_video(tmp_path / "walk.mp4", [moving(i) for i in range(5)])
    (tmp_path / "output" / "walk").mkdir(parents=True)  # somebody's own pictures of the same video
    (tmp_path / "output" / "walk" / "000000.jpg").touch()
    run("--input", "walk.mp4", "--save-images", "--no-video")
    assert names("output") == ["walk", "walk.json", "walk.overlay"]
    folder = tmp_path / "output" / "walk.overlay"
    assert names(folder) == [f"{i:06d}.jpg" for i in range(5)]
    picture = cv2.imread(str(folder / "000000.jpg"))[..., ::-1].astype(int)
    assert picture.shape == (48, 64, 3)
    assert np.abs(picture - moving(0)).max(axis=2)[:8].max() > 60  # a label above the person
    run("--input", "walk.mp4", "--save-images", "--max-frames", "3")
    assert names("output") == ["walk", "walk.json", "walk.mp4", "walk.overlay"]
    assert names(folder) == [f"{i:06d}.jpg" for i in range(3)]
    assert (tmp_path / "output" / "walk" / "000000.jpg").stat().st_size == 0


def test_the_pictures_of_a_sequence_have_its_names_and_one_pictures_is_one(run, tmp_path):
    (tmp_path / "walk").mkdir()
    for i in range(3):
        cv2.imwrite(str(tmp_path / "walk" / f"frame_{i:04d}.png"), moving(i)[..., ::-1])
    run("--input", "walk", "walk/frame_0002.png", "--save-images", "--no-video", "--quiet")
    assert names("output/walk.overlay") == [f"frame_{i:04d}.jpg" for i in range(3)]
    assert names("output") == ["frame_0002.jpg", "frame_0002.json", "walk.json", "walk.overlay"]


def test_crops_of_the_people_in_folders_by_id(run, tmp_path):
    for name in ("walk", "run"):
        write_video(tmp_path / f"{name}.mp4", [moving(i) for i in range(2)])
    arguments = ("--input", "walk.mp4", "run.mp4", "--save-crops", "crops", "--no-video", "--quiet")
    assert run(*arguments).status == 0
    assert names("crops") == ["run", "walk"]
    files = sorted(str(f.relative_to("crops/walk")) for f in Path("crops/walk").rglob("*.jpg"))
    assert files == [f"{person}/{frame:06d}.jpg" for person in ("0001", "0002") for frame in range(2)]
    red = cv2.imread("crops/walk/0001/000001.jpg")[..., ::-1].astype(int)  # 2 to 14, 8 to 40
    assert np.abs(red.mean(axis=(0, 1)) - (255, 0, 0)).max() < 40
    again = run(*arguments)
    assert again.status == 2
    assert "--save-crops: crops/walk is there already; remove it or choose another folder" in again.err


def test_a_job_can_be_watched_while_it_runs(tmp_path):
    write_video(tmp_path / "walk.mp4", [moving(i) for i in range(100)])
    process = start(tmp_path, "--input", "walk.mp4", "--show", "--no-video", "--quiet")
    assert process.stderr is not None
    address = process.stderr.readline().removeprefix("watch: ").strip()
    with urllib.request.urlopen(f"{address}frame.jpg", timeout=60) as answer:
        picture = cv2.imdecode(np.frombuffer(answer.read(), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (48, 64, 3)
    green = picture[4:44, 50:60].mean(axis=(0, 1))
    assert green[1] > max(green[0], green[2]) + 30  # the one who stands, with limbs on them
    assert not (tmp_path / "output" / "walk.json").exists()  # it runs still
    process.communicate(timeout=120)
    assert process.returncode == 0
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address, timeout=10)
