"""Which crops stand in which collage, and where."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

HEIGHTS = (60, 300)  # least and greatest pixels of a crop in a collage, evenly on a logarithmic scale
_TRIES = 20  # places for a crop at random sizes; as many for the smallest size before it is left out


def pairs_together(identities: np.ndarray, *, collages: int, people: int, seed: int) -> list[np.ndarray]:
    """Collages to train on: every crop once in random order, two of a person together, then again.

    Args:
        identities: (N,) of the crops.
        collages: how many.
        people: crops in each of them.
        seed: of the random order; the same seed gives the same collages.

    Returns:
        For each collage the numbers of its crops, (people,).
    """
    rounds, have, number = [], 0, 0
    while have < collages * people:
        rounds.append(_pairs(identities, np.random.default_rng([seed, number])))
        have, number = have + len(identities), number + 1
    return list(np.concatenate(rounds)[: collages * people].reshape(collages, people))


def _pairs(identities: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N,) numbers of all crops: at random, but two of one person, where they have so many, side by side."""
    order = rng.permutation(len(identities))
    order = order[np.argsort(identities[order], kind="stable")]  # by person, each one's crops at random
    _, first, count = np.unique(identities[order], return_index=True, return_counts=True)
    rank = np.arange(len(order)) - np.repeat(first, count)
    pair = np.cumsum(rank % 2 == 0) - 1  # the number of the pair that a crop is of
    return order[np.argsort(rng.permutation(pair[-1] + 1)[pair], kind="stable")]


def people_apart(identities: np.ndarray, *, people: int, seed: int) -> list[np.ndarray]:
    """Collages to search: every crop in one of them, a person at most once in each.

    Returns:
        For each collage the numbers of its crops, (1 to people,).
    """
    collages: list[list[int]] = []
    unfilled: list[tuple[list[int], set[int]]] = []  # a collage and who is in it
    for crop in np.random.default_rng([seed]).permutation(len(identities)).tolist():
        identity = int(identities[crop])
        for position, (members, known) in enumerate(unfilled):
            if identity not in known:
                members.append(crop)
                known.add(identity)
                if len(members) == people:
                    del unfilled[position]
                break
        else:
            collages.append([crop])
            if people > 1:
                unfilled.append((collages[-1], {identity}))
    return [np.array(members) for members in collages]


def place(
    sizes_wh: Sequence[tuple[int, int]], canvas_wh: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Random places and sizes for pictures, each as a rectangle in whole pixels; none covers another.

    Args:
        sizes_wh: of N pictures, whose proportions are kept.
        canvas_wh: pixels.
        rng: gives the random sizes and places.

    Returns:
        (N, 4) int64 xyxy; all zeros for a picture for which no room was found.
    """
    placed = np.zeros((0, 4), np.int64)
    for width, height in sizes_wh:
        largest = min(HEIGHTS[1], canvas_wh[1], canvas_wh[0] * height // width)
        smallest = max(1, min(HEIGHTS[0], largest))
        largest = max(largest, smallest)
        found = np.zeros(4, np.int64)
        for attempt in range(2 * _TRIES):
            h = smallest
            if attempt < _TRIES:
                h = round(float(np.exp(rng.uniform(*np.log([smallest, largest])))))
            w = min(max(1, round(h * width / height)), canvas_wh[0])
            x, y = int(rng.integers(0, canvas_wh[0] - w + 1)), int(rng.integers(0, canvas_wh[1] - h + 1))
            apart = (placed[:, 0] >= x + w) | (placed[:, 2] <= x)
            apart |= (placed[:, 1] >= y + h) | (placed[:, 3] <= y)
            if apart.all():
                found = np.array([x, y, x + w, y + h], np.int64)
                break
        placed = np.vstack([placed, found])
    return placed
