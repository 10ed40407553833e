"""The painter's tools: tones, outlines of limbs and discs, and a brush that knows body parts."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from fastpose_mtn.data.synthetic.appearance import Colour

PARTS = (
    "none", "torso", "head", "face", "neck", "l_upper", "l_fore", "r_upper", "r_fore",
    "l_thigh", "l_shin", "r_thigh", "r_shin", "l_foot", "r_foot", "hem", "carried",
)  # fmt: skip
PART = {name: i for i, name in enumerate(PARTS)}

_SHIFT = 4  # OpenCV's fractional bits
_ONE = 1 << _SHIFT
_ARC = np.linspace(-np.pi / 2, np.pi / 2, 6)
_CIRCLE = np.stack(
    [
        np.cos(np.linspace(0, 2 * np.pi, 20, endpoint=False)),
        np.sin(np.linspace(0, 2 * np.pi, 20, endpoint=False)),
    ],
    -1,
)


def shade(colour: Colour, factor: float) -> Colour:
    """The colour, darker (below 1) or lighter (above 1)."""
    if factor <= 1.0:
        return int(colour[0] * factor), int(colour[1] * factor), int(colour[2] * factor)
    k = factor - 1.0
    return (
        int(colour[0] + (255 - colour[0]) * k),
        int(colour[1] + (255 - colour[1]) * k),
        int(colour[2] + (255 - colour[2]) * k),
    )


def capsules(
    start: np.ndarray, end: np.ndarray, start_radius: np.ndarray, end_radius: np.ndarray
) -> np.ndarray:
    """Outlines of tapered limbs.

    Args:
        start: (L, 2) pixels, one end of each limb.
        end: (L, 2) pixels, the other end.
        start_radius: (L,) pixels, half the limb's width at its start.
        end_radius: (L,) pixels, the same at its end.

    Returns:
        (L, 12, 2) pixels, convex.
    """
    along = np.arctan2(end[:, 1] - start[:, 1], end[:, 0] - start[:, 0])[:, None]
    angle = np.concatenate([along + _ARC, along + _ARC + np.pi], axis=1)
    half = len(_ARC)
    radius = np.empty_like(angle)
    radius[:, :half], radius[:, half:] = end_radius[:, None], start_radius[:, None]
    out = np.empty((*angle.shape, 2))
    np.multiply(radius, np.cos(angle), out=out[..., 0])
    np.multiply(radius, np.sin(angle), out=out[..., 1])
    out[:, :half] += end[:, None]
    out[:, half:] += start[:, None]
    return out


def ellipse(centre: np.ndarray, right: np.ndarray, down: np.ndarray) -> np.ndarray:
    """An outline (20, 2) from the centre and the two half axes, pixels."""
    return centre + _CIRCLE[:, :1] * right + _CIRCLE[:, 1:] * down


@dataclass
class Brush:
    """Paints polygons into a picture and, shifted by ``origin``, into a part mask.

    Attributes:
        picture: (H, W, 3) uint8, or None to paint the mask only.
        mask: (h, w) uint8 of ``PART`` numbers, or None.
        origin: (x, y) of the mask's first pixel in the picture.
    """

    picture: np.ndarray | None
    mask: np.ndarray | None
    origin: tuple[int, int]

    def __post_init__(self) -> None:
        self._shift = np.array(self.origin, np.int32) * _ONE

    def paint(
        self, outline: np.ndarray, colour: Colour | None, part: int | None, convex: bool = True
    ) -> None:
        """Fills an outline (P, 2) in continuous pixels; no colour or no part leaves that one out."""
        fill = cv2.fillConvexPoly if convex else _fill_any
        # OpenCV counts pixel centres as integers.
        at = np.rint((outline - 0.5) * _ONE).astype(np.int32)
        if colour is not None and self.picture is not None:
            fill(self.picture, at, colour, cv2.LINE_AA, _SHIFT)
        if part is not None and self.mask is not None:
            fill(self.mask, at - self._shift, part, cv2.LINE_8, _SHIFT)


def _fill_any(image: np.ndarray, points: np.ndarray, colour: Colour | int, line: int, shift: int) -> None:
    cv2.fillPoly(image, [points], colour, line, shift)
