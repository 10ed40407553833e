"""PoseTrack18's files, one a sequence, as the labelled sequences of a dataset that has been read from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fastpose_mtn.data.dataset import LabelledSequence
from fastpose_mtn.data.json_fields import JsonObject, load_json
from fastpose_mtn.data.labels.values import identifier
from fastpose_mtn.data.posetrack.files import sequence_name
from fastpose_mtn.data.posetrack.posetrack18 import parse_posetrack18
from fastpose_mtn.data.posetrack.sequence import PoseTrackFrame
from fastpose_mtn.errors import InputError


def sequences_in_files(
    files: Sequence[Path],
    folder: Path,
    index_of: Mapping[Path, int],
    *,
    people: tuple[str, ...],
    warn: Callable[[str], None],
    frame_rate: float,
) -> list[LabelledSequence]:
    """One sequence a file.

    Args:
        files: PoseTrack18's JSON, one sequence in each.
        folder: that ``file_name`` starts from.
        index_of: of each image's path its index in the dataset.
        people: the categories that are people's, see ``LabelRules``.
        warn: takes one line of text for each oddity of a file.
        frame_rate: frames a second.

    Raises:
        InputError: a file holds something else than one sequence; names the file.
    """
    sequences: dict[str, LabelledSequence] = {}
    for path in files:
        data, name = load_json(path), sequence_name(path)
        truth = parse_posetrack18(data, path=str(path), name=name, warn=warn, people=people)
        records = {identifier(image["id"]): image for image in data["images"]}
        if len(truth) != len(records):
            raise InputError(f"{path}: expected one sequence a file, got images of several folders")
        if name in sequences:
            raise InputError(f"{path}: expected a sequence of its own, got {name} in another file too")
        sequences[name] = LabelledSequence(
            name=name,
            images=tuple(_image(records[frame.image_id], frame, k) for k, frame in enumerate(truth.frames)),
            indices=tuple(index_of.get(folder / frame.name, -1) for frame in truth.frames),
            times_s=tuple(number / frame_rate for number in range(len(truth))),
            truth=truth,
        )
    return list(sequences.values())


def _image(record: Mapping[str, Any], frame: PoseTrackFrame, position: int) -> JsonObject:
    """The record as results are written with it: by a number, and with slashes."""
    number = frame.image_id if isinstance(frame.image_id, int) else position
    return {**record, "id": number, "file_name": frame.name}
