"""Which points lie inside a polygon, by the rules of the geometry library that poseval asks.

A point on the edge is outside. Where a polygon crosses itself, a point is inside if a ray from it meets
the edges an odd number of times.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import numpy as np

# Below this share of its terms' sizes, a difference of two products may have the wrong sign
# (Shewchuk, "Adaptive Precision Floating-Point Arithmetic", 1997: the bound of the orientation test).
_UNSURE = (3 + 16 * np.finfo(np.float64).eps) * np.finfo(np.float64).eps


def inside_any(points: np.ndarray, polygons: Iterable[np.ndarray]) -> np.ndarray:
    """(N,) bool: which points (N, 2) lie strictly inside one of the polygons, each (M, 2) and closed of itself."""
    inside = np.zeros(len(points), bool)
    for polygon in polygons:
        if not len(polygon):
            continue
        low, high = polygon.min(axis=0), polygon.max(axis=0)
        near = np.flatnonzero(~inside & ((points > low) & (points < high)).all(axis=1))
        inside[near] = _inside(points[near], polygon)
    return inside


def _inside(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Even-odd ray crossing to the right, with points on the edge told apart exactly."""
    px, py = points[:, :1], points[:, 1:]
    x1, y1 = polygon.T
    x2, y2 = np.roll(polygon, -1, axis=0).T
    above1, above2 = y1 > py, y2 > py
    straddles = above1 != above2
    side = np.where(straddles, _orientation(x1, y1, x2, y2, px, py, straddles), 0)
    at_corner = ((px == x1) & (py == y1)).any(axis=1)
    level = (y1 == py) & (y2 == py) & (px >= np.minimum(x1, x2)) & (px <= np.maximum(x1, x2))
    on_edge = at_corner | level.any(axis=1) | (straddles & (side == 0)).any(axis=1)
    crosses = straddles & (np.where(y2 > y1, side, -side) > 0)
    return (crosses.sum(axis=1) % 2 == 1) & ~on_edge


def _orientation(
    x1: np.ndarray,
    y1: np.ndarray,
    x2: np.ndarray,
    y2: np.ndarray,
    px: np.ndarray,
    py: np.ndarray,
    wanted: np.ndarray,
) -> np.ndarray:
    """The sign of the turn from each edge (x1, y1)-(x2, y2) to each point: 1 left, -1 right, 0 on its line.

    In floating point, and again in fractions where rounding leaves the sign in doubt.
    """
    left, right = (x2 - x1) * (py - y1), (y2 - y1) * (px - x1)
    turn = left - right
    sign = np.sign(turn).astype(np.int64)
    for i, k in np.argwhere(wanted & (np.abs(turn) <= _UNSURE * (np.abs(left) + np.abs(right)))):
        ax, ay, bx, by = (Fraction(float(v[k])) for v in (x1, y1, x2, y2))
        cx, cy = Fraction(float(px[i, 0])), Fraction(float(py[i, 0]))
        exact = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        sign[i, k] = (exact > 0) - (exact < 0)
    return sign
