"""Sources that cannot be read, places that cannot be written to, and a network that fails."""

import json
import logging
import re
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from rectangles import RectangleEstimator, damage, moving, write_video
from result_files import names


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


def test_a_page_that_cannot_be_served_is_told_with_its_flag(run, tmp_path, monkeypatch):
    from fastpose_mtn.video import live_view

    def none_is_free(view):
        raise OSError(98, "Address already in use")

    monkeypatch.setattr(live_view, "_Server", none_is_free)
    write_video(tmp_path / "walk.mp4", [moving(0)])
    done = run("walk.mp4", "--show")
    assert done.status == 2
    assert (
        "error: --show: this machine lets no page be served at 127.0.0.1: Address already in use" in done.err
    )


def test_a_warning_on_the_way_has_a_line_of_its_own(run, tmp_path):
    """Where it ran on behind the progress bar, it went by unseen."""

    class Warns(RectangleEstimator):
        def estimate(self, frames, min_score=0.0):
            logging.getLogger("fastpose_mtn").warning("boxes.json: are they of other frames?")
            return super().estimate(frames, min_score)

    write_video(tmp_path / "walk.mp4", [moving(i) for i in range(3)])
    done = run("--input", "walk.mp4", "--no-video", "--batch-size", "3", estimator=Warns())
    assert done.status == 0
    assert "boxes.json: are they of other frames?" in re.split(r"[\r\n]+", done.err)
