import cv2
import numpy as np
import pytest
from PIL import Image

from fastpose_mtn.data.image_file import image_size_wh, read_image


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)


def test_size_is_that_of_the_upright_image(tmp_path, noise):
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    Image.fromarray(noise).save(tmp_path / "turned.jpg", exif=exif)
    Image.fromarray(noise).save(tmp_path / "plain.png")
    for name, size in (("turned.jpg", (60, 90)), ("plain.png", (90, 60))):
        assert image_size_wh(tmp_path / name) == size
        assert read_image(tmp_path / name).shape[1::-1] == size


@pytest.mark.parametrize("quality", [50, 95])
def test_a_jpeg_cut_anywhere_is_told_from_a_whole_one(tmp_path, noise, quality):
    path = tmp_path / "a.jpg"
    Image.fromarray(noise).save(path, quality=quality, progressive=quality == 95)
    whole = path.read_bytes()
    for length in range(200, len(whole), 397):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"a\.jpg: expected (a whole|an) image, got .*bytes"):
            read_image(path)
    path.write_bytes(whole + b"trailing bytes, as some cameras write")
    assert read_image(path).shape == (60, 90, 3)


def test_a_thumbnail_does_not_hide_that_the_image_is_cut(tmp_path, noise):
    done, thumbnail = cv2.imencode(".jpg", noise[:20, :20])
    assert done
    Image.fromarray(noise).save(tmp_path / "a.jpg", comment=thumbnail.tobytes())
    whole = (tmp_path / "a.jpg").read_bytes()
    assert read_image(tmp_path / "a.jpg").shape == (60, 90, 3)
    (tmp_path / "a.jpg").write_bytes(whole[:-400])
    with pytest.raises(ValueError, match="cut short"):
        read_image(tmp_path / "a.jpg")


def test_files_that_are_no_images(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"text")
    with pytest.raises(ValueError, match=r"a\.jpg: expected an image, got something else"):
        image_size_wh(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match=r"b\.jpg: cannot read the image: No such file"):
        image_size_wh(tmp_path / "b.jpg")
