"""Cropping, resizing and padding an image with its labels: they follow the pixels exactly."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from fastpose_mtn.data.sample import LabelledImage
from fastpose_mtn.structures import PersonTargets, has_area

if TYPE_CHECKING:
    from fastpose_mtn.data.transforms.rotation import Rotation

# A person of whose box less than this share is left by a crop is ignored: too little to learn from.
_MIN_SHARE_LEFT = 0.25


def crop_resize_pad(
    image: LabelledImage,
    window_xyxy: tuple[int, int, int, int],
    scale: float,
    size_hw: tuple[int, int] | None,
    fill_rgb: tuple[int, int, int],
    place: tuple[float, float],
    turn: Rotation | None = None,
) -> LabelledImage:
    """A window of the image, resized, on a canvas.

    Args:
        image: where there is a turn, its targets are turned already and its pixels are not.
        window_xyxy: whole pixels of the source, turned.
        scale: result pixels per source pixel; each side is rounded to whole pixels and the labels
            follow the rounded size exactly.
        size_hw: the canvas, or None for the resized window's own size.
        fill_rgb: colour of the canvas where the window does not cover it, 0 to 255.
        place: where the window lies in the room that is left, 0 left (top) to 1 right (bottom).
        turn: of the source, made in the same step.
    """
    x1, y1, x2, y2 = window_xyxy
    new_w, new_h = max(1, round((x2 - x1) * scale)), max(1, round((y2 - y1) * scale))
    if size_hw is not None:
        new_h, new_w = min(new_h, size_hw[0]), min(new_w, size_hw[1])
    if turn is not None:
        pixels = turn.window(image.image, window_xyxy, (new_w, new_h))
    else:
        pixels = image.image[y1:y2, x1:x2]
        if pixels.shape[:2] != (new_h, new_w):
            shrinks = new_w * new_h < pixels.shape[0] * pixels.shape[1]
            pixels = cv2.resize(
                pixels, (new_w, new_h), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            )
    factors = np.array([new_w / (x2 - x1), new_h / (y2 - y1)], np.float32)
    offset = np.zeros(2, np.float32)
    if size_hw is not None and size_hw != (new_h, new_w):
        left, top = round((size_hw[1] - new_w) * place[0]), round((size_hw[0] - new_h) * place[1])
        pixels = padded(pixels, size_hw, (left, top), fill_rgb)
        offset = np.array([left, top], np.float32)
    shift = offset - np.array([x1, y1], np.float32) * factors
    area = (*offset.tolist(), offset[0] + new_w, offset[1] + new_h)
    targets = clip_targets(scale_targets(image.targets, factors, shift), area)
    return replace(image, image=np.ascontiguousarray(pixels), targets=targets)


def padded(
    pixels: np.ndarray, size_hw: tuple[int, int], place_xy: tuple[int, int], fill_rgb: tuple[int, int, int]
) -> np.ndarray:
    """An image, (H, W, 3) uint8, on a canvas at least as large, its upper left pixel at ``place_xy``."""
    left, top = place_xy
    below, right = size_hw[0] - top - pixels.shape[0], size_hw[1] - left - pixels.shape[1]
    return cv2.copyMakeBorder(pixels, top, below, left, right, cv2.BORDER_CONSTANT, value=fill_rgb)


def scale_targets(targets: PersonTargets, factors_xy: np.ndarray, shift_xy: np.ndarray) -> PersonTargets:
    """Every labelled coordinate times ``factors_xy`` plus ``shift_xy``."""
    boxes = targets.boxes * np.tile(factors_xy, 2) + np.tile(shift_xy, 2)
    keypoints = targets.keypoints.copy()
    moved = keypoints[..., :2] * factors_xy + shift_xy
    keypoints[..., :2] = np.where(keypoints[..., 2:] > 0, moved, keypoints[..., :2])
    return moved_targets(targets, boxes, keypoints)


def moved_targets(targets: PersonTargets, boxes: np.ndarray, keypoints: np.ndarray) -> PersonTargets:
    """The same people elsewhere; whose box is too thin for single precision there is ignored."""
    boxes = boxes.astype(np.float32)
    ignore = targets.ignore | ~has_area(boxes)
    return replace(targets, boxes=boxes, keypoints=keypoints, ignore=ignore)


def clip_targets(targets: PersonTargets, area_xyxy: tuple[float, ...]) -> PersonTargets:
    """Cuts boxes to the area: who is left out is dropped, of whom little is left is ignored."""
    x1, y1, x2, y2 = area_xyxy
    boxes = targets.boxes
    clipped = np.stack(
        [boxes[:, i].clip(low, high) for i, (low, high) in enumerate([(x1, x2), (y1, y2)] * 2)], axis=1
    ).astype(np.float32)
    whole = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    left = np.prod(clipped[:, 2:] - clipped[:, :2], axis=1)
    keypoints = targets.keypoints.copy()
    x, y = keypoints[..., 0], keypoints[..., 1]
    keypoints[(x < x1) | (x >= x2) | (y < y1) | (y >= y2)] = 0
    ignore = targets.ignore | (left < _MIN_SHARE_LEFT * whole)
    kept = (clipped[:, 2:] - clipped[:, :2] >= 1).all(axis=1)
    return replace(targets[kept], boxes=clipped[kept], keypoints=keypoints[kept], ignore=ignore[kept])
