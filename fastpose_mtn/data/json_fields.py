"""Turns values that came out of a JSON file into arrays, or says which value is wrong and where."""

from __future__ import annotations

import gc
import json
import math
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from fastpose_mtn.errors import InputError

JsonObject = dict[str, Any]  # a file's object: what is in its fields is known when it was looked at
Describe = Callable[[int], str]  # the position of a value -> where it is, for a message


def placed(before: str, after: str = "") -> Describe:
    """Describes positions of one list: ``BEFORE[3]AFTER``."""
    return lambda position: f"{before}[{position}]{after}"


@contextmanager
def collection_paused() -> Iterator[None]:
    """No garbage collection in this block: it would go over a file's many values again and again, and find nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def load_json(path: Path) -> Any:
    """The content of a JSON file, none of whose objects may have a key twice with different values.

    Python would keep the last one and lose, say, the first of two lists of annotations; the check takes a twentieth of the
    time.

    Raises:
        InputError: the text is no JSON (for example cut short), naming file, line and column, or an object has a key
            twice, naming file, place and key.
        OSError: the file cannot be read.
    """
    content = path.read_bytes()
    try:
        with collection_paused():
            return json.loads(content, object_pairs_hook=_object_of)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}: expected JSON, got {len(content)} bytes that stop making sense at line {error.lineno}, "
            f"column {error.colno} ({error.msg}); is the file whole?"
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected JSON in UTF-8, got byte {error.start} that is none") from None
    except _RepeatedKeyError:
        place, key = _find_repeated(json.loads(content, object_pairs_hook=_Pairs))
        raise InputError(
            f"{path}{place}: expected each key once, got {shown(key)} twice with different values; leave the right one, "
            "or make one list of two"
        ) from None
    except (RecursionError, ValueError) as error:  # nested too deeply; a number of thousands of digits
        raise InputError(f"{path}: expected JSON that can be read, got: {error}") from None


class _RepeatedKeyError(Exception):
    """An object has a key twice."""


class _Pairs(list[tuple[str, Any]]):
    """An object of a file as its keys and values, as often as they are there."""


def _object_of(pairs: list[tuple[str, Any]]) -> JsonObject:
    """An object of a file; a key may come again with the very same value."""
    fields = dict(pairs)
    if len(fields) != len(pairs) and _repeated(pairs) is not None:
        raise _RepeatedKeyError
    return fields


def _repeated(pairs: Sequence[tuple[str, Any]]) -> str | None:
    """The first key that comes again with another value."""
    first: dict[str, str] = {}
    for key, value in pairs:
        text = json.dumps(value)
        if first.setdefault(key, text) != text:
            return key
    return None


def _find_repeated(content: object) -> tuple[str, str]:
    """Where the first object of a file is that has a key twice, as ``: annotations[3]``, and the key."""
    waiting = [("", content)]
    while waiting:
        place, value = waiting.pop()
        inner: list[tuple[str, object]] = []
        if isinstance(value, _Pairs):
            key = _repeated(value)
            if key is not None:
                return place, key
            inner = [(f"{place}: {name}", part) for name, part in value]
        elif isinstance(value, list):
            inner = [(f"{place}[{index}]", part) for index, part in enumerate(value)]
        waiting += reversed(inner)
    raise AssertionError("an object has a key twice")


def wrong(place: str, expected: str, got: object) -> NoReturn:
    """Raises the error for a value: ``PLACE: expected EXPECTED, got GOT``."""
    raise InputError(f"{place}: expected {expected}, got {shown(got)}")


def shown(value: object) -> str:
    """A value as JSON, cut to a few words."""
    if isinstance(value, dict):
        return f"an object with {', '.join(map(str, list(value)[:5])) or 'nothing'}"[:80]
    if isinstance(value, list) and len(value) > 4:
        return f"a list of {len(value)}"
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def expect_list(value: object, place: str) -> list[Any]:
    """A list; an empty object counts as an empty one, as Matlab's exporter writes it."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and not value:
        return []
    wrong(place, "a list", value)


def expect_object(value: object, place: str) -> JsonObject:
    """The value, which has to be a JSON object; otherwise an ``InputError`` that names the place."""
    if not isinstance(value, dict):
        wrong(place, "an object", value)
    return value


def number_array(values: Sequence[Any], describe: Describe) -> np.ndarray:
    """(N,) float64 from N finite numbers.

    Raises:
        InputError: a value is no finite number; its text starts with ``describe(position)``.
    """
    if not values:
        return np.zeros(0)
    plain = _plain_array(values)
    if plain is not None and plain.ndim == 1:
        return plain
    return np.array([_number(value, describe(i)) for i, value in enumerate(values)])


def plain_rows(values: Sequence[Any], width: int) -> np.ndarray | None:
    """(N, width) float64 of N lists of ``width`` numbers: the fast path, which cannot say what is wrong; None: something is.

    Three times as fast as NumPy's own, which asks each value for its type.
    """
    if not values:
        return np.zeros((0, width))
    numbers = array("d")
    try:
        for value in values:
            if len(value) != width or isinstance(value[0], bool) or isinstance(value[-1], bool):
                return None
            numbers.fromlist(value)
    except (TypeError, KeyError, OverflowError):  # no lists; text, null; whole numbers beyond a float
        return None
    return np.frombuffer(numbers).reshape(-1, width)


def number_rows(values: Sequence[Any], width: int, describe: Describe) -> np.ndarray:
    """(N, width) float64 from N lists of ``width`` finite numbers.

    Raises:
        InputError: a value is no such list; its text starts with ``describe(position)``.
    """
    plain = plain_rows(values, width)
    if plain is not None and np.isfinite(plain).all():
        return plain
    rows = []
    for i, value in enumerate(values):
        if not isinstance(value, list) or len(value) != width:
            wrong(describe(i), f"a list of {width} numbers", value)
        rows.append([_number(item, f"{describe(i)}[{k}]") for k, item in enumerate(value)])
    return np.array(rows)


def integer_array(values: Sequence[Any], describe: Describe) -> np.ndarray:
    """(N,) int64 from N whole numbers.

    Raises:
        InputError: a value is no whole number that fits; its text starts with ``describe(position)``.
    """
    array = number_array(values, describe)
    bad = np.flatnonzero((array != np.round(array)) | (np.abs(array) > 2.0**53))
    if len(bad):
        wrong(describe(int(bad[0])), "a whole number of at most 2**53", values[int(bad[0])])
    return array.astype(np.int64)


def size_hw(image: JsonObject, place: str) -> tuple[float, float] | None:
    """The ``height`` and ``width`` of an image, None where one of them is missing."""
    height, width = image.get("height"), image.get("width")
    if height is None or width is None:
        return None
    return _number(height, f"{place}, height"), _number(width, f"{place}, width")


def json_number(value: float) -> int | float:
    """A whole number without a fraction's point, as annotation tools write it."""
    value = float(value)
    return int(value) if value.is_integer() else value


def box_xywh(box_xyxy: Sequence[float] | np.ndarray) -> list[int | float]:
    """``[x, y, width, height]`` from which reading gets exactly these corners again."""
    x1, y1, x2, y2 = (float(v) for v in box_xyxy)
    return [json_number(x1), json_number(y1), _extent(x1, x2), _extent(y1, y2)]


def unlike_written(box_xywh_read: list[Any]) -> bool:
    """Whether writing a box that was read would give other digits, all the same when read again."""
    x, y, w, h = (float(v) for v in box_xywh_read)
    return box_xywh((x, y, x + w, y + h)) != box_xywh_read


def _extent(low: float, high: float) -> int | float:
    """The shortest width that leads from ``low`` to exactly ``high``.

    A plain difference would turn a file's 51.2 into 51.19999999999999 at each conversion.
    """
    for digits in range(17):
        width = round(high - low, digits)
        if low + width == high:
            return json_number(width)
    return json_number(high - low)


def _plain_array(values: Sequence[Any]) -> np.ndarray | None:
    """float64 if NumPy finds nothing but finite numbers: the fast path, which cannot say what is wrong."""
    try:
        plain = np.array(values)
    except (ValueError, OverflowError):  # lists of different lengths
        return None
    if plain.dtype.kind not in "iuf":  # text, null, whole numbers beyond 64 bits, only true and false
        return None
    plain = plain.astype(np.float64)
    return plain if np.isfinite(plain).all() else None


def _number(value: object, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        wrong(place, "a number", value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        wrong(place, "a finite number", value)
    return number
