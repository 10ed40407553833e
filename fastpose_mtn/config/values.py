"""What a configuration key takes: a value as written in YAML or on a command line, as the type of the key's own."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator

import yaml

from fastpose_mtn.config.ranges import EXAMPLES, RANGES
from fastpose_mtn.errors import InputError

# numbers that may also be None, which is their default here or in Detectron2's optimizer
_NUMBERS_OR_NONE = ("SOLVER.WEIGHT_DECAY_BIAS", "SOLVER.WEIGHT_DECAY_NORM")


def convert(key: str, written: object, current: object) -> object:
    """A value for a key, of the type that the key has now.

    A number serves for a number (``4`` where the key is a float, ``5.0`` and ``1e4`` where it is an int), a list for a
    tuple and a tuple for a list, as do their elements; ``true`` and ``no`` for a bool; a number for a name. Numbers are
    finite, and in the key's range where ``ranges`` has one.

    Args:
        key: with dots.
        written: what YAML, Python or, as text, the command line has.
        current: the key's value.

    Raises:
        InputError: it cannot stand for such a value; the text names the key, what was expected and what came.
    """
    value = decode(written)
    if key in _NUMBERS_OR_NONE:
        if value is None:
            return None
        current = 0.0001  # Detectron2's WEIGHT_DECAY
    if current is None:
        return value
    if isinstance(current, bool):
        return _switch(key, value)
    if isinstance(current, (int, float)):
        number = _number(value, whole=isinstance(current, int))
        if number is None:
            kind = "whole number" if isinstance(current, int) else "number"
            raise InputError(f"{key}: expected a {kind} such as {current}, got {_shown(value)}")
        if key in RANGES:
            RANGES[key].check(key, number)
        return number
    if isinstance(current, str):
        return _text(key, written, value)
    if isinstance(current, (list, tuple)):
        return _list(key, value, current)
    raise InputError(f"{key}: expected a mapping of keys, got {_shown(value)}")


def decode(written: object) -> object:
    """The Python value that a text is, such as a number, or else the text itself; anything else as it is."""
    if not isinstance(written, str):
        return written
    try:
        return ast.literal_eval(written)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return written


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(value: object, *, whole: bool) -> float | int | None:
    """The value as an int or float; None where it is no such number, or not finite."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()  # of NumPy
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    if not abs(value) <= sys.float_info.max:
        return None
    if not whole:
        return float(value)
    number = float(value)
    return int(value) if number.is_integer() else None


def _switch(key: str, value: object) -> bool:
    if isinstance(value, str):
        value = _from_yaml(value)
    if not isinstance(value, bool):
        raise InputError(f"{key}: expected True or False, got {_shown(value)}")
    return value


def _text(key: str, written: object, value: object) -> str:
    """Text stays as it was written, ``2026`` too; only quotes around the whole of it are taken off."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(written, (bool, list, tuple, dict)):
        raise InputError(f"{key}: expected text, got {_shown(written)}; put text into quotes")
    return os.fspath(written) if isinstance(written, os.PathLike) else str(written)


def _list(key: str, value: object, current: list[object] | tuple[object, ...]) -> object:
    if isinstance(value, str):
        inside = _from_yaml(value)  # a shell takes the quotes in ['a', 'b'] away
        value = inside if isinstance(inside, list) else value
    if not isinstance(value, (list, tuple)):
        raise InputError(f'{key}: expected a list, got {_shown(value)}; write "{[value] if value else []}"')
    example = current or EXAMPLES.get(key, ())
    elements = list(_leaves(example))
    if elements and all(map(_is_number, elements)):
        whole = all(isinstance(element, int) for element in elements)
        value = [_numbers(key, element, example, whole) for element in value]
        if key in RANGES:
            RANGES[key].check(key, value)
    elif elements and all(isinstance(element, str) for element in elements):
        for element in _leaves(value):
            if not isinstance(element, str):
                raise InputError(
                    f"{key}: expected a list of names such as {example}, got {_shown(element)} in it"
                )
    return type(current)(value)


def _numbers(key: str, element: object, example: object, whole: bool) -> object:
    """An element of a list of numbers, itself a list or not; a number with a fraction among whole ones stays."""
    if isinstance(element, (list, tuple)):
        return type(element)(_numbers(key, inner, example, whole) for inner in element)
    element = decode(element)  # YAML takes 1e-3 for text
    number = _number(element, whole=False)
    if number is None:
        raise InputError(f"{key}: expected a list of numbers such as {example}, got {_shown(element)} in it")
    return int(number) if whole and float(number).is_integer() else element


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, (list, tuple)):
        for element in value:
            yield from _leaves(element)
    else:
        yield value


def _from_yaml(text: str) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _shown(value: object) -> str:
    if value is None or value == "":
        return "nothing"
    return f"{value}" if isinstance(value, (str, int, float)) else f"{value!r}"
