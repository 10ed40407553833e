"""Draws labelled people, as training sees them."""

from __future__ import annotations

import cv2
import numpy as np

from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import PersonTargets
from fastpose_mtn.visualization.overlay import Colour, Overlay, identity_colour

_UNKNOWN: Colour = (235, 235, 235)
_IGNORED: Colour = (255, 60, 60)
_GROUND: Colour = (25, 25, 25)
_HIDDEN = 0.1  # as a confidence: below the overlay's threshold, so a hidden joint is hollow
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_labels(
    image: np.ndarray, targets: PersonTargets, skeleton: Skeleton, caption: str = ""
) -> np.ndarray:
    """A copy of an image with its labels on it.

    A box has its identity's colour and number, white without one; an ignored box is hatched in red. Visible
    joints are filled, hidden ones hollow, unlabelled ones are not there.

    Args:
        image: (H, W, 3) uint8 RGB.
        targets: in the image's pixels, joints in ``skeleton``'s order; NumPy or torch.
        skeleton: of the people; says which joints a limb connects.
        caption: a line of text in the lower left corner.
    """
    canvas, people = np.ascontiguousarray(image).copy(), targets.numpy()
    unit = max(1, round(min(image.shape[:2]) / 400))
    overlay = Overlay(skeleton)
    for person in np.argsort(people.boxes[:, 3] - people.boxes[:, 1], kind="stable"):
        box = people.boxes[person]
        low, high = ((round(float(x)), round(float(y))) for x, y in (box[:2], box[2:] - 1))
        if people.ignore[person]:
            _hatch(canvas, low, high, unit)
            continue
        identity = int(people.identities[person])
        colour = identity_colour(identity) if identity >= 0 else _UNKNOWN
        cv2.rectangle(canvas, low, high, colour, unit)
        keypoints = people.keypoints[person].copy()
        keypoints[:, 2] = np.choose(keypoints[:, 2].astype(np.int64), (0.0, _HIDDEN, 1.0))
        overlay.draw_pose(canvas, keypoints, box, unit)
        if identity >= 0:
            _write(canvas, str(identity), (low[0] + 2 * unit, low[1] + 14 * unit), unit, colour)
    if caption:
        _write(canvas, caption, (4 * unit, canvas.shape[0] - 6 * unit), unit, (255, 255, 255))
    return canvas


def _hatch(canvas: np.ndarray, low: tuple[int, int], high: tuple[int, int], unit: int) -> None:
    """A box with diagonal lines in it."""
    cv2.rectangle(canvas, low, high, _IGNORED, unit)
    width, height = high[0] - low[0], high[1] - low[1]
    for offset in range(0, width + height, 16 * unit):
        start = (low[0] + min(offset, width), low[1] + max(0, offset - width))
        end = (low[0] + max(0, offset - height), low[1] + min(offset, height))
        cv2.line(canvas, start, end, _IGNORED, 1, cv2.LINE_AA)


def _write(canvas: np.ndarray, text: str, at: tuple[int, int], unit: int, colour: Colour) -> None:
    """Text on a dark ground; ``at`` is its lower left corner."""
    (width, height), below = cv2.getTextSize(text, _FONT, 0.45 * unit, unit)
    low, high = (at[0] - unit, at[1] - height - unit), (at[0] + width + unit, at[1] + below)
    cv2.rectangle(canvas, low, high, _GROUND, cv2.FILLED)
    cv2.putText(canvas, text, at, _FONT, 0.45 * unit, colour, unit, cv2.LINE_AA)
