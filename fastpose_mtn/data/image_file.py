"""Image files as RGB arrays, with errors that name the file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from fastpose_mtn.errors import InputError

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pnm", ".jp2")
)
_EXIF_ORIENTATION = 0x0112


def is_image(path: Path) -> bool:
    """Whether the file's name is an image's; hidden files are not looked at."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def read_image(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB, turned upright as the file's EXIF orientation says.

    Raises:
        InputError: the file is missing, empty, cut short, or no image that can be decoded.
    """
    try:
        data = np.fromfile(path, np.uint8)  # unlike cv2.imread this tells a missing file from a bad one
    except OSError as error:
        raise InputError(f"{path}: cannot read the image: {error.strerror}") from error
    if is_cut_short(data):
        raise InputError(f"{path}: expected a whole image, got a JPEG that is cut short at {data.size} bytes")
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise InputError(f"{path}: expected an image, got {data.size} bytes that cannot be decoded")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def is_cut_short(data: np.ndarray) -> bool:
    """Whether a JPEG, (N,) uint8, lacks its end; OpenCV would fill the rest with grey and say nothing.

    A JPEG's pixels follow the marker "start of scan" and stop before the marker "end of image"; within them
    neither can occur. A thumbnail in the header has both of its own, but before the last start.
    """
    view = data.tobytes() if data[:2].tobytes() == b"\xff\xd8" else b""
    return bool(view) and view.rfind(b"\xff\xd9") < view.rfind(b"\xff\xda")


def image_size_wh(path: Path) -> tuple[int, int]:
    """Width and height of what ``read_image`` would give, from the file's header alone.

    Raises:
        InputError: the file is missing, or no image.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(_EXIF_ORIENTATION, 1) in (5, 6, 7, 8)
    except UnidentifiedImageError as error:
        raise InputError(f"{path}: expected an image, got something else") from error
    except OSError as error:
        raise InputError(f"{path}: cannot read the image: {error.strerror or error}") from error
    return (height, width) if turned else (width, height)
