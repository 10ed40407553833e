"""Images as people have them: each kind gives the same pixels, or an error that says what came instead."""

import warnings

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from fastpose_mtn.data.image_values import as_image, is_iterable_of_images, is_single

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)


def of_png(folder):
    cv2.imwrite(str(folder / "a.png"), PIXELS[..., ::-1])
    return folder / "a.png"


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: PIXELS,
        lambda folder: PIXELS.transpose(1, 0, 2).copy().transpose(1, 0, 2),
        lambda folder: np.frombuffer(PIXELS.tobytes(), np.uint8).reshape(4, 6, 3),
        lambda folder: Image.fromarray(PIXELS),
        lambda folder: Image.fromarray(np.dstack([PIXELS, PIXELS[..., :1]])),
        lambda folder: np.asarray(Image.fromarray(PIXELS)),
        lambda folder: torch.from_numpy(PIXELS),
        lambda folder: torch.from_numpy(PIXELS).permute(2, 0, 1),
        lambda folder: torch.nn.Parameter(torch.from_numpy(PIXELS.copy()), requires_grad=False),
        of_png,
        lambda folder: str(of_png(folder)),
        lambda folder: Image.open(of_png(folder)),
    ],
    ids=["array", "view", "read-only", "PIL", "RGBA", "of PIL", "tensor", "channels first", "parameter", "path",
         "name", "lazy PIL"],
)  # fmt: skip
def test_every_kind_gives_the_same_pixels(make, tmp_path):
    image = as_image(make(tmp_path), "image 0")
    assert image.flags.c_contiguous
    np.testing.assert_array_equal(image, PIXELS)


def test_an_array_is_not_copied():
    assert as_image(PIXELS, "image 0") is PIXELS


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK"])
def test_other_pil_images_of_8_bits_become_rgb(mode):
    given = Image.fromarray(PIXELS).convert(mode)
    np.testing.assert_array_equal(as_image(given, "image 0"), np.asarray(given.convert("RGB")))


def turned():
    image = Image.fromarray(PIXELS)
    image.getexif()[0x0112] = 6
    return image


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (None, r"image 3: expected an RGB image .*, got None, which cv2.imread gives"),
        (3, "image 3: expected an RGB image .*, got int"),
        (b"\xff\xd8", "got bytes"),
        ([[1, 2, 3]], "got list"),
        (PIXELS[..., 0], r"got \(4, 6\) uint8; repeat a grey image's channel three times"),
        (PIXELS[..., :1], r"got \(4, 6, 1\) uint8; repeat a grey"),
        (np.zeros((4, 6, 4), np.uint8), r"got \(4, 6, 4\) uint8; leave the fourth channel out"),
        (
            PIXELS.transpose(2, 0, 1),
            r"got \(3, 4, 6\) uint8; put the channels last: image.transpose\(1, 2, 0\)",
        ),
        (PIXELS.astype(np.float32) / 255, "got .* float32; give 0 to 255 as uint8"),
        (PIXELS.astype(np.uint16), "got .* uint16; convert it to uint8"),
        (torch.zeros(3, 4, 6), r"got \(3, 4, 6\) float32; give 0 to 255 as uint8"),
        (torch.zeros(1, 3, 4, 6, dtype=torch.uint8), r"got \(1, 3, 4, 6\) uint8"),
        (PIXELS[:0], r"expected an image of at least one pixel, got \(0, 6, 3\)"),
        (
            Image.fromarray(np.zeros((4, 6), np.uint16)),
            "PIL image of 8 bits a channel, got mode I;16; convert",
        ),
        (
            turned(),
            r"expected an upright PIL image, got .* orientation mark \(6\); give PIL.ImageOps.exif_transpose",
        ),
        ("absent.png", "absent.png: cannot read the image: No such file or directory"),
    ],
)
def test_what_is_no_image_is_named(image, message):
    with pytest.raises(ValueError, match=message):
        as_image(image, "image 3")


def test_a_pil_image_of_a_cut_file_is_named(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(ValueError, match="image 3: the PIL image cannot be read: "):
        as_image(Image.open(path), "image 3")


def test_one_image_is_told_from_several():
    for one in (PIXELS, PIXELS[..., 0], torch.from_numpy(PIXELS), Image.fromarray(PIXELS), "a.png"):
        assert is_single(one)
    for several in ([PIXELS], PIXELS[None], torch.from_numpy(PIXELS)[None], (i for i in [PIXELS])):
        assert not is_single(several)
        assert is_iterable_of_images(several)
    for neither in (None, 3.5, {"a": PIXELS}, b"", np.array(3)):
        assert not is_iterable_of_images(neither)


def test_reading_only_needs_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_image(np.frombuffer(PIXELS.tobytes(), np.uint8).reshape(4, 6, 3), "image 0")
