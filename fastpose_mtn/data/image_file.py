"""Image files as RGB arrays, with errors that name the file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from fastpose_mtn.cli import InputError


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
