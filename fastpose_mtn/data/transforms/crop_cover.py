"""As few crops of one size as it takes to hold every person of an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Crop:
    """Where a window may stand so that its people lie wholly within it.

    Attributes:
        people: rows of the boxes that it holds.
        lowest_xy, highest_xy: whole pixels between which its upper left corner may lie, both included.
    """

    people: tuple[int, ...]
    lowest_xy: tuple[int, int]
    highest_xy: tuple[int, int]


def fits(boxes_xyxy: np.ndarray, window_wh: tuple[int, int]) -> np.ndarray:
    """(N,) bool: does a window at whole pixels hold the box wholly?"""
    return (np.ceil(boxes_xyxy[:, 2:]) - np.floor(boxes_xyxy[:, :2]) <= window_wh).all(axis=1)


def cover_with_crops(
    boxes_xyxy: np.ndarray, image_wh: tuple[int, int], window_wh: tuple[int, int]
) -> list[Crop]:
    """A greedy set cover: the window that holds the most people who are in none yet, until all are in one.

    Args:
        boxes_xyxy: (N, 4) within the image.
        image_wh: its pixels.
        window_wh: every window's pixels. Where the image is narrower, the window has all of it.

    Returns:
        None of them could be left out. Without people: one that may stand anywhere.

    Raises:
        ValueError: a box is larger than a window, or reaches out of the image.
    """
    room = np.maximum(np.subtract(image_wh, window_wh), 0)
    if len(boxes_xyxy) == 0:
        return [Crop((), (0, 0), (int(room[0]), int(room[1])))]
    window = np.asarray(window_wh)
    first = np.floor(boxes_xyxy[:, :2]).astype(np.int64)
    last = np.ceil(boxes_xyxy[:, 2:]).astype(np.int64)
    # A window keeps what it holds as it moves right and down until a box's edge or the image's stops it, so
    # these corners are all that there is to try.
    corners = np.minimum(first, room)
    held = [
        (start[:, None] <= first[:, axis]) & (last[:, axis] <= start[:, None] + window[axis])
        for axis, start in enumerate((np.unique(corners[:, 0]), np.unique(corners[:, 1])))
    ]
    holds = (held[0][:, None] & held[1][None]).reshape(-1, len(boxes_xyxy))
    if not holds.any(axis=0).all():
        lost = int(np.flatnonzero(~holds.any(axis=0))[0])
        raise ValueError(
            f"person {lost}: box {[round(float(v), 1) for v in boxes_xyxy[lost]]} is not wholly in any window of "
            f"{window_wh[0]}x{window_wh[1]} pixels of an image of {image_wh[0]}x{image_wh[1]}"
        )
    chosen = _greedy_cover(holds)
    crops = []
    for people in (np.flatnonzero(holds[row]) for row in chosen):
        low = np.maximum(last[people].max(axis=0) - window, 0)
        high = np.minimum(first[people].min(axis=0), room)
        crops.append(Crop(tuple(people.tolist()), (int(low[0]), int(low[1])), (int(high[0]), int(high[1]))))
    return crops


def _greedy_cover(holds: np.ndarray) -> list[int]:
    """Rows of ``holds`` (C, N) that together hold every column; the first of equally good ones."""
    missing = np.ones(holds.shape[1], bool)
    chosen: list[int] = []
    while missing.any():
        chosen.append(int((holds & missing).sum(axis=1).argmax()))
        missing &= ~holds[chosen[-1]]
    for row in chosen[:-1]:  # later choices can make an earlier one needless
        others = [other for other in chosen if other != row]
        if holds[others].any(axis=0).all():
            chosen = others
    return chosen
