"""What the command lines share: an error is one line and exit status 2, never a traceback."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class InputError(ValueError):
    """Something a user gave cannot be used; the text names what, where, what was expected and the remedy."""


class ArgumentParser(argparse.ArgumentParser):
    """Reports a bad argument as ``InputError``; use it within ``exit_on_error``."""

    def error(self, message: str) -> NoReturn:
        """Raises ``InputError`` with argparse's message, where argparse itself would end the process."""
        raise InputError(f"{message}; {self.prog} --help lists the arguments")


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
