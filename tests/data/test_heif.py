import sys

import numpy as np
import pytest
from PIL import Image

from fastpose_mtn.data.heif import is_heif
from fastpose_mtn.data.image_file import image_size_wh, is_image, is_unread, read_image
from fastpose_mtn.errors import InputError
from fastpose_mtn.video.sources import open_source

PHONE = b"\0\0\0\x24ftypheic\0\0\0\0mif1MiHEMiPrmiafMiHBheic"


def test_a_heic_is_told_from_what_begins_alike(tmp_path):
    assert is_heif(PHONE)
    assert is_heif(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic")
    assert not is_heif(b"\0\0\0\x1cftypisom\0\0\0\0isomavc1mp41")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.avif")
    assert not is_heif((tmp_path / "a.avif").read_bytes()[:64])
    assert not is_heif(b"\xff\xd8\xff")


@pytest.mark.parametrize("name", ["a.heic", "a.jpg"])
def test_without_what_reads_it_the_remedy_is_named(tmp_path, monkeypatch, name):
    """Whatever its name: mail and messengers rename photographs."""
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / name).write_bytes(PHONE + bytes(100))
    for read in (read_image, image_size_wh):
        with pytest.raises(InputError, match=f"{name}: a photograph in HEIC; pip install pillow-heif"):
            read(tmp_path / name)
    assert (is_image(tmp_path / name), is_unread(tmp_path / name)) == (name == "a.jpg", name == "a.heic")


def test_a_heic_is_read_upright(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:20, :30] = 255, 0, 0
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was held on its side: 90 degrees clockwise make it upright
    whole = pillow_heif.from_pillow(Image.fromarray(pixels))
    whole.save(tmp_path / "IMG_1.HEIC", quality=90, exif=turned.tobytes())
    path = tmp_path / "IMG_1.HEIC"
    assert is_image(path)
    assert not is_unread(path)
    image = read_image(path)
    assert image.shape == (60, 40, 3)
    assert image_size_wh(path) == (40, 60)
    assert image.dtype == np.uint8
    assert image[5, 35, 0] > 200
    assert image[5, 5].max() < 60
    source = open_source(str(path))
    assert source.still
    assert next(iter(source)).image.shape == (60, 40, 3)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(InputError, match=r"IMG_1\.HEIC: expected a photograph in HEIC that can be decoded"):
        read_image(path)
