"""Testing on several sizes of an image, and on its mirror image (paper, Table 1e: multi-scale testing)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fastpose_mtn import libraries  # noqa: F401  (before torchvision)

# isort: split
import cv2
import numpy as np
import torch
from torchvision.ops import nms

from fastpose_mtn.config import CfgNode
from fastpose_mtn.estimators.frames import resize_to_test_size
from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import PersonDetections


class View(NamedTuple):
    """One look at a frame: pixels of its shorter side (0: as it is), at most of its longer one; mirrored or not."""

    min_size: int = 0
    max_size: int = 0
    mirrored: bool = False


def views_from_config(cfg: CfgNode) -> list[View]:
    """What ``TEST.AUG`` asks for; where it is off one, of ``INPUT``'s size.

    Raises:
        ValueError: it is on and names no size, a size is below 0, or there is not one longer side a shorter one.
    """
    aug = cfg.TEST.AUG
    if not aug.ENABLED:
        for key in ("MIN_SIZE_TEST", "MAX_SIZE_TEST"):
            if cfg.INPUT[key] < 0:
                raise ValueError(f"INPUT.{key}: expected pixels, 0 or more, got {cfg.INPUT[key]}")
        return [View(cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST)]
    if not aug.MIN_SIZES:
        raise ValueError(
            "TEST.AUG.MIN_SIZES is empty: name pixels of the shorter side, or set TEST.AUG.ENABLED False"
        )
    longer = tuple(aug.MAX_SIZES) or (aug.MAX_SIZE,) * len(aug.MIN_SIZES)
    if len(longer) != len(aug.MIN_SIZES):
        raise ValueError(
            f"TEST.AUG.MAX_SIZES: expected {len(aug.MIN_SIZES)} numbers, one for each of TEST.AUG.MIN_SIZES, or () for "
            f"TEST.AUG.MAX_SIZE, got {len(longer)}"
        )
    sizes = list(zip(aug.MIN_SIZES, longer, strict=True))
    mirrored = (False, True) if aug.FLIP else (False,)
    return [View(int(least), int(most), flip) for least, most in sizes for flip in mirrored]


def view_image(frame: np.ndarray, view: View) -> np.ndarray:
    """The image (h, w, 3), contiguous, that a network sees of a frame (H, W, 3)."""
    image = resize_to_test_size(frame, view.min_size, view.max_size)
    return cv2.flip(image, 1) if view.mirrored else image


def join_views(views: Sequence[PersonDetections]) -> PersonDetections:
    """The people (NumPy) of several views, one view's after the other's."""
    boxes, scores, keypoints = (
        np.concatenate([getattr(people, name) for people in views])
        for name in ("boxes", "scores", "keypoints")
    )
    embeddings = [people.embeddings for people in views if people.embeddings is not None]
    return PersonDetections(
        boxes=boxes,
        scores=scores,
        keypoints=keypoints,
        embeddings=np.concatenate(embeddings) if embeddings else None,
    )


def merge_views(
    views: Sequence[PersonDetections], *, nms_thresh: float, count: int | None = None
) -> PersonDetections:
    """The people of one frame as seen in several views, or by several detectors: the best-scored of those that overlap.

    Args:
        views: NumPy, one or more, all in the frame's pixels.
        nms_thresh: overlap (IoU) above which two boxes are one person.
        count: how many are reported at most; None: all.

    Returns:
        Best first; a person's joints and identity are those of the view that they were best found in.
    """
    everyone = join_views(views)
    boxes, scores = torch.from_numpy(everyone.boxes), torch.from_numpy(everyone.scores)
    return everyone[nms(boxes, scores, nms_thresh)[:count].numpy()]


def mirror(people: PersonDetections, width: int, skeleton: Skeleton) -> PersonDetections:
    """The people of a mirror image, ``width`` pixels wide, in the image: left joints become right ones."""
    boxes = people.boxes.copy()
    boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
    keypoints = people.keypoints
    if keypoints.shape[1]:
        keypoints = keypoints[:, list(skeleton.flip_permutation)].copy()
        keypoints[..., 0] = width - keypoints[..., 0]
    return PersonDetections(
        boxes=boxes, scores=people.scores, keypoints=keypoints, embeddings=people.embeddings
    )
