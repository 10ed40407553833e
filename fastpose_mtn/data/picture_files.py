"""Writes RGB images as picture files; ``image_file`` reads them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from fastpose_mtn.errors import InputError
from fastpose_mtn.files import whole_file

_QUALITY = 95  # of JPEGs, OpenCV's own


def encode_picture(image: np.ndarray, suffix: str = ".jpg", *, quality: int = _QUALITY) -> bytes:
    """An image as a picture file's content.

    Args:
        image: (H, W, 3) uint8 RGB.
        suffix: of the file's name, which tells the format: ``.jpg``, ``.png`` and what else OpenCV writes.
        quality: of a JPEG, 0 to 100.

    Raises:
        OSError: OpenCV cannot encode it, an image without pixels for example.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix.lower() in (".jpg", ".jpeg") else []
    try:
        done, content = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    except cv2.error:
        done = False
    if not done:
        raise OSError(f"an image of {image.shape} {image.dtype} cannot be written as {suffix}")
    return content.tobytes()


def check_picture_name(flag: str, given: str | Path) -> Path:
    """The path of a picture that a command is to write.

    Args:
        flag: the command's flag, or what the argument is called, for the message.
        given: its value.

    Raises:
        InputError: its ending is no format's that OpenCV writes.
    """
    path = Path(given)
    if not cv2.haveImageWriter(path.name):
        raise InputError(f"{flag}: expected a name that ends in .jpg or .png, got {path.name!r}")
    return path


def write_picture(path: Path, image: np.ndarray) -> None:
    """Writes an image (H, W, 3) uint8 RGB in the format of its name's ending, whole or not at all; makes its folder."""
    content = encode_picture(image, path.suffix)
    with whole_file(path) as partial:
        partial.write_bytes(content)
