import io

import cv2
import numpy as np
import pytest
from PIL import Image

from fastpose_mtn.data.image_file import is_image
from fastpose_mtn.errors import InputError
from fastpose_mtn.video.images import read_image


def save(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


def test_grey_becomes_three_channels(tmp_path):
    image = read_image(save(tmp_path / "a.png", np.full((4, 6), 77, np.uint8)))
    assert image.shape == (4, 6, 3)
    assert image.dtype == np.uint8
    assert (image == 77).all()


def test_channels_come_as_rgb_and_transparency_is_dropped(tmp_path):
    rgba = np.zeros((4, 6, 4), np.uint8)
    rgba[..., 0], rgba[..., 3] = 200, 128
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.png", rgba))[0, 0], [200, 0, 0])


def test_sixteen_bits_become_eight(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((4, 6, 3), 0x80FF, np.uint16))
    assert (read_image(tmp_path / "a.png") == 0x80).all()


def test_a_cameras_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the right side of the stored picture is its lower edge: turn it clockwise
    array = np.zeros((16, 32, 3), np.uint8)
    array[:, :16] = 255
    image = read_image(save(tmp_path / "a.jpg", array, exif=exif))
    assert image.shape == (32, 16, 3)
    assert image[4, 8].min() > 200
    assert image[28, 8].max() < 50


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_cut_off_image_is_refused(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    path = save(tmp_path / f"a.{suffix}", noise)
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(InputError, match=r"a\.\w+: the image is cut off; copy or save it again"):
        read_image(path)


def test_what_a_phone_appends_behind_a_picture_does_no_harm(tmp_path):
    path = save(tmp_path / "a.jpg", np.full((8, 8, 3), 50, np.uint8))
    path.write_bytes(path.read_bytes() + bytes(10_000))
    assert read_image(path).shape == (8, 8, 3)


def test_files_that_are_no_images_are_named(tmp_path):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(InputError, match=r"empty\.jpg: the file is empty"):
        read_image(tmp_path / "empty.jpg")
    with pytest.raises(InputError, match=r"text\.png: not an image that can be decoded"):
        read_image(tmp_path / "text.png")
    with pytest.raises(InputError, match=r"absent\.png: No such file or directory"):
        read_image(tmp_path / "absent.png")


def test_names_of_images(tmp_path):
    assert is_image(tmp_path / "A.JPG")
    assert not is_image(tmp_path / "._a.jpg")
    assert not is_image(tmp_path / "a.mp4")


def test_an_animated_or_palette_image_is_read(tmp_path):
    palette = Image.fromarray(np.full((5, 5, 3), (10, 200, 30), np.uint8)).convert("P")
    buffer = io.BytesIO()
    palette.save(buffer, "PNG")
    (tmp_path / "a.png").write_bytes(buffer.getvalue())
    assert np.abs(read_image(tmp_path / "a.png")[0, 0].astype(int) - (10, 200, 30)).max() < 30
