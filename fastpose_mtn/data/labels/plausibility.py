"""What the numbers of a whole label file tell and no single record does: shares for pixels, corners for sizes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastpose_mtn.data.problems import KEPT, Problems
from fastpose_mtn.errors import InputError

_FEW = 5  # boxes, of which too little can be concluded
_ROUNDING = 1.0  # pixels that a box may reach over the image's border, or a joint over its box


def are_shares(numbers: np.ndarray) -> bool:
    """Whether all are from 0 to 1 and not all whole: shares of the image where pixels are expected."""
    return bool((numbers % 1 > 0).any() and (numbers <= 1).all())


def of_shares(numbers: np.ndarray) -> str:
    """What is wrong with them, and the remedy, for a message."""
    return (
        f"expected pixels, got numbers of at most {numbers.max():g} throughout; multiply shares of the image by its "
        "width and height"
    )


def refuse_shares(boxes_xywh: np.ndarray, joints: np.ndarray, path: str) -> None:
    """Refuses numbers from 0 to 1 throughout, shares of the image as YOLO has them: whoever they mean is not there.

    Args:
        boxes_xywh: (N, 4), NaN or infinite where there is none.
        joints: (N, J, 3) x, y, v.
        path: of the file, for the message.

    Raises:
        InputError: boxes or joints are shares.
    """
    sizes = boxes_xywh[np.isfinite(boxes_xywh).all(axis=1), 2:]
    labelled = joints[joints[..., 2] > 0, :2]
    for name, numbers in (("bbox", sizes), ("keypoints", labelled)):
        if are_shares(numbers):
            raise InputError(f"{path}: annotations: {name}: {of_shares(numbers)}")


def refuse_corners(boxes_xywh: np.ndarray, sizes_wh: np.ndarray, path: str) -> None:
    """Refuses boxes that are x1, y1, x2, y2: all fit their images as that, and most do not as x, y, width, height.

    Args:
        boxes_xywh: (N, 4), NaN or infinite where there is none.
        sizes_wh: (N, 2) of the images, pixels; 0 where unknown.
        path: of the file, for the message.

    Raises:
        InputError: boxes are corners.
    """
    known = np.isfinite(boxes_xywh).all(axis=1) & (sizes_wh > 0).all(axis=1)
    first, second, limits = boxes_xywh[known, :2], boxes_xywh[known, 2:], sizes_wh[known] + _ROUNDING
    if len(first) < _FEW or not ((first < second) & (second <= limits)).all():
        return
    over = (first + second > limits).any(axis=1)
    if 2 * over.sum() > len(over):
        raise InputError(
            f"{path}: annotations: bbox: expected x, y, width, height, got {over.sum()} of {len(over)} boxes that reach "
            "over the image's border, while all fit as x1, y1, x2, y2; subtract the first corner from the second"
        )


def count_strays(
    boxes_xywh: np.ndarray,
    joints: np.ndarray,
    rows: np.ndarray,
    place: Callable[[int], str],
    problems: Problems,
) -> None:
    """Counts whose labelled joints all lie outside their own box: one of the two is somebody else's.

    Args:
        boxes_xywh: (N, 4), those that are used.
        joints: (N, J, 3) x, y, v.
        rows: (N,) bool, who is used.
        place: gives words for where a row is.
        problems: where they are counted.
    """
    low = boxes_xywh[:, None, :2] - _ROUNDING
    high = low + boxes_xywh[:, None, 2:] + 2 * _ROUNDING
    labelled = joints[..., 2] > 0
    inside = labelled & ((joints[..., :2] >= low) & (joints[..., :2] <= high)).all(axis=2)
    for row in np.flatnonzero(rows & labelled.any(axis=1) & ~inside.any(axis=1)).tolist():
        problems.add(KEPT, "annotations none of whose joints lies in their box", place(row))
