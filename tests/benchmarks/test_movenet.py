"""MoveNet's files and answers, read for comparisons."""

import json

import movenet
import numpy as np
import pytest

from fastpose_mtn.errors import InputError


def test_an_answers_people_are_in_the_pictures_pixels():
    answer = np.zeros((2, 56), np.float32)
    answer[0, :3] = 0.5, 0.25, 0.9  # the nose: y, x, confidence
    answer[0, 51:56] = 0.1, 0.2, 0.6, 0.4, 0.7  # y1, x1, y2, x2, score
    people = movenet._people(answer, np.array([400.0, 800.0], np.float32), (300, 700))
    assert len(people) == 1  # the other's box has no area
    np.testing.assert_allclose(people.boxes, [[160, 40, 320, 240]])
    np.testing.assert_allclose(people.keypoints[0, 0], [200, 200, 0.9])
    np.testing.assert_allclose(people.scores, [0.7])


def test_numbers_are_read_in_the_order_in_which_they_lie(tmp_path):
    plain, rounded = np.array([1, -2], np.int32), np.array([[0, 255], [10, 20]], np.uint8)
    # a file may end within a constant
    (tmp_path / "a.bin").write_bytes(plain.tobytes() + rounded.tobytes()[:1])
    (tmp_path / "b.bin").write_bytes(rounded.tobytes()[1:])
    quantised = {"dtype": "uint8", "scale": 0.5, "min": -1.0}
    manifest = [
        {
            "paths": ["a.bin", "b.bin"],
            "weights": [
                {"name": "plain", "shape": [2], "dtype": "int32"},
                {"name": "rounded", "shape": [2, 2], "dtype": "float32", "quantization": quantised},
            ],
        }
    ]
    read = movenet._weights(json.loads(json.dumps(manifest)), tmp_path)
    np.testing.assert_array_equal(read["plain"], plain)
    np.testing.assert_allclose(read["rounded"], [[-1.0, 126.5], [4.0, 9.0]])
    assert read["rounded"].dtype == np.float32


def test_a_folder_without_it_is_named(tmp_path):
    with pytest.raises(InputError, match=r"movenet-multipose\.json: not found; expected the folder models"):
        movenet.movenet(tmp_path, 256)
