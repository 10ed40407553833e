"""Values as MATLAB holds them, for ``scipy.io.savemat``, and images to go with them."""

import cv2
import numpy as np


def structs(*rows, names=None):
    """A 1 x N structure array."""
    names = list(rows[0]) if rows else names
    out = np.zeros((1, len(rows)), dtype=[(name, object) for name in names])
    for i, row in enumerate(rows):
        for name in names:
            out[0, i][name] = row[name]
    return out


def cells(*items):
    """An N x 1 cell array."""
    out = np.empty((len(items), 1), dtype=object)
    for i, item in enumerate(items):
        out[i, 0] = item
    return out


NOTHING = np.zeros((0, 0))  # MATLAB's []


def draw(folder, *names, size_wh=(320, 240)):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        cv2.imwrite(str(folder / name), np.full((size_wh[1], size_wh[0], 3), 90, np.uint8))
