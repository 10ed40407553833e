import struct

import pytest

from fastpose_mtn.video.containers import parts_of


def table(number, section, *, padded=False):
    """A transport stream's packet with a table, or with 20 bytes that are left out before it."""
    section = section[:1] + (0xB000 | len(section) + 1).to_bytes(2, "big") + section[3:] + b"sum."
    left_out = bytes([20]) + b"\0" + b"\xff" * 19 if padded else b""
    head = bytes([0x47, 0x40 | number >> 8, number & 0xFF, 0x30 if padded else 0x10])
    return (head + left_out + b"\0" + section).ljust(188, b"\xff")


def programs(*numbers):
    entries = b"".join(struct.pack(">HH", k + 1, 0xE000 | number) for k, number in enumerate(numbers))
    return table(0, b"\0..\0\1\xc1\0\0" + struct.pack(">HH", 0, 0xE010) + entries)


def tracks(number, *numbers, kind=0x1B):
    sound = struct.pack(">BHH", 0x0F, 0xE000 | 99, 0xF003) + b"eng"
    entries = sound + b"".join(struct.pack(">BHH", kind, 0xE000 | track, 0xF000) for track in numbers)
    return table(number, b"\2..\0\1\xc1\0\0\xe1\0\xf0\2hi" + entries, padded=True)


@pytest.mark.parametrize(
    ("second", "parts"),
    [
        (programs(500, 600) + tracks(500, 256) + tracks(600, 300), 1),  # two channels side by side
        (programs(500) + tracks(500, 256), 1),  # one of them goes
        (programs(500, 600, 700) + tracks(500, 256) + tracks(700, 400), 1),  # another one comes
        (programs(500, 600) + tracks(500), 1),  # sound alone for a while
        (programs(500, 600) + tracks(600, 301), 2),
        (programs(500, 600) + tracks(500, 256, kind=0x24), 2),
        (programs(800) + tracks(800, 301), 2),
        (programs(800) + tracks(800, 256), 1),  # FFmpeg goes on
    ],
)
def test_where_the_tracks_of_a_transport_stream_become_others(tmp_path, second, parts):
    sound = (b"\x47\x40\x63\x10\0\0\1\xc0".ljust(188, b"\1") + b"\x47\0\x63\x11".ljust(188, b"\2")) * 3
    first = programs(500, 600) + sound + tracks(500, 256) + tracks(600, 300) + sound
    path = tmp_path / "a.ts"
    path.write_bytes(first * 2 + b"damaged" + first + second + sound)
    begins = [begin for begin, _ in parts_of(path)]
    assert begins == [0, 3 * len(first) + 7][:parts]
