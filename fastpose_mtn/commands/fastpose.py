"""``fastpose COMMAND ...``: the project's commands under one name, wherever the package is installed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from fastpose_mtn.errors import InputError, did_you_mean, exit_on_error
from fastpose_mtn.version import __version__

# Each has a main(arguments) in the module of its name beside this one, which is imported when it is called.
COMMANDS = {
    "track": "find the people of videos, images and cameras and follow them",
    "corpus": "the same for many videos, on all cores or machines of a cluster",
    "retrack": "track saved detections again, or compare the strategies on them",
    "evaluate": "compare results with ground truth: PoseTrack's AP and MOT",
    "train": "train a network, or measure one on a dataset",
    "check": "tell what is missing or malformed in a dataset",
    "draw": "draw labelled videos of people",
    "export": "write a network for ONNX Runtime, OpenVINO or TorchScript",
    "keys": "list the configuration's keys, their defaults and meanings",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Hands the command line to the command that its first word names."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    with exit_on_error():
        if words[:1] == ["help"]:
            words = [*words[1:2], "--help"]
        if not words or words[0] in ("-h", "--help"):
            print(_help())
            return
        if words[0] in ("version", "--version", "-V"):
            print(f"fastpose {__version__}")
            return
        if words[0] not in COMMANDS:
            raise InputError(_unknown(words[0]))
    importlib.import_module(f"fastpose_mtn.commands.{words[0]}").main(words[1:])


def _help() -> str:
    lines = [f"  {name:<9} {text}" for name, text in COMMANDS.items()]
    return "\n".join([
        "usage: fastpose COMMAND ...",
        "",
        "Every person in a video: their boxes, joints and identity, frame by frame.",
        "",
        *lines,
        "",
        "fastpose COMMAND --help has a command's flags and examples; fastpose --version tells the version.",
        "Without a clip of your own: fastpose track",
    ])  # fmt: skip


def _unknown(word: str) -> str:
    listed = "fastpose --help lists the commands"
    near = did_you_mean(word, COMMANDS)
    if word.startswith("-"):
        return f"{word}: a command comes first, such as fastpose track {word}; {listed}"
    if "://" in word or Path(word).exists():
        return f"{word}: expected a command; did you mean fastpose track {word}? {listed}"
    return f"{word}: no such command{near or ';'} {listed}"


if __name__ == "__main__":
    main()
