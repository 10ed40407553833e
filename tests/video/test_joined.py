import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from rectangles import moving, write_video

from fastpose_mtn.video.joined import parts_of
from fastpose_mtn.video.sources import open_source


def part(path, count, *, start=0, size_hw=(48, 64), **options):
    images = [moving(start + i, size_hw) for i in range(count)]
    return write_video(
        path, images, [i / 30 for i in range(count)], base=Fraction(1, 30), **options
    ).read_bytes()


def read(path):
    source = open_source(str(path))
    frames = list(source)
    assert [frame.index for frame in frames] == list(range(len(frames)))
    return frames, source


@pytest.mark.parametrize(
    "suffix", ["mp4", "mov", "mkv", "webm", "avi", "flv", "wmv", "nut", "ivf", "mxf", "ogv", "y4m"]
)
@pytest.mark.parametrize("b_frames", [0, 2])
def test_joined_files_are_read_to_their_end_and_the_clock_goes_on(tmp_path, suffix, b_frames):
    """People walk on: a frame of the second part is not one of the first."""
    codecs = {"wmv": "wmv2", "mxf": "mpeg2video", "y4m": "rawvideo"} | dict.fromkeys(
        ("webm", "ivf", "ogv"), "libvpx"
    )
    codec = codecs.get(suffix, "libx264")
    b_frames = b_frames if codec in ("libx264", "mpeg2video") else 0
    counts = (20, 5, 12)
    parts = [
        part(tmp_path / f"{i}.{suffix}", count, start=sum(counts[:i]), codec=codec, b_frames=b_frames)
        for i, count in enumerate(counts)
    ]
    path = tmp_path / f"it's 100%d, joined.{suffix}"
    path.write_bytes(b"".join(parts))
    frames, source = read(path)
    assert (len(frames), source.skipped, source.problem) == (37, [], None)
    assert suffix == "avi" or source.frame_count in (
        37,
        None,
    )  # FFmpeg joins these, and counts the first one's
    np.testing.assert_allclose([f.time_s for f in frames], np.arange(37) / 30, atol=0.15)
    assert (np.diff([frame.time_s for frame in frames]) > 0).all()
    red = [np.nonzero(f.image[..., 0].astype(int) - f.image[..., 1] > 80)[1].mean() for f in frames]
    expected = [i * 2 % 40 + 5.5 for i in range(37)]
    np.testing.assert_allclose(red, expected, atol=1.5)


def test_recordings_of_browsers_do_not_tell_their_length(tmp_path):
    parts = [part(tmp_path / f"{i}.webm", 8, codec="libvpx", options={"live": "1"}) for i in range(3)]
    (tmp_path / "j.webm").write_bytes(b"".join(parts))
    frames, source = read(tmp_path / "j.webm")
    assert (len(frames), source.problem) == (24, None)


def test_boxes_of_64_bits_and_what_is_behind_the_last_one(tmp_path):
    whole = part(tmp_path / "a.mp4", 6)
    wide = struct.pack(">I4sQ", 1, b"free", 16 + 5) + b"12345"
    path = tmp_path / "b.mp4"
    for between, behind in ((wide, b""), (b"", b"\0" * 64), (b"", b"garbage without an end"), (wide, wide)):
        path.write_bytes(whole + between + whole + behind)
        assert [begin for begin, _ in parts_of(path)] == [0, len(whole) + len(between)]
        frames, source = read(path)
        assert (len(frames), source.problem) == (12, None)


@pytest.mark.parametrize(
    "behind",
    [b"", b"\0" * 100, b"\0\0\0\x08free" * 9, b"\xff" * 99, struct.pack(">I4s", 0, b"free") + b"ftyp" * 9],
)
def test_one_video_is_one(tmp_path, behind):
    """Whatever is appended, a fragmented one, and one whose ``ftyp`` is there twice."""
    plain = part(tmp_path / "a.mp4", 6)
    fragmented = part(tmp_path / "f.mp4", 6, options={"movflags": "frag_keyframe+empty_moov"})
    brand = plain[: int.from_bytes(plain[:4], "big")]
    for content in (plain, fragmented):
        (tmp_path / "b.mp4").write_bytes(content + behind)
        assert parts_of(tmp_path / "b.mp4") == [(0, len(content + behind))]
        assert len(read(tmp_path / "b.mp4")[0]) == 6
    (tmp_path / "c.mp4").write_bytes(brand + plain[len(brand) :])
    assert len(parts_of(tmp_path / "c.mp4")) == 1


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"rotation": 90}, "the frames are to be turned otherwise"),
        ({"codec": "mpeg4"}, "the codec is mpeg4, not h264"),
        ({"base": Fraction(1, 90)}, "the clock ticks every"),
    ],
)
def test_what_does_not_go_on_as_the_first_is_said_and_left_out(tmp_path, other, why):
    first = part(tmp_path / "a.mp4", 10)
    base = other.pop("base", Fraction(1, 30))
    images = [moving(i) for i in range(8)]
    second = write_video(
        tmp_path / "b.mp4", images, [i / 30 for i in range(8)], base=base, **other
    ).read_bytes()
    (tmp_path / "j.mp4").write_bytes(first + first + second + first)
    frames, source = read(tmp_path / "j.mp4")
    assert len(frames) == source.frame_count == 20
    assert source.problem.startswith(
        f"{tmp_path}/j.mp4: 4 videos joined byte by byte, of which the first 2 were read; of the next one {why}"
    )


def test_a_next_one_that_is_cut_off_is_said(tmp_path):
    whole = part(tmp_path / "a.mp4", 10)
    (tmp_path / "j.mp4").write_bytes(whole + whole[: len(whole) // 2])
    frames, source = read(tmp_path / "j.mp4")
    assert len(frames) == 10
    assert (
        "2 videos joined byte by byte, of which the first 1 was read; of the next one it cannot be read"
        in source.problem
    )


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mp4", "libx264"), ("mp4", "mpeg2video"), ("mxf", "mpeg2video"), ("ogv", "libvpx")]
)
def test_sizes_may_change_where_the_codec_tells_them_anew(tmp_path, suffix, codec):
    small = part(tmp_path / f"a.{suffix}", 10, codec=codec)
    large = part(tmp_path / f"b.{suffix}", 10, codec=codec, size_hw=(64, 96))
    path = tmp_path / f"j.{suffix}"
    path.write_bytes(small + large)
    frames, source = read(path)
    assert [frame.image_size_hw for frame in frames] == [(48, 64)] * 10 + [(64, 96)] * 10
    assert source.problem is None


def test_other_pixels_are_no_continuation(tmp_path):
    first = part(tmp_path / "a.y4m", 4, codec="rawvideo")
    assert b" C420" in first
    (tmp_path / "j.y4m").write_bytes(
        first + first.replace(b" C420jpeg", b" C444").replace(b" C420mpeg2", b" C444")
    )
    frames, source = read(tmp_path / "j.y4m")
    assert len(frames) == 4
    assert "of the next one size or encoder's settings differ" in source.problem


def test_a_name_with_a_colon_is_no_protocol(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    part(tmp_path / "a.mp4", 3)
    (tmp_path / "a.mp4").rename("cam:1.mp4")
    assert len(read("cam:1.mp4")[0]) == 3
    assert av.open("file:cam:1.mp4").streams.video
