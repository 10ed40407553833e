"""Whether the images of a folder are one sequence or unrelated photographs, by their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

ARRANGEMENTS = ("auto", "sequence", "independent")
# Steps between numbers that a sequence may have however uneven they are: frames that were sorted out leave gaps, while
# the numbers of photographs drawn from a large collection lie hundreds apart.
_SMALL_STEP = 16
_EVEN = 2.0  # greatest ratio of the steps' quartiles where every so-manieth frame was kept
_FEWEST_EVEN_STEPS = 3  # of which that ratio tells anything


class ImageOrder(NamedTuple):
    """What the images of a folder are to each other.

    Attributes:
        independent: they are unrelated photographs; otherwise one sequence.
        reason: that the names give, for people to read.
    """

    independent: bool
    reason: str


def image_order(names: Sequence[str]) -> ImageOrder:
    """Judges images by their names: where they differ by one number only, which goes on evenly, they are a sequence.

    ``frame_0001.jpg``, ``frame_0002.jpg`` ... are one; ``anna.jpg`` and ``bob.jpg`` are not, and neither are
    ``IMG_20240101_120301.jpg``, ``IMG_20240103_091512.jpg`` (two numbers) or COCO's ``000000000139.jpg``,
    ``000000000285.jpg`` (no even steps).

    Args:
        names: of the files, without folders, in order.
    """
    parts = [re.split(r"(\d+)", name.rpartition(".")[0].lower()) for name in names]
    if len(names) == 1:
        return ImageOrder(True, "it is a single one")
    odd = next((name for name, part in zip(names, parts, strict=True) if part[::2] != parts[0][::2]), None)
    if odd is not None:
        return ImageOrder(True, f"{names[0]} and {odd} differ by more than a number")
    columns = list(zip(*(part[1::2] for part in parts), strict=True))
    differing = [column for column in columns if len(set(column)) > 1]
    if len(differing) != 1:
        return ImageOrder(True, "their names differ by several numbers, or by none")
    steps = np.diff(sorted(float(number) for number in differing[0]))
    if np.median(steps) <= _SMALL_STEP:
        return ImageOrder(False, "their names are numbered")
    low, high = np.percentile(steps, (25, 75))
    if len(steps) >= _FEWEST_EVEN_STEPS and high <= _EVEN * low:
        return ImageOrder(False, "their names are numbered in even steps")
    return ImageOrder(True, "the numbers in their names do not go on evenly")


def numbers_of(names: Sequence[str]) -> list[int]:
    """The images' own numbers where each name is one and all differ, else 0, 1, 2, ...

    Args:
        names: of the files, without folders.
    """
    stems = [name.rpartition(".")[0] or name for name in names]
    if all(stem.isdecimal() for stem in stems):
        numbers = [int(stem) for stem in stems]
        if len(set(numbers)) == len(numbers):
            return numbers
    return list(range(len(names)))
