"""An H.264 video whose frames keep the times they are given."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from fastpose_mtn.files import finish, partial_path
from fastpose_mtn.video.sound import SoundPacket, SoundWriter

# What is in the file is playable, whatever comes after, and the end makes it a common MP4. FFmpeg's buffers are emptied
# at each packet.
_PLAYABLE_AT_ANY_TIME = {
    "movflags": "hybrid_fragmented+delay_moov",
    "frag_duration": "30000",  # microseconds: nearly each frame; frag_every_frame spoils the times of sound
    "flush_packets": "1",
    "max_interleave_delta": "500000",  # microseconds that the picture waits for sound
}


class VideoEncoder:
    """MP4 with H.264 in yuv420p, which every player shows, and sound as it was.

    The first frame sets the size. yuv420p needs even sides, so an odd one gets its last row or column
    twice; coordinates stay as they are. A frame of another size is scaled to fit, on black. A file that was cut short
    plays up to the cut.

    Args:
        path: the finished file; until then it is ``NAME.partial``.
        frame_rate: nominal, frames a second; players show it, the frames' times decide.
        time_base: the tick in seconds to which times are rounded; a coarser or finer one than MP4 can do with is
            replaced.
        sound: the tracks that are copied, of a container that is open now.
        threads: that it may use; None: as many as there are cores.
    """

    def __init__(
        self,
        path: Path,
        *,
        frame_rate: float,
        time_base: Fraction,
        sound: Sequence[av.AudioStream] = (),
        threads: int | None = None,
    ) -> None:
        self.path = path
        self._threads = threads
        self._frame_rate = max(Fraction(frame_rate).limit_denominator(1001), Fraction(1, 1001))
        # Between them even frames that were given times of their own, and an hour without one, can be told.
        common = Fraction(1, 240_000) <= time_base <= Fraction(1, 1000)
        self._time_base = time_base if common else Fraction(1, 90_000)
        self._partial = partial_path(path)
        self._began = False
        self._last_tick = -1
        self._durations: dict[int, int] = {}  # tick -> ticks, of frames inside the encoder
        self._end_s = 0.0  # of the last frame
        self._new_container(sound)

    @property
    def lost(self) -> list[str]:
        """What of the sound is missing, a line each."""
        return self._sound.lost

    def write(
        self, image: np.ndarray, time_s: float, duration_s: float, sound: Sequence[SoundPacket] = ()
    ) -> None:
        """Adds a frame.

        Args:
            image: (H, W, 3) uint8 RGB.
            time_s: when it is shown, seconds from the first frame, not before the last one.
            duration_s: until when, if no other frame follows.
            sound: what sounds about then; none of it sounds before the first frame or after the last.
        """
        if not self._began:
            self._begin(image.shape[0], image.shape[1])
        tick = max(round(time_s / self._time_base), self._last_tick + 1)  # two frames cannot share a tick
        self._last_tick = tick
        self._durations[tick] = max(1, round(duration_s / self._time_base))
        frame = av.VideoFrame.from_ndarray(self._fit(image), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG", threads=1)
        frame.pts, frame.time_base = tick, self._time_base
        self._mux(frame)
        self._sound.add(sound)
        self._sound.write_until(time_s)
        self._end_s = time_s + duration_s

    def close(self, complete: bool) -> None:
        """Ends the file: under its own name if ``complete``, else it stays as ``NAME.partial``."""
        if not self._began:
            return
        self._began = False
        self._mux(None)
        self._sound.write_until(self._end_s)
        self._container.close()
        if complete:
            finish(self.path)

    def _new_container(self, sound: Sequence[av.AudioStream]) -> None:
        self._container = av.open(str(self._partial), "w", format="mp4", options=_PLAYABLE_AT_ANY_TIME)
        self._track = track = self._container.add_stream("libx264", rate=self._frame_rate)
        track.pix_fmt = "yuv420p"
        track.options = {"preset": "superfast", "crf": "23"}
        codec = track.codec_context
        codec.time_base = self._time_base
        codec.thread_count = self._threads or 0
        # Reordered frames (B) would cut the end off a video of variable frame rate: MP4 keeps decoding times.
        codec.max_b_frames = 0
        # BT.709, video
        codec.colorspace, codec.color_primaries, codec.color_trc, codec.color_range = (1, 1, 1, 1)
        self._sound = SoundWriter(self._container, sound)

    def _begin(self, height: int, width: int) -> None:
        self._size_hw = (height + height % 2, width + width % 2)
        self._track.height, self._track.width = self._size_hw
        try:
            self._container.start_encoding()
        except av.error.FFmpegError as error:
            if not self._sound.copied:
                raise
            # A damaged file's sound may tell of itself what no file can hold.
            self._new_container(())
            self.lost.append(f"its sound is not in the overlay: {error.strerror}")
            self._track.height, self._track.width = self._size_hw
        self._began = True

    def _mux(self, frame: av.VideoFrame | None) -> None:
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
