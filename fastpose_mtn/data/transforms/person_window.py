"""A training window centred on one of an image's people, as PoseDet's (Tian et al., arXiv 2107.10466, section 4.1)."""

from __future__ import annotations

import numpy as np

from fastpose_mtn.structures import PersonTargets


def choose_person(targets: PersonTargets, rng: np.random.Generator) -> int | None:
    """The number of a person of the half with the most labelled joints, each as likely; None: nobody counts.

    The paper says "a random person"; the half is its code's. Who has as many joints as the last of that half is of it.
    """
    counted = np.flatnonzero(~targets.ignore)
    if not len(counted):
        return None
    joints = (targets.keypoints[counted, :, 2] > 0).sum(axis=1)
    least = np.sort(joints)[len(counted) // 2]
    return int(rng.choice(counted[joints >= least]))


def window_around(
    centre_xy: np.ndarray, image_wh: tuple[int, int], window_wh: tuple[int, int]
) -> tuple[tuple[int, int, int, int], tuple[float, float]]:
    """The part of an image that a window centred on a point shows.

    Args:
        centre_xy: pixels of the image.
        image_wh: its size.
        window_wh: pixels of the image too; may reach out of it.

    Returns:
        The part, xyxy in whole pixels, at least one of them; and where it lies in the room that it leaves in the window, 0
        left (top) to 1 right (bottom), as ``geometry.crop_resize_pad`` takes it.
    """
    window = np.array(window_wh)
    start = np.floor(centre_xy - window / 2 + 0.5).astype(int).clip(1 - window, np.array(image_wh) - 1)
    low, high = start.clip(min=0), np.minimum(start + window, image_wh)
    x, y = ((low - start) / np.maximum(window - (high - low), 1)).tolist()
    return (int(low[0]), int(low[1]), int(high[0]), int(high[1])), (x, y)
