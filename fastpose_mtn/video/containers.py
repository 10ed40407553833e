"""Where each video of a file begins that was joined of several byte by byte."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from fastpose_mtn.video.container_kinds import (
    ASF,
    AVI,
    BEGINNINGS,
    LONGEST_BEGINNING,
    MATROSKA,
    MP4,
    MXF,
    OGG,
    kind_of,
    next_of_another_kind,
)
from fastpose_mtn.video.program import program_parts
from fastpose_mtn.video.transport import transport_parts

_EBML, _SEGMENT, _VOID = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\xec"  # Matroska's elements
_MXF_KEY = bytes.fromhex("060e2b34")  # any item's
_RIFF = b"RIFF"  # longer AVIs go on in further chunks, which are of the kind AVIX
_OGG, _OGG_FIRST = b"OggS", 2  # a page, and its mark where it begins a track


class _Item(NamedTuple):
    """One of what a container consists of: where it begins and ends, bytes, and whether a video begins with it."""

    begin: int
    end: int
    first: bool


def parts_of(path: Path) -> list[tuple[int, int]]:
    """Where each video of a file begins and ends, bytes; what is behind the last one belongs to it.

    Headers alone are read of MP4, QuickTime, Matroska, AVI, ASF, MXF and Ogg; FLV, IVF, NUT, YUV4MPEG2 and live recordings in
    Matroska are searched, and MPEG-TS and MPEG-PS for places where their tracks become others (elsewhere FFmpeg goes on by
    itself). Behind each, videos of these kinds are known too. Other containers are one part.
    """
    size = path.stat().st_size
    begins: list[int] = []
    with path.open("rb") as file:
        end = 0
        while end < size:
            found, end = _parts_from(file, end, size)
            begins += found
    begins = begins or [0]
    return list(zip(begins, [*begins[1:], size], strict=True))


def _parts_from(file: BinaryIO, at: int, size: int) -> tuple[list[int], int]:
    """Where the videos of the kind that begins at an offset begin, and the end of the last one; the file's without any."""
    file.seek(at)
    kind = kind_of(file.read(LONGEST_BEGINNING))
    items = _WALKS[kind](file, at, size) if kind in _WALKS else None
    if items is not None:
        found = list(items)
        return [item.begin for item in found if item.first], found[-1].end if found else size
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if kind:
            end = next_of_another_kind(content, kind, at, size)
            return [match.start() for match in BEGINNINGS[kind].finditer(content, at, end)], end
        return transport_parts(content, at) or program_parts(content, at) or ([], size)


def _begins(kind: str, header: bytes) -> bool:
    return BEGINNINGS[kind].match(header) is not None


def _iso_boxes(file: BinaryIO, at: int, size: int) -> Iterator[_Item]:
    """ISO 14496-12's outermost boxes, as far as there are whole ones one behind the other.

    A box ``ftyp`` begins another video where what is before it has a ``moov`` of its own.
    """
    described = True
    while at + 8 <= size:
        file.seek(at)
        header = file.read(LONGEST_BEGINNING)
        kind = header[4:8]
        length, least = int.from_bytes(header[:4], "big"), 8
        if length == 1:  # behind the kind in 64 bits
            length, least = int.from_bytes(header[8:16], "big"), 16
        if length < least or not _is_text(kind) or kind_of(header) not in (None, MP4):
            return  # garbage, another container, or 0: up to the end of the file
        first = kind == b"ftyp" and described
        described = (described and not first) or kind == b"moov"
        yield _Item(at, at + length, first)
        at += length


def _is_text(kind: bytes) -> bool:
    return kind.isascii() and kind.decode().isprintable()


def _riff_chunks(file: BinaryIO, at: int, size: int) -> Iterator[_Item]:
    """An AVI's outermost chunks; the length of one that was not finished is made up."""
    while at + 12 <= size:
        file.seek(at)
        header = file.read(12)
        if not header.startswith(_RIFF):
            return
        length = int.from_bytes(header[4:8], "little")
        end = at + 8 + length + length % 2
        yield _Item(at, end, _begins(AVI, header))
        at = end


def _asf_objects(file: BinaryIO, at: int, size: int) -> Iterator[_Item]:
    """An ASF file's outermost objects."""
    while at + 24 <= size:
        file.seek(at)
        header = file.read(24)
        if header[7] >> 4 != 1 or header[8] >> 6 != 2:  # as in any GUID made of time and place
            return
        end = at + max(24, int.from_bytes(header[16:], "little"))
        yield _Item(at, end, _begins(ASF, header))
        at = end


def _mxf_items(file: BinaryIO, at: int, size: int) -> Iterator[_Item]:
    """An MXF file's items, SMPTE 377's key, length and value."""
    while at + 17 <= size:
        file.seek(at)
        header = file.read(25)
        if not header.startswith(_MXF_KEY):
            return
        length, width = header[16], 0
        if length > 127:  # in so many bytes
            width = length - 128
            length = int.from_bytes(header[17 : 17 + width], "big")
        end = at + 17 + width + length
        yield _Item(at, end, _begins(MXF, header))
        at = end


def _ogg_pages(file: BinaryIO, at: int, size: int) -> Iterator[_Item]:
    """An Ogg's pages; links of a chain begin with the first of a track's that stand behind others of tracks before."""
    among_first = False
    while at + 27 <= size:
        file.seek(at)
        header = file.read(27 + 255)
        if not header.startswith(_OGG):
            return
        first = bool(header[5] & _OGG_FIRST)
        segments = header[26]
        end = at + 27 + segments + sum(header[27 : 27 + segments])
        yield _Item(at, end, first and not among_first)
        among_first = first
        at = end


def _ebml_elements(file: BinaryIO, at: int, size: int) -> list[_Item] | None:
    """A Matroska file's outermost elements; None where one does not tell its length, as live ones."""
    found = []
    while at + 12 <= size:
        file.seek(at)
        header = file.read(12)
        if header[:4] not in (_EBML, _SEGMENT) and not header.startswith(_VOID):
            break
        name = 1 if header.startswith(_VOID) else 4
        width = 9 - header[name].bit_length()  # of the length, as the first byte's leading zeros tell
        length = int.from_bytes(header[name : name + width], "big") & ((1 << 7 * width) - 1)
        if length == (1 << 7 * width) - 1:
            return None
        end = at + name + width + length
        found.append(_Item(at, end, header.startswith(_EBML)))
        at = end
    return found


_WALKS: dict[str | None, Callable[[BinaryIO, int, int], Iterable[_Item] | None]] = {
    MP4: _iso_boxes,
    AVI: _riff_chunks,
    ASF: _asf_objects,
    MXF: _mxf_items,
    OGG: _ogg_pages,
    MATROSKA: _ebml_elements,
}
