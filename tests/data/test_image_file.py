import io
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from fastpose_mtn import available_memory
from fastpose_mtn.data.image_file import image_size_wh, is_animated, is_image, read_image
from fastpose_mtn.errors import InputError


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)


def save(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


def test_size_is_that_of_the_upright_image(tmp_path, noise):
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    Image.fromarray(noise).save(tmp_path / "turned.jpg", exif=exif)
    Image.fromarray(noise).save(tmp_path / "plain.png")
    for name, size in (("turned.jpg", (60, 90)), ("plain.png", (90, 60))):
        assert image_size_wh(tmp_path / name) == size
        assert read_image(tmp_path / name).shape[1::-1] == size


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.jpg", {"quality": 50}), ("a.jpg", {"quality": 95, "progressive": True}), ("a.png", {})],
)
def test_an_image_cut_anywhere_is_told_from_a_whole_one(tmp_path, noise, name, options):
    path = save(tmp_path / name, noise, **options)
    whole = path.read_bytes()
    for length in range(200, len(whole), 397):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"a\.\w+: expected (a whole|an) image, got .*bytes"):
            read_image(path)
    path.write_bytes(whole[:-400])
    with pytest.raises(
        InputError, match=f"one that is cut short at {len(whole) - 400} bytes; copy or save it again"
    ):
        read_image(path)


@pytest.mark.parametrize("suffix", ["bmp", "gif", "ppm", "tif", "webp"])
def test_an_image_cut_short_is_refused_in_every_format(tmp_path, noise, suffix):
    """JPEG and PNG are looked through, see above; of the others the decoder refuses what is not whole."""
    path = save(tmp_path / f"a.{suffix}", noise)
    whole = path.read_bytes()
    assert read_image(path).shape == noise.shape
    for share in (0.3, 0.6, 0.9):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match=rf"a\.{suffix}: "):
            read_image(path)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize(
    "appended",
    [b"trailing bytes, as some cameras write", bytes(10_000), b"\xff\xda a film's bytes may be any " * 100],
    ids=["notes", "zeros", "film"],
)
def test_what_is_appended_behind_an_image_does_no_harm(tmp_path, noise, suffix, appended):
    path = save(tmp_path / f"a.{suffix}", noise)
    whole = read_image(path)
    path.write_bytes(path.read_bytes() + appended)
    np.testing.assert_array_equal(read_image(path), whole)


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
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(
        InputError, match=r"empty\.jpg: expected an image, got an empty file; copy or save it again"
    ):
        read_image(tmp_path / "empty.jpg")
    with pytest.raises(
        InputError, match=r"text\.png: expected an image, got 5 bytes that cannot be decoded; convert"
    ):
        read_image(tmp_path / "text.png")
    with pytest.raises(InputError, match=r"text\.png: expected an image, got something else"):
        image_size_wh(tmp_path / "text.png")
    for read in (read_image, image_size_wh):
        with pytest.raises(InputError, match=r"absent\.jpg: cannot read the image: No such file"):
            read(tmp_path / "absent.jpg")


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


def claiming(path, width, height):
    """A PNG of a few bytes whose header claims a size."""

    def chunk(name, content):
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(100))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
    return path


def test_an_image_too_large_for_memory_is_told_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(available_memory, "available_bytes", lambda: 2 * 10**9)
    path = claiming(tmp_path / "wall.png", 60_000, 50_000)
    with pytest.raises(
        InputError,
        match=r"wall\.png: reading 60000x50000 pixels needs 36\.0 GB of memory, and 2\.0 GB are free; make the image smaller",
    ):
        read_image(path)
    assert image_size_wh(path) == (60_000, 50_000)


def test_an_image_larger_than_opencv_reads_is_told_with_what_changes_that(tmp_path, monkeypatch):
    monkeypatch.setattr(available_memory, "available_bytes", lambda: 10**12)
    path = claiming(tmp_path / "wall.png", 60_000, 50_000)
    with pytest.raises(
        InputError,
        match=r"60000x50000 pixels are more than OpenCV reads, 1073741824; .*OPENCV_IO_MAX_IMAGE_PIXELS",
    ):
        read_image(path)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_limit_of_ulimit_is_kept_too(tmp_path):
    cv2.imwrite(str(tmp_path / "large.png"), np.zeros((4000, 4000, 3), np.uint8))
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "import PIL.Image\n"
        "from fastpose_mtn.data.image_file import read_image\n"
        "from fastpose_mtn.errors import exit_on_error\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 150_000_000,) * 2)\n"
        "with exit_on_error(): read_image(Path('large.png'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error: large.png: reading 4000x4000 pixels needs 0.2 GB of memory, and 0.1 GB are free"
    )
    assert done.stderr.count("\n") == 1


def test_a_large_image_is_looked_at_without_a_word_of_pillows(tmp_path, recwarn):
    """It warns above 89 million pixels, and refuses twice as many."""
    for width in (10_000, 20_000):
        path = claiming(tmp_path / "large.png", width, 10_000)
        assert not is_animated(path)
        assert image_size_wh(path) == (width, 10_000)
    assert not recwarn.list
    assert Image.MAX_IMAGE_PIXELS is not None  # whoever else uses Pillow keeps its guard
