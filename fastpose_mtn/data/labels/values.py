"""Single values of label files, as exporters write them: ids, flags, lists of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fastpose_mtn.data.json_fields import plain_rows, shown
from fastpose_mtn.errors import InputError

Identifier = int | str

_FLAGS = {"0": False, "false": False, "no": False, "": False, "1": True, "true": True, "yes": True}


def identifier(value: object) -> Identifier | None:
    """An id as it is compared with others: ``"7"``, ``7.0`` and ``"7.0"`` are 7, other text is itself; None: it is no id."""
    if type(value) is int:
        return value
    if isinstance(value, str):
        text = value.strip()
        digits = text.removesuffix(".0")
        return int(digits) if _is_whole_number(digits) else text or None
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return int(value)
    return None


def _is_whole_number(text: str) -> bool:
    """Whether a number would be written so; 007 is text, and so is what has more digits than any counter."""
    digits = text.removeprefix("-")
    return len(digits) < 100 and digits.isascii() and digits.isdigit() and (digits == "0" or digits[0] != "0")


def flag(value: object) -> bool | None:
    """Yes or no from 0, 1, true, false, or text that says so; None: it is neither."""
    if isinstance(value, str):
        return _FLAGS.get(value.strip().lower())
    return bool(value) if isinstance(value, (int, float)) and value in (0, 1) else None


def is_missing(value: object) -> bool:
    """Whether a list is not there: null, or empty; Matlab's exporter writes an empty list as an object."""
    return value is None or value == [] or value == {}


def number_rows(
    values: Sequence[object], width: int, field: str, parts: str
) -> tuple[np.ndarray, dict[int, str]]:
    """(N, width) float64 of N lists of numbers, null as NaN, and by position what is wrong with those that are none.

    Args:
        values: the lists.
        width: of each.
        field: its name, for messages.
        parts: what the numbers are, for messages.
    """
    plain = plain_rows(values, width)
    if plain is not None:
        return plain, {}
    out, wrong = np.zeros((len(values), width)), {}
    for row, value in enumerate(values):
        try:
            out[row] = _numbers(value, width, field, parts)
        except InputError as error:
            wrong[row] = str(error)
    return out, wrong


def _numbers(value: object, width: int, field: str, parts: str) -> list[float]:
    expected = f"{field}: expected {width} numbers, {parts}"
    if not isinstance(value, list):
        raise InputError(f"{expected}, got {shown(value)}")
    if len(value) != width:
        raise InputError(f"{expected}, got {len(value)}")
    return [_number(item, f"{field}[{position}]") for position, item in enumerate(value)]


def _number(value: object, place: str) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{place}: expected a number, got {shown(value)}")
    try:
        return float(value)
    except OverflowError:
        return math.inf
