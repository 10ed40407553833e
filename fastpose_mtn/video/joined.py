"""Files of several videos, as ``cat a.mp4 b.mp4`` makes them, of which FFmpeg alone would read the first."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from fastpose_mtn.video.containers import parts_of
from fastpose_mtn.video.tracks import display_matrix, length_of, main_track

# Their packets bring what the decoder has to know anew; of others it is told once, of the first part.
_TOLD_ANEW = ("h264", "av1", "vp8", "vp9", "mjpeg", "prores", "mpeg1video", "mpeg2video", "h263", "flv1")
_FAILURES = (av.error.FFmpegError, OSError, ValueError)


@dataclass(frozen=True)
class JoinedVideos:
    """What can be read of a file of several videos, as one.

    Attributes:
        container: of those that are read.
        frames: that they say that they have, 0 where one does not.
        length_s: of them all, None where one does not say it exactly.
        problem: why not all of the file's videos are read, or None.
        format: FFmpeg's name of the container.
    """

    container: av.container.InputContainer
    frames: int
    length_s: float | None
    problem: str | None
    format: str


def open_joined(path: Path) -> JoinedVideos | None:
    """A file's videos one behind the other, on one clock, up to the first that does not go on as the one before.

    Returns:
        None where the file is one video, or the first one cannot be opened.

    Raises:
        av.error.FFmpegError: they cannot be read one behind the other.
    """
    parts = parts_of(path)
    if len(parts) == 1:
        return None
    kinds: list[_Kind] = []
    problem = None
    for part in parts:
        try:
            kind = _kind_of(path, part)
        except _FAILURES as error:
            problem = f"it cannot be read: {getattr(error, 'strerror', None) or error}"
        else:
            problem = kinds[0].why_unlike(kind) if kinds else None
        if problem:
            break
        kinds.append(kind)
    if not kinds:
        return None
    if problem:
        begin, end = parts[len(kinds)]
        problem = (
            f"{path}: {len(parts)} videos joined byte by byte, of which the first {len(kinds)} "
            f"{'was' if len(kinds) == 1 else 'were'} read; of the next one, {end - begin} bytes from byte {begin} on, "
            f"{problem}; cut them apart and join "
            "them with FFmpeg's filter concat, or track each by itself"
        )
    frames, lengths = [kind.frames for kind in kinds], [kind.length_s for kind in kinds]
    return JoinedVideos(
        container=_open_parts(path, parts[: len(kinds)]),
        frames=sum(frames) if all(frames) else 0,
        length_s=sum(lengths)
        if all(frames) and all(lengths)
        else None,  # others' lengths are rough, and add up
        problem=problem,
        format=kinds[0].format,
    )


@dataclass(frozen=True)
class _Kind:
    """What has to be alike of two videos for one to go on as the other, and how long one is."""

    format: str
    tracks: tuple[str, ...]
    codec: str
    # width, height, kind of pixels and the decoder's settings
    told_once: tuple[int, int, str | None, bytes | None] | None
    tick: Fraction | None
    shown: tuple[int, int, int, int]
    frames: int
    length_s: float

    def why_unlike(self, other: _Kind) -> str | None:
        if self.format != other.format:
            return f"the container is {other.format}, not {self.format}"
        if self.tracks != other.tracks:
            return f"the tracks are {' and '.join(other.tracks)}, not {' and '.join(self.tracks)}"
        if self.codec != other.codec:
            return f"the codec is {other.codec}, not {self.codec}"
        if self.tick != other.tick:
            return f"the clock ticks every {other.tick} s, not every {self.tick} s"
        if self.shown != other.shown:
            return "the frames are to be turned otherwise"
        return "size or encoder's settings differ" if self.told_once != other.told_once else None


def _kind_of(path: Path, part: tuple[int, int]) -> _Kind:
    with av.open(_address(path, part)) as container:
        track = main_track(container)
        if track is None:
            raise ValueError("there is no video in it")
        first = next(container.decode(track), None)
        if first is None:
            raise ValueError("no frame of it can be decoded")
        context = track.codec_context
        codec = context.codec.canonical_name
        return _Kind(
            format=container.format.name,
            tracks=tuple(stream.type for stream in container.streams),
            codec=codec,
            told_once=None
            if codec in _TOLD_ANEW or (codec, container.format.name) == ("mpeg4", "avi")
            else (context.width, context.height, context.pix_fmt, context.extradata),
            tick=track.time_base,
            shown=display_matrix(first),
            frames=track.frames,
            length_s=length_of(container, track) or 0.0,
        )


def _open_parts(path: Path, parts: list[tuple[int, int]]) -> av.container.InputContainer:
    quoted = (_address(path, part).replace("'", r"'\''") for part in parts)
    text = "ffconcat version 1.0\n" + "".join(f"file '{address}'\n" for address in quoted)
    options = {"safe": "0", "protocol_whitelist": "file,subfile"}
    return av.open(io.BytesIO(os.fsencode(text)), "r", format="concat", options=options)


def _address(path: Path, part: tuple[int, int]) -> str:
    return f"subfile,,start,{part[0]},end,{part[1]},,:file:{path.absolute()}"
