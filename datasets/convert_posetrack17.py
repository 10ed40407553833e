"""PoseTrack17's JSON (``annolist``) to PoseTrack18's: ``python datasets/convert_posetrack17.py``.

Every ``annotations/SPLIT/NAME.json`` becomes ``posetrack18_annotations/SPLIT/NAME.json``, ignore regions, track ids
and head boxes included. What PoseTrack17 knows and PoseTrack18's numbers cannot say is written as COCO would: a joint
that is labelled and not visible has v = 1, one that is visible 2. A person without joints becomes an ignored box
around the head. Sizes of images are taken from the images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fastpose_mtn.data.conversion import parse_conversion
from fastpose_mtn.data.image_file import image_size_wh
from fastpose_mtn.data.posetrack.files import read_posetrack, write_posetrack
from fastpose_mtn.data.posetrack.sequence import PoseTrackFrame, PoseTrackSequence
from fastpose_mtn.errors import InputError, exit_on_error

SPLITS = ("train", "val")


def convert_posetrack17(root: Path, *, skip_missing: bool = False) -> list[tuple[Path, str]]:
    """Writes ``root/posetrack18_annotations/SPLIT/NAME.json`` for every sequence of both splits.

    Args:
        root: the folder that the frames' names, ``images/...``, start from, with ``annotations/train`` and ``val``.
        skip_missing: leave sizes out where images cannot be read, instead of refusing.

    Returns:
        The folders, and what is in each in words.

    Raises:
        InputError: there is no sequence, one cannot be read, or images are missing; names file and frame.
    """
    out = []
    for split in SPLITS:
        files = sorted((root / "annotations" / split).glob("*.json"))
        if not files:
            continue
        folder = root / "posetrack18_annotations" / split
        folder.mkdir(parents=True, exist_ok=True)
        frames = people = 0
        oddities: list[str] = []
        for path in files:
            sequence = read_posetrack(path, warn=oddities.append)
            sized = tuple(_with_size(frame, root, skip_missing) for frame in sequence.frames)
            write_posetrack(folder / path.name, for_training(replace(sequence, frames=sized)))
            frames, people = frames + len(sequence), people + len(sequence.track_ids)
        summary = f"{len(files)} sequences, {frames} frames, {people} people"
        out.append((folder, "\n  ".join([summary, *oddities])))
    if not out:
        raise InputError(f"{root}: expected annotations/train/*.json or annotations/val/*.json")
    return out


def for_training(sequence: PoseTrackSequence) -> PoseTrackSequence:
    """The same sequence with COCO's visibilities, and with the head's box for people without joints."""
    visible = np.where(sequence.visibility == 0, 1.0, 2.0)
    unplaced = ~sequence.has_joint.any(axis=1) & np.isnan(sequence.boxes_xyxy).any(axis=1)
    x1, y1, x2, y2 = sequence.head_boxes_xyxy.T  # corners come in any order
    heads = np.stack([np.minimum(x1, x2), np.minimum(y1, y2), np.maximum(x1, x2), np.maximum(y1, y2)], axis=1)
    return replace(
        sequence,
        visibility=np.where(sequence.has_joint, visible, 0.0),
        boxes_xyxy=np.where(unplaced[:, None], heads, sequence.boxes_xyxy),
    )


def _with_size(frame: PoseTrackFrame, root: Path, skip_missing: bool) -> PoseTrackFrame:
    try:
        width, height = image_size_wh(root / frame.name)
    except InputError as error:
        if skip_missing:
            return frame
        raise InputError(f"{error}; --skip-missing converts without it") from None
    return replace(frame, size_hw=(height, width))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with exit_on_error():
        asked = parse_conversion(
            arguments, name="posetrack17", description=__doc__, skips="convert although images cannot be read"
        )
        for path, summary in convert_posetrack17(asked.root, skip_missing=asked.skip_missing):
            print(f"{path}: {summary}")


if __name__ == "__main__":
    main()
