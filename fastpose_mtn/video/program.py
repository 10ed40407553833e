"""Where in an MPEG program stream another recording begins whose video tracks are others (ISO 13818-1, 11172-1)."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from typing import BinaryIO

_PACK = b"\0\0\1\xba"
_END_CODE, _PACK_CODE = 0xB9, 0xBA
_VIDEO = range(0xE0, 0xF0)  # numbers of tracks
_ITEM = re.compile(rb"\0\0\x01[\xb9-\xff]")  # what streams consist of
_MOST_BETWEEN = 90_000  # ticks from pack to pack, 1 s; 0.7 s are allowed
# What stands at the head of a recording, by the kind of codec; MPEG-1 and MPEG-2 have one decoder.
_TELLING = re.compile(
    rb"\0\0\x01(?:(?P<mpeg2>[\xb3\xb8])|(?P<mpeg4>[\xb0\xb6])|(?P<hevc>[\x40\x42\x46]\x01)"
    rb"|(?P<h264>\x09[\x10\x30\x50\x70\x90\xb0\xd0\xf0]|[\x27\x47\x67][\x2c\x42\x4d\x58\x64\x6e\x7a\xf4]))"
)

Tracks = dict[int, str | None]  # a video track's kind of codec by its number; None: not told yet


def program_parts(file: BinaryIO) -> list[int]:
    """Offsets at which the video tracks become others, in number or in kind, 0 included.

    FFmpeg takes another number for a further track, of which one alone would be read, and decodes another kind as the
    first. Elsewhere it goes on by itself.

    Returns:
        [] where the file is no program stream.
    """
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content[: len(_PACK)] != _PACK:
            return []
        begins, known = [0], set[tuple[int, str]]()  # known: of this part
        for at, tracks in _recordings(content):
            told = {(number, kind) for number, kind in tracks.items() if kind}
            if known and not told <= known:
                begins.append(at)
                known = set()
            known |= told
        return begins


def _recordings(content: mmap.mmap) -> Iterator[tuple[int, Tracks]]:
    """Offset and tracks of each stretch on one clock; a code of the end ends it too."""
    begin, tracks, clock = 0, Tracks(), None
    at = 0
    while match := _ITEM.search(content, at):
        at = match.start()
        code = content[at + 3]
        if code == _PACK_CODE:
            now = _clock(content[at + 4 : at + 9])
            if clock is None or not clock < now <= clock + _MOST_BETWEEN:
                yield begin, tracks
                begin, tracks = at, Tracks()
            clock = now
            at += 12  # of MPEG-2's two more, and what fills up: neither is taken for an item
        elif code == _END_CODE:
            clock = None
            at += 4
        else:
            end = at + 6 + int.from_bytes(content[at + 4 : at + 6], "big")
            if not _ITEM.match(content, end) and (cut := content.find(_PACK, at + 6, end)) > 0:
                end = cut  # another recording follows one that was cut off
            if code in _VIDEO and not tracks.get(code):
                tracks[code] = _kind(content[at + 6 : end])
            at = end
    yield begin, tracks


def _clock(field: bytes) -> int:
    """A pack's time, ticks of 1/90000 s: 3, 15 and 15 bits with a mark behind each, in MPEG-2 two bits further on."""
    bits = int.from_bytes(field, "big") << (2 if field[:1] >= b"\x40" else 0)
    return (bits >> 33 & 7) << 30 | (bits >> 17 & 0x7FFF) << 15 | bits >> 1 & 0x7FFF


def _kind(packet: bytes) -> str | None:
    match = _TELLING.search(packet)
    return match.lastgroup if match else None
