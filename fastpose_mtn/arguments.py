"""Checks of arguments in Python: each gives the value, or raises an error that names the argument and what came."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Sequence
from typing import Any

from fastpose_mtn.errors import InputError


def path_argument(name: str, value: object) -> str:
    """A name or a path, as text."""
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise InputError(f"{name}: expected a name or a path, got {shown(value)}")
    return os.fsdecode(value)


def key_values(name: str, value: object) -> list[Any]:
    """``[KEY, VALUE, ...]``, keys of the configuration with their values."""
    expected = f'{name}: expected ["KEY", "VALUE", ...]'
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise InputError(f"{expected}, got {shown(value)}")
    for key in value[::2]:
        if not isinstance(key, str):
            raise InputError(f"{expected}, got {shown(key)} for a key")
    return list(value)


def whole_number(name: str, value: Any, least: int, none_means: str) -> int:
    """A whole number, ``least`` or more; ``none_means`` says what None would be."""
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least or isinstance(value, bool):
        raise InputError(f"{name}: expected {least} or more, or None for {none_means}, got {shown(value)}")
    return number


def number(name: str, value: Any) -> float:
    """A number of any kind, NumPy's too."""
    if isinstance(value, (bool, str, bytes)) or not hasattr(value, "__float__"):
        raise InputError(f"{name}: expected a number, got {shown(value)}")
    try:
        return float(value)
    except (TypeError, ValueError) as error:  # an array of several
        raise InputError(f"{name}: expected a number, got {shown(value)}") from error


def frame_rate_argument(name: str, value: Any) -> float:
    """Frames a second, above 0."""
    rate = number(name, value)
    if not (rate > 0 and math.isfinite(rate)):
        raise InputError(f"{name}: expected frames a second, more than 0, got {shown(value)}")
    return rate


def shown(value: object) -> str:
    """What came, for a message: plain values themselves, others by their kind."""
    plain = value is None or isinstance(value, (bool, int, float, str))
    return repr(value) if plain else type(value).__name__
