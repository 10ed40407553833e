"""Image files as RGB arrays, with errors that name the file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from fastpose_mtn.cli import InputError

_EXIF_ORIENTATION = 0x0112


def read_image(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB, turned upright as the file's EXIF orientation says.

    Raises:
        InputError: the file is missing, empty, or no image that can be decoded.
    """
    try:
        data = np.fromfile(path, np.uint8)  # unlike cv2.imread this tells a missing file from a bad one
    except OSError as error:
        raise InputError(f"{path}: cannot read the image: {error.strerror}") from error
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise InputError(f"{path}: expected an image, got {data.size} bytes that cannot be decoded")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


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
