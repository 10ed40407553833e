"""The two seams through which other pose estimators and trackers enter (nothing downstream changes)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import PersonDetections, TrackedPersons


class PoseEstimator(Protocol):
    """Maps frames to the people in each."""

    skeleton: Skeleton

    def estimate(self, frames: Sequence[np.ndarray]) -> list[PersonDetections]:
        """The people of each frame, in its pixels, as NumPy arrays.

        Args:
            frames: RGB uint8 images (H, W, 3), each of any size.
        """
        ...


@runtime_checkable
class PersonDescriber(Protocol):
    """What a pose estimator is besides, where it can describe people that are given: person search needs it."""

    @property
    def embedding_dim(self) -> int | None:
        """Numbers of an identity vector; None: the network has none."""
        ...

    def describe(self, frame: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Identity vectors (N, E) of given people.

        Args:
            frame: RGB uint8 image (H, W, 3).
            boxes_xyxy: (N, 4) in the frame's pixels.
        """
        ...


class Tracker(Protocol):
    """Maps one frame's people to people with identities over time."""

    def update(self, detections: PersonDetections, time_s: float) -> TrackedPersons:
        """The people of this frame that belong to a track.

        Args:
            detections: people of the frame, NumPy.
            time_s: the frame's time in seconds of video, not before that of the last call.
        """
        ...

    def reset(self) -> None:
        """Forgets every track; ids begin again."""
        ...
