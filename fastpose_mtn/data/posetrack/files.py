"""Reads and writes PoseTrack's JSON files, of 2017 and of 2018, and so converts either way."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from fastpose_mtn.data.json_fields import collection_paused, load_json, wrong
from fastpose_mtn.data.posetrack.file18 import PoseTrack18File
from fastpose_mtn.data.posetrack.posetrack17 import parse_posetrack17
from fastpose_mtn.data.posetrack.posetrack18 import parse_posetrack18
from fastpose_mtn.data.posetrack.sequence import PoseTrackSequence
from fastpose_mtn.data.posetrack.writing import posetrack17_records, posetrack18_fields, posetrack18_frames
from fastpose_mtn.files import write_text

Year = Literal[2017, 2018]


class PoseTrackWarning(UserWarning):
    """Something odd in a file, which does not stop reading it."""


def read_posetrack(
    path: str | os.PathLike[str],
    *,
    warn: Callable[[str], None] | None = None,
    keep_extra: bool = False,
) -> PoseTrackSequence:
    """A sequence from a JSON file in PoseTrack17's or PoseTrack18's format.

    Args:
        path: the file; its name up to the first dot is the sequence's name.
        warn: takes one line of text for each oddity; by default a :class:`PoseTrackWarning`.
        keep_extra: keep the fields that the sequence has no place for, so that writing it loses nothing.

    Raises:
        InputError: the file is no such JSON; the text names file, sequence, frame and field.
        OSError: the file cannot be read.
    """
    # To the end, not only while JSON is read: a collection afterwards would go over all that is about to be freed.
    with collection_paused():
        return _read(Path(path), warn or _warn, keep_extra)


def _read(path: Path, warn: Callable[[str], None], keep_extra: bool) -> PoseTrackSequence:
    data = load_json(path)
    name = sequence_name(path)
    if not isinstance(data, dict) or not ("annolist" in data or "images" in data):
        wrong(
            f"{path}: sequence {name}",
            'an object with "images" (PoseTrack18) or "annolist" (PoseTrack17)',
            data,
        )
    parse = parse_posetrack17 if "annolist" in data else parse_posetrack18
    return parse(data, path=str(path), name=name, warn=warn, keep_extra=keep_extra)


def write_posetrack(path: str | os.PathLike[str], sequence: PoseTrackSequence, year: Year = 2018) -> None:
    """Writes a sequence, whole or not at all; read with ``keep_extra``, a file survives conversion and conversion back.

    What either format lacks (PoseTrack17 a person's box, ids and sizes of images; PoseTrack18 a frame's
    number) stands in fields of its own, which poseval does not look at.

    Raises:
        ValueError: the year is not 2017 or 2018.
        OSError: the file cannot be written.
    """
    if year not in (2017, 2018):
        raise ValueError(f"year: expected 2017 or 2018, got {year!r}")
    if year == 2017:
        write_text(Path(path), json.dumps(posetrack17_records(sequence)))
        return
    with PoseTrack18File(Path(path), posetrack18_fields(sequence)) as file:
        for image, people in posetrack18_frames(sequence):
            file.add(image, people)


def sequence_name(path: Path) -> str:
    """The file's name up to its first dot, as poseval names a sequence."""
    return path.name.split(".")[0]


def _warn(text: str) -> None:
    warnings.warn(text, PoseTrackWarning, stacklevel=5)
