"""Brings videos of high dynamic range to what networks have seen and overlays can hold: ITU-R BT.2100's PQ."""

from __future__ import annotations

import functools

import cv2
import numpy as np

PQ = 16  # ITU-T H.273's number of the transfer characteristics; HLG (18) is made to be shown as it is
_WHITE_NITS = 203.0  # of paper, ITU-R BT.2408
_KNEE = 0.7  # of white, linear: above it highlights are compressed, so that white becomes 242


def as_standard_range(image: np.ndarray, transfer: int) -> np.ndarray:
    """An image (H, W, 3) uint8 as sRGB: of PQ, whose white would be grey and whose contrast low; others as they are.

    Args:
        image: as decoded.
        transfer: characteristics that its frame tells.
    """
    return cv2.LUT(image, _table()) if transfer == PQ else image


@functools.cache
def _table() -> np.ndarray:
    """(256,) uint8: of each of PQ's values sRGB's."""
    root = (np.arange(256) / 255) ** (1 / 78.84375)
    nits = 10_000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
    light = nits / _WHITE_NITS
    above = 1 - _KNEE
    light = np.where(light > _KNEE, _KNEE + above * (1 - np.exp((_KNEE - light) / above)), light)
    values = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(255 * values).astype(np.uint8)
