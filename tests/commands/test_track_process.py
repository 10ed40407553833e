"""The command in a process of its own: signals, a kill, and a look at it while it runs."""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import cv2
import numpy as np
import pytest
from rectangles import moving, write_video
from result_files import frame_lines, names

from fastpose_mtn.video.video_source import VideoSource

ROOT = Path(__file__).parents[2]
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
        tmp_path,
        "--input",
        "walk.mp4",
        "--formats",
        "posetrack,jsonl,mot,coco,alphapose",
        "--save-detections",
    )
    output = tmp_path / "output"
    wait_for_lines(output / "walk.jsonl.partial", 20, process)
    process.kill()
    process.communicate()
    assert "walk.alphapose.json.partial" in names(output)
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
