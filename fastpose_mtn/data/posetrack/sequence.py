"""One annotated or predicted PoseTrack sequence as arrays, whichever JSON format it came from.

People are rows of flat arrays, in the order of the file's frames; ``people_of`` gives a frame's rows.
Joints are in the order of :data:`~fastpose_mtn.skeletons.POSETRACK15`. Coordinates are continuous
pixels in double precision: the evaluation compares distances with a threshold, and single precision
would move joints that lie exactly on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from fastpose_mtn.data.json_fields import JsonObject
from fastpose_mtn.skeletons import POSETRACK15

NUM_JOINTS = len(POSETRACK15)
NO_TRACK_ID = int(np.iinfo(np.int64).min)  # any number that a file may hold is a track id, -1 too

# PoseTrack17 numbers the joints like this; poseval's tables and the evaluation here keep that order.
POSETRACK17_JOINTS = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "right_wrist", "right_elbow",
    "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "head_bottom", "nose", "head_top",
)  # fmt: skip

# PoseTrack18 gives a joint 17 slots in COCO's order, the head's two ends in place of the eyes. No one labels the ears.
POSETRACK18_SLOTS = (*POSETRACK15.joints[:3], "left_ear", "right_ear", *POSETRACK15.joints[3:])


@dataclass(frozen=True, eq=False)
class PoseTrackFrame:
    """What is known of one frame besides its people.

    Attributes:
        name: the image's file name as the file gives it, or "".
        image_id: PoseTrack18's id of the image, None where the file has none.
        size_hw: height and width in pixels, None where the file does not say.
        is_labeled: the file's own flag; a file without it is taken to label the frames with people.
        ignore_regions: polygons, each (M, 2) float64 x, y in pixels.
        extra: other fields of the frame, as read, for writing the file again.
    """

    name: str
    image_id: Any = None
    size_hw: tuple[float, float] | None = None
    is_labeled: bool = True
    ignore_regions: tuple[np.ndarray, ...] = ()
    extra: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class PoseTrackSequence:
    """F frames with P people in all.

    Attributes:
        name: the file's name up to its first dot, as poseval names sequences.
        path: the file, for messages; "" for a sequence made in memory.
        frames: the F frames.
        frame_index: (P,) int64, the position of each person's frame in ``frames``, never decreasing.
        track_ids: (P,) int64, ``NO_TRACK_ID`` where the file has none.
        keypoints: (P, 15, 2) float64 x, y in pixels, 0 where a joint is absent.
        has_joint: (P, 15) bool.
        visibility: (P, 15) float64, the file's own number, NaN where it has none.
        joint_scores: (P, 15) float64, NaN where the file has none.
        head_boxes_xyxy: (P, 4) float64 pixels, NaN where the file has none; corners as given, in any order.
        boxes_xyxy: (P, 4) float64 pixels, NaN where the file has none.
        scores: (P,) float64, NaN where the file has none.
        has_points: (P,) bool, false for a person of a PoseTrack17 file without a list of points, which
            poseval drops, while it keeps a person whose list is empty.
        person_extra: other fields of each person, as read; () when they were not kept.
        extra: other fields of the file, as read.

    Raises:
        ValueError: a field has a wrong shape or dtype, or the people are not in the order of the frames.
    """

    name: str
    frames: tuple[PoseTrackFrame, ...]
    frame_index: np.ndarray
    track_ids: np.ndarray
    keypoints: np.ndarray
    has_joint: np.ndarray
    visibility: np.ndarray
    joint_scores: np.ndarray
    head_boxes_xyxy: np.ndarray
    boxes_xyxy: np.ndarray
    scores: np.ndarray
    has_points: np.ndarray
    path: str = ""
    person_extra: tuple[JsonObject, ...] = ()
    extra: JsonObject = field(default_factory=dict)

    def __post_init__(self) -> None:
        people = len(self.frame_index)
        for name, dtype, shape in (
            ("frame_index", np.int64, ()),
            ("track_ids", np.int64, ()),
            ("keypoints", np.float64, (NUM_JOINTS, 2)),
            ("has_joint", np.bool_, (NUM_JOINTS,)),
            ("visibility", np.float64, (NUM_JOINTS,)),
            ("joint_scores", np.float64, (NUM_JOINTS,)),
            ("head_boxes_xyxy", np.float64, (4,)),
            ("boxes_xyxy", np.float64, (4,)),
            ("scores", np.float64, ()),
            ("has_points", np.bool_, ()),
        ):
            value = getattr(self, name)
            if value.shape != (people, *shape) or value.dtype != dtype:
                raise ValueError(
                    f"PoseTrackSequence.{name}: expected {(people, *shape)} {np.dtype(dtype)}, "
                    f"got {value.shape} {value.dtype}"
                )
        if people and (
            np.any(np.diff(self.frame_index) < 0)
            or not 0 <= self.frame_index[0] <= self.frame_index[-1] < len(self.frames)
        ):
            raise ValueError(
                "PoseTrackSequence.frame_index: expected indices of frames that never decrease, "
                f"got {self.frame_index.min()} to {self.frame_index.max()} for {len(self.frames)} frames"
            )

    def __len__(self) -> int:
        """The number of frames."""
        return len(self.frames)

    @cached_property
    def _first_person(self) -> np.ndarray:
        return np.searchsorted(self.frame_index, np.arange(len(self.frames) + 1))

    def people_of(self, frame: int) -> slice:
        """The rows of the people of a frame."""
        first = self._first_person
        return slice(int(first[frame]), int(first[frame + 1]))

    def at_frames(self, frames: np.ndarray) -> PoseTrackSequence:
        """The sequence of some of the frames, (L,) int64 positions that increase, and their people."""
        position = np.full(len(self), -1, np.int64)
        position[frames] = np.arange(len(frames))
        frame_index = position[self.frame_index]
        kept = np.flatnonzero(frame_index >= 0)
        arrays = {
            name: value[kept]
            for name, value in vars(self).items()
            if isinstance(value, np.ndarray) and name[0] != "_"
        }
        return replace(
            self,
            **{**arrays, "frame_index": frame_index[kept]},
            frames=tuple(self.frames[i] for i in frames),
            person_extra=tuple(self.person_extra[i] for i in kept) if self.person_extra else (),
        )

    @property
    def people_per_frame(self) -> np.ndarray:
        """(F,) int64."""
        return np.diff(self._first_person)

    def place(self, person: int) -> str:
        """Words for a message: where a person is."""
        frame = int(self.frame_index[person])
        return f"{frame_place(self, frame)}, person {person - self.people_of(frame).start}"


def frame_place(sequence: PoseTrackSequence, frame: int) -> str:
    """Words for a message: which frame of which file."""
    return describe_frame(sequence.path, sequence.name, frame, sequence.frames[frame].name)


def describe_frame(path: str, sequence: str, frame: int, image: str = "") -> str:
    """``FILE: sequence NAME, frame 3 (IMAGE)``, frames counted from 0."""
    where = f"{path}: " if path else ""
    return f"{where}sequence {sequence}, frame {frame}" + (f" ({image})" if image else "")
