"""Result files, one class a format, written as results come and in constant memory.

Each becomes ``NAME.partial`` at once and ``NAME`` when it is whole. Boxes and joints are in pixels of
the source as displayed, upright and square; see ``fastpose_mtn.structures`` for the conventions that a format does not change.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fastpose_mtn.data.coco.wholebody import PART_FIELDS
from fastpose_mtn.data.posetrack.file18 import PoseTrack18File
from fastpose_mtn.data.posetrack.records import posetrack18_image_id
from fastpose_mtn.files import JsonArray, PartialFile, compact_json
from fastpose_mtn.skeletons import COCO17, Skeleton
from fastpose_mtn.structures import TrackedPersons
from fastpose_mtn.video.frame import Frame
from fastpose_mtn.video.openpose import OpenPoseWriter


class ResultWriter(Protocol):
    """Takes a source's frames in order."""

    path: Path

    def write(self, frame: Frame, people: TrackedPersons) -> None:
        """Adds a frame, with or without people; ``frame.image`` may be None."""
        ...

    def close(self, complete: bool) -> None:
        """Ends the file: under its own name if ``complete``, else it stays as ``NAME.partial``."""
        ...


class JsonLinesWriter:
    """A header, then one line a frame, also where nobody is in it; ``docs/formats.md`` has the fields."""

    def __init__(self, path: Path, *, sequence: str, skeleton: Skeleton) -> None:
        self.path = path
        self._file = PartialFile(path)
        header = {
            "source": sequence,
            "skeleton": skeleton.name,
            "joints": skeleton.joints,
            "limbs": skeleton.limbs,
        }
        self._file.write(compact_json(header) + "\n")

    def write(self, frame: Frame, people: TrackedPersons) -> None:
        """Adds a frame's line of JSON; a frame that could not be decoded is marked ``skipped``."""
        record: dict[str, object] = {"frame": frame.index, "time": round(frame.time_s, 6)}
        if frame.file_name is not None:
            record["file_name"] = frame.file_name
        if frame.number != frame.index:
            record["number"] = frame.number
        if frame.image is None:
            record["skipped"] = True
        record["people"] = [
            {
                "track_id": int(people.track_ids[i]),
                "score": round(float(people.scores[i]), 5),
                "box": _rounded(people.boxes[i]),
                "joints": _rounded(people.keypoints[i, :, :2]),
                "confidences": _rounded(people.keypoints[i, :, 2], 5),
                **_mark(interpolated),
            }
            for i, interpolated in enumerate(_interpolated(people))
        ]
        self._file.write(compact_json(record) + "\n")

    def close(self, complete: bool) -> None:
        """Ends the file: under its own name if ``complete``, otherwise it stays as ``NAME.partial``."""
        self._file.finish() if complete else self._file.abandon()


class CsvWriter:
    """A heading, then one line a person and frame, for spreadsheets and data frames; frames without people add none."""

    def __init__(self, path: Path, *, sequence: str, skeleton: Skeleton) -> None:
        self.path = path
        self._file = PartialFile(path)
        self._rows = csv.writer(self._file, lineterminator="\n")  # a file's name may have commas
        joints = [f"{joint}_{value}" for joint in skeleton.joints for value in ("x", "y", "confidence")]
        self._rows.writerow(
            [
                *("frame", "number", "file_name", "time", "track_id", "score", "x1", "y1", "x2", "y2"),
                *joints,
                "interpolated",
            ]
        )

    def write(self, frame: Frame, people: TrackedPersons) -> None:
        """Adds a line for each person."""
        place = [frame.index, frame.number, frame.file_name, round(frame.time_s, 6)]
        for i, interpolated in enumerate(_interpolated(people)):
            person = [int(people.track_ids[i]), round(float(people.scores[i]), 5), *_rounded(people.boxes[i])]
            for x, y, confidence in people.keypoints[i].astype(np.float64).tolist():
                person += [round(x, 3), round(y, 3), round(confidence, 5)]
            self._rows.writerow([*place, *person, int(interpolated)])

    def close(self, complete: bool) -> None:
        """Ends the file: under its own name if ``complete``, otherwise it stays as ``NAME.partial``."""
        self._file.finish() if complete else self._file.abandon()


class MotChallengeWriter:
    """MOTChallenge's text: frame, id, left, top, width, height, score, -1, -1, -1.

    Frames count from 1; boxes are in the pixels of the other formats, as trackers commonly write them. The format has
    no place for a mark, so that interpolated people are left out.
    """

    def __init__(self, path: Path, *, sequence: str, skeleton: Skeleton) -> None:
        self.path = path
        self._file = PartialFile(path)

    def write(self, frame: Frame, people: TrackedPersons) -> None:
        """Adds a line for each person, with frames counted from 1; a frame without people adds none."""
        for track_id, (x1, y1, x2, y2), score, interpolated in zip(
            people.track_ids, people.boxes.tolist(), people.scores, _interpolated(people), strict=True
        ):
            if interpolated:
                continue
            self._file.write(
                f"{frame.index + 1},{track_id},{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f},{score:.5f},-1,-1,-1\n"
            )

    def close(self, complete: bool) -> None:
        """Ends the file: under its own name if ``complete``, otherwise it stays as ``NAME.partial``."""
        self._file.finish() if complete else self._file.abandon()


class _RecordList:
    """A JSON list in a file of its own, an element a line."""

    def __init__(self, path: Path) -> None:
        self._file = PartialFile(path)
        self._array = JsonArray(self._file.write)
        self._file.write("[")

    def append(self, record: dict[str, object]) -> None:
        self._array.append(record)

    def close(self, complete: bool) -> None:
        if complete:
            self._file.write("\n]\n")
            self._file.finish()
        else:
            self._file.abandon()


_WITH_COCO_STYLE_RESULTS = ("CROWDPOSE14", "HALPE26", "HALPE68", "HALPE136", "COCO_WHOLEBODY133")


class CocoResultsWriter:
    """COCO's list of results, as ``COCO.loadRes`` reads it, with a ``track_id`` and an image's ``file_name`` more.

    An image's id is its number (``000000000785.jpg`` is 785), PoseTrack's id for a sequence that has
    one, else the frame's index. COCO counts joints in pixel indices, so 0.5 is taken off. Skeletons of
    body joints are written as COCO's 17; what COCO lacks is dropped, what they lack is zero. Skeletons
    with their own COCO-style benchmark, CrowdPose's and Halpe's, are written as they are, and COCO-WholeBody's in its
    fields: feet, face and hands beside ``keypoints``.
    """

    def __init__(self, path: Path, *, sequence: str, skeleton: Skeleton) -> None:
        self.path = path
        self._records = _RecordList(path)
        self._sequence = sequence
        self._skeleton = skeleton
        self._target = skeleton if skeleton.name in _WITH_COCO_STYLE_RESULTS else COCO17
        self._fields: tuple[str, ...] = ("keypoints",)
        self._ends: np.ndarray = np.zeros(0, np.int64)
        if skeleton.name == "COCO_WHOLEBODY133":
            self._fields += tuple(field for field, _ in PART_FIELDS)
            self._ends = len(COCO17) + np.cumsum([0, *(count for _, count in PART_FIELDS[:-1])])

    def write(self, frame: Frame, people: TrackedPersons) -> None:
        """Adds a record for each person, with COCO's joints and coordinates; a frame without people adds none."""
        keypoints = _pixel_indices(self._skeleton.convert(people.keypoints, self._target))
        for i, interpolated in enumerate(_interpolated(people)):
            record: dict[str, object] = {
                "image_id": posetrack18_image_id(self._sequence, frame.number),
                "category_id": 1,
                "bbox": _xywh(people.boxes[i]),
                **{
                    field: _rounded(part.ravel())
                    for field, part in zip(self._fields, np.split(keypoints[i], self._ends), strict=True)
                },
                "score": round(float(people.scores[i]), 5),
                "track_id": int(people.track_ids[i]),
                **_mark(interpolated),
            }
            if frame.file_name is not None:
                record["file_name"] = frame.file_name
            self._records.append(record)

    def close(self, complete: bool) -> None:
        """Closes the array and gives the file its name if ``complete``; otherwise it stays ``NAME.partial``."""
        self._records.close(complete)


class AlphaPoseWriter:
    """The list of results that AlphaPose writes, a person an element, all K joints in the skeleton's own order.

    ``image_id`` is an image's file name, ``17.jpg`` for a video's frame 17; ``idx`` the track's id, a whole number
    always (there it is a list of floats unless people are tracked). ``score`` is on its scale, to 3.25: the joints'
    mean confidence, the person's score and 1.25 times the highest confidence of a joint.
    """

    def __init__(self, path: Path, *, sequence: str, skeleton: Skeleton) -> None:
        self.path = path
        self._records = _RecordList(path)

    def write(self, frame: Frame, people: TrackedPersons) -> None:
        """Adds an element for each person; a frame without people adds none, as the format has no place for it."""
        keypoints = _pixel_indices(people.keypoints)
        for i, interpolated in enumerate(_interpolated(people)):
            confidences = people.keypoints[i, :, 2].astype(np.float64)
            score = confidences.mean() + float(people.scores[i]) + 1.25 * confidences.max()
            self._records.append(
                {
                    "image_id": frame.file_name or f"{frame.index}.jpg",
                    "category_id": 1,
                    "keypoints": _rounded(keypoints[i].ravel()),
                    "score": round(score, 5),
                    "box": _xywh(people.boxes[i]),
                    "idx": int(people.track_ids[i]),
                    **_mark(interpolated),
                }
            )

    def close(self, complete: bool) -> None:
        """Closes the array and gives the file its name if ``complete``; otherwise it stays ``NAME.partial``."""
        self._records.close(complete)


class PoseTrack18Writer:
    """PoseTrack18's JSON, which poseval and ``python -m fastpose_mtn.evaluation`` read."""

    def __init__(self, path: Path, *, sequence: str, skeleton: Skeleton) -> None:
        self.path = path
        self._sequence = sequence
        self._skeleton = skeleton
        self._file = PoseTrack18File(path)

    def write(self, frame: Frame, people: TrackedPersons) -> None:
        """Adds a frame and its people, whose joints are converted to PoseTrack18's by name."""
        self._file.add_tracked(
            self._sequence, frame.number, frame.image_size_hw, people, self._skeleton, frame.file_name
        )

    def close(self, complete: bool) -> None:
        """Ends the file: under its own name if ``complete``, otherwise it stays as ``NAME.partial``."""
        self._file.finish() if complete else self._file.abandon()


# A format's name on the command line: its class, and the ending of its file or folder behind the source's name.
# Both PoseTrack's and COCO's are JSON; PoseTrack's has the plain ending, as evaluation looks for SEQUENCE.json.
FORMATS: dict[str, tuple[Callable[..., ResultWriter], str]] = {
    "posetrack": (PoseTrack18Writer, ".json"),
    "jsonl": (JsonLinesWriter, ".jsonl"),
    "csv": (CsvWriter, ".csv"),
    "mot": (MotChallengeWriter, ".txt"),
    "coco": (CocoResultsWriter, ".coco.json"),
    "alphapose": (AlphaPoseWriter, ".alphapose.json"),
    "openpose": (OpenPoseWriter, ".openpose"),
}


def open_writer(form: str, folder: Path, *, sequence: str, skeleton: Skeleton) -> ResultWriter:
    """The writer of ``folder/SEQUENCE`` in a format of ``FORMATS``.

    Args:
        form: a key of ``FORMATS``.
        folder: where the file goes; it exists.
        sequence: the source's name.
        skeleton: of the people that will be written.
    """
    writer, ending = FORMATS[form]
    return writer(folder / f"{sequence}{ending}", sequence=sequence, skeleton=skeleton)


def _interpolated(people: TrackedPersons) -> list[bool]:
    return [False] * len(people) if people.interpolated is None else people.interpolated.tolist()


def _mark(interpolated: bool) -> dict[str, bool]:
    """The field of a person who is interpolated; others have none."""
    return {"interpolated": True} if interpolated else {}


def _pixel_indices(keypoints: np.ndarray) -> np.ndarray:
    """(N, K, 3) joints as pixel indices, 0.5 less; joints that are left out stay zero."""
    shifted = keypoints.copy()
    shifted[keypoints.any(axis=2), :2] -= 0.5
    return shifted


def _xywh(box_xyxy: np.ndarray) -> list[float]:
    x1, y1, x2, y2 = box_xyxy.tolist()
    return _rounded(np.array([x1, y1, x2 - x1, y2 - y1]))


def _rounded(values: np.ndarray, digits: int = 3) -> list[Any]:
    """As Python numbers; float64 first, so that 0.1 is not written 0.10000000149."""
    return np.round(values.astype(np.float64), digits).tolist()
