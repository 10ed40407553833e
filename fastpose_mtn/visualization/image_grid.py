"""A grid of images as one image: a contact sheet."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from fastpose_mtn.errors import InputError


def image_grid(images: Sequence[np.ndarray], columns: int, tile_wh: tuple[int, int]) -> np.ndarray:
    """A grid, (H, W, 3) uint8 RGB, of images that are resized to fit their tile and centred on black.

    Args:
        images: each (H, W, 3) uint8 RGB, of any size.
        columns: images a row.
        tile_wh: pixels of each.

    Raises:
        InputError: there is nothing to show.
    """
    if not images or columns < 1:
        raise InputError(
            f"contact sheet: expected images and columns, got {len(images)} images, {columns} columns"
        )
    width, height = tile_wh
    sheet = np.zeros((-(-len(images) // columns) * height, columns * width, 3), np.uint8)
    for number, image in enumerate(images):
        scale = min(width / image.shape[1], height / image.shape[0])
        w, h = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
        tile = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        x = number % columns * width + (width - w) // 2
        y = number // columns * height + (height - h) // 2
        sheet[y : y + h, x : x + w] = tile
    return sheet
