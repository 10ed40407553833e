"""Tracks saved detections again, without the network, and writes what ``track_video.py`` would."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from fastpose_mtn.cli import InputError
from fastpose_mtn.data.posetrack import posetrack18_category, predicted_frame_records
from fastpose_mtn.protocols import Tracker
from fastpose_mtn.structures import TrackedPersons
from fastpose_mtn.tracking.detections_file import ENDING, SavedDetections, SavedFrame


def find_saved(place: Path) -> list[Path]:
    """The saved detections that a path names: one file, or those of a folder by name.

    Raises:
        InputError: there are none.
    """
    if not place.is_dir():
        return [place]
    files = sorted(place.glob(f"*{ENDING}"))
    if not files:
        raise InputError(
            f"{place}: expected saved detections, files NAME{ENDING}, found none; "
            f"track_video.py --save-detections writes them"
        )
    return files


def track_saved(saved: SavedDetections, tracker: Tracker) -> Iterator[tuple[SavedFrame, TrackedPersons]]:
    """Each frame with its people's identities, as the tracker finds them from the start of the video."""
    tracker.reset()
    for frame in saved:
        yield frame, tracker.update(frame.detections, frame.time_s)


def write_tracks(path: Path, saved: SavedDetections, tracker: Tracker) -> tuple[int, int]:
    """Writes one video's tracks as PoseTrack18 JSON; the file is whole or not there.

    Args:
        path: ``FOLDER/NAME.json``; NAME is the sequence.

    Returns:
        How many people, and how many tracks.
    """
    images, annotations = [], []
    for frame, people in track_saved(saved, tracker):
        image, found = predicted_frame_records(
            sequence=path.stem,
            frame=frame.number,
            size_hw=frame.image_size_hw,
            people=people,
            skeleton=saved.skeleton,
        )
        images.append(image)
        annotations += found
    document = {"images": images, "annotations": annotations, "categories": [posetrack18_category()]}
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(document, separators=(",", ":")) + "\n")
    os.replace(partial, path)
    return len(annotations), len({record["track_id"] for record in annotations})
