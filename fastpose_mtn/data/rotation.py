"""Turning an image with its labels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from fastpose_mtn.data.geometry import clip_targets
from fastpose_mtn.data.sample import LabelledImage
from fastpose_mtn.structures import PersonTargets


@dataclass(frozen=True)
class RandomRotation:
    """Turns some images about their middle, at their own size.

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

    def __call__(self, image: LabelledImage, rng: np.random.Generator) -> LabelledImage:
        turns, angle = rng.random() < self.probability, float(rng.uniform(-self.degrees, self.degrees))
        return rotate(image, angle, self.fill_rgb) if turns else image


def rotate(image: LabelledImage, degrees: float, fill_rgb: tuple[int, int, int]) -> LabelledImage:
    """The image turned counter-clockwise about its middle.

    A box is drawn anew around the ellipse in the old one and the joints: around the old one's corners it would
    grow with every turn, as people do not fill the corners of their boxes (Kalra et al., Towards Rotation
    Invariance in Object Detection, ICCV 2021). An ignored box keeps its corners: nothing it covers may come free.
    """
    height, width = image.image.shape[:2]
    middle = np.array([width / 2, height / 2])
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[cosine, sine], [-sine, cosine]])
    # OpenCV's coordinates are pixel indices: its middle lies half a pixel before ours.
    shift = (middle - 0.5) - turn @ (middle - 0.5)
    pixels = cv2.warpAffine(
        image.image,
        np.column_stack([turn, shift]),
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=fill_rgb,
    )
    targets = clip_targets(_turned(image.targets, turn, middle), (0.0, 0.0, float(width), float(height)))
    return replace(image, image=pixels, targets=targets)


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
    boxes = np.concatenate([low, high], axis=1).astype(np.float32)
    return replace(targets, boxes=boxes, keypoints=keypoints)
