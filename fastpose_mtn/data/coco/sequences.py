"""PoseTrack18's files, one a sequence, as the labelled sequences of a dataset that has been read from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fastpose_mtn.data.dataset import LabelledSequence
from fastpose_mtn.data.json_fields import load_json
from fastpose_mtn.data.posetrack.files import sequence_name
from fastpose_mtn.data.posetrack.posetrack18 import parse_posetrack18
from fastpose_mtn.errors import InputError


def sequences_in_files(
    files: Sequence[Path],
    folder: Path,
    index_of: Mapping[Path, int],
    *,
    warn: Callable[[str], None],
    frame_rate: float,
) -> list[LabelledSequence]:
    """One sequence a file.

    Args:
        files: PoseTrack18's JSON, one sequence in each.
        folder: that ``file_name`` starts from.
        index_of: of each image's path its index in the dataset.
        warn: takes one line of text for each oddity of a file.
        frame_rate: frames a second.

    Raises:
        InputError: a file holds something else than one sequence; names the file.
    """
    sequences: dict[str, LabelledSequence] = {}
    for path in files:
        data, name = load_json(path), sequence_name(path)
        images = data["images"]  # a list of objects: the dataset has been read from it
        truth = parse_posetrack18(data, path=str(path), name=name, warn=warn)
        if len(truth) != len(images):
            raise InputError(f"{path}: expected one sequence a file, got images of several folders")
        if name in sequences:
            raise InputError(f"{path}: expected a sequence of its own, got {name} in another file too")
        sequences[name] = LabelledSequence(
            name=name,
            images=tuple(images),
            indices=tuple(index_of.get(folder / image["file_name"], -1) for image in images),
            times_s=tuple(number / frame_rate for number in range(len(images))),
            truth=truth,
        )
    return list(sequences.values())
