"""An H.264 video whose frames keep the times they are given."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from fastpose_mtn.files import finish, partial_path


class VideoEncoder:
    """MP4 with H.264 in yuv420p, which every player shows; no sound.

    The first frame sets the size. yuv420p needs even sides, so an odd one gets its last row or column
    twice; coordinates stay as they are. A frame of another size is scaled to fit, on black.

    Args:
        path: the finished file; until then it is ``NAME.partial``.
        frame_rate: nominal, frames a second; players show it, the frames' times decide.
        time_base: the tick in seconds to which times are rounded.
    """

    def __init__(self, path: Path, *, frame_rate: float, time_base: Fraction) -> None:
        self.path = path
        self._frame_rate = Fraction(frame_rate).limit_denominator(1001)
        self._time_base = time_base
        self._partial = partial_path(path)
        self._container: av.container.OutputContainer | None = None
        self._last_tick = -1
        self._durations: dict[int, int] = {}  # tick -> ticks, of frames inside the encoder

    def write(self, image: np.ndarray, time_s: float, duration_s: float) -> None:
        """Adds a frame.

        Args:
            image: (H, W, 3) uint8 RGB.
            time_s: when it is shown, seconds from the first frame, not before the last one.
            duration_s: until when, if no other frame follows.
        """
        if self._container is None:
            self._open(image.shape[0], image.shape[1])
        tick = max(round(time_s / self._time_base), self._last_tick + 1)  # two frames cannot share a tick
        self._last_tick = tick
        self._durations[tick] = max(1, round(duration_s / self._time_base))
        frame = av.VideoFrame.from_ndarray(self._fit(image), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        frame.pts, frame.time_base = tick, self._time_base
        self._mux(frame)

    def close(self, complete: bool) -> None:
        """Ends the file: under its own name if ``complete``, else it stays as ``NAME.partial``."""
        if self._container is None:
            return
        self._mux(None)
        self._container.close()
        self._container = None
        if complete:
            finish(self.path)

    def _open(self, height: int, width: int) -> None:
        self._size_hw = (height + height % 2, width + width % 2)
        self._container = av.open(str(self._partial), "w", format="mp4")
        self._track = track = self._container.add_stream("libx264", rate=self._frame_rate)
        track.height, track.width = self._size_hw
        track.pix_fmt = "yuv420p"
        track.options = {"preset": "superfast", "crf": "23"}
        codec = track.codec_context
        codec.time_base = self._time_base
        # Reordered frames (B) would cut the end off a video of variable frame rate: MP4 keeps decoding times.
        codec.max_b_frames = 0
        codec.colorspace, codec.color_primaries, codec.color_trc, codec.color_range = (
            1,
            1,
            1,
            1,
        )  # BT.709, video

    def _mux(self, frame: av.VideoFrame | None) -> None:
        assert self._container is not None
        for packet in self._track.encode(frame):
            duration = self._durations.pop(packet.pts, 0) if packet.pts is not None else 0
            packet.duration = duration  # only the last packet's matters: the others end where the next begins
            self._container.mux(packet)

    def _fit(self, image: np.ndarray) -> np.ndarray:
        height, width = self._size_hw
        rows, columns = height - image.shape[0], width - image.shape[1]
        if (rows, columns) == (0, 0):
            return image
        if rows in (0, 1) and columns in (0, 1):
            return cv2.copyMakeBorder(image, 0, rows, 0, columns, cv2.BORDER_REPLICATE)
        scale = min(height / image.shape[0], width / image.shape[1])
        new_width, new_height = (
            max(1, min(side, round(old * scale)))
            for side, old in ((width, image.shape[1]), (height, image.shape[0]))
        )
        canvas = np.zeros((height, width, 3), np.uint8)
        top, left = (height - new_height) // 2, (width - new_width) // 2
        canvas[top : top + new_height, left : left + new_width] = cv2.resize(
            image, (new_width, new_height), interpolation=cv2.INTER_AREA
        )
        return canvas
