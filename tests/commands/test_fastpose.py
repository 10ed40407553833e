"""``fastpose COMMAND``, wherever the package is: each command has its page, fast, and does what its launcher does."""

import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

import fastpose_mtn
from fastpose_mtn.commands import fastpose, track
from fastpose_mtn.version import __version__

ROOT = Path(__file__).parents[2]
SLOW = ("torch", "cv2", "scipy", "matplotlib", "av", "ray", "pyarrow")
PAGE = """
import sys
from fastpose_mtn.commands.fastpose import main
try:
    main(sys.argv[1:])
except SystemExit as stop:
    assert not stop.code, stop.code
print([name for name in {slow!r} if name in sys.modules])
"""


def run(capsys, *words):
    status = 0
    try:
        fastpose.main(words)
    except SystemExit as stop:
        status = stop.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def loaded(*words):
    """What a call prints, and the slow libraries that it imported."""
    code = PAGE.format(slow=SLOW)
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    *lines, imported = done.stdout.splitlines()
    return "\n".join(lines), imported


@pytest.mark.parametrize("command", fastpose.COMMANDS)
def test_a_page_for_each_command_with_examples_and_without_waiting_for_torch(command):
    page, imported = loaded(command, "--help")
    assert imported == "[]"
    assert page.startswith(f"usage: fastpose {command} ")
    examples = page.partition("\nexamples:\n")[2].splitlines()
    assert f"fastpose {command} " in "\n".join(examples) + " "
    assert all(line.startswith("  ") for line in examples)
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", page.partition("\nexamples:\n")[0]))
    shown = set(re.findall(rf"fastpose {command}\b.*", "\n".join(examples)))
    assert {flag for line in shown for flag in re.findall(r" (--[a-z][a-z0-9-]+)", line)} <= flags


def test_the_page_of_all_commands(capsys):
    status, out, _ = run(capsys)
    assert status == 0
    named = {"track", "train", "evaluate", "retrack", "export", "check", "draw", "corpus", "keys"}
    assert set(fastpose.COMMANDS) == named
    assert all(re.search(rf"^  {name} +\w", out, re.MULTILINE) for name in fastpose.COMMANDS)
    assert run(capsys, "--help") == (status, out, "") == run(capsys, "help")
    assert run(capsys, "help", "track")[1].startswith("usage: fastpose track")


@pytest.mark.parametrize("words", [["--version"], ["version"], ["track", "--version"]])
def test_the_version_is_told_at_once(words):
    assert loaded(*words) == (f"fastpose {__version__}", "[]")


def test_the_version_is_one(tmp_path):
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    assert setup["metadata"]["version"] == "attr: fastpose_mtn.version.__version__"
    assert fastpose_mtn.__version__ == __version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_the_installed_command_is_this_one():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    assert setup["options.entry_points"]["console_scripts"].split() == [
        "fastpose", "=", "fastpose_mtn.commands.fastpose:main",
    ]  # fmt: skip


def test_python_m_is_the_same_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "fastpose_mtn", "trak"], capture_output=True, text=True, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == "error: trak: no such command; did you mean track? fastpose --help lists the commands\n"
    )


def test_a_command_gets_its_arguments_and_its_status_is_told(capsys, monkeypatch):
    asked = []
    monkeypatch.setattr(track, "run", lambda args: asked.append(args) or 3)
    assert run(capsys, "track", "clip.mp4", "--quiet")[0] == 3
    assert (asked[0].sources, asked[0].quiet) == (["clip.mp4"], True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["clip.mp4"], "clip.mp4: expected a command; did you mean fastpose track clip.mp4?"),
        (["rtsp://camera/1"], "did you mean fastpose track rtsp://camera/1?"),
        (["--weights", "people"], "--weights: a command comes first, such as fastpose track --weights;"),
        (["xyzzy"], "xyzzy: no such command; fastpose --help lists the commands"),
        (["track", "--vidoe", "a"], "did you mean --input? fastpose track --help"),
        (["evaluate", "--gt", "a"], "the following arguments are required: --pred; fastpose evaluate --help"),
    ],
)
def test_a_wrong_word_is_one_line(capsys, tmp_path, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip.mp4").touch()
    status, out, err = run(capsys, *words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert told in err


def test_the_changelog_begins_with_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\](.*)$", text, re.MULTILINE)
    assert headings[0] == ("Unreleased", "")
    assert headings[1][0] == __version__
    assert all(re.fullmatch(r" - \d{4}-\d\d-\d\d", date) for _, date in headings[1:])
    kinds = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
