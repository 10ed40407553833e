"""Points in polygons, their edges and polygons that cross themselves."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from fastpose_mtn.evaluation.posetrack import regions
from fastpose_mtn.evaluation.posetrack.regions import inside_any

SQUARE = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]])


def inside(points: list[list[float]], *polygons: np.ndarray) -> list[bool]:
    return inside_any(
        np.array(points, float).reshape(-1, 2), np.zeros(len(points), np.int64), polygons, [0] * len(polygons)
    ).tolist()


def test_edges_and_corners_are_outside() -> None:
    points = [[2, 2], [0, 2], [4, 2], [2, 0], [2, 4], [0, 0], [4, 4], [5, 2], [-1, 2], [3.999999, 3.999999]]
    expected = [True, False, False, False, False, False, False, False, False, True]
    assert inside(points, SQUARE) == expected
    assert inside(points, SQUARE[::-1]) == expected
    assert inside(points, np.vstack([SQUARE, SQUARE[:1]])) == expected  # closed in the file already


def test_a_slanted_edge_is_exact() -> None:
    triangle = np.array([[0.0, 0.0], [3.0, 1.0], [0.0, 5.0]])
    assert inside([[1.5, 0.5], [1.5, 0.5000001], [1.5, 0.4999999]], triangle) == [False, True, False]
    # 0.3 and 0.1 are not exactly in the ratio of 3 to 1; only exact arithmetic tells on which side 0.1 lies.
    big = np.array([[0.0, 0.0], [0.3, 0.1], [0.0, 0.5]]) * 1e5
    third = np.array([[0.1, 0.1 / 3]]) * 1e5
    x, y, bx, by = (Fraction(float(v)) for v in (*third[0], *big[1]))
    assert inside(third.tolist(), big) == [bx * y - by * x > 0]


def test_a_polygon_that_crosses_itself_is_inside_where_a_ray_crosses_it_oddly() -> None:
    bow_tie = np.array([[0.0, 0.0], [4.0, 4.0], [4.0, 0.0], [0.0, 4.0]])
    assert inside([[1, 2], [3, 2], [2, 1], [2, 3], [2, 2]], bow_tie) == [True, True, False, False, False]


def test_a_corner_level_with_the_point_counts_once() -> None:
    diamond = np.array([[0.0, 2.0], [2.0, 0.0], [4.0, 2.0], [2.0, 4.0]])
    assert inside([[1, 2], [-1, 2], [5, 2], [0, 2]], diamond) == [True, False, False, False]


def test_any_polygon_will_do_and_an_empty_one_holds_nothing() -> None:
    far = SQUARE + 10
    assert inside([[2, 2], [12, 12], [7, 7]], np.zeros((0, 2)), SQUARE, far) == [True, True, False]
    assert inside([[1, 1], [2, 2]], np.array([[0.0, 0.0], [2.0, 2.0], [4.0, 4.0]])) == [False, False]
    assert inside([], SQUARE) == []


def test_a_polygon_is_of_its_frame_alone(monkeypatch) -> None:
    points = np.array([[2.0, 2.0], [2.0, 2.0], [12.0, 12.0], [2.0, 2.0], [12.0, 12.0]])
    frame, polygons = np.array([0, 1, 1, 3, 3]), [SQUARE, SQUARE + 10, np.zeros((0, 2)), SQUARE, SQUARE + 10]
    expected = [True, False, True, True, True]
    assert inside_any(points, frame, polygons, [0, 1, 1, 3, 3]).tolist() == expected
    monkeypatch.setattr(regions, "_EDGES_AT_ONCE", 1)
    assert inside_any(points, frame, polygons, [0, 1, 1, 3, 3]).tolist() == expected
