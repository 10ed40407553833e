"""Videos and network streams, decoded by FFmpeg's libraries."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import av
import numpy as np

from fastpose_mtn.data.heif import HEIF_REMEDY
from fastpose_mtn.data.image_file import is_animated
from fastpose_mtn.errors import InputError
from fastpose_mtn.video.clock import FrameClock, PacketClock, nominal_rate, shown_for
from fastpose_mtn.video.frame import Frame
from fastpose_mtn.video.joined import open_joined
from fastpose_mtn.video.new_sizes import NewSizes
from fastpose_mtn.video.sound import SoundReader
from fastpose_mtn.video.sources import Source
from fastpose_mtn.video.tracks import as_shown, display_matrix, is_a_tile, length_of, main_track
from fastpose_mtn.video.transfer import as_standard_range

_FAILURES = (av.error.FFmpegError, OSError, ValueError)
_TIMEOUTS_S = (15.0, 15.0)  # to open a stream, and between two of its packets
_MOST_STRETCHED = 5  # pixels' width to height; beyond it, either way, the file is wrong


class VideoSource(Source):
    """The main video track of a file or stream, as a player shows it: upright, mirrored where it says so, with square pixels.

    Frames are timed by the track's own clock (see ``fastpose_mtn.video.clock``), an animated image's by how long each is
    shown. A packet that cannot be decoded
    becomes a frame without an image, in its place and at its time.

    Args:
        location: a path or an address.
        name: what its result files are called.
        path: of a file; None: it is a stream.
        threads: that the decoder may use; None: as many as there are cores.
    """

    def __init__(
        self, location: str, *, name: str, path: Path | None = None, threads: int | None = None
    ) -> None:
        self._shown = location if path else _without_password(location)
        live = path is None
        if path and path.stat().st_size == 0:
            raise InputError(f"{location}: the file is empty; copy or record the video again")
        joined = None
        try:
            joined = open_joined(path) if path else None
            self._animated = path is not None and is_animated(path)
            options = {"rtsp_transport": "tcp"} if location.startswith("rtsp") else {}
            if self._animated:  # of an animated PNG's pictures that tell no time
                options["default_fps"] = "10"
            if joined:
                self._container = joined.container
            else:  # a file may be called cam:1.mp4, and cam is no protocol
                address = f"file:{location}" if path else location
                self._container = av.open(address, options=options, timeout=_TIMEOUTS_S if live else None)
        except _FAILURES as error:
            raise InputError(self._why_not_opened(error, live)) from error
        track = main_track(self._container)
        if not track:
            self._container.close()
            raise InputError(f"{self._shown}: no video in it, only sound or data; give a video")
        if is_a_tile(track, self._container.streams.video):
            self._container.close()
            raise InputError(
                f"{self._shown}: a photograph in tiles, as phones write HEIC, of which one alone would be read; "
                f"{HEIF_REMEDY}"
            )
        self._track = track
        track.thread_type = "AUTO"
        track.codec_context.thread_count = threads or 0
        self._format = joined.format if joined else self._container.format.name
        rate = nominal_rate(track)
        length_s = joined.length_s if joined else length_of(self._container, track)
        self._declared_frames = joined.frames if joined else track.frames
        self._unread = joined.problem if joined else None
        super().__init__(
            name,
            path=path,
            frame_count=self._declared_frames or round((length_s or 0) * rate) or None if path else None,
            frame_rate=float(rate),
            time_base=track.time_base or Fraction(1, 90_000),
            live=live and not length_s,  # a recording that lies elsewhere has a length
            sound=tuple(self._container.streams.audio),
        )
        self.frame_size_hw = (track.codec_context.height, track.codec_context.width)
        self._length_s = length_s
        self._rate = rate
        # In a transport stream the mark tells of a packet lost before this one: where segments were joined there is one.
        self._may_skip_corrupt = path is not None and self._format not in ("mpegts", "hls")
        self._stretch = track.sample_aspect_ratio or Fraction(1)  # a pixel's width by its height
        self._coded_stretch = track.codec_context.sample_aspect_ratio
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
        self._index, self._size_hw = 0, (0, 0)
        self._due_s = 0.0  # when the next picture of an animation is shown
        self._packets = PacketClock(self._track, self._rate)
        self._clock = FrameClock(self._rate, shown_times=self._format != "avi")
        self._sound = SoundReader(() if self.live else self._container.streams.audio, self.time_base)
        self._under_way: list[float] = []  # a heap: times of packets that have not become frames yet
        self._failures = 0  # packets that failed and whose place is not reached yet
        # packets: that were read, and that hold no frame of their own
        self._taken, self._without_frame = (0, 0)
        decoded = 0
        for image in _one_behind(self._decode()) if self._sound.tracks else self._decode():
            clock_s = self._clock.shown_at(image)
            if clock_s is not None:
                yield from self._missing_before(clock_s)
            yield self._frame(image, clock_s)
            decoded += 1
        if not decoded:
            raise InputError(
                f"{self._shown}: no frame of it can be decoded; convert it, for example to H.264"
            )
        # What is still under way at the end has failed too, if each packet is a frame; the decoder may not have said so.
        lost = self._taken - decoded - len(self.skipped)
        self._failures = 0 if self._without_frame else min(lost, len(self._under_way))
        yield from self._missing_before(math.inf)
        self.problem = self._too_short(decoded) or self._unread

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Frames in display order, with what can be decoded of a damaged file."""
        packets = self._container.demux(self._track, *self._sound.tracks)
        sizes = NewSizes(self._track)
        while True:
            try:
                packet = next(packets, None)
            except _FAILURES as error:  # a stream that broke off, a file that went away
                self._broke_off = getattr(error, "strerror", None) or str(error)
                return
            if packet is None:
                return
            if packet.stream.index != self._track.index:  # its own index is 0 where it ends the track
                self._sound.add(packet, self._packets.shifts)
                continue
            self._packets.mend(packet)
            if packet.pts is not None and packet.time_base and not packet.is_discard:
                heapq.heappush(self._under_way, float(packet.pts * packet.time_base))
                self._taken += 1
            if packet.is_corrupt and self._may_skip_corrupt:  # cut off; it would take its neighbours with it
                self._failures += 1
                continue
            try:
                if sizes.begin_with(packet):
                    yield from self._emptied()
                yield from self._track.decode(packet)
            except _FAILURES:
                self._failures += 1

    def _emptied(self) -> list[av.VideoFrame]:
        """The frames that the decoder still holds, after which it can begin with others."""
        end = av.Packet()  # without one, the frames' times would have no unit
        end.stream = self._track
        if self._track.time_base:
            end.time_base = self._track.time_base
        held = self._track.decode(end)
        self._track.codec_context.flush_buffers()
        return held

    def _missing_before(self, time_s: float) -> Iterator[Frame]:
        """The failed packets' frames that were due before ``time_s``.

        A decoder that works on several packets at once says that one failed, but not which. It gives
        its frames in display order, so what is overdue when a later frame comes is what failed;
        without a failure it is a packet that holds no frame of its own.
        """
        while self._under_way and self._under_way[0] <= time_s:
            due_s = heapq.heappop(self._under_way)
            if due_s < time_s:
                if self._failures:
                    self._failures -= 1
                    yield self._missing(due_s)
                else:
                    self._without_frame += 1

    def _frame(self, decoded: av.VideoFrame, clock_s: float | None) -> Frame:
        width, height = self._square(decoded.width, decoded.height)
        # a thread a core would be started for each frame, which takes longer than what they do
        stored = decoded.to_ndarray(format="rgb24", width=width, height=height, threads=1)
        image = as_shown(as_standard_range(stored, decoded.color_trc), display_matrix(decoded))
        self._size_hw = image.shape[:2]
        ticks = (decoded.duration or 0) * (decoded.time_base or 0)
        duration_s = shown_for(float(ticks)) if self._animated else float(ticks) or 1.0 / self.frame_rate
        return self._next(clock_s, duration_s, image)

    def _missing(self, clock_s: float) -> Frame:
        self.skipped.append(self._index)
        return self._next(clock_s, 1.0 / self.frame_rate, None)

    def _square(self, width: int, height: int) -> tuple[int, int]:
        """The size of a stored frame whose pixels are made square; the shorter side of a pixel is stretched.

        Broadcasts change their pixels' shape on the way: what the decoder was told last counts.
        """
        coded = self._track.codec_context.sample_aspect_ratio
        if coded and coded != self._coded_stretch:
            self._stretch = self._coded_stretch = coded
        if not Fraction(1, _MOST_STRETCHED) <= self._stretch <= _MOST_STRETCHED:
            return width, height
        return round(width * max(self._stretch, Fraction(1))), round(height / min(self._stretch, Fraction(1)))

    def _next(self, clock_s: float | None, duration_s: float, image: np.ndarray | None) -> Frame:
        time_s = self._clock.advance(self._due_s if self._animated else clock_s)
        self._due_s = time_s + duration_s
        frame = Frame(
            index=self._index,
            number=self._index,
            time_s=time_s,
            duration_s=duration_s,
            image=image,
            image_size_hw=self._size_hw,
            sound=self._sound.take(self._clock.origin_s),
        )
        self._index += 1
        return frame

    def _too_short(self, decoded: int) -> str | None:
        if self._broke_off:
            return f"{self._shown}: it broke off after {self._index} frames: {self._broke_off}"
        if self.path is None or not self._length_s or self._packets.jumped:
            return None
        # Both clues must agree: an edit list hides frames, and a written length may be wrong.
        whole = self._declared_frames or self._length_s * self.frame_rate
        reached_s = self._clock.last_s + 1.0 / self.frame_rate
        # some lengths count from 0, some from the first frame
        reached_s += max(0.0, self._clock.origin_s or 0.0)
        if self._index < 0.97 * whole - 1 and reached_s < 0.97 * self._length_s:
            return (
                f"{self._shown}: the video is cut off: {decoded} of its {round(whole)} frames are there, "
                "and these were tracked; copy or record it again"
            )
        return None

    def close(self) -> None:
        """Closes the video file or the connection to the stream."""
        self._container.close()


def _one_behind(images: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """The images, each when the next is there: the last one comes when all sound was read."""
    held: av.VideoFrame | None = None
    for image in images:
        if held is not None:
            yield held
        held = image
    if held is not None:
        yield held


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
