"""Numbers out of JSON: the fast path gives what the careful one gives, or nothing."""

import math
import re

import numpy as np
import pytest

from fastpose_mtn.data.json_fields import load_json, number_rows, plain_rows


def test_plain_rows():
    rows = plain_rows([[1, 2.5], [-3, 2**53 + 1], [math.inf, 10**30]], 2)
    assert rows.dtype == np.float64
    assert rows.tolist() == [[1.0, 2.5], [-3.0, float(2**53 + 1)], [math.inf, 1e30]]
    assert plain_rows([], 4).shape == (0, 4)


@pytest.mark.parametrize(
    "value",
    [
        [1.0],
        [1.0, 2.0, 3.0],
        "12",
        ["1", 2.0],
        [1.0, None],
        [True, False],
        {},
        {"a": 1, "b": 2},
        None,
        [10**400, 1],
    ],
)
def test_what_is_not_plain_is_left_to_the_careful_path(value):
    assert plain_rows([[1.0, 2.0], value], 2) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1.0], "row 1: expected a list of 2 numbers"),
        ([1.0, None], r"row 1\[1\]: expected a number, got null"),
        ([math.nan, 0.0], r"row 1\[0\]: expected a finite number"),
    ],
)
def test_the_careful_path_says_what_is_wrong(value, expected):
    with pytest.raises(ValueError, match=expected):
        number_rows([[1.0, 2.0], value], 2, lambda i: f"row {i}")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (
            '{"annotations": [1], "images": [], "annotations": [2]}',
            ': expected each key once, got "annotations"',
        ),
        (
            '{"annotations": [{"id": 1}, {"bbox": [1], "bbox": [2]}]}',
            ': annotations[1]: expected each key once, got "bbox"',
        ),
        ('[{"score": 0.5, "a": {"b": 1, "b": true}}]', '[0]: a: expected each key once, got "b"'),
        ('[[0, {"k": NaN, "k": null}]]', '[0][1]: expected each key once, got "k"'),
    ],
)
def test_a_key_with_two_values_is_refused(tmp_path, text, place):
    """Python's reader would lose the first."""
    path = tmp_path / "labels.json"
    path.write_text(text)
    with pytest.raises(
        ValueError, match=re.escape(f"{path}{place} twice with different values; leave the right one")
    ):
        load_json(path)


def test_a_key_that_comes_again_with_its_value_loses_nothing(tmp_path):
    path = tmp_path / "labels.json"
    path.write_text('[{"id": 1, "id": 1, "bbox": [1.5, {}], "bbox": [1.5, {}], "x": NaN, "x": NaN}]')
    record = load_json(path)[0]
    assert (record["id"], record["bbox"]) == (1, [1.5, {}])
