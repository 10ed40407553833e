"""Folders of person crops: every person is one colour."""

import cv2
import numpy as np


def colour(person):
    """(3,) RGB of the person at this place among the sorted names."""
    return np.array([20 * person + 10, 255 - 20 * person, 40], np.uint8)


def write_crops(folder, counts, *, cameras=2, size_wh=(24, 48)):
    """``counts`` pictures of each person, in turns from each camera; 0 cameras: names without one."""
    for person, count in enumerate(counts):
        own = folder / f"{person:04d}"
        own.mkdir(parents=True)
        for number in range(count):
            camera = f"c{1 + number % cameras}s1_" if cameras else ""
            pixels = np.full((size_wh[1], size_wh[0], 3), colour(person)[::-1], np.uint8)
            cv2.imwrite(str(own / f"{person:04d}_{camera}{number:06d}.png"), pixels)
    return folder
