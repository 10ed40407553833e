"""What the command lines share: an error is one line and exit status 2, never a traceback."""

from __future__ import annotations

import difflib
import errno
import io
import signal
import sys
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

# Of a network that gives NaN or infinity.
NOT_FINITE_REMEDY = "its weights are of no use, or too large for half precision: try --precision fp32"
_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))  # Windows has no quotas


class InputError(ValueError):
    """Something a user gave cannot be used; the text names what, where, what was expected and the remedy."""


class Ended(KeyboardInterrupt):
    """SIGTERM or the hang-up of the terminal, which end a command as Ctrl-C does."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def ending_signals() -> list[signal.Signals]:
    """Signals that ask a command to end: Ctrl-C, SIGTERM, and the terminal's hang-up unless ``nohup`` keeps it off."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    hang_up = getattr(signal, "SIGHUP", None)  # not on Windows
    if hang_up and signal.getsignal(hang_up) is not signal.SIG_IGN:
        numbers.append(hang_up)
    return numbers


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Turns bad input into ``error: ...`` on standard error and exit status 2.

    ``ValueError`` and ``OSError`` are how this package reports bad input; anything else is a defect
    and keeps its traceback. Ctrl-C ends with status 130, SIGTERM with 143, as shells expect: 128 and the signal.
    """
    _print_any_name()
    here = threading.current_thread() is threading.main_thread()
    ending = [number for number in ending_signals() if here and number != signal.SIGINT]
    previous = {number: signal.signal(number, _end) for number in ending}
    try:
        yield
    except KeyboardInterrupt as interrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(128 + (interrupt.number if isinstance(interrupt, Ended) else signal.SIGINT))
    except (OSError, ValueError) as error:
        print(error_line(error), file=sys.stderr)
        sys.exit(2)
    except MemoryError as error:
        print(error_line(ValueError(f"out of memory: {error or 'none is left'}")), file=sys.stderr)
        sys.exit(2)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _print_any_name() -> None:
    """What standard output cannot show of a file's name is shown in digits, as on standard error; no failure at the end."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _end(number: int, where: FrameType | None) -> NoReturn:
    raise Ended(number)


def error_line(error: OSError | ValueError) -> str:
    """``error: ...`` in one line, with the file's name where the system names one."""
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        message = f"{place}{error.strerror or error}"
        if error.errno in _FULL:
            message += "; make room, or write to another disk"
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
