"""Where in an MPEG program stream another recording begins whose video tracks are others (ISO 13818-1, 11172-1)."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator

from fastpose_mtn.video.container_kinds import PROGRAM, next_of_another_kind

_PACK = b"\0\0\1\xba"
_END_CODE, _PACK_CODE = 0xB9, 0xBA
_VIDEO = range(0xE0, 0xF0)  # numbers of tracks
_ITEM = re.compile(rb"\0\0\x01[\xb9-\xff]")  # what streams consist of
_MOST_FILLING = 9  # bytes, between a pack's head and the first item in it
_MOST_BETWEEN = 90_000  # ticks from pack to pack, 1 s; 0.7 s are allowed
# What stands at the head of a recording, by the kind of codec; MPEG-1 and MPEG-2 have one decoder.
_TELLING = re.compile(
    rb"\0\0\x01(?:(?P<mpeg2>[\xb3\xb8])|(?P<mpeg4>[\xb0\xb6])|(?P<hevc>[\x40\x42\x46]\x01)"
    rb"|(?P<h264>\x09[\x10\x30\x50\x70\x90\xb0\xd0\xf0]|[\x27\x47\x67][\x2c\x42\x4d\x58\x64\x6e\x7a\xf4]))"
)

Tracks = dict[int, str | None]  # a video track's kind of codec by its number; None: not told yet


def program_parts(content: mmap.mmap, at: int) -> tuple[list[int], int] | None:
    """Offsets at which the video tracks become others, in number or in kind, from a first one on, and where the last end.

    FFmpeg takes another number for a further track, of which one alone would be read, and decodes another kind as the
    first. Elsewhere it goes on by itself.

    Returns:
        None where no program stream begins.
    """
    if content[at : at + len(_PACK)] != _PACK:
        return None
    begins, known = [at], set[tuple[int, str]]()  # known: of this part
    recordings = list(_recordings(content, at))
    for begin, _, tracks in recordings:
        told = {(number, kind) for number, kind in tracks.items() if kind}
        if known and not told <= known:
            begins.append(begin)
            known = set()
        known |= told
    return begins, recordings[-1][1]


def _recordings(content: mmap.mmap, at: int) -> Iterator[tuple[int, int, Tracks]]:
    """Where each stretch on one clock begins and ends, and its tracks; a code of the end ends it too.

    They end where a video of another kind begins in between, where there should be an item.
    """
    begin, tracks, clock = at, Tracks(), None
    while match := _ITEM.search(content, at):
        if (
            match.start() > at + _MOST_FILLING
            and next_of_another_kind(content, PROGRAM, at, match.start()) < match.start()
        ):
            break
        at = match.start()
        code = content[at + 3]
        if code == _PACK_CODE:
            now = _clock(content[at + 4 : at + 9])
            if clock is None or not clock < now <= clock + _MOST_BETWEEN:
                yield begin, at, tracks
                begin, tracks = at, Tracks()
            clock = now
            at += 12  # of MPEG-2's two more, and what fills up: neither is taken for an item
        elif code == _END_CODE:
            clock = None
            at += 4
        else:
            end = at + 6 + int.from_bytes(content[at + 4 : at + 6], "big")
            if not _ITEM.match(content, end):
                if (cut := content.find(_PACK, at + 6, end)) > 0:
                    end = cut  # another recording follows one that was cut off
                end = next_of_another_kind(content, PROGRAM, at + 6, end)
            if code in _VIDEO and not tracks.get(code):
                tracks[code] = _kind(content[at + 6 : end])
            at = end
    yield begin, next_of_another_kind(content, PROGRAM, at, len(content)), tracks


def _clock(field: bytes) -> int:
    """A pack's time, ticks of 1/90000 s: 3, 15 and 15 bits with a mark behind each, in MPEG-2 two bits further on."""
    bits = int.from_bytes(field, "big") << (2 if field[:1] >= b"\x40" else 0)
    return (bits >> 33 & 7) << 30 | (bits >> 17 & 0x7FFF) << 15 | bits >> 1 & 0x7FFF


def _kind(packet: bytes) -> str | None:
    match = _TELLING.search(packet)
    return match.lastgroup if match else None
