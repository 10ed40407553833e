"""What the command lines share: an error is one line and exit status 2, never a traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


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
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _fail(f"{place}{error.strerror or error}")
    except ValueError as error:
        _fail(str(error))


def _fail(message: str) -> None:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)
