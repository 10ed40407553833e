"""Files that are either whole under their name or plainly partial: all that is written and must not be half there."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from fastpose_mtn.errors import InputError


def partial_path(path: Path) -> Path:
    """``NAME.partial``, what a file is called until it is whole."""
    return path.with_name(f"{path.name}.partial")


def natural_order(name: str) -> list[tuple[int, int | str]]:
    """Sorts ``frame2`` before ``frame10``."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name)]


def name_of(path: PurePath) -> str:
    """What a file's results are called: its name without its ending, or with it where dots would be all (``..mp4``)."""
    return path.stem if path.stem.strip(".") else path.name


def at_home(path: Path) -> Path:
    """The path with the user's folder for a leading ``~``, which no shell replaced: in Python, in quotes, behind ``=``."""
    try:
        return path if path.exists() else path.expanduser()
    except RuntimeError:  # ~somebody who is not known here
        return path


def check_output_folder(folder: Path, flag: str = "--output") -> None:
    """Makes the folder that a flag names and raises InputError where nothing can be written to it."""
    probe = folder / f".write-test-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"output folder {folder}: cannot be written to: {error.strerror}; choose another with {flag}"
        ) from error


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Raises an ``OSError`` that names no file again with its name: a full disk says that it is full, and not where."""
    try:
        yield
    except OSError as error:
        if error.filename:
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def finish(path: Path) -> None:
    """Gives ``NAME.partial``, which is whole and closed, its name ``NAME``."""
    partial = partial_path(path)
    with naming(partial), open(partial, "rb+") as file:
        os.fsync(file.fileno())  # a crash of the machine, too, must not leave the name without the content
    os.replace(partial, path)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Where to write a file, ``NAME.partial``, which is called ``NAME`` when the block ends.

    A block that fails leaves no file, a kill at most ``NAME.partial``; a ``NAME`` from an earlier run stays
    until then. The folder is made when missing.
    """
    partial = partial_path(path)
    partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        with naming(partial):
            yield partial
        finish(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Writes a text file in UTF-8, whole or not at all."""
    with whole_file(path) as partial:  # a file's name need not be UTF-8, and stands in reports
        partial.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


class PartialFile:
    """Text that grows in ``NAME.partial`` and takes the name ``NAME`` when it is whole.

    A kill at any moment leaves at most ``NAME.partial``; a file called ``NAME`` is complete, and one
    from an earlier run stays until then.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial_path = partial_path(path)
        # Line-buffered: whoever reads along sees a frame when it is done, and a kill costs at most a line.
        self._file = open(self.partial_path, "w", encoding="utf-8", newline="\n", buffering=1)  # noqa: SIM115

    def write(self, text: str) -> None:
        """Appends text; each line is in the partial file as soon as it ends."""
        with naming(self.partial_path):
            self._file.write(text)

    def finish(self) -> None:
        """Gives the file its name. Safe to call once only."""
        with naming(self.partial_path):
            self._file.close()
        finish(self.path)

    def abandon(self, *, keep: bool = True) -> None:
        """Closes the file without giving it its name; ``keep=False`` removes it."""
        with naming(self.partial_path):
            self._file.close()
        if not keep:
            self.partial_path.unlink(missing_ok=True)


class PartialFolder:
    """A folder that fills as ``NAME.partial`` and takes the name ``NAME`` when all is in it.

    What is called ``NAME.partial`` already is removed; a ``NAME`` from an earlier run stays until this one is whole.

    Args:
        path: what it is called in the end; the folders above it are made.
        replaces: whether what is called so by then is removed; else it may be an empty folder at most.

    Attributes:
        partial_path: where to write meanwhile.
    """

    def __init__(self, path: Path, *, replaces: bool) -> None:
        self.path, self._replaces = path, replaces
        self.partial_path = partial_path(path)
        shutil.rmtree(self.partial_path, ignore_errors=True)
        self.partial_path.mkdir(parents=True)

    def close(self, complete: bool) -> None:
        """Gives the folder its name if ``complete``, otherwise it stays as ``NAME.partial``; more calls do nothing.

        Raises:
            OSError: what is called ``NAME`` cannot be removed, or has something in it and is not to be.
        """
        if not complete or not self.partial_path.exists():
            return
        if self.path.exists():
            if self._replaces:
                shutil.rmtree(self.path)
            else:
                self.path.rmdir()
        self.partial_path.rename(self.path)


class JsonArray:
    """The elements of a JSON array, one a line, without its brackets.

    Args:
        write: takes the text.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._separator = "\n"

    def append(self, record: object) -> None:
        """Writes one element, any value that JSON can hold, with the comma before it."""
        self._write(self._separator + compact_json(record))
        self._separator = ",\n"


def compact_json(record: object) -> str:
    """JSON on one line, without spaces."""
    return json.dumps(record, separators=(",", ":"))
