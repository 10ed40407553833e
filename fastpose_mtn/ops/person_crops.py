"""A person's crop: from a box to the network's input and back, exactly.

Convention, as everywhere: pixel i covers [i, i + 1), its centre is i + 0.5. A crop is an affine map of the frame; what
the network locates in it is mapped back by its inverse, without corrections.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from fastpose_mtn.ops.crop_coordinates import CONTINUOUS, CropCoordinates

_SMALLEST = 1.0  # pixels of a box's side: a box without area is looked at like one pixel


def check_extension(padding: float, margins: Sequence[float]) -> None:
    """Refuses what would leave nothing of a box; see ``crop_regions``.

    Raises:
        ValueError: a factor is not above 0, or there are not two margins.
    """
    if not padding > 0:
        raise ValueError(f"MODEL.TOPDOWN.PADDING: expected a factor above 0, got {padding}")
    if len(margins) != 2 or not min(margins) > 0:
        raise ValueError(f"MODEL.TOPDOWN.MARGINS: expected two factors above 0, got {list(margins)}")


def crop_size(sides: Sequence[float]) -> tuple[int, int]:
    """``MODEL.TOPDOWN.INPUT_SIZE`` as height and width.

    Raises:
        ValueError: they are no multiples of 32, which backbones divide by.
    """
    if len(sides) != 2 or any(side < 32 or side % 32 for side in sides):
        raise ValueError(
            f"MODEL.TOPDOWN.INPUT_SIZE: expected [height, width] in multiples of 32, got {list(sides)}"
        )
    return int(sides[0]), int(sides[1])


def crop_regions(
    boxes_xyxy: np.ndarray,
    size_hw: tuple[int, int],
    padding: float | Sequence[float],
    *,
    margins: Sequence[float] = (1.0, 1.0),
    coordinates: CropCoordinates = CONTINUOUS,
) -> np.ndarray:
    """The part of the frame that each person's crop shows: the box, extended to the input's proportions, and padded.

    Args:
        boxes_xyxy: (N, 4) in the frame's pixels.
        size_hw: height and width of the network's input.
        padding: factor on the extended box, or one on its width and one on its height.
        margins: factors on the box's width and height before it is extended.
        coordinates: of the network.

    Returns:
        (N, 4) float32 xyxy, in parts outside the frame where the box is near its border.
    """
    boxes = np.asarray(boxes_xyxy, np.float64)
    if coordinates.last_pixel:
        boxes = boxes - [0, 0, 1, 1]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    width, height = np.maximum((boxes[:, 2:] - boxes[:, :2]) * margins, _SMALLEST).T
    aspect = size_hw[1] / size_hw[0]
    sides = np.stack((np.maximum(width, height * aspect), np.maximum(height, width / aspect)), axis=1)
    half = sides * np.broadcast_to(np.asarray(padding, np.float64), 2) / 2
    if coordinates.as_released:  # half a pixel of the frame, less half a pixel of the crop
        centres = centres + 0.5 - half / np.array(size_hw[::-1])
    return np.concatenate((centres - half, centres + half), axis=1).astype(np.float32)


def crop_matrix(
    region_xyxy: np.ndarray, size_hw: tuple[int, int], *, degrees: float = 0.0, mirrored: bool = False
) -> np.ndarray:
    """(2, 3) float64: where the crop takes a point of the frame, both in continuous pixels.

    Args:
        region_xyxy: (4,) of the frame, see ``crop_regions``.
        size_hw: of the crop.
        degrees: by which the picture is turned counter-clockwise about the region's centre.
        mirrored: left to right, after the turn.
    """
    x1, y1, x2, y2 = np.asarray(region_xyxy, np.float64)
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    scale = np.diag((size_hw[1] / (x2 - x1), size_hw[0] / (y2 - y1)))
    linear = scale @ np.array([[cosine, sine], [-sine, cosine]])
    shift = np.array([size_hw[1] / 2, size_hw[0] / 2]) - linear @ ((x1 + x2) / 2, (y1 + y2) / 2)
    matrix = np.column_stack((linear, shift))
    if mirrored:
        matrix[0] *= -1
        matrix[0, 2] += size_hw[1]
    return matrix


def transform_points(points_xy: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points (..., 2) where an affine map (2, 3) takes them."""
    return points_xy @ matrix[:, :2].T + matrix[:, 2]


def invert(matrix: np.ndarray) -> np.ndarray:
    """The affine map (2, 3) that takes points back."""
    inverse = np.linalg.inv(matrix[:, :2])
    return np.column_stack((inverse, -inverse @ matrix[:, 2]))


def warp_person(
    image: np.ndarray,
    matrix: np.ndarray,
    size_hw: tuple[int, int],
    fill_rgb: Sequence[float],
    *,
    averages: bool = True,
) -> np.ndarray:
    """The crop (H, W, 3) uint8 of a frame (h, w, 3) uint8.

    What shrinks to less than half is averaged over areas first, without which it would alias; only the part of the
    frame that the crop shows is touched.

    Args:
        image: RGB.
        matrix: (2, 3), see ``crop_matrix``.
        size_hw: of the crop.
        fill_rgb: colour of what lies outside the frame, 0 to 255.
        averages: False: pixels are sampled without averaging, as published networks' crops were.
    """
    block = 1
    while averages and np.sqrt(abs(np.linalg.det(matrix[:, :2]))) * block < 0.5:
        block *= 2
    if block > 1:
        window = _window(image, matrix, size_hw)
        if window is None:
            return np.full((*size_hw, 3), np.rint(fill_rgb), np.uint8)
        x1, y1, x2, y2 = window
        small = (max(1, -(-(x2 - x1) // block)), max(1, -(-(y2 - y1) // block)))
        image = cv2.resize(image[y1:y2, x1:x2], small, interpolation=cv2.INTER_AREA)
        factors = np.array([(x2 - x1) / small[0], (y2 - y1) / small[1]])
        matrix = np.column_stack((matrix[:, :2] * factors, matrix[:, 2] + matrix[:, :2] @ (x1, y1)))
    half = np.array([0.5, 0.5])  # OpenCV's coordinates are indices: index i is the position i + 0.5
    indexed = np.column_stack((matrix[:, :2], matrix[:, :2] @ half + matrix[:, 2] - half))
    return cv2.warpAffine(
        image,
        indexed,
        size_hw[::-1],
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=[float(value) for value in fill_rgb],
    )


def _window(
    image: np.ndarray, matrix: np.ndarray, size_hw: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """The whole pixels of the image that a crop shows; None: nothing of it."""
    height, width = size_hw
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], float)
    seen = transform_points(corners, invert(matrix))
    limit = np.array(image.shape[1::-1])
    x1, y1 = np.clip(np.floor(seen.min(axis=0)) - 1, 0, limit).astype(int).tolist()
    x2, y2 = np.clip(np.ceil(seen.max(axis=0)) + 1, 0, limit).astype(int).tolist()
    return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None
