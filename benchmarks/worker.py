"""What benchmarks share: a setting in a process of its own, so that no model's memory weighs on another; sizes; memory."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Sequence

from fastpose_mtn.errors import InputError


class Worker:
    """A process that reads a question a line, as JSON, and answers each with a line that begins ``{"seconds"``."""

    def __init__(self, command: Sequence[str], threads: int) -> None:
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(threads),
            "MALLOC_ARENA_MAX": "1",  # what track_video.py asks for itself
            "PYTHONWARNINGS": "ignore",
        }
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, env=environment
        )  # fmt: skip

    def ask(self, **question: object) -> dict[str, float]:
        """The answer.

        Raises:
            InputError: the process ended; the message is its last.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended, and why is read below
            print(json.dumps(question), file=stdin, flush=True)
        for line in stdout:
            if line.startswith('{"seconds"'):
                return json.loads(line)
        self._errors.seek(0)
        errors = self._errors.read().strip().splitlines()
        raise InputError(errors[-1] if errors else "it ended without a word")

    def close(self) -> None:
        self._process.communicate()
        self._errors.close()


def resident_megabytes() -> float:
    """Of this process, now (Linux)."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


def size_hw(text: str) -> tuple[int, int]:
    """Height and width of a command line's ``HEIGHTxWIDTH``."""
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text}: expected HEIGHTxWIDTH, such as 600x1000")
    return int(height), int(width)
