"""What the numbers of a whole label file tell and no single record does: shares for pixels, corners for sizes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastpose_mtn.data.problems import KEPT, Problems
from fastpose_mtn.errors import InputError

_FEW = 5  # boxes, of which too little can be concluded
_FEW_JOINTS = 3  # of a person, likewise
_NEARLY_ALL = 0.9
_ROOM = 0.25  # of a box's width or height, beyond the last of a person's joints
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


def refuse_corners(boxes_xywh: np.ndarray, sizes_wh: np.ndarray, place: str) -> None:
    """Refuses boxes that are x1, y1, x2, y2: all fit their images as that, and most do not as x, y, width, height.

    Args:
        boxes_xywh: (N, 4), NaN or infinite where there is none.
        sizes_wh: (N, 2) of the images, pixels; 0 where unknown.
        place: the file and its list, for the message.

    Raises:
        InputError: boxes are corners.
    """
    over, count = corners_over_border(boxes_xywh, sizes_wh)
    if over:
        raise InputError(
            f"{place}: bbox: expected x, y, width, height, got {over} of {count} boxes that reach "
            "over the image's border, while all fit as x1, y1, x2, y2; subtract the first corner from the second"
        )


def corners_over_border(boxes_xywh: np.ndarray, sizes_wh: np.ndarray) -> tuple[int, int]:
    """How many boxes reach over their image's border where they seem to be corners, else 0; and of how many that is.

    Args:
        boxes_xywh: (N, 4), NaN or infinite where there is none.
        sizes_wh: (N, 2) of the images, pixels; 0 where unknown.
    """
    known = np.isfinite(boxes_xywh).all(axis=1) & (sizes_wh > 0).all(axis=1)
    first, second, limits = boxes_xywh[known, :2], boxes_xywh[known, 2:], sizes_wh[known] + _ROUNDING
    if len(first) < _FEW or not ((first < second) & (second <= limits)).all():
        return 0, len(first)
    over = int((first + second > limits).any(axis=1).sum())
    return (over if 2 * over > len(first) else 0), len(first)


def refuse_corners_of_joints(boxes_xywh: np.ndarray, joints: np.ndarray, place: str) -> None:
    """Refuses boxes that are x1, y1, x2, y2, where sizes of images are unknown: as these they hold nearly all joints.

    As sizes they would hold them too, and leave much room to the right or below.

    Args:
        boxes_xywh: (N, 4).
        joints: (N, J, 3) x, y, v.
        place: the file, for the message.

    Raises:
        InputError: boxes are corners.
    """
    rows = (joints[..., 2] > 0).sum(axis=1) >= _FEW_JOINTS
    if rows.sum() < _FEW:
        return
    first, second, labelled = boxes_xywh[rows, :2], boxes_xywh[rows, 2:], joints[rows][..., 2, None] > 0
    points = joints[rows][..., :2]
    inside = ((points >= first[:, None] - _ROUNDING) & (points <= second[:, None] + _ROUNDING)) & labelled
    held = inside.all(axis=2).sum(axis=1) >= _NEARLY_ALL * labelled.sum(axis=(1, 2))
    ends = np.where(labelled, points, -np.inf).max(axis=1)
    room = ((first + second - ends) / np.maximum(second, _ROUNDING)).max(axis=1)
    if (first < second).all() and held.mean() >= _NEARLY_ALL and np.median(room) > _ROOM:
        raise InputError(
            f"{place}: expected boxes as x, y, width, height, got such as hold people's joints as x1, y1, x2, y2; "
            "subtract the first corner from the second"
        )


def refuse_other_orders(boxes_xywh: np.ndarray, joints: np.ndarray, place: str) -> None:
    """Refuses boxes or joints in another order, which hardly anybody's joints lie in, and in the right one nearly all.

    Args:
        boxes_xywh: (N, 4), NaN or infinite where there is none.
        joints: (N, J, 3) x, y, v.
        place: the file and its list, for the message.

    Raises:
        InputError: boxes begin with their centre, or joints are y, x, v.
    """
    rows = np.isfinite(boxes_xywh).all(axis=1) & ((joints[..., 2] > 0).sum(axis=1) >= _FEW_JOINTS)
    if rows.sum() < _FEW:
        return
    first, size = boxes_xywh[rows, None, :2], boxes_xywh[rows, None, 2:]
    points, labelled = joints[rows][..., :2], joints[rows][..., 2] > 0

    def share_inside(low: np.ndarray, points: np.ndarray) -> float:
        """The share of people of whom nearly all joints lie in their box."""
        inside = ((points >= low - _ROUNDING) & (points <= low + size + _ROUNDING)).all(axis=2) & labelled
        return float((inside.sum(axis=1) >= _NEARLY_ALL * labelled.sum(axis=1)).mean())

    if share_inside(first, points) > 1 - _NEARLY_ALL:
        return
    for got, low, turned, remedy in (
        ("the centre's x and y, width, height", first - size / 2, points, "subtract half the size from them"),
        ("joints as y, x, v", first, points[..., ::-1], "exchange the joints' x and y"),
    ):
        if share_inside(low, turned) >= _NEARLY_ALL:
            raise InputError(
                f"{place}: expected bbox as x, y, width, height and keypoints as x, y, v, got {got}: only so do "
                f"people's joints lie in their boxes; {remedy}"
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


def count_specks(
    boxes_xywh: np.ndarray, rows: np.ndarray, place: Callable[[int], str], problems: Problems
) -> None:
    """Counts boxes smaller than a pixel, as one person's are whose numbers are shares of the image among pixels.

    Args:
        boxes_xywh: (N, 4), those that are used.
        rows: (N,) bool, who is used.
        place: gives words for where a row is.
        problems: where they are counted.
    """
    for row in np.flatnonzero(rows & (boxes_xywh[:, 2:] < 1).all(axis=1)).tolist():
        problems.add(KEPT, "annotations with a box smaller than a pixel", place(row))


def count_repeated(
    images: np.ndarray,
    boxes_xywh: np.ndarray,
    joints: np.ndarray,
    rows: np.ndarray,
    place: Callable[[int], str],
    problems: Problems,
) -> None:
    """Counts people who have the very box and joints of another one of their image: files were joined, or one written twice.

    They are kept, as a benchmark's own tools keep them.

    Args:
        images: (N,) which image each is in.
        boxes_xywh: (N, 4), those that are used.
        joints: (N, J, 3) x, y, v.
        rows: (N,) bool, who is used and no crowd.
        place: gives words for where a row is.
        problems: where they are counted.
    """
    used = np.flatnonzero(rows)
    keys = np.column_stack([images[used], boxes_xywh[used]])
    _, kinds, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    kinds = kinds.reshape(-1)
    seen: set[tuple[int, bytes]] = set()
    for at in np.flatnonzero(counts[kinds] > 1).tolist():
        row = int(used[at])
        person = (int(kinds[at]), joints[row].tobytes())
        if person in seen:
            problems.add(
                KEPT, "annotations with the box and the joints of another one of their image", place(row)
            )
        seen.add(person)
