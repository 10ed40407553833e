"""Pictures are written whole, in RGB, in the format of their name."""

import cv2
import numpy as np
import pytest

from fastpose_mtn.data.image_file import read_image
from fastpose_mtn.data.picture_files import check_picture_name, encode_picture, write_picture
from fastpose_mtn.errors import InputError

RED = np.full((6, 8, 3), (200, 30, 10), np.uint8)


@pytest.mark.parametrize(("name", "off"), [("a.png", 0), ("a.jpg", 8), ("A.JPG", 8)])
def test_what_is_written_is_read_back_in_rgb(tmp_path, name, off):
    write_picture(tmp_path / "new" / name, RED)
    assert [file.name for file in (tmp_path / "new").iterdir()] == [name]
    np.testing.assert_allclose(read_image(tmp_path / "new" / name).astype(int), RED, atol=off)


def test_quality_is_the_jpegs():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert len(encode_picture(noise, quality=30)) < len(encode_picture(noise)) / 2
    assert encode_picture(noise) == cv2.imencode(".jpg", noise[..., ::-1])[1].tobytes()  # OpenCV's own


def test_what_cannot_be_written_is_told_and_leaves_nothing(tmp_path):
    with pytest.raises(
        InputError, match=r"--output: expected a name that ends in \.jpg or \.png, got 'a\.text'"
    ):
        check_picture_name("--output", tmp_path / "a.text")
    with pytest.raises(OSError, match=r"an image of \(0, 8, 3\) uint8 cannot be written as \.png"):
        write_picture(tmp_path / "a.png", RED[:0])
    assert list(tmp_path.iterdir()) == []
