"""Names of datasets that say how to make them: ``SCHEME://PLACE?KEY=VALUE&KEY=VALUE``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from fastpose_mtn.errors import InputError


def read_address(
    name: str, parsers: Mapping[str, Callable[[str], Any]], form: str
) -> tuple[str, dict[str, Any]]:
    """The place, and the values of the parts behind the question mark.

    Args:
        name: of the dataset, as the user wrote it.
        parsers: of each key that may stand there; a value that cannot be meant is their ``ValueError``.
        form: how such a name is written, for the error.

    Raises:
        InputError: a part is unknown or unreadable; the message names it and shows the form.
    """
    place, _, query = name.partition("://")[2].partition("?")
    query = query.replace("+", "%2B")  # a folder may be called a+b
    values = {}
    try:
        for key, text in parse_qsl(query, strict_parsing=True, keep_blank_values=True) if query else []:
            if key not in parsers:
                raise ValueError(f"unknown part {key!r}")
            if key in values:
                raise ValueError(f"{key} stands there twice")
            try:
                values[key] = parsers[key](text)
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from None
    except ValueError as error:
        raise InputError(f"dataset {name}: {error}; expected {form}") from None
    return place, values


def whole_number(text: str) -> int:
    """``7``, from 0 up."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"expected a whole number, got {text!r}")
    return int(text)


def whole_range(text: str) -> tuple[int, int]:
    """``A-B``, both ends included, or ``A`` alone."""
    first, _, last = text.partition("-")
    low, high = whole_number(first), whole_number(last or first)
    if low > high:
        raise ValueError(f"expected FIRST-LAST, got {text!r}")
    return low, high


def size_wh(text: str) -> tuple[int, int]:
    """``WIDTHxHEIGHT`` in pixels."""
    width, x, height = text.partition("x")
    if not x:
        raise ValueError(f"expected WIDTHxHEIGHT, got {text!r}")
    return whole_number(width), whole_number(height)
