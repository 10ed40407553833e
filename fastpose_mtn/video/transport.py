"""Where in an MPEG transport stream another recording begins whose video tracks have other numbers (ISO 13818-1)."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterable, Iterator

import numpy as np

from fastpose_mtn.video.container_kinds import TRANSPORT, next_of_another_kind

_SYNC = 0x47  # each packet's first byte
_LAYOUTS = ((188, 0), (192, 4))  # a packet's bytes, and those before its mark: plain ones, camcorders' M2TS
_PROGRAMS = 0  # a table's kind: of the programs; its packets have the number 0
_TRACKS = 2  # of a program's tracks
_VIDEO = (0x01, 0x02, 0x10, 0x1B, 0x24, 0x33, 0x42, 0xD1, 0xEA)  # kinds of tracks
_AT_ONCE = 1 << 18  # packets

Tracks = frozenset[tuple[int, int]]  # number and kind of each


def transport_parts(content: mmap.mmap, at: int) -> tuple[list[int], int] | None:
    """Offsets at which the video tracks become others, in number or in kind, from a first one on, and where the last end.

    FFmpeg takes them for further tracks, of which one alone would be read. Several programs side by side are no change.

    Returns:
        None where no transport stream begins.
    """
    layout = next((layout for layout in _LAYOUTS if _is_in_step(content, at, layout)), None)
    if not layout:
        return None
    packets = _Packets(content, at, layout)
    return _parts(_tables(packets), at), packets.end


def _parts(tables: Iterator[tuple[int, int, bytes]], begin: int) -> list[int]:
    begins = [begin]
    known: Tracks = frozenset()  # of this part
    told: set[int] = set()  # programs of this part, by the number of their table
    programs: frozenset[int] | None = None
    changed, last_at = False, 0
    for at, number, section in tables:
        if number == 0 and section[0] == _PROGRAMS:
            listed, last_at = _programs(section), at
            changed |= programs not in (None, listed)
            programs = listed
        elif section[0] == _TRACKS and number in (programs or ()):
            tracks = _video_tracks(section)
            if known and not tracks <= known and (changed or number in told):
                begins.append(last_at)
                known, told = frozenset(), set()
            changed &= not tracks
            known |= tracks
            told.add(number)
    return begins


def _is_in_step(content: mmap.mmap, at: int, layout: tuple[int, int]) -> bool:
    """Whether packets follow each other from here on."""
    step, before = layout
    marks = content[at + before : at + 8 * step : step]
    return len(marks) > 1 and set(marks) == {_SYNC}


class _Packets:
    """What follows each other in step in a file, ``_AT_ONCE`` at most at a time, up to where a video of another kind begins.

    Attributes:
        end: where they end, once they were gone through.
    """

    def __init__(self, content: mmap.mmap, begin: int, layout: tuple[int, int]) -> None:
        self._content = content
        self._layout = layout
        self.end = begin

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Offsets (P,) and bytes (P, 188)."""
        step, before = self._layout
        at = self.end
        while at + step <= len(self._content):
            count = min(_AT_ONCE, (len(self._content) - at) // step)
            rows = np.frombuffer(self._content[at : at + count * step], np.uint8).reshape(count, step)[
                :, before:
            ]
            lost = np.flatnonzero(rows[:, 0] != _SYNC)
            whole = int(lost[0]) if len(lost) else count
            yield at + step * np.arange(whole), rows[:whole]
            at += whole * step
            if whole < count:
                resumed = _next_in_step(self._content, at + 1, self._layout)
                cut = max(at - step, self.end)  # the last one may be cut off, and go on in what follows
                at = next_of_another_kind(self._content, TRANSPORT, cut, resumed)
                if at < resumed:
                    break
        self.end = at


def _tables(packets: Iterable[tuple[np.ndarray, np.ndarray]]) -> Iterator[tuple[int, int, bytes]]:
    """Offset, number and first bytes of what begins in a packet with a table's head, not with a picture's or sound's."""
    for offsets, rows in packets:
        for row in np.flatnonzero(rows[:, 1] & 0x40):  # where something begins
            packet = rows[row].tobytes()
            payload = packet[5 + packet[4] :] if packet[3] & 0x20 else packet[4:]
            section = payload[1 + payload[0] :] if payload[:3] != b"\0\0\1" and payload else b""
            if len(section) > 12:
                yield int(offsets[row]), (packet[1] & 0x1F) << 8 | packet[2], section


def _next_in_step(content: mmap.mmap, at: int, layout: tuple[int, int]) -> int:
    """Where packets follow each other again; the end where they do not."""
    for match in re.compile(bytes([_SYNC])).finditer(content, at + layout[1]):
        if _is_in_step(content, match.start() - layout[1], layout):
            return match.start() - layout[1]
    return len(content)


def _entries(section: bytes, first: int) -> bytes:
    """A table's content from a byte on, up to its checksum, as far as the packet holds it."""
    return section[first : 3 + ((section[1] & 0x0F) << 8 | section[2]) - 4]


def _programs(section: bytes) -> frozenset[int]:
    """The numbers of the packets in which programs' tables are."""
    entries = _entries(section, 8)
    pairs = [entries[k : k + 4] for k in range(0, len(entries) - 3, 4)]
    return frozenset((pair[2] & 0x1F) << 8 | pair[3] for pair in pairs if pair[:2] != b"\0\0")


def _video_tracks(section: bytes) -> Tracks:
    entries = _entries(section, 12 + ((section[10] & 0x0F) << 8 | section[11]))
    at, found = 0, set()
    while at + 5 <= len(entries):
        kind, number = entries[at], (entries[at + 1] & 0x1F) << 8 | entries[at + 2]
        if kind in _VIDEO:
            found.add((number, kind))
        at += 5 + ((entries[at + 3] & 0x0F) << 8 | entries[at + 4])
    return frozenset(found)
