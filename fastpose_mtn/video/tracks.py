"""A container's video tracks: which is the film, and how long it is."""

from __future__ import annotations

import re
from collections.abc import Iterable

import av
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
