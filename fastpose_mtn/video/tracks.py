"""A container's video tracks: which is the film, how long it is, and how its frames are to be turned."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from typing import cast

import av
import numpy as np
from av.stream import Disposition


def main_track(container: av.container.InputContainer) -> av.VideoStream | None:
    """The video track that players choose; cover art and thumbnails are none."""
    tracks = [
        track
        for track in container.streams.video
        if track.codec_context
        and not track.disposition & (Disposition.attached_pic | Disposition.still_image)
    ]
    best = container.streams.best("video")
    return next(
        (track for track in tracks if best and track.index == best.index), tracks[0] if tracks else None
    )


def is_a_tile(track: av.VideoStream, tracks: Iterable[av.VideoStream]) -> bool:
    """Whether a track is a part of a photograph: others of its size are marked as of no use alone."""
    size_wh = track.width, track.height
    return any(
        other.index != track.index
        and other.disposition & Disposition.dependent
        and (other.width, other.height) == size_wh
        for other in tracks
    )


def length_of(container: av.container.InputContainer, track: av.VideoStream) -> float | None:
    """How long the track itself says that it is; sound may go on after the picture."""
    if track.duration and track.time_base:
        return float(track.duration * track.time_base)
    written = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", track.metadata.get("DURATION", ""))  # Matroska, WebM
    if written:
        hours, minutes, seconds = written.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    if container.duration and len(container.streams) == 1:
        return container.duration / av.time_base
    return None


def display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """ISO 14496-12's a, b, c, d: a pixel (x, y) is shown at (a x + c y, b x + d y); those of doing nothing without one.

    PyAV's ``rotation`` does not tell mirrored frames, as of selfies, from turned ones.
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(cast(bytes, data)))
    return a, b, c, d


def as_shown(image: np.ndarray, matrix: tuple[int, int, int, int]) -> np.ndarray:
    """An image (H, W, C) as players show it: upright and mirrored, by the nearest multiple of 90 degrees; contiguous."""
    a, b, c, d = matrix
    across, down = (a, d) if abs(a) >= abs(b) else (c, b)
    if abs(a) < abs(b):
        image = image.swapaxes(0, 1)
    return np.ascontiguousarray(image[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])
