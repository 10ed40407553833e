"""Files of several videos, as ``cat a.mp4 b.mp4`` makes them, of which FFmpeg alone would read the first."""

from __future__ import annotations

import io
import mmap
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av

from fastpose_mtn.video.program import program_parts
from fastpose_mtn.video.tracks import display_matrix, length_of, main_track
from fastpose_mtn.video.transport import transport_parts

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"  # Matroska's elements
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_MXF, _MXF_HEADER = (
    bytes.fromhex("060e2b34"),
    bytes.fromhex("060e2b34020501010d01020101"),
)  # any key; a partition's
_RIFF, _AVI = b"RIFF", b"AVI "  # longer ones go on in further chunks, which are of the kind AVIX
_OGG, _OGG_FIRST = b"OggS", 2  # a page, and its mark where it begins a track
# How files begin whose parts do not tell their length; so many bytes are not met by chance.
_BEGINNINGS = (
    (b"FLV\x01", re.compile(rb"FLV\x01[\0-\x05]\0\0\0\x09\0{4}")),
    (b"DKIF", re.compile(rb"DKIF\0\0\x20\0(?:VP[89]0|AV01)")),
    (_EBML, re.compile(re.escape(_EBML) + rb".{1,48}?\x42\x82[\x84\x88](?:webm|matroska)", re.DOTALL)),
    (b"nut/multimedia container", re.compile(rb"nut/multimedia container\0")),
    (b"YUV4MPEG2 ", re.compile(rb"YUV4MPEG2 W\d{1,5} H\d{1,5} F\d{1,9}:\d")),
)
# Their packets bring what the decoder has to know anew; of others it is told once, of the first part.
_TOLD_ANEW = ("h264", "av1", "vp8", "vp9", "mjpeg", "prores", "mpeg1video", "mpeg2video", "h263", "flv1")
_FAILURES = (av.error.FFmpegError, OSError, ValueError)


def parts_of(path: Path) -> list[tuple[int, int]]:
    """Where each video of a file begins and ends, bytes.

    Headers alone are read of MP4, QuickTime, Matroska, AVI, ASF, MXF and Ogg; FLV, IVF, NUT, YUV4MPEG2 and live recordings in
    Matroska are searched, and MPEG-TS and MPEG-PS for places where their tracks become others (elsewhere FFmpeg goes on by
    itself). Other containers are one part.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(32)
        if head[4:8] == b"ftyp":
            begins = _iso_parts(file, size)
        elif head.startswith(_RIFF) and head[8:12] == _AVI:
            begins = [at for at, kind in _riff_chunks(file, size) if kind == _AVI]
        elif head.startswith(_ASF_HEADER):
            begins = [at for at, kind in _asf_objects(file, size) if kind == _ASF_HEADER]
        elif head.startswith(_MXF):
            begins = [at for at, key in _mxf_items(file, size) if key[:13] == _MXF_HEADER and key[13] == 2]
        elif head.startswith(_OGG):
            begins = _ogg_parts(file, size)
        elif head.startswith(_EBML) and (elements := _ebml_elements(file, size)):
            begins = [at for at, kind in elements if kind == _EBML]
        else:
            pattern = next((pattern for start, pattern in _BEGINNINGS if head.startswith(start)), None)
            begins = _found(file, pattern) if pattern else transport_parts(file) or program_parts(file)
    begins = begins or [0]
    return list(zip(begins, [*begins[1:], size], strict=True))


def _iso_parts(file: BinaryIO, size: int) -> list[int]:
    """Offsets of boxes ``ftyp`` that begin another video: what is before them has a ``moov`` of its own."""
    begins, described = [0], False
    for at, kind in _iso_boxes(file, size):
        if kind == b"ftyp" and described:
            begins.append(at)
            described = False
        described |= kind == b"moov"
    return begins


def _iso_boxes(file: BinaryIO, size: int) -> Iterator[tuple[int, bytes]]:
    """Offset and kind of ISO 14496-12's outermost boxes, as far as there are whole ones one behind the other."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        header = file.read(16)
        length, least = int.from_bytes(header[:4], "big"), 8
        if length == 1:  # behind the kind in 64 bits
            length, least = int.from_bytes(header[8:16], "big"), 16
        if length < least:  # garbage, or 0: up to the end of the file
            return
        yield at, header[4:8]
        at += length


def _riff_chunks(file: BinaryIO, size: int) -> Iterator[tuple[int, bytes]]:
    """Offset and kind of an AVI's outermost chunks; the length of one that was not finished is made up."""
    at = 0
    while at + 12 <= size:
        file.seek(at)
        header = file.read(12)
        if not header.startswith(_RIFF):
            return
        yield at, header[8:]
        length = int.from_bytes(header[4:8], "little")
        at += 8 + length + length % 2


def _asf_objects(file: BinaryIO, size: int) -> Iterator[tuple[int, bytes]]:
    """Offset and GUID of an ASF file's outermost objects."""
    at = 0
    while at + 24 <= size:
        file.seek(at)
        header = file.read(24)
        yield at, header[:16]
        at += max(24, int.from_bytes(header[16:], "little"))


def _mxf_items(file: BinaryIO, size: int) -> Iterator[tuple[int, bytes]]:
    """Offset and key of an MXF file's items, SMPTE 377's key, length and value."""
    at = 0
    while at + 17 <= size:
        file.seek(at)
        header = file.read(25)
        if not header.startswith(_MXF):
            return
        yield at, header[:16]
        length, width = header[16], 0
        if length > 127:  # in so many bytes
            width = length - 128
            length = int.from_bytes(header[17 : 17 + width], "big")
        at += 17 + width + length


def _ogg_parts(file: BinaryIO, size: int) -> list[int]:
    """Offsets of the pages that begin a chain's links: the first of a track's that stand behind others of tracks before."""
    at, begins, among_first = 0, [], False
    while at + 27 <= size:
        file.seek(at)
        header = file.read(27 + 255)
        if not header.startswith(_OGG):
            break
        first = bool(header[5] & _OGG_FIRST)
        if first and not among_first:
            begins.append(at)
        among_first = first
        segments = header[26]
        at += 27 + segments + sum(header[27 : 27 + segments])
    return begins


def _ebml_elements(file: BinaryIO, size: int) -> list[tuple[int, bytes]] | None:
    """Offset and kind of a Matroska file's outermost elements; None where one does not tell its length, as live ones."""
    at, found = 0, []
    while at + 12 <= size:
        file.seek(at)
        header = file.read(12)
        if header[:4] not in (_EBML, _SEGMENT) and not header.startswith(b"\xec"):  # what is void
            break
        found.append((at, header[:4]))
        name = 1 if header.startswith(b"\xec") else 4
        width = 9 - header[name].bit_length()  # of the length, as the first byte's leading zeros tell
        length = int.from_bytes(header[name : name + width], "big") & ((1 << 7 * width) - 1)
        if length == (1 << 7 * width) - 1:
            return None
        at += name + width + length
    return found


def _found(file: BinaryIO, pattern: re.Pattern[bytes]) -> list[int]:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return [match.start() for match in pattern.finditer(content)]


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
        problem = (
            f"{path}: {len(parts)} videos joined byte by byte, of which the first {len(kinds)} "
            f"{'was' if len(kinds) == 1 else 'were'} read; of the next one {problem}; cut them apart and join "
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
