"""OpenPose's results: a folder with one JSON file a frame, of frames without people too."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastpose_mtn.errors import InputError
from fastpose_mtn.files import PartialFolder, compact_json
from fastpose_mtn.skeletons import HALPE136, Skeleton
from fastpose_mtn.structures import TrackedPersons
from fastpose_mtn.video.frame import Frame

_ENDING = "_keypoints.json"
_ARMS = ("right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist")
_LEGS = ("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle")
_HEAD = ("right_eye", "left_eye", "right_ear", "left_ear")
_FEET = tuple(f"{side}_{joint}" for side in ("left", "right") for joint in ("big_toe", "small_toe", "heel"))
# OpenPose's neck lies between the shoulders. Joints that others call so lie under the chin (or are the head itself), so
# it is always made of the shoulders.
_NECK, _MID_HIP = "between the shoulders", "between the hips"
COCO18 = ("nose", _NECK, *_ARMS, *_LEGS, *_HEAD)
BODY25 = ("nose", _NECK, *_ARMS, _MID_HIP, *_LEGS, *_HEAD, *_FEET)
_FACE = tuple(joint for joint in HALPE136.joints if joint.startswith("face_"))
_HANDS = {
    side: tuple(HALPE136.joints[i] for i in HALPE136.parts["hands"] if HALPE136.joints[i].startswith(side))
    for side in ("left", "right")
}
_PUPILS = 2  # behind the 68 points of the face; no skeleton here has them


class OpenPoseWriter:
    """``NAME.openpose/NAME_000000000017_keypoints.json``, or ``anna_keypoints.json`` of an image ``anna.png``.

    Until all frames are there the folder is called ``NAME.openpose.partial``; one from an earlier run stays until then.

    Args:
        path: of the folder.
        sequence: the source's name.
        skeleton: of the people. One with feet is written as BODY_25, others as COCO's 18.

    Raises:
        InputError: ``path`` is there and holds something else than such files.
    """

    def __init__(self, path: Path, *, sequence: str, skeleton: Skeleton) -> None:
        strange = (
            next((f for f in path.iterdir() if not f.name.endswith(_ENDING)), None) if path.is_dir() else path
        )
        if path.exists() and strange is not None:
            raise InputError(
                f"--formats openpose: {path} would be replaced, but {strange.name} is no file of OpenPose's; remove it or "
                f"choose another folder with --output"
            )
        self.path, self._sequence, self._skeleton = path, sequence, skeleton
        self._body = BODY25 if skeleton.parts["foot"] else COCO18
        self._folder = PartialFolder(path, replaces=True)

    def write(self, frame: Frame, people: TrackedPersons) -> None:
        """Writes the frame's file."""
        record = {
            "version": 1.3,
            "people": [
                {
                    "person_id": [int(track_id)],
                    "pose_keypoints_2d": self._flat(joints, self._body),
                    "face_keypoints_2d": self._flat(joints, _FACE, more=_PUPILS),
                    "hand_left_keypoints_2d": self._flat(joints, _HANDS["left"]),
                    "hand_right_keypoints_2d": self._flat(joints, _HANDS["right"]),
                }
                for i, (track_id, joints) in enumerate(
                    zip(people.track_ids.tolist(), people.keypoints, strict=True)
                )
                if people.interpolated is None
                or not people.interpolated[i]  # the format has no place for a mark
            ],
        }
        name = f"{self._sequence}_{frame.index:012d}"
        if frame.file_name is not None:
            name = Path(frame.file_name).stem
            if (self._folder.partial_path / f"{name}{_ENDING}").exists():  # anna.png beside anna.jpg
                name = frame.file_name
        (self._folder.partial_path / f"{name}{_ENDING}").write_text(
            compact_json(record) + "\n", encoding="utf-8"
        )

    def close(self, complete: bool) -> None:
        """Gives the folder its name if ``complete``; otherwise it stays as ``NAME.openpose.partial``."""
        self._folder.close(complete)

    def _flat(self, joints: np.ndarray, names: tuple[str, ...], more: int = 0) -> list[float]:
        """x, y, confidence of joints by name, zeros for those that are not there; [] where none of them can be.

        Args:
            joints: (K, 3) of one person.
            names: joints, or places between two.
            more: joints that nobody here has, which follow as zeros.
        """
        if not any(map(self._skeleton.has, names)):
            return []
        rows = [self._joint(joints, name) for name in names]
        flat: list[float] = np.round(np.stack(rows).astype(np.float64), 4).ravel().tolist()
        return flat + [0.0] * (3 * more)

    def _joint(self, joints: np.ndarray, name: str) -> np.ndarray:
        if name == _NECK:
            return _middle(self._joint(joints, "left_shoulder"), self._joint(joints, "right_shoulder"))
        if name == _MID_HIP:
            pelvis = self._joint(joints, "pelvis")
            hips = _middle(self._joint(joints, "left_hip"), self._joint(joints, "right_hip"))
            return pelvis if pelvis[2] > 0 else hips
        return joints[self._skeleton.index(name)] if self._skeleton.has(name) else np.zeros(3, joints.dtype)


def _middle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The point between two joints (3,), as sure as the less sure one; zeros unless both are there."""
    if min(a[2], b[2]) <= 0:
        return np.zeros_like(a)
    return np.array([*(a[:2] + b[:2]) / 2, min(a[2], b[2])], a.dtype)
