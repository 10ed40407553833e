"""Pasting a piece of the image over people, so that hidden joints are seen in training."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from fastpose_mtn.data.sample import LabelledImage
from fastpose_mtn.structures import PersonTargets

_SHARES = (0.1, 0.4)  # of a person's box that a piece covers
_ASPECTS = (0.5, 2.0)  # of a piece, width to height
_TRIES = 5  # to find a place without people to take a piece from
_COVERED = 0.75  # share of a box under a piece from which its person is ignored: nothing is left to see


@dataclass(frozen=True)
class OcclusionPaste:
    """Hides parts of people behind a piece of background from elsewhere in the image.

    Joints below the piece become labelled and hidden (v = 1), whoever they belong to. A piece is a rectangle or an
    ellipse. Where there is no background it has one colour, as a copy of somebody would be a person without a
    label. After Sarandi et al., How Robust is 3D Human Pose Estimation to Occlusion?, 2018, and Ke et al.'s keypoint
    masking, 2018.

    Attributes:
        probability: that a person gets a piece.

    Raises:
        ValueError: it is no probability.
    """

    probability: float

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ValueError(f"INPUT.AUG.OCCLUSION: expected a probability, got {self.probability}")

    def __call__(self, image: LabelledImage, rng: np.random.Generator) -> LabelledImage:
        """The image with some of its people partly covered, and their hidden joints labelled so."""
        people = np.flatnonzero(~image.targets.ignore & (rng.random(len(image.targets)) < self.probability))
        pixels, targets = image.image, image.targets
        for person in people:
            window = _window(targets.boxes[person], pixels.shape, rng)
            if window is None:
                continue
            mask = _mask(window, ellipse=bool(rng.random() < 0.5))
            piece = _background(image, window, rng)
            if pixels is image.image:
                pixels = pixels.copy()
            x1, y1, x2, y2 = window
            pixels[y1:y2, x1:x2][mask] = piece[mask] if piece.ndim == 3 else piece
            targets = hide(targets, window, mask)
        return image if pixels is image.image else replace(image, image=pixels, targets=targets)


def hide(
    targets: PersonTargets,
    window_xyxy: tuple[int, int, int, int],
    mask: np.ndarray,
    most_covered: float = _COVERED,
) -> PersonTargets:
    """The labels after people were covered: joints behind it are hidden, people mostly behind it ignored.

    Args:
        targets: the image's people, NumPy.
        window_xyxy: where the thing lies, whole pixels.
        mask: (window's height, its width) bool: where the window is covered.
        most_covered: share of a box; with more of it covered its person is ignored.
    """
    x1, y1, x2, y2 = window_xyxy
    keypoints = targets.keypoints.copy()
    column, row = (np.floor(keypoints[..., axis]).astype(np.int64) for axis in (0, 1))
    inside = (column >= x1) & (column < x2) & (row >= y1) & (row < y2)
    covered = np.zeros_like(inside)
    covered[inside] = mask[row[inside] - y1, column[inside] - x1]
    keypoints[..., 2] = np.where(covered & (keypoints[..., 2] == 2), 1, keypoints[..., 2])
    corners = np.rint(np.clip(targets.boxes - (x1, y1, x1, y1), 0, (x2 - x1, y2 - y1) * 2)).astype(np.int64)
    shared = np.array([mask[top:bottom, left:right].sum() for left, top, right, bottom in corners], np.int64)
    area = (targets.boxes[:, 2:] - targets.boxes[:, :2]).prod(axis=1)
    return replace(targets, keypoints=keypoints, ignore=targets.ignore | (shared > most_covered * area))


def _window(
    box: np.ndarray, shape: tuple[int, ...], rng: np.random.Generator
) -> tuple[int, int, int, int] | None:
    """A piece's place: its middle lies in the box, its area is a share of the box; None where it is too small."""
    width, height = (box[2:] - box[:2]).tolist()
    aspect = float(np.exp(rng.uniform(*np.log(_ASPECTS))))
    area = width * height * float(rng.uniform(*_SHARES))
    half = np.sqrt(area * aspect) / 2, np.sqrt(area / aspect) / 2
    x, y = rng.uniform(box[:2], box[2:])
    x1, x2 = max(0, round(x - half[0])), min(shape[1], round(x + half[0]))
    y1, y2 = max(0, round(y - half[1])), min(shape[0], round(y + half[1]))
    return (x1, y1, x2, y2) if x2 - x1 >= 2 and y2 - y1 >= 2 else None


def _mask(window_xyxy: tuple[int, int, int, int], *, ellipse: bool) -> np.ndarray:
    size_hw = (window_xyxy[3] - window_xyxy[1], window_xyxy[2] - window_xyxy[0])
    if not ellipse:
        return np.ones(size_hw, bool)
    mask = np.zeros(size_hw, np.uint8)
    axes = (size_hw[1] / 2, size_hw[0] / 2)
    cv2.ellipse(
        mask, (((size_hw[1] - 1) / 2, (size_hw[0] - 1) / 2), (2 * axes[0], 2 * axes[1]), 0), 1, cv2.FILLED
    )
    return mask.astype(bool)


def _background(
    image: LabelledImage, window_xyxy: tuple[int, int, int, int], rng: np.random.Generator
) -> np.ndarray:
    """Pixels of the window's size from where nobody is, or one colour (3,)."""
    height, width = image.image.shape[:2]
    w, h = window_xyxy[2] - window_xyxy[0], window_xyxy[3] - window_xyxy[1]
    boxes = image.targets.boxes
    for _ in range(_TRIES):
        x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
        apart = (boxes[:, 0] >= x + w) | (boxes[:, 2] <= x) | (boxes[:, 1] >= y + h) | (boxes[:, 3] <= y)
        if apart.all():
            return image.image[y : y + h, x : x + w]
    return rng.integers(0, 256, 3, dtype=np.uint8)
