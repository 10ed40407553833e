"""How videos of each container begin: the bytes by which one is found in a file, also behind a video of another kind."""

from __future__ import annotations

import mmap
import re

MP4, MATROSKA, AVI, ASF, MXF, OGG = "mp4", "matroska", "avi", "asf", "mxf", "ogg"
TRANSPORT, PROGRAM = "transport stream", "program stream"
# So many bytes are not met by chance.
BEGINNINGS = {
    MP4: re.compile(rb"\0\0\0[\x10-\xff]ftyp[ -~]{4}"),
    MATROSKA: re.compile(rb"\x1a\x45\xdf\xa3.{1,48}?\x42\x82[\x84\x88](?:webm|matroska)", re.DOTALL),
    AVI: re.compile(rb"RIFF.{4}AVI ", re.DOTALL),
    ASF: re.compile(re.escape(bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"))),
    MXF: re.compile(re.escape(bytes.fromhex("060e2b34020501010d0102010102"))),
    OGG: re.compile(rb"OggS\0[\x02\x06]"),
    "flv": re.compile(rb"FLV\x01[\0-\x05]\0\0\0\x09\0{4}"),
    "ivf": re.compile(rb"DKIF\0\0\x20\0(?:VP[89]0|AV01)"),
    "nut": re.compile(rb"nut/multimedia container\0"),
    "yuv4mpeg": re.compile(rb"YUV4MPEG2 W\d{1,5} H\d{1,5} F\d{1,9}:\d"),
}
LONGEST_BEGINNING = 64  # bytes
_LONGEST = 1024  # bytes, of a stream's
# Streams begin with what comes again and again in them: it tells of one only where none was before.
_STREAMS = {
    TRANSPORT: re.compile(rb"\x47[\x40-\x5f].{186}(?:\x47.{187}){4}\x47", re.DOTALL),
    PROGRAM: re.compile(rb"\0\0\x01\xba[\x21-\x2f\x44-\x7f].{7,19}?\0\0\x01[\xbb-\xff]", re.DOTALL),
}


def kind_of(head: bytes) -> str | None:
    """The container that bytes, ``LONGEST_BEGINNING`` of them, are the beginning of; None: another one, or a stream."""
    return next((kind for kind, pattern in BEGINNINGS.items() if pattern.match(head)), None)


def next_of_another_kind(content: mmap.mmap, kind: str, begin: int, end: int) -> int:
    """Where between two offsets a video of another kind begins; ``end`` where none does."""
    for other, pattern in (BEGINNINGS | _STREAMS).items():
        if other != kind and (match := pattern.search(content, begin, min(len(content), end + _LONGEST))):
            end = min(end, match.start())
    return end
