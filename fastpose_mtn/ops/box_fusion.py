"""Boxes that several detectors found in one frame, as one detector's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torchvision.ops import nms


def merge_boxes(
    boxes_xyxy: Sequence[np.ndarray], scores: Sequence[np.ndarray], *, threshold: float = 0.6
) -> np.ndarray:
    """Which boxes stay, as (M,) int64 numbers in all detectors' boxes one after the other, best first.

    Greedy non-maximum suppression over all of them (MDPN, Guo et al. 2018, section 2.2: at 0.6).

    Args:
        boxes_xyxy: (N, 4) of each detector, pixels.
        scores: (N,) of each.
        threshold: overlap above which of two boxes the better one stays.
    """
    everyone = np.concatenate([np.zeros((0, 4), np.float32), *boxes_xyxy]).astype(np.float32)
    every = np.concatenate([np.zeros(0, np.float32), *scores]).astype(np.float32)
    return nms(torch.from_numpy(everyone), torch.from_numpy(every), threshold).numpy()
