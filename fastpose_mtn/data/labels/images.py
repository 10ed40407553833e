"""The images of a label file: ids, names, sizes, and the regions that nobody labelled."""

from __future__ import annotations

import math
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastpose_mtn.data.json_fields import JsonObject, expect_list, number_array, placed, plain_rows, shown
from fastpose_mtn.data.labels.rules import LabelRules
from fastpose_mtn.data.labels.values import Identifier, flag, identifier
from fastpose_mtn.data.problems import KEPT, LEFT_OUT, REPAIRED, Problems
from fastpose_mtn.errors import InputError

# pixels: beyond it single precision, in which labels are kept, does not tell neighbours apart
LARGEST = 2.0**24
_LARGEST_ID = 2**53  # what JSON's readers agree on, and 64 bits hold
REGION_FIELDS = ("ignore_regions_x", "ignore_regions_y")


@dataclass(slots=True, eq=False)
class ImageEntry:
    """One image, whichever entries of ``images`` describe it.

    Attributes:
        place: file and position, for messages.
        key: its id.
        number: the id as a number of its own, below 2**53.
        file_name: with slashes; "" where it may be missing.
        size_wh: pixels, (0, 0) where the file does not say.
        is_labeled: the file's own flag; None: it does not say.
        regions: polygons (M, 2) of x, y that nobody labelled.
        fields: as read.
        merged: several ids name this file.
    """

    place: str
    key: Identifier
    number: int
    file_name: str
    size_wh: tuple[int, int]
    is_labeled: bool | None
    regions: list[np.ndarray]
    fields: JsonObject
    merged: bool = False


@dataclass(eq=False)
class ImageEntries:
    """The images of a file in its order, and by each of their ids their position in it."""

    entries: list[ImageEntry] = field(default_factory=list)
    position: dict[Identifier, int] = field(default_factory=dict)


def read_images(values: Sequence[Any], rules: LabelRules, path: str, problems: Problems) -> ImageEntries:
    """The images of a file; what is wrong with one is counted, or raised as an ``InputError``."""
    images = ImageEntries()
    by_name: dict[str, int] = {}
    for number, value in enumerate(values):
        place = f"{path}: images[{number}]"
        try:
            entry = _image(value, rules, place, problems)
            if entry.key in images.position:
                _repeated(images.entries[images.position[entry.key]], entry, problems)
                continue
            position = len(images.entries)
            if entry.file_name and not rules.poseval:
                position = by_name.setdefault(posixpath.normpath(entry.file_name), position)
            if position < len(images.entries):
                _merge(images.entries[position], entry, problems)
            else:
                images.entries.append(entry)
            images.position[entry.key] = position
        except InputError as error:
            problems.refuse(place, error)
    _number_the_rest(images.entries, problems)
    return images


def count_if_respelled(value: object, key: Identifier, field: str, place: str, problems: Problems) -> None:
    """Counts an id that is the number it stands for only after a look: ``"7"``, ``7.0``."""
    if isinstance(key, int) and type(value) is not int:
        problems.add(
            REPAIRED, f"records whose {field} is text or a float, read as a whole number",
            f"{place}, got {shown(value)}",
        )  # fmt: skip


def _image(value: Any, rules: LabelRules, place: str, problems: Problems) -> ImageEntry:
    if not isinstance(value, dict):
        raise InputError(f"{place}: expected an object with id and file_name, got {shown(value)}")
    key = identifier(value.get("id"))
    if key is None:
        raise InputError(f"{place}: id: expected a whole number or text, got {shown(value.get('id'))}")
    place = f"{place} (id {key})"
    count_if_respelled(value["id"], key, "image id", place, problems)
    file_name = value.get("file_name")
    if not rules.wants_files and file_name is None:
        file_name = ""
    if not isinstance(file_name, str) or not (file_name or not rules.wants_files):
        raise InputError(f"{place}: file_name: expected the image's name, got {shown(file_name)}")
    if "\\" in file_name:
        problems.add(
            REPAIRED, "images whose file_name has backslashes, read as slashes", f"{place}, got {file_name}"
        )
        file_name = file_name.replace("\\", "/")
    labeled = value.get("is_labeled")
    is_labeled = None if labeled is None else flag(labeled)
    if labeled is not None and is_labeled is None:
        raise InputError(f"{place}: is_labeled: expected true or false, got {shown(labeled)}")
    return ImageEntry(
        place=place,
        key=key,
        number=key if isinstance(key, int) and abs(key) < _LARGEST_ID else 0,
        file_name=file_name,
        size_wh=_size_wh(value, place, problems),
        is_labeled=is_labeled,
        regions=_regions(value, place, problems),
        fields=value,
    )


def _size_wh(image: JsonObject, place: str, problems: Problems) -> tuple[int, int]:
    values = image.get("width"), image.get("height")
    if None in values:
        return 0, 0
    sides = [_pixels(value) for value in values]
    if None in sides:
        raise InputError(
            f"{place}: expected width and height in pixels, got {shown(values[0])} and {shown(values[1])}"
        )
    width, height = (side or 0 for side in sides)
    if width <= 0 or height <= 0:
        problems.add(
            REPAIRED, "images whose width or height is not above 0, taken as unknown",
            f"{place}, got {width}x{height}",
        )  # fmt: skip
        return 0, 0
    return width, height


def _pixels(value: object) -> int | None:
    if type(value) is int:
        return value if abs(value) <= LARGEST else None
    number = identifier(value) if not isinstance(value, float) else value
    if isinstance(number, str) or number is None or not abs(number) <= LARGEST:  # NaN too
        return None
    return math.floor(number)


def _regions(image: JsonObject, place: str, problems: Problems) -> list[np.ndarray]:
    """A single region may come without its outer list; what stands in one of x and y only is left out."""
    lists = [expect_list(image.get(name) or [], f"{place}: {name}") for name in REGION_FIELDS]
    if lists == [[], []]:
        return []
    if all(lists) and not any(isinstance(part, list) for part in (*lists[0], *lists[1])):
        lists = [[lists[0]], [lists[1]]]
    regions, uneven = [], len(lists[0]) != len(lists[1])
    for k, pair in enumerate(zip(*lists, strict=False)):
        plain = plain_rows(pair, len(pair[0])) if isinstance(pair[0], list) and pair[0] else None
        if plain is not None and np.isfinite(plain).all():
            regions.append(plain.T)
            continue
        x, y = (
            number_array(expect_list(values, f"{place}: {name}[{k}]"), placed(f"{place}: {name}[{k}]"))
            for name, values in zip(REGION_FIELDS, pair, strict=True)
        )
        uneven |= len(x) != len(y)
        points = min(len(x), len(y))
        if points:
            regions.append(np.stack([x[:points], y[:points]], axis=1))
    if uneven:
        problems.add(
            LEFT_OUT, "images whose ignore_regions_x and _y differ in length (what is in one alone)", place
        )
    return regions


def _repeated(first: ImageEntry, again: ImageEntry, problems: Problems) -> None:
    if first.fields != again.fields:
        raise InputError(
            f"{again.place}: an id that appears twice, got {again.key}; number images each by its own"
        )
    problems.add(LEFT_OUT, "images that are listed twice", again.place)


def _merge(first: ImageEntry, again: ImageEntry, problems: Problems) -> None:
    """Takes an image that two ids name as one: in either, the other's people would be background."""
    if (0, 0) not in (first.size_wh, again.size_wh) and first.size_wh != again.size_wh:
        raise InputError(
            f"{again.place}: file_name: expected an image of its own or the same size, got {again.file_name}, which is "
            f"image {first.key}'s of another size; correct one of them"
        )
    problems.add(
        REPAIRED, "images of one file, taken as one with the people of all",
        f"{again.place}, got {again.file_name}, which is image {first.key}'s",
    )  # fmt: skip
    first.merged = True
    first.size_wh = max(first.size_wh, again.size_wh)
    first.regions += again.regions
    if first.is_labeled is False:
        first.is_labeled = again.is_labeled


def _number_the_rest(entries: Sequence[ImageEntry], problems: Problems) -> None:
    """Text and what 64 bits do not hold get numbers that no other image has."""
    rest = [entry for entry in entries if isinstance(entry.key, str) or abs(entry.key) >= _LARGEST_ID]
    if not rest:
        return
    taken = {entry.number for entry in entries}
    number = 0
    for entry in rest:
        number += 1
        while number in taken:
            number += 1
        entry.number = number
        problems.add(
            KEPT, "images whose id is text or beyond 2**53, which go by a number of their own", entry.place
        )
