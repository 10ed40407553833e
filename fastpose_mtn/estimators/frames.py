"""What every estimator does with frames: checks them, resizes them, and maps people back into their pixels."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from fastpose_mtn.ops.boxes import clip_boxes, nonempty
from fastpose_mtn.structures import PersonDetections


def check_frames(frames: Sequence[np.ndarray]) -> None:
    """Raises ValueError unless every frame is an RGB image (H, W, 3) uint8."""
    for index, frame in enumerate(frames):
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
            raise ValueError(
                f"frame {index}: expected an RGB image (H, W, 3) of uint8, got {frame.shape} {frame.dtype}"
            )


def test_size(height: int, width: int, min_size: int, max_size: int) -> tuple[int, int]:
    """Detectron2's size (height, width) of an image at test time.

    The shorter side becomes ``min_size``, unless the longer side would exceed ``max_size`` (0: never),
    which it then becomes. ``min_size`` 0: as it is.
    """
    if min_size == 0:
        return height, width
    scale = min_size / min(height, width)
    if max_size and max(height, width) * scale > max_size:
        scale = max_size / max(height, width)
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def resize_to_test_size(image: np.ndarray, min_size: int, max_size: int) -> np.ndarray:
    """The image (H, W, 3) as the network sees it at test time, see ``test_size``; contiguous, and writable."""
    height, width = test_size(image.shape[0], image.shape[1], min_size, max_size)
    if (height, width) != image.shape[:2]:
        # area averaging does not alias when it shrinks; linear does not blur when it enlarges
        how = cv2.INTER_AREA if height < image.shape[0] else cv2.INTER_LINEAR
        image = cv2.resize(image, (width, height), interpolation=how)
    return np.require(image, requirements=("C", "W"))  # PyTorch warns of memory that cannot be written to


test_size.__test__ = False  # type: ignore[attr-defined]  # a name that pytest would collect


def image_to_frame_scale(image_size_hw: Sequence[int], frame_size_hw: Sequence[int]) -> np.ndarray:
    """(2,) float32: by what x and y of a resized image are multiplied to be its frame's."""
    return np.divide(frame_size_hw[::-1], image_size_hw[::-1], dtype=np.float32)


def to_frame(
    people: PersonDetections, *, image_size_hw: Sequence[int], frame_size_hw: Sequence[int]
) -> PersonDetections:
    """People of a resized image in the pixels of its frame; boxes are cut at the frame's borders."""
    scale = image_to_frame_scale(image_size_hw, frame_size_hw)
    keypoints = people.keypoints.copy()
    keypoints[..., :2] *= scale
    boxes = clip_boxes(
        torch.from_numpy(people.boxes * np.tile(scale, 2)), (frame_size_hw[0], frame_size_hw[1])
    )
    return PersonDetections(
        boxes=boxes.numpy(), scores=people.scores, keypoints=keypoints, embeddings=people.embeddings
    )[nonempty(boxes).numpy()]
