"""What the command lines share: an error is one line and exit status 2, never a traceback."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class InputError(ValueError):
    """Something a user gave cannot be used; the text names what, where, what was expected and the remedy."""


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Turns bad input into ``error: ...`` on standard error and exit status 2.

    ``ValueError`` and ``OSError`` are how this package reports bad input; anything else is a defect
    and keeps its traceback. Ctrl-C ends with status 130, as shells expect.
    """
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except (OSError, ValueError) as error:
        print(error_line(error), file=sys.stderr)
        sys.exit(2)


def error_line(error: OSError | ValueError) -> str:
    """``error: ...`` in one line, with the file's name where the system names one."""
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        message = f"{place}{error.strerror or error}"
    else:
        message = str(error)
    return f"error: {' '.join(message.split())}"


def nearest(word: str, names: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The name most like a word, whatever their case; None where none is as near as ``cutoff``, 0 to 1."""
    by_text = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(word.casefold(), by_text, n=1, cutoff=cutoff)
    return by_text[near[0]] if near else None


def did_you_mean(word: str, names: Iterable[str], *, cutoff: float = 0.6) -> str:
    """``"; did you mean NAME?"`` with the nearest of the names, "" where none is near."""
    near = nearest(word, names, cutoff=cutoff)
    return "" if near is None else f"; did you mean {near}?"


def did_you_mean_file(path: Path, suffixes: Collection[str] | None = None, others: Iterable[str] = ()) -> str:
    """``"; did you mean FILE?"`` with what lies beside a path that is not there.

    Args:
        path: what was asked for.
        suffixes: in lower case, of the files that can be meant; None: any, folders too.
        others: names that can be meant as well, wherever they lie.
    """
    by_name = {name: name for name in others}
    with suppress(OSError):
        for there in path.parent.iterdir():
            if suffixes is None or there.suffix.lower() in suffixes:
                by_name[there.name] = str(there)
    near = nearest(path.name, by_name, cutoff=0.75)  # most names share their ending
    return "" if near is None else f"; did you mean {by_name[near]}?"
