"""Rotating an image with its labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from fastpose_mtn.config import CfgNode
from fastpose_mtn.data.transforms.geometry import clip_targets, moved_targets
from fastpose_mtn.structures import PersonTargets


@dataclass(frozen=True)
class Rotation:
    """A rotation of an image about its middle, counter-clockwise, at its own size.

    Attributes:
        degrees: the angle.
        image_wh: pixels of the image.
        fill_rgb: of the corners that come in.
    """

    degrees: float
    image_wh: tuple[int, int]
    fill_rgb: tuple[int, int, int] = (124, 116, 104)

    def targets(self, targets: PersonTargets) -> PersonTargets:
        """The people of the turned image.

        A box is drawn anew around the ellipse in the old one and the joints: around the old one's corners it would
        grow with every turn, as people do not fill the corners of their boxes (Kalra et al., Towards Rotation
        Invariance in Object Detection, ICCV 2021). An ignored box keeps its corners: nothing it covers may come free.
        """
        turned = _turned(targets, self._matrix(), np.divide(self.image_wh, 2))
        return clip_targets(turned, (0.0, 0.0, float(self.image_wh[0]), float(self.image_wh[1])))

    def window(
        self, image: np.ndarray, window_xyxy: tuple[float, float, float, float], size_wh: tuple[int, int]
    ) -> np.ndarray:
        """A part of the turned image, resized; the turned image itself is never made.

        What shrinks is averaged over areas first, without which it would alias, and turned when it is small.

        Args:
            image: (H, W, 3) uint8, not turned.
            window_xyxy: pixels of the turned image.
            size_wh: pixels of the result.
        """
        left_top = np.array(window_xyxy[:2])
        steps = (np.array(window_xyxy[2:]) - left_top) / size_wh  # pixels of the image to one of the result
        if steps.max() > 1:
            small_w, small_h = (max(1, round(float(side))) for side in self.image_wh / steps)
            image = cv2.resize(image, (small_w, small_h), interpolation=cv2.INTER_AREA)
        ratio = np.divide(image.shape[1::-1], self.image_wh)
        middle, back = np.divide(self.image_wh, 2), self._matrix().T
        # OpenCV's coordinates are pixel indices: index i of the result has its centre at i + 0.5.
        start = (back @ (left_top + 0.5 * steps - middle) + middle) * ratio - 0.5
        to_source = np.column_stack([ratio[:, None] * back * steps, start])
        return cv2.warpAffine(
            image,
            to_source,
            size_wh,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=self.fill_rgb,
        )

    def _matrix(self) -> np.ndarray:
        """(2, 2): where the turn takes a vector from the middle."""
        cosine, sine = np.cos(np.radians(self.degrees)), np.sin(np.radians(self.degrees))
        return np.array([[cosine, sine], [-sine, cosine]])


@dataclass(frozen=True)
class RandomRotation:
    """Turns for some images; whoever resizes the image makes them in the same step.

    Attributes:
        degrees: greatest angle either way; each up to it is as likely.
        probability: of turning an image at all.
        fill_rgb: of the corners that come in.

    Raises:
        ValueError: the values mean nothing.
    """

    degrees: float
    probability: float = 0.5
    fill_rgb: tuple[int, int, int] = (124, 116, 104)

    def __post_init__(self) -> None:
        if not 0 <= self.degrees <= 180:
            raise ValueError(f"INPUT.AUG.ROTATION: expected 0 to 180 degrees, got {self.degrees}")

    @classmethod
    def from_config(cls, cfg: CfgNode) -> RandomRotation | None:
        """None where ``INPUT.AUG.ROTATION`` is 0."""
        aug = cfg.INPUT.AUG
        if not aug.ROTATION:
            return None
        fill: Any = tuple(round(v) for v in cfg.MODEL.PIXEL_MEAN)
        return cls(degrees=aug.ROTATION, probability=aug.ROTATION_PROBABILITY, fill_rgb=fill)

    def draw(self, image_wh: tuple[int, int], rng: np.random.Generator) -> Rotation | None:
        """The turn of an image of this size by a random angle, or None where the image is not turned."""
        turns, angle = rng.random() < self.probability, float(rng.uniform(-self.degrees, self.degrees))
        return Rotation(angle, image_wh, self.fill_rgb) if turns else None


def _turned(targets: PersonTargets, turn: np.ndarray, middle: np.ndarray) -> PersonTargets:
    keypoints = targets.keypoints.copy()
    labelled = keypoints[..., 2] > 0
    moved = (keypoints[..., :2] - middle) @ turn.T + middle
    keypoints[..., :2] = np.where(labelled[..., None], moved, keypoints[..., :2])

    centres = (targets.boxes[:, :2] + targets.boxes[:, 2:]) / 2
    half = (targets.boxes[:, 2:] - targets.boxes[:, :2]) / 2
    centres = (centres - middle) @ turn.T + middle
    ellipse = np.sqrt(half**2 @ (turn**2).T)
    corners = half @ np.abs(turn).T
    half = np.where(targets.ignore[:, None], corners, ellipse)
    low, high = centres - half, centres + half
    if keypoints.shape[1]:
        far = np.where(labelled[..., None], moved, np.inf), np.where(labelled[..., None], moved, -np.inf)
        low, high = np.minimum(low, far[0].min(axis=1)), np.maximum(high, far[1].max(axis=1))
    return moved_targets(targets, np.concatenate([low, high], axis=1), keypoints)
