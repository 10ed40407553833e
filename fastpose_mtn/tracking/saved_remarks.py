"""What is odd about saved detections that can be tracked all the same, for a line each on the terminal."""

from __future__ import annotations

import numpy as np

from fastpose_mtn.tracking.detections_file import SavedDetections


def remarks(saved: SavedDetections, most_seconds: float) -> list[str]:
    """What is to be told of a video's detections.

    Args:
        saved: of one video.
        most_seconds: frames further apart are a break in the video, ``TRACKER.MAX_FRAME_SECONDS``.
    """
    found = [_of_time(saved, most_seconds), _of_places(saved), _of_embeddings(saved)]
    return [text for text in found if text is not None]


def _of_time(saved: SavedDetections, most_seconds: float) -> str | None:
    """Time that jumps, or stands still. Unrelated photographs have none."""
    steps = np.diff([frame.time_s for frame in saved])
    if saved.independent or not len(steps):
        return None
    if not steps.any():
        return f"times_s: all {len(saved)} frames are at {saved.frames[0].time_s:g} s, as if nobody had time to move"
    if not (jumps := np.flatnonzero(steps > most_seconds)).size:
        return None
    first = int(jumps[0])
    place = f"{steps[first]:g} s after frame {saved.frames[first].number}"
    if len(jumps) == len(steps):
        return (
            f"times_s: every frame is more than {most_seconds:g} s (TRACKER.MAX_FRAME_SECONDS) after the one before, the "
            f"second one {place}, so that hardly anybody can be followed; are these seconds?"
        )
    return (
        f"times_s: the video breaks off where frames are more than {most_seconds:g} s (TRACKER.MAX_FRAME_SECONDS) apart, "
        f"{len(jumps)} times, first {place}"
    )


def _of_places(saved: SavedDetections) -> str | None:
    """People who are all beside their frames: of frames of another size."""
    count = 0
    for frame in saved:
        height, width = frame.image_size_hw
        x1, y1, x2, y2 = frame.detections.boxes.T
        if ((x1 < width) & (y1 < height) & (x2 > 0) & (y2 > 0)).any():
            return None
        count += len(frame.detections)
    if not count:
        return None
    return f"boxes: all {count} lie outside their frames; are boxes or image_sizes_hw in other pixels?"


def _of_embeddings(saved: SavedDetections) -> str | None:
    vectors = [frame.detections.embeddings for frame in saved if frame.detections.embeddings is not None]
    count = sum(len(own) for own in vectors)
    zeros = sum(int((~own.any(axis=1)).sum()) for own in vectors)
    if not zeros:
        return None
    return f"embeddings: those of {zeros} of {count} people are zeros, and say nothing of who they are"
