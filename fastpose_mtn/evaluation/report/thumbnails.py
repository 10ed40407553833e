"""Small pictures of one person, cut out of a frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastpose_mtn.evaluation.report.events import SequenceEvents
from fastpose_mtn.evaluation.report.frames import (
    Colour,
    cut_out,
    data_address,
    draw_limbs,
    frame_size,
    mark_size,
    read_frame_image,
)

THUMBNAIL_WH = (108, 144)  # pixels; shown at two thirds of it, so that it is sharp on dense screens
_MARGIN = 0.12  # around the box, of its longer side


class Thumbnails:
    """Cuts predicted people out of their frames; the last image read is kept, as neighbours often share it.

    Args:
        images: folder to look for images in; None: people are drawn on a plain ground.
    """

    def __init__(self, images: Path | None) -> None:
        self._images = images
        self._last: tuple[tuple[str, int], np.ndarray | None] | None = None
        self.plain = 0  # how many had no image

    def draw(self, events: SequenceEvents, row: int, colour: Colour) -> str:
        """A predicted person as the ``data:`` address of a JPEG of ``THUMBNAIL_WH``.

        Args:
            events: the sequence.
            row: of its ``prediction``.
            colour: of the skeleton, which is drawn where there is no image.
        """
        prediction = events.prediction
        frame = int(prediction.frame_index[row])
        picture = self._image(events, frame)
        size_hw = frame_size(events.ground_truth, prediction, frame, picture)
        canvas, place = cut_out(picture, size_hw, _part(events, row, size_hw), THUMBNAIL_WH)
        if picture is None:
            self.plain += 1
            points, has_joint = place(prediction.keypoints[row]), prediction.has_joint[row]
            draw_limbs(canvas, points, has_joint, mark_size(points, has_joint), colour)
        return data_address(canvas)

    def _image(self, events: SequenceEvents, frame: int) -> np.ndarray | None:
        if self._last is None or self._last[0] != (events.name, frame):
            self._last = (events.name, frame), read_frame_image(events.ground_truth, frame, self._images)
        return self._last[1]


def _part(
    events: SequenceEvents, row: int, size_hw: tuple[float, float]
) -> tuple[float, float, float, float]:
    """The person's box, or the joints' extent, with room around it and of the thumbnail's shape; xyxy pixels.

    Of a person at the border it is moved into the frame, where it fits.
    """
    prediction = events.prediction
    box = prediction.boxes_xyxy[row]
    points = prediction.keypoints[row][prediction.has_joint[row]]
    if np.isnan(box).any():
        box = np.concatenate([points.min(axis=0), points.max(axis=0)]) if len(points) else np.zeros(4)
    centre, side = (box[:2] + box[2:]) / 2, np.abs(box[2:] - box[:2])
    side = np.maximum(side + 2 * _MARGIN * side.max(), 2.0)
    width = max(side[0], side[1] * THUMBNAIL_WH[0] / THUMBNAIL_WH[1])
    side = np.array([width, width * THUMBNAIL_WH[1] / THUMBNAIL_WH[0]])
    begin = np.clip(centre - side / 2, 0, np.maximum(np.array(size_hw[::-1]) - side, 0))
    return (*begin.tolist(), *(begin + side).tolist())
