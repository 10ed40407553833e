"""People of a frame as PoseTrack18's JSON holds them: its joints, its digits; as arrays, and as records of the file.

What is evaluated is what a file would say, with the same rounding, whether it is written or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fastpose_mtn.data.json_fields import JsonObject
from fastpose_mtn.data.posetrack.records import SLOT_OF_JOINT
from fastpose_mtn.data.posetrack.sequence import (
    NUM_JOINTS,
    POSETRACK18_SLOTS,
    PoseTrackFrame,
    PoseTrackSequence,
)
from fastpose_mtn.skeletons import POSETRACK15, Skeleton

if TYPE_CHECKING:  # it imports torch, which reading and evaluating files does without
    from fastpose_mtn.structures import TrackedPersons

_DIGITS_OF_PIXELS, _DIGITS_OF_SCORES = 3, 5


@dataclass(frozen=True, eq=False)
class PoseTrackPeople:
    """N people of one frame, rounded as in the file.

    Attributes:
        track_ids: (N,) int64.
        boxes_xywh: (N, 4) float64 pixels.
        joints: (N, 15, 3) float64 x, y in pixels and v: a label's visibility 0, 1 or 2; 1 of a predicted joint,
            all 0 where there is none.
        head_boxes_xywh: (N, 4) float64 pixels, the box that PCKh's scale is measured on; NaN for predictions.
        scores: (N,) float64 in [0, 1]; NaN for labels.
        joint_scores: (N, 15) float64 in [0, 1]; NaN for labels.
    """

    track_ids: np.ndarray
    boxes_xywh: np.ndarray
    joints: np.ndarray
    head_boxes_xywh: np.ndarray
    scores: np.ndarray
    joint_scores: np.ndarray

    @classmethod
    def labelled(
        cls,
        *,
        track_ids: np.ndarray,
        boxes_xyxy: np.ndarray,
        joints: np.ndarray,
        head_boxes_xyxy: np.ndarray,
    ) -> PoseTrackPeople:
        """Labels: boxes (N, 4), joints (N, 15, 3) x, y, v in ``POSETRACK15``'s order, head boxes (N, 4)."""
        return cls(
            track_ids=np.asarray(track_ids, np.int64),
            boxes_xywh=_rounded_xywh(boxes_xyxy),
            joints=_rounded(joints, _DIGITS_OF_PIXELS),
            head_boxes_xywh=_rounded_xywh(head_boxes_xyxy),
            scores=np.full(len(track_ids), np.nan),
            joint_scores=np.full((len(track_ids), NUM_JOINTS), np.nan),
        )

    @classmethod
    def predicted(cls, people: TrackedPersons, skeleton: Skeleton) -> PoseTrackPeople:
        """Tracked people, NumPy, joints in ``skeleton``'s order; a joint that it lacks is absent."""
        joints = np.asarray(skeleton.convert(people.keypoints, POSETRACK15), np.float64)
        there = joints[..., :2].any(axis=2, keepdims=True)
        return cls(
            track_ids=np.asarray(people.track_ids, np.int64),
            boxes_xywh=_rounded_xywh(people.boxes),
            joints=np.concatenate([_rounded(joints[..., :2], _DIGITS_OF_PIXELS), there], axis=2),
            head_boxes_xywh=np.full((len(people), 4), np.nan),
            scores=_rounded(people.scores, _DIGITS_OF_SCORES),
            joint_scores=_rounded(joints[..., 2], _DIGITS_OF_SCORES),
        )

    def __len__(self) -> int:
        return len(self.track_ids)

    def records(self, image_id: int, first_id: int) -> list[JsonObject]:
        """The entries of ``annotations``.

        Args:
            image_id: of the frame.
            first_id: of the first person's entry; the others count on.
        """
        slots = np.zeros((len(self), len(POSETRACK18_SLOTS), 3))
        slots[:, SLOT_OF_JOINT] = self.joints
        joint_scores = np.zeros((len(self), len(POSETRACK18_SLOTS)))
        joint_scores[:, SLOT_OF_JOINT] = self.joint_scores
        out = []
        for i in range(len(self)):
            record: JsonObject = {
                "id": first_id + i,
                "image_id": image_id,
                "track_id": int(self.track_ids[i]),
                "category_id": 1,
                "bbox": self.boxes_xywh[i].tolist(),
                "keypoints": slots[i].ravel().tolist(),
                "iscrowd": 0,
                "num_keypoints": int((slots[i, :, 2] > 0).sum()),
            }
            if not np.isnan(self.head_boxes_xywh[i]).any():
                record["bbox_head"] = self.head_boxes_xywh[i].tolist()
            is_label = bool(np.isnan(self.scores[i]))
            if not is_label:
                record["score"] = float(self.scores[i])
            record["scores"] = [] if is_label else joint_scores[i].tolist()
            out.append(record)
        return out


def sequence_of(
    name: str, frames: Sequence[PoseTrackFrame], people: Mapping[int, PoseTrackPeople]
) -> PoseTrackSequence:
    """The sequence of these frames and people, equal to what reading their file would give.

    Args:
        name: of the sequence.
        frames: in order.
        people: by the position of their frame in ``frames``, in rising order; frames without people may be absent.
    """
    parts = [_NOBODY, *people.values()]
    joints = np.concatenate([part.joints for part in parts])
    has_joint = np.asarray(joints.any(axis=2))
    joint_scores = np.concatenate([part.joint_scores for part in parts])
    return PoseTrackSequence(
        name=name,
        frames=tuple(frames),
        frame_index=np.repeat(np.array([0, *people], np.int64), [len(part) for part in parts]),
        track_ids=np.concatenate([part.track_ids for part in parts]),
        keypoints=np.ascontiguousarray(joints[..., :2]),
        has_joint=has_joint,
        visibility=np.where(has_joint, joints[..., 2], np.nan),
        joint_scores=np.where(has_joint, joint_scores, np.nan),
        head_boxes_xyxy=_corners(np.concatenate([part.head_boxes_xywh for part in parts])),
        boxes_xyxy=_corners(np.concatenate([part.boxes_xywh for part in parts])),
        scores=np.concatenate([part.scores for part in parts]),
        has_points=np.ones(len(joints), bool),
    )


def _rounded(values: np.ndarray, digits: int) -> np.ndarray:
    """In double precision, so that 0.1 is written 0.1 and not 0.10000000149."""
    return np.round(np.asarray(values, np.float64), digits)


def _rounded_xywh(boxes_xyxy: np.ndarray) -> np.ndarray:
    boxes = np.asarray(boxes_xyxy, np.float64)
    return _rounded(np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1), _DIGITS_OF_PIXELS)


def _corners(boxes_xywh: np.ndarray) -> np.ndarray:
    return np.concatenate([boxes_xywh[:, :2], boxes_xywh[:, :2] + boxes_xywh[:, 2:]], axis=1)


_NOBODY = PoseTrackPeople.labelled(
    track_ids=np.zeros(0), boxes_xyxy=np.zeros((0, 4)), joints=np.zeros((0, NUM_JOINTS, 3)), head_boxes_xyxy=np.zeros((0, 4))
)  # fmt: skip
