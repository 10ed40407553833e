"""A worker without Ray: one job's files are whole, wherever video and results lie; what is wrong is told."""

import json
import os
import signal
from pathlib import Path

import pytest

pytest.importorskip("fsspec", reason="fsspec is not installed: pip install -e '.[corpus]'")

import fsspec
from rectangles import RectangleEstimator, moving, stand_in, write_video

from fastpose_mtn import build
from fastpose_mtn.corpus.worker import Job, TrackingWorker
from fastpose_mtn.video import job as video_job
from fastpose_mtn.video.job import Request

ARGUMENTS = {
    "weights": "drawn", "config_file": None, "device": "cpu", "precision": "auto", "strategy": None, "options": (),
    "host": "default",
}  # fmt: skip


@pytest.fixture
def worker(monkeypatch):
    monkeypatch.setattr(build, "build_pose_tracking", stand_in().build)
    worker = TrackingWorker(ARGUMENTS, Request(Path(), formats=("posetrack", "jsonl")), threads=1)
    ready = worker.load(None)
    assert ready.problem is None
    return worker


@pytest.fixture
def clip(tmp_path):
    return write_video(tmp_path / "walk.mp4", [moving(i) for i in range(4)])


def test_a_video_and_its_results_on_disk(worker, clip, tmp_path):
    result = worker.track(Job("anna", str(clip), str(tmp_path / "out/1")))
    assert (result.frames, result.boxes, result.tracks, result.skipped, result.problem) == (4, 8, 2, 0, None)
    assert result.files == ("anna.json", "anna.jsonl", "anna.mp4")
    assert sorted(path.name for path in (tmp_path / "out/1").iterdir()) == list(result.files)
    assert len(json.loads((tmp_path / "out/1/anna.json").read_text())["images"]) == 4


def test_a_video_and_its_results_elsewhere(worker, clip):
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/v/walk.mp4", clip.read_bytes())
    result = worker.track(Job("walk", "memory:///v/walk.mp4", "memory:///out/1"))
    assert sorted(memory.ls("/out/1", detail=False)) == [
        "/out/1/walk.json",
        "/out/1/walk.jsonl",
        "/out/1/walk.mp4",
    ]
    assert result.files == ("walk.json", "walk.jsonl", "walk.mp4")
    memory.rm("/", recursive=True)


def test_a_video_and_its_results_that_only_the_sender_sees(worker, clip):
    job = Job("walk", "memory:///v/walk.mp4", "memory:///given/1", content=clip.read_bytes(), give=True)
    result = worker.track(job)
    contents = dict(zip(result.files, result.contents, strict=True))
    assert list(contents) == ["walk.json", "walk.jsonl", "walk.mp4"]
    assert len(json.loads(contents["walk.json"])["images"]) == 4
    assert not fsspec.filesystem("memory").exists("/given")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "text.mp4",
            b"no video\n" * 50,
            "memory:///v/text.mp4: not a video, or one that is cut off or damaged; copy or",
        ),
        ("empty.mp4", b"", "memory:///v/empty.mp4: the file is empty; copy or record the video again"),
    ],
)
def test_what_is_wrong_with_a_video_is_told_by_the_name_that_was_given(
    worker, tmp_path, name, content, message
):
    result = worker.track(Job("x", f"memory:///v/{name}", str(tmp_path / "out"), content=content))
    assert result.problem.startswith(message)
    assert (result.files, result.again) == ((), False)


def test_a_video_that_is_not_there(worker, tmp_path):
    result = worker.track(Job("x", str(tmp_path / "absent.mp4"), str(tmp_path / "out")))
    assert "absent.mp4: not seen from" in result.problem
    assert result.problem.endswith("videos must lie where every machine sees them")


def test_a_storage_that_does_not_answer_is_asked_again(worker, tmp_path):
    result = worker.track(Job("x", "memory:///absent/walk.mp4", str(tmp_path / "out")))
    assert result.again
    assert not result.files


def test_a_video_that_is_cut_off_has_results_and_a_problem(worker, tmp_path):
    clip = write_video(
        tmp_path / "a.mp4", [moving(i, (240, 320)) for i in range(60)], options={"movflags": "faststart"}
    )
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    result = worker.track(Job("a", str(clip), str(tmp_path / "out")))
    assert 0 < result.frames < 60
    assert result.problem.startswith(f"{clip}: the video is cut off")
    assert result.files == ("a.json", "a.jsonl", "a.mp4")


def test_a_worker_that_is_told_to_end_gives_no_half_results(worker, clip, tmp_path, monkeypatch):
    track_source = video_job.track_source

    def interrupted(source, tracking, request, summary):
        track_source(source, tracking, request, summary)
        summary.interrupted = signal.SIGTERM

    monkeypatch.setattr(video_job, "track_source", interrupted)
    result = worker.track(Job("walk", str(clip), str(tmp_path / "out")))
    assert (result.files, result.again) == ((), True)
    assert "interrupted" in result.problem


def test_a_worker_that_cannot_see_the_folder_of_results_or_load_the_network_says_so(tmp_path):
    worker = TrackingWorker(
        {**ARGUMENTS, "weights": str(tmp_path / "absent.pth")}, Request(Path()), threads=1
    )
    assert "not seen from" in worker.load(str(tmp_path / "probe")).problem
    (tmp_path / "probe").touch()
    ready = worker.load(str(tmp_path / "probe"))
    assert "absent.pth" in ready.problem
    assert ready.problem.endswith(f"(on {ready.machine})")


def test_frames_are_counted_while_a_video_is_under_way(worker, clip, tmp_path, monkeypatch):
    seen = []
    track_source = video_job.track_source
    monkeypatch.setattr(
        video_job, "track_source", lambda *given: (track_source(*given), seen.append(worker.frames()))
    )
    worker.track(Job("walk", str(clip), str(tmp_path / "out")))
    assert (seen, worker.frames()) == ([4], 0)


class _ThreadCounter(RectangleEstimator):
    """Notes the most threads that the process has while frames are looked at."""

    most = 0

    def estimate(self, frames, min_score=0.0):
        self.most = max(self.most, len(os.listdir("/proc/self/task")))
        return super().estimate(frames, min_score)


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="Linux tells a process's threads here")
@pytest.mark.parametrize("threads", [1, 3])
def test_a_worker_decodes_and_encodes_in_its_own_cores_threads(tmp_path, monkeypatch, threads):
    """However many cores the machine has: on one of 64 each of 64 workers would have decoded in as many threads."""
    estimator = _ThreadCounter()
    monkeypatch.setattr(build, "build_pose_tracking", stand_in(estimator).build)
    worker = TrackingWorker(ARGUMENTS, Request(Path()), threads=threads)
    assert worker.load(None).problem is None
    clip = write_video(tmp_path / "walk.mp4", [moving(i, (480, 640)) for i in range(30)])
    before = len(os.listdir("/proc/self/task"))
    result = worker.track(Job("walk", str(clip), str(tmp_path / "attempt")))
    assert result.files == ("walk.json", "walk.mp4")
    stages = 4  # decode, network, write and encode
    codecs = estimator.most - before - stages
    assert codecs <= 0 if threads == 1 else codecs > 0
