"""The command line of a corpus: what it hands on, and what it refuses before anything is started."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from rectangles import moving, write_video

from fastpose_mtn.commands import corpus


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs the command line; gives its exit status, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            corpus.main(list(map(str, arguments)))
        captured = capsys.readouterr()
        return SimpleNamespace(status=stop.value.code, out=captured.out, err=captured.err)

    return run


@pytest.fixture
def needs_libraries():
    for name in ("ray", "pyarrow", "fsspec"):
        pytest.importorskip(name, reason=f"{name} is not installed: pip install -e '.[corpus]'")


def test_what_is_not_installed_is_named_with_the_remedy(run, monkeypatch):
    real = corpus.find_spec
    monkeypatch.setattr(corpus, "find_spec", lambda name: None if name in ("ray", "pyarrow") else real(name))
    done = run("v", "--output", "out")
    assert (done.status, done.err) == (
        2,
        "error: a corpus needs ray, pyarrow: pip install 'fastpose-mtn[corpus]'\n",
    )


def test_nothing_of_it_is_imported_before_it_is_asked_for(run):
    code = (
        "import sys; from fastpose_mtn.commands import corpus; print({'ray', 'pyarrow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["v"], "the following arguments are required: --output"),
        (["--output", "out"], "the following arguments are required: SOURCE"),
        (["v", "--output", "out", "--workers", "0"], "--workers 0: expected at least 1"),
        (["v", "--output", "out", "--attempts", "0"], "--attempts 0: expected at least 1"),
        (["v", "--output", "out", "--max-frames", "0"], "--max-frames 0: expected at least 1"),
    ],
)
def test_arguments_out_of_range(run, arguments, message):
    done = run(*arguments)
    assert done.status == 2
    assert message in done.err


@pytest.mark.usefixtures("needs_libraries")
def test_flags_and_overrides_reach_the_job(run, monkeypatch):
    from fastpose_mtn.corpus import track

    asked = {}

    def track_corpus(sources, output, request, arguments, workers):
        asked.update(locals())
        return 7

    monkeypatch.setattr(track, "track_corpus", track_corpus)
    done = run(
        "v", "s3://b/*.mp4", "--output", "memory://out", "--formats", "jsonl,mot", "--no-video", "--workers", "3", "--cores",
        "2", "--attempts", "5", "--strategy", "iou", "--max-frames", "9", "TRACKER.MIN_SCORE", "0.3",
    )  # fmt: skip
    assert done.status == 7
    assert (asked["sources"], asked["output"]) == (["v", "s3://b/*.mp4"], "memory://out")
    assert asked["workers"] == track.Workers(count=3, cores=2, attempts=5)
    assert (asked["arguments"]["strategy"], list(asked["arguments"]["options"])) == (
        "iou",
        ["TRACKER.MIN_SCORE", "0.3"],
    )
    request = asked["request"]
    assert (list(request.formats), request.video, request.max_frames) == (["jsonl", "mot"], False, 9)


@pytest.mark.usefixtures("needs_libraries")
def test_what_is_wrong_with_the_folders_is_told_before_ray_is_started(run, tmp_path, monkeypatch):
    from fastpose_mtn.corpus import track

    monkeypatch.setattr(track, "joined", lambda: pytest.fail("Ray was started"))
    (tmp_path / "v").mkdir()
    (tmp_path / "file").touch()
    assert run("v", "absent", "--output", "out").err.splitlines() == [
        "error: v: no videos in it; a corpus is made of files such as .mp4, .mov, .avi or .mkv (track_video.py reads "
        "folders of images)",
        "error: absent: no such file or folder; check the path",
    ]
    (tmp_path / "v" / "a.mp4").write_text("not looked at yet")
    done = run("v", "--output", "file", "--weights", "drawn", "--device", "cpu")
    assert (done.status, done.err) == (
        2,
        f"error: output {tmp_path}/file: cannot be written to: Not a directory; choose another with --output\n",
    )
    done = run("v", "--output", "out", "--weights", "absent.pth")
    assert done.status == 2
    assert "absent.pth" in done.err
    assert not (tmp_path / "out").exists()


def ray_started_here(tmp_path):
    """The command, its folder and its environment, in which no cluster is named; of one short video."""
    write_video(tmp_path / "a.mp4", [moving(i, (96, 128)) for i in range(3)])
    command = [
        sys.executable,
        "-m",
        "fastpose_mtn",
        "corpus",
        "a.mp4",
        "--output",
        "out",
        "--weights",
        "drawn",
    ]
    return {
        "args": [*command, "--workers", "1", "--no-video", "--device", "cpu"],
        "cwd": tmp_path,
        "env": {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"},
    }


@pytest.mark.usefixtures("needs_libraries")
def test_where_no_cluster_is_named_ray_is_started_here(tmp_path):
    """A start that is not the tests' own, in a process of its own; the second time there is nothing left to do."""
    command = ray_started_here(tmp_path)
    for said in ("1 videos: 1 done", "1 of 1 videos are done already"):
        done = subprocess.run(**command, capture_output=True, text=True, timeout=300, check=False)
        assert (done.returncode, done.stdout.splitlines()[0]) == (0, said), done.stderr
    assert (tmp_path / "out" / "a.json").is_file()


def programs_below(pid):
    """The command lines of a process's children."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == pid:
                found.append((folder / "cmdline").read_bytes())
    return found


@pytest.mark.usefixtures("needs_libraries")
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are listed in /proc here only")
def test_sigterm_while_ray_is_started_here(tmp_path):
    process = subprocess.Popen(
        **ray_started_here(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not any(b"gcs_server" in line for line in programs_below(process.pid)):
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (143, "")
    assert err.splitlines()[-1] == "interrupted"
