"""Tracks a command line's inputs one after the other; one that fails does not stop the others."""

from __future__ import annotations

import contextlib
import functools
import re
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastpose_mtn.arguments import frame_rate_argument
from fastpose_mtn.build import PoseTracking
from fastpose_mtn.data.image_file import is_image
from fastpose_mtn.errors import InputError, error_line, nearest
from fastpose_mtn.files import at_home, check_output_folder
from fastpose_mtn.video.job import Request, track_source
from fastpose_mtn.video.live import ReconnectingSource, as_live
from fastpose_mtn.video.run import Summary, remarks, table
from fastpose_mtn.video.sources import VIDEO_SUFFIXES, Source, find_inputs, open_source

if TYPE_CHECKING:  # an HTTP server, only where somebody wants to watch
    from fastpose_mtn.video.live_view import LiveView


def track_inputs(
    inputs: Sequence[str], request: Request, build: Callable[[], PoseTracking], *, show: bool = False
) -> int:
    """Tracks every input into files and prints a table.

    Args:
        inputs: see ``find_inputs``.
        request: what to write, and where.
        build: loads the network; is called once, when there is a source to look at.
        show: whether to serve a page that shows the overlay while it is made; its address is printed.

    Returns:
        The exit status: 0, 2 if an input failed, 128 and the signal's number after one that asked to end: 130 after
            Ctrl-C, 143 after SIGTERM.

    Raises:
        ValueError, OSError: the network cannot be loaded, or the folder cannot be written to.
    """
    check_output_folder(request.folder)
    if request.crops is not None:
        check_output_folder(request.crops, "--save-crops")
    with _live_view() if show else contextlib.nullcontext() as view:
        return _track_all(inputs, request, build, view)


def _live_view() -> LiveView:
    from fastpose_mtn.video.live_view import LiveView

    try:
        view = LiveView()
    except OSError as error:
        raise InputError(
            f"--show: this machine lets no page be served at 127.0.0.1: {error.strerror}; leave --show out"
        ) from error
    _note(f"watch: {view.address}")
    return view


def _track_all(
    inputs: Sequence[str], request: Request, build: Callable[[], PoseTracking], view: LiveView | None
) -> int:
    """``track_inputs``, where the folders can be written to."""
    tracking: PoseTracking | None = None
    summaries: list[Summary] = []
    names: set[str] = set()
    failed = False
    for opened in _open_all(inputs, request):
        if not isinstance(opened, Source):
            failed = True
            print(error_line(opened), file=sys.stderr)
            continue
        try:
            tracking = tracking or build()
            if opened.frame_rate_is_a_choice:
                rate = tracking.cfg.VIDEO.FOLDER_FRAME_RATE
                opened.frame_rate = frame_rate_argument("VIDEO.FOLDER_FRAME_RATE", rate)
        except BaseException:
            opened.close()
            raise
        if isinstance(opened, ReconnectingSource):
            opened.patience_s = float(tracking.cfg.VIDEO.RECONNECT_SECONDS)
        summary = Summary(_unused(opened.name, names))
        try:
            track_source(opened, tracking, request, summary, view=view)
        except (ValueError, OSError) as error:
            failed = True
            print(error_line(error), file=sys.stderr)
            continue
        summaries.append(summary)
        for line in remarks(summary):
            _warn(line)
        if summary.problem:
            failed = True
            print(error_line(ValueError(summary.problem)), file=sys.stderr)
        if summary.interrupted:
            break
    if summaries and not request.quiet:
        print(table(summaries))
        print(f"results: {request.folder}")
    if summaries and summaries[-1].interrupted:
        return 128 + summaries[-1].interrupted
    return 2 if failed else 0


def split_overrides(words: Sequence[str], keys: Collection[str]) -> tuple[list[str], list[str]]:
    """Tells sources and the configuration's overrides apart: ``clip.mp4 more/ TRACKER.MIN_SCORE 0.3``.

    Args:
        words: of the command line, without flags.
        keys: of the configuration, with dots.

    Returns:
        Sources and overrides, which the first word begins that is a key or, mistyped perhaps, written like one.

    Raises:
        InputError: a word is a key in lower case, or a key and its value in one.
    """
    for i, word in enumerate(words):
        if _is_key(word, keys):
            return list(words[:i]), list(words[i:])
        key, equals, value = word.partition("=")
        if key.upper() in keys and "." in key and not Path(word).exists():
            raise InputError(
                f"{word}: write {key.upper()} {value if equals else 'VALUE'}, behind the sources"
            )
    return list(words), []


def _is_key(word: str, keys: Collection[str]) -> bool:
    first, _, rest = word.partition(".")
    if not rest:  # a folder may be called INPUT or TEST, as sections are
        return word in keys and not Path(word).exists()
    looks_like_one = re.fullmatch(r"[A-Z][A-Z0-9_]*(\.[A-Z][A-Z0-9_]*)+", word) is not None
    is_file = Path(word).exists() or Path(word).suffix.lower() in VIDEO_SUFFIXES or is_image(Path(word))
    return word in keys or (looks_like_one and not is_file and nearest(first, keys) is not None)


def _open_all(inputs: Sequence[str], request: Request) -> Iterator[Source | ValueError | OSError]:
    """Each input's sources, opened when their turn comes, or what was wrong with it."""
    note = _ignore if request.quiet else _note
    for given in inputs:
        try:
            words = _listed(given)
        except (ValueError, OSError) as error:
            yield error
            continue
        for word in words:
            yield from _open(word, request, note)


def _listed(given: str) -> list[str]:
    """The lines of ``@FILE``, relative to the working directory; any other word as it is.

    Raises:
        InputError: the file cannot be read as a list of sources.
    """
    if not given.startswith("@") or Path(given).exists():
        return [given]
    path = at_home(Path(given[1:]))
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = "not text" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise InputError(f"{given}: expected a text file of sources, one a line: {why}: {path}") from error
    words = [line.strip() for line in lines if line.strip()]
    if not words:
        raise InputError(f"{given}: expected sources, one a line; {path} is empty")
    return words


def _open(
    word: str, request: Request, note: Callable[[str], None]
) -> Iterator[Source | ValueError | OSError]:
    try:
        found = find_inputs(word, note)
    except (ValueError, OSError) as error:
        yield error
        return
    for one in found:
        try:
            opened = open_source(one, images=request.images, report=note)
            source = as_live(opened, request.live, functools.partial(open_source, one), _warn)
        except (ValueError, OSError) as error:
            yield error
        else:
            yield source


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _ignore(text: str) -> None:
    """``--quiet``."""


def _unused(name: str, names: set[str]) -> str:
    """The name, or with ``_2``, ``_3`` ... behind it where another input has it already."""
    unique, count = name, 1
    while unique in names:
        count += 1
        unique = f"{name}_{count}"
    names.add(unique)
    return unique
