"""Reading one image file, whatever its depth, channels and orientation."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np

from fastpose_mtn.errors import InputError

_ENDINGS = {b"\xff\xd8\xff": b"\xff\xd9", b"\x89PNG": b"IEND\xae\x42\x60\x82"}  # how a whole file ends


def read_image(path: Path) -> np.ndarray:
    """An image as the viewer sees it.

    Grey becomes three equal channels, 16 bits become 8, transparency is dropped and a camera's
    orientation mark is applied.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InputError: the file is absent, empty, cut off or not an image; the message names it.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; give an image that can be read") from error
    if not content:
        raise InputError(f"{path}: the file is empty; copy or save the image again")
    if not _is_whole(content):
        raise InputError(f"{path}: the image is cut off; copy or save it again")
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error as error:
        raise InputError(f"{path}: the image cannot be decoded: {error.err}") from error
    if image is None:
        raise InputError(f"{path}: not an image that can be decoded; convert it to JPEG or PNG")
    return image


def _is_whole(content: bytes) -> bool:
    """False where a JPEG or PNG is cut off, which OpenCV fills with grey and does not report."""
    ending = next((end for start, end in _ENDINGS.items() if content.startswith(start)), None)
    if ending is None or ending in content[-64:]:
        return True
    # A phone may append a film or a thumbnail behind the picture: only a decoder can tell.
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
    except (OSError, SyntaxError, ValueError):
        return False
    return True
