"""Videos handed to Ray's actors, which have no network here: lost workers, bad videos, an end before its time."""

import pytest

pytest.importorskip("ray", reason="ray is not installed: pip install -e '.[corpus]'")

import corpus_workers
import fsspec
import ray
from corpus_workers import SETTINGS, ScriptedWorker

from fastpose_mtn.corpus.manifest import DONE, FAILED, WAITING, Manifest
from fastpose_mtn.corpus.place import Place
from fastpose_mtn.corpus.run import FRAMES_GROUP, STAGING, Corpus, prepare_staging
from fastpose_mtn.corpus.track import rows_of
from fastpose_mtn.corpus.videos import find_videos
from fastpose_mtn.errors import InputError

# the actors run where the helpers of these tests are not on the path
ray.cloudpickle.register_pickle_by_value(corpus_workers)
pytestmark = pytest.mark.usefixtures("cluster")


@pytest.fixture
def run(tmp_path):
    """Runs "videos" of the given contents; gives their rows by name, the manifest and the folder of results."""

    def run(videos, output=None, stop=lambda progress: False, settings=None, attempts=3):
        for name, content in videos.items():
            if not (tmp_path / name).exists() or (tmp_path / name).read_text() != content:
                (tmp_path / name).write_text(content)
        folder = Place.of(output or str(tmp_path / "out"))
        manifest = Manifest(folder)
        manifest.check_settings(SETTINGS)
        found, problems = find_videos([str(tmp_path / name) for name in videos], folder)
        assert not problems
        rows = rows_of(found, manifest, folder)
        reported, progress, warnings = [], [], []
        make = ray.remote(num_cpus=1, max_restarts=0, concurrency_groups={FRAMES_GROUP: 1})(ScriptedWorker)
        corpus = Corpus(
            folder,
            prepare_staging(folder),
            manifest,
            [row for row in rows if row.status != DONE],
            lambda: make.remote(settings),
            workers=1,
            attempts=attempts,
            warn=warnings.append,
            report=lambda row: reported.append(row.name),
            progress=lambda frames, seconds: progress.append(frames),
        )
        corpus.run(lambda: stop(progress))
        assert not folder.fs.exists((folder / STAGING).path)
        written = Manifest(folder).rows
        assert list(written.values()) == rows
        run.warnings = warnings
        return {row.name: row for row in rows}, reported, folder

    return run


def test_a_video_that_ends_its_worker_is_given_up_and_stops_no_other(run):
    videos = {"a.mp4": "frames 3", "poison.mp4": "crash", "bad.mp4": "bad", "b.mp4": "frames 4"}
    rows, reported, folder = run(videos, attempts=2)
    assert reported == ["a", "bad", "b", "poison"]
    assert [(row.status, row.attempts, row.frames, row.files) for row in rows.values()] == [
        (DONE, 1, 3, ["a.json"]), (FAILED, 2, 0, []), (FAILED, 1, 0, []), (DONE, 1, 4, ["b.json"]),
    ]  # fmt: skip
    assert rows["poison"].problem.startswith("its worker was lost: ")
    assert rows["poison"].problem.endswith("; given up after 2 attempts")
    assert "\n" not in rows["poison"].problem
    (warning,) = run.warnings
    assert "poison.mp4: its worker was lost: " in warning
    assert warning.endswith("; it is tracked again")
    assert rows["bad"].problem.endswith("bad.mp4: not a video")
    assert rows["a"].machine.startswith("machine-")
    assert rows["a"].finished is not None
    assert sorted(path.name for path in folder.local.iterdir()) == ["a.json", "b.json", "manifest.parquet"]

    # the next run tries what failed again, and what has changed; the rest stays as it is
    again, reported, folder = run(
        videos | {"poison.mp4": "raise", "bad.mp4": "frames 5", "b.mp4": "frames 66"}, attempts=1
    )
    assert reported == ["poison", "bad", "b"]
    assert again["a"] == rows["a"]
    assert again["poison"].problem == "its worker was lost: RuntimeError: a defect; given up after 1 attempts"
    assert ((folder / "bad.json").local.read_text(), again["bad"].frames) == ("frames 5", 5)
    assert ((folder / "b.json").local.read_text(), again["b"].frames) == ("frames 66", 66)


def test_results_and_videos_in_memory(run):
    memory = fsspec.filesystem("memory")
    rows, _, _ = run({"a.mp4": "frames 3", "b.mp4": "hiccup"}, output="memory://out", attempts=2)
    assert memory.cat_file("/out/a.json") == b"frames 3"
    assert rows["b"].problem == "the storage does not answer; given up after 2 attempts"
    memory.rm("/", recursive=True)


def test_an_end_before_its_time_leaves_what_is_whole(run):
    rows, reported, folder = run(
        {"a.mp4": "frames 3", "b.mp4": "wait 9", "c.mp4": "frames 4"},
        stop=lambda progress: (
            bool(progress) and progress[-1] > 3
        ),  # frames of b are told while it is under way
    )
    assert reported == ["a"]
    assert [row.status for row in rows.values()] == [DONE, WAITING, WAITING]
    assert sorted(path.name for path in folder.local.iterdir()) == ["a.json", "manifest.parquet"]

    (folder / "a.json").remove()  # a result that was taken away is made again
    rows, reported, _ = run({"a.mp4": "frames 3", "b.mp4": "frames 5", "c.mp4": "frames 4"})
    assert reported == ["a", "b", "c"]
    assert [(row.status, row.attempts) for row in rows.values()] == [(DONE, 1)] * 3


def test_a_machine_whose_results_would_differ_is_refused(run):
    with pytest.raises(InputError, match="results would differ: here TRACKER.STRATEGY iou, now reid there"):
        run({"a.mp4": "frames 3"}, settings={"TRACKER.STRATEGY": "reid"})
