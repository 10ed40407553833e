"""The seams: what estimators, detectors and trackers promise one another.

Whoever keeps one of these promises can take the place of what is here; nothing downstream changes.
``system_protocols.py`` has those of systems and their networks, ``data/dataset.py`` the one of datasets, ``PoseDataset``,
which speaks of labelled images and sequences. ``registry.py`` gives systems and trackers the names that configurations use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import PersonDetections, TrackedPersons

if TYPE_CHECKING:
    from fastpose_mtn.config import CfgNode


class PersonDetector(Protocol):
    """Maps frames to the boxes of the people in each; any ``PoseEstimator`` is one."""

    def estimate(self, frames: Sequence[np.ndarray], min_score: float = 0.0) -> list[PersonDetections]:
        """The people of each frame, best first, in its pixels, as NumPy arrays.

        Args:
            frames: RGB uint8 images (H, W, 3), each of any size.
            min_score: people whose score would be lower may be left out, before their joints are located: which saves
                time. The others are the same.
        """
        ...


class PoseEstimator(PersonDetector, Protocol):
    """Maps frames to the people in each, with their keypoints.

    Attributes:
        skeleton: what the K keypoints of its people are.
    """

    skeleton: Skeleton

    @property
    def embedding_dim(self) -> int | None:
        """Numbers of an identity vector; None: its people have none."""
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


@runtime_checkable
class GivenPersonEstimator(Protocol):
    """What a pose estimator is besides, where it can locate the keypoints of people that are given."""

    def estimate_given(
        self, frame: np.ndarray, boxes_xyxy: np.ndarray, scores: np.ndarray
    ) -> PersonDetections:
        """The people of these boxes, in their order, none left out.

        Args:
            frame: RGB uint8 image (H, W, 3).
            boxes_xyxy: (N, 4) in the frame's pixels.
            scores: (N,) of the boxes, in [0, 1].
        """
        ...


@dataclass(frozen=True)
class FrameName:
    """What files call a frame.

    Attributes:
        index: its place in its source, from 0.
        number: see ``video.frame.Frame``; of a dataset's image its ``image_id``.
        file_name: of the image file that it is, without its folder; None for a video's frame.
        source: the name of its video or folder, as results are called; None where it is not known.
    """

    index: int
    number: int
    file_name: str | None
    source: str | None = None


@runtime_checkable
class NamedFrameEstimator(Protocol):
    """What a pose estimator or a detector is besides, where it may need to know which frames it sees: of boxes in a file."""

    def estimate_named(
        self, frames: Sequence[np.ndarray], names: Sequence[FrameName], min_score: float = 0.0
    ) -> list[PersonDetections]:
        """The people of each frame; see ``PersonDetector.estimate``.

        Args:
            frames: RGB uint8 images (H, W, 3), each of any size.
            names: of each.
            min_score: see there.
        """
        ...


@runtime_checkable
class ConcurrentEstimator(Protocol):
    """What a pose estimator is besides, where one thread may ask it while it still answers another."""

    @property
    def batches_at_once(self) -> int:
        """Batches that it likes to have under way together, so that no core idles between two of them; from 1."""
        ...


def batches_at_once(estimator: PersonDetector) -> int:
    """Batches that an estimator may be given at once; 1 where it says nothing."""
    return estimator.batches_at_once if isinstance(estimator, ConcurrentEstimator) else 1


def estimate_frames(
    estimator: PersonDetector | NamedFrameEstimator,
    frames: Sequence[np.ndarray],
    names: Sequence[FrameName],
    min_score: float = 0.0,
) -> list[PersonDetections]:
    """The people of each frame, which whoever needs to is told the name of; arguments as of ``estimate_named``."""
    if isinstance(estimator, NamedFrameEstimator):
        return estimator.estimate_named(frames, names, min_score)
    return estimator.estimate(frames, min_score)


class Tracker(Protocol):
    """Maps one frame's people to people with identities over time.

    Attributes:
        scene_cut: whether the last frame began another scene; False where nobody looks for that.
    """

    scene_cut: bool

    def update(
        self,
        detections: PersonDetections,
        time_s: float,
        frame: np.ndarray | None = None,
        *,
        scene_cut: bool | None = None,
    ) -> TrackedPersons:
        """The people of this frame that belong to a track.

        Args:
            detections: people of the frame, NumPy.
            time_s: the frame's time in seconds of video, not before that of the last call.
            frame: RGB uint8 image (H, W, 3), for trackers that look at pixels; None: it is not at hand.
            scene_cut: whether the frame begins another scene, where that is known; None: the frame tells.
        """
        ...

    def reset(self) -> None:
        """Forgets every track; ids begin again."""
        ...


@runtime_checkable
class VisualTracker(Protocol):
    """What a tracker is besides, where it may be unable to follow people without the frames' pixels.

    Attributes:
        needs_frames: whether ``update`` needs ``frame``; who does not have it at hand reads it again.
    """

    @property
    def needs_frames(self) -> bool:
        """See above."""
        ...


def needs_frames(tracker: Tracker) -> bool:
    """Whether a tracker cannot do without the frames' pixels."""
    return isinstance(tracker, VisualTracker) and tracker.needs_frames


@runtime_checkable
class SelectiveTracker(Protocol):
    """What a tracker is besides, where it looks at nobody below a score: their joints need not be located.

    Attributes:
        min_score: that score, in [0, 1].
    """

    @property
    def min_score(self) -> float:
        """See above."""
        ...


def least_score(tracker: Tracker) -> float:
    """Score below which a tracker looks at nobody; 0: it may look at everyone."""
    return tracker.min_score if isinstance(tracker, SelectiveTracker) else 0.0


# Makes a tracker without tracks from the keys of TRACKER, for people of MODEL.SKELETON.
TrackerFactory = Callable[["CfgNode"], Tracker]
