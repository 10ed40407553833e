"""Videos and network streams, decoded by FFmpeg's libraries."""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import av
import cv2
import numpy as np
from av.stream import Disposition

from fastpose_mtn.errors import InputError
from fastpose_mtn.video.frame import Frame
from fastpose_mtn.video.sources import Source

_ROTATIONS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}
_FAILURES = (av.error.FFmpegError, OSError, ValueError)
_TIMEOUTS_S = (15.0, 15.0)  # to open a stream, and between two of its packets


class VideoSource(Source):
    """The first video track of a file or stream, upright, timed by its own clock.

    A packet that cannot be decoded becomes a frame without an image, in its place and at its time.
    """

    def __init__(self, location: str, *, name: str, path: Path | None = None) -> None:
        self._shown = location if path else _without_password(location)
        live = path is None
        if path and path.stat().st_size == 0:
            raise InputError(f"{location}: the file is empty; copy or record the video again")
        try:
            options = {"rtsp_transport": "tcp"} if location.startswith("rtsp") else {}
            self._container = av.open(location, options=options, timeout=_TIMEOUTS_S if live else None)
        except _FAILURES as error:
            raise InputError(self._why_not_opened(error, live)) from error
        tracks = [s for s in self._container.streams.video if not s.disposition & Disposition.attached_pic]
        if not tracks or not tracks[0].codec_context:
            self._container.close()
            raise InputError(f"{self._shown}: no video in it, only sound or data; give a video")
        self._track = track = tracks[0]
        track.thread_type = "AUTO"
        rate = track.average_rate or track.guessed_rate or Fraction(30)
        length_s = _length_s(self._container, track)
        self._declared_frames = track.frames
        super().__init__(
            name,
            path=path,
            frame_count=track.frames or (round(length_s * rate) if length_s else None) if path else None,
            frame_rate=float(rate),
            time_base=track.time_base or Fraction(1, 90_000),
            live=live and not length_s,  # a recording that lies elsewhere has a length
        )
        self._length_s = length_s
        self._broke_off: str | None = None  # why reading ended early

    def _why_not_opened(self, error: Exception, live: bool) -> str:
        if live:
            reason = getattr(error, "strerror", None) or error
            return (
                f"{self._shown}: the stream cannot be opened: {reason}; check the address and that it is on"
            )
        if isinstance(error, av.error.InvalidDataError):
            return f"{self._shown}: not a video, or one that is cut off or damaged; copy or record it again"
        return f"{self._shown}: the video cannot be opened: {getattr(error, 'strerror', None) or error}"

    def __iter__(self) -> Iterator[Frame]:
        self._index, self._last_time_s, self._size_hw = 0, 0.0, (0, 0)
        self._origin_s: float | None = None  # the first frame's time on the track's own clock
        self._under_way: list[float] = []  # a heap: times of packets that have not become frames yet
        self._failures = 0  # packets that failed and whose place is not reached yet
        decoded = 0
        for image in self._decode():
            time_s = image.time if image.time is not None else self._nominal_time()
            yield from self._missing_before(time_s)
            yield self._frame(image, time_s)
            decoded += 1
        if not decoded:
            raise InputError(
                f"{self._shown}: no frame of it can be decoded; convert it, for example to H.264"
            )
        # What is still under way at the end has failed too; the decoder may not have said so.
        self._failures = len(self._under_way)
        yield from self._missing_before(math.inf)
        self.problem = self._too_short(decoded)

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Frames in display order, with what can be decoded of a damaged file."""
        packets = self._container.demux(self._track)
        while True:
            try:
                packet = next(packets, None)
            except _FAILURES as error:  # a stream that broke off, a file that went away
                self._broke_off = getattr(error, "strerror", None) or str(error)
                return
            if packet is None:
                return
            if packet.pts is not None and packet.time_base and not packet.is_discard:
                heapq.heappush(self._under_way, float(packet.pts * packet.time_base))
            if packet.is_corrupt and self.path:  # cut off; it would take its neighbours with it
                self._failures += 1
                continue
            try:
                yield from packet.decode()
            except _FAILURES:
                self._failures += 1

    def _missing_before(self, time_s: float) -> Iterator[Frame]:
        """The failed packets' frames that were due before ``time_s``.

        A decoder that works on several packets at once says that one failed, but not which. It gives
        its frames in display order, so what is overdue when a later frame comes is what failed;
        without a failure it is a packet that holds no frame of its own.
        """
        while self._under_way and self._under_way[0] <= time_s:
            due_s = heapq.heappop(self._under_way)
            if self._failures and due_s < time_s:
                self._failures -= 1
                yield self._missing(due_s)

    def _nominal_time(self) -> float:
        """The time of the next frame on the track's clock, where the file gives none."""
        return (self._origin_s or 0.0) + self._index / self.frame_rate

    def _frame(self, decoded: av.VideoFrame, clock_s: float) -> Frame:
        stored = decoded.to_ndarray(format="rgb24")
        turn = round(decoded.rotation / 90) * 90 % 360  # degrees anticlockwise that make it upright
        image: np.ndarray = cv2.rotate(stored, _ROTATIONS[turn]) if turn else np.ascontiguousarray(stored)
        self._size_hw = image.shape[:2]
        ticks = (decoded.duration or 0) * (decoded.time_base or 0)
        duration_s = float(ticks) or 1.0 / self.frame_rate
        return self._next(clock_s, duration_s, image)

    def _missing(self, clock_s: float) -> Frame:
        self.skipped.append(self._index)
        return self._next(clock_s, 1.0 / self.frame_rate, None)

    def _next(self, clock_s: float, duration_s: float, image: np.ndarray | None) -> Frame:
        if self._origin_s is None:
            self._origin_s = clock_s
        # A stream's clock may jump back when its sender restarts; the tracker's time may not.
        self._last_time_s = max(clock_s - self._origin_s, self._last_time_s)
        frame = Frame(
            index=self._index,
            number=self._index,
            time_s=self._last_time_s,
            duration_s=duration_s,
            image=image,
            image_size_hw=self._size_hw,
        )
        self._index += 1
        return frame

    def _too_short(self, decoded: int) -> str | None:
        if self._broke_off:
            return f"{self._shown}: it broke off after {self._index} frames: {self._broke_off}"
        if self.path is None or not self._length_s:
            return None
        # Both clues must agree: an edit list hides frames, and a written length may be wrong.
        whole = self._declared_frames or self._length_s * self.frame_rate
        reached_s = self._last_time_s + 1.0 / self.frame_rate
        if self._index < 0.97 * whole - 1 and reached_s < 0.97 * self._length_s:
            return (
                f"{self._shown}: the video is cut off: {decoded} of its {round(whole)} frames are there, "
                "and these were tracked; copy or record it again"
            )
        return None

    def close(self) -> None:
        """Closes the video file or the connection to the stream."""
        self._container.close()


def _length_s(container: av.container.InputContainer, track: av.VideoStream) -> float | None:
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


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
