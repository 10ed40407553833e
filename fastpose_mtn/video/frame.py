"""One frame on its way through the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # FFmpeg's libraries are loaded with the first video
    from fastpose_mtn.video.sound import SoundPacket


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a source.

    Attributes:
        index: its place in the source, from 0; a frame that could not be decoded has one too.
        number: what result files call it: the number in the name of a numbered image, else ``index``.
        time_s: seconds since the source's first frame, later than the previous frame's.
        duration_s: seconds for which it is shown.
        image: (H, W, 3) uint8 RGB, C-contiguous and upright; None where it could not be decoded.
        image_size_hw: pixels, which are square, as displayed; of the nearest frame before it where ``image`` is None.
        file_name: of the image file that it is, without its folder; None for a video's frame.
        sound: of a recording, what was read since the frame before.
        arrived_s: ``time.monotonic()`` when a live source gave it; None for what was recorded.
    """

    index: int
    number: int
    time_s: float
    duration_s: float
    image: np.ndarray | None
    image_size_hw: tuple[int, int]
    file_name: str | None = None
    sound: tuple[SoundPacket, ...] = ()
    arrived_s: float | None = None
