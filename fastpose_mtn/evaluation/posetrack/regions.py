"""Which points lie inside a polygon, by the rules of the geometry library that poseval asks.

A point on the edge is outside. Where a polygon crosses itself, a point is inside if a ray from it meets
the edges an odd number of times.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

_EDGES_AT_ONCE = 1 << 18  # bounds the memory: 2 MB a buffer
# Below this share of its terms' sizes, a difference of two products may have the wrong sign
# (Shewchuk, "Adaptive Precision Floating-Point Arithmetic", 1997: the bound of the orientation test).
_UNSURE = (3 + 16 * np.finfo(np.float64).eps) * np.finfo(np.float64).eps


def inside_any(
    points: np.ndarray, frame: np.ndarray, polygons: Sequence[np.ndarray], polygon_frame: Sequence[int]
) -> np.ndarray:
    """Which points lie strictly inside one of their frame's polygons.

    Args:
        points: (N, 2).
        frame: (N,) int64.
        polygons: each (M, 2) and closed of itself; one without points holds nothing.
        polygon_frame: of each polygon, never decreasing.

    Returns:
        (N,) bool.
    """
    inside = np.zeros(len(points), bool)
    given = [k for k, polygon in enumerate(polygons) if len(polygon)]
    if not given:
        return inside
    corners = np.concatenate([polygons[k] for k in given])
    counts = np.array([len(polygons[k]) for k in given])
    first = np.cumsum(counts) - counts
    following = np.arange(1, len(corners) + 1)
    following[first + counts - 1] = first
    low, high = np.minimum.reduceat(corners, first), np.maximum.reduceat(corners, first)
    frames = np.array([polygon_frame[k] for k in given])
    begin = np.searchsorted(frames, frame)
    point, polygon = _pairs(begin, np.searchsorted(frames, frame, side="right") - begin)
    near = np.flatnonzero(((points[point] > low[polygon]) & (points[point] < high[polygon])).all(axis=1))
    edges = np.cumsum(counts[polygon[near]])
    for chunk in np.split(near, np.flatnonzero(np.diff(edges // _EDGES_AT_ONCE)) + 1):
        pair, edge = _pairs(first[polygon[chunk]], counts[polygon[chunk]])
        own = points[point[chunk]][pair]
        found = _inside(own, corners[edge], corners[following[edge]], pair, len(chunk))
        inside[point[chunk][found]] = True
    return inside


def _pairs(first: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each i the numbers ``first[i]`` to ``first[i] + counts[i]``, as pairs of i and number."""
    owner = np.repeat(np.arange(len(counts)), counts)
    begin = np.cumsum(counts) - counts
    return owner, np.arange(len(owner)) - np.repeat(begin - first, counts)


def _inside(
    points: np.ndarray, starts: np.ndarray, ends: np.ndarray, pair: np.ndarray, count: int
) -> np.ndarray:
    """(count,) bool: even-odd ray crossing to the right, with points on the edge told apart exactly.

    Args:
        points: (E, 2).
        starts: (E, 2) of an edge that may be crossed on a point's right.
        ends: (E, 2) of that edge.
        pair: (E,) int64, which point and polygon they are of.
        count: of those.
    """
    (px, py), (x1, y1), (x2, y2) = points.T, starts.T, ends.T
    straddles = (y1 > py) != (y2 > py)
    side = np.where(straddles, _orientation(x1, y1, x2, y2, px, py, straddles), 0)
    at_corner = (px == x1) & (py == y1)
    level = (y1 == py) & (y2 == py) & (px >= np.minimum(x1, x2)) & (px <= np.maximum(x1, x2))
    on_edge = at_corner | level | (straddles & (side == 0))
    crosses = straddles & (np.where(y2 > y1, side, -side) > 0)
    crossings = np.bincount(pair[crosses], minlength=count)
    return (crossings % 2 == 1) & (np.bincount(pair[on_edge], minlength=count) == 0)


def _orientation(
    x1: np.ndarray,
    y1: np.ndarray,
    x2: np.ndarray,
    y2: np.ndarray,
    px: np.ndarray,
    py: np.ndarray,
    wanted: np.ndarray,
) -> np.ndarray:
    """The sign of the turn from each edge (x1, y1)-(x2, y2) to its point: 1 left, -1 right, 0 on its line; all (E,).

    In floating point, and again in fractions where rounding leaves the sign in doubt.
    """
    left, right = (x2 - x1) * (py - y1), (y2 - y1) * (px - x1)
    turn = left - right
    sign = np.sign(turn).astype(np.int64)
    for k in np.flatnonzero(wanted & (np.abs(turn) <= _UNSURE * (np.abs(left) + np.abs(right)))):
        ax, ay, bx, by, cx, cy = (Fraction(float(v[k])) for v in (x1, y1, x2, y2, px, py))
        exact = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        sign[k] = (exact > 0) - (exact < 0)
    return sign
