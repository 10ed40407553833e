import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from rectangles import moving, write_video

from fastpose_mtn.video.containers import parts_of
from fastpose_mtn.video.sources import open_source


def part(path, count, *, start=0, size_hw=(48, 64), **options):
    images = [moving(start + i, size_hw) for i in range(count)]
    return write_video(
        path, images, [i / 30 for i in range(count)], base=Fraction(1, 30), **options
    ).read_bytes()


def program_stream(path, count, *, start=0, size_hw=(48, 64), codec="mpeg2video", sound=False):
    with av.open(str(path), "w", format="mpeg" if codec == "mpeg1video" else "vob") as container:
        track = container.add_stream(codec, rate=25)
        track.height, track.width = size_hw
        track.bit_rate = 2_000_000
        track.codec_context.gop_size, track.codec_context.max_b_frames = 5, 0 if codec == "mpeg4" else 2
        voice = container.add_stream("mp2", rate=48000, layout="mono") if sound else None
        for i in range(count):
            frame = av.VideoFrame.from_ndarray(moving(start + i, size_hw), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
        if voice:
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 1920 * count), np.int16), layout="mono")
            samples.sample_rate, samples.pts = 48000, 0
            container.mux(voice.encode(samples))
            container.mux(voice.encode(None))
    return path.read_bytes()


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
        ({"codec": "mpeg4", "suffix": "avi"}, "the codec is mpeg4, not h264"),
        ({"base": Fraction(1, 15), "suffix": "avi"}, "the clock ticks every 1/15 s, not every 1/30 s"),
        ({"codec": "mpeg2video", "suffix": "ts"}, "the codec is mpeg2video, not h264"),
    ],
)
def test_what_does_not_go_on_as_the_first_is_said_and_left_out(tmp_path, other, why):
    suffix = other.pop("suffix", "mp4")
    first = part(tmp_path / f"a.{suffix}", 10)
    base = other.pop("base", Fraction(1, 30))
    images = [moving(i) for i in range(8)]
    times = [i * max(base, Fraction(1, 30)) for i in range(8)]
    second = write_video(tmp_path / f"b.{suffix}", images, times, base=base, **other).read_bytes()
    joined = tmp_path / f"j.{suffix}"
    joined.write_bytes(first + first + second + first)
    frames, source = read(joined)
    assert len(frames) == 20
    assert source.frame_count in (20, None)
    # where transport streams go on alike, they are one
    count, read_of_them = (3, "first 1 was") if suffix == "ts" else (4, "first 2 were")
    assert source.problem.startswith(
        f"{joined}: {count} videos joined byte by byte, of which the {read_of_them} read; of the next one, "
    )
    assert (
        f"{len(second)} bytes from byte {(count - 2) * len(first)} on, {why}" in source.problem
        or suffix == "ts"
    )
    assert why in source.problem


def test_a_next_one_that_is_cut_off_is_said(tmp_path):
    whole = part(tmp_path / "a.mp4", 10)
    (tmp_path / "j.mp4").write_bytes(whole + whole[: len(whole) // 2])
    frames, source = read(tmp_path / "j.mp4")
    assert len(frames) == 10
    assert (
        "2 videos joined byte by byte, of which the first 1 was read; of the next one, "
        f"{len(whole) // 2} bytes from byte {len(whole)} on, it cannot be read" in source.problem
    )


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        ("mp4", "libx264"),
        ("mp4", "mpeg2video"),
        ("mxf", "mpeg2video"),
        ("ogv", "libvpx"),
        ("avi", "libx264"),
        ("avi", "mpeg4"),
    ],
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
    assert "on, size or encoder's settings differ" in source.problem


@pytest.mark.parametrize(
    "numbers",
    [
        {"mpegts_start_pid": "300"},
        {"mpegts_start_pid": "300", "mpegts_pmt_start_pid": "1000", "mpegts_service_id": "7"},
        {"mpegts_service_id": "7"},
    ],
)
@pytest.mark.parametrize("cut", [0, 77])
@pytest.mark.parametrize("before", [0, 4])
def test_transport_streams_whose_tracks_have_other_numbers(tmp_path, numbers, cut, before):
    """Those of another recorder: FFmpeg takes the second one's video for a further track. M2TS has a time before each packet."""
    first = part(tmp_path / "a.ts", 10)
    second = part(tmp_path / "b.ts", 10, start=10, options=numbers)
    content = first + first[: len(first) - cut] + second
    if before and not cut:
        content = b"".join(bytes(before) + content[i : i + 188] for i in range(0, len(content), 188))
    (tmp_path / "j.ts").write_bytes(content)
    frames, source = read(tmp_path / "j.ts")
    assert source.problem is None
    assert len(frames) - len(source.skipped) >= (30 if not cut else 29)
    red = np.nonzero(frames[-1].image[..., 0].astype(int) - frames[-1].image[..., 1] > 80)[1].mean()
    assert red == pytest.approx(19 * 2 + 5.5, abs=1.5)
    assert (np.diff([frame.time_s for frame in frames]) > 0).all()


@pytest.mark.parametrize("cut", [0, 77])
@pytest.mark.parametrize("sound", [False, True])
@pytest.mark.parametrize("codec", ["mpeg1video", "mpeg2video", "libx264"])
def test_program_streams_whose_track_has_another_number(tmp_path, codec, sound, cut):
    """Those of another recorder, also behind one that was cut off amid a packet."""
    first = program_stream(tmp_path / "a.vob", 10, codec=codec, sound=sound)
    second = program_stream(tmp_path / "b.vob", 10, start=10, codec=codec, sound=sound, size_hw=(64, 96))
    number = b"\xe2" if codec == "libx264" else b"\xe0"
    assert second.count(b"\0\0\1" + number) >= 1
    path = tmp_path / "j.vob"
    path.write_bytes(first + first[: len(first) - cut] + second.replace(b"\0\0\1" + number, b"\0\0\1\xe7"))
    assert len(parts_of(path)) == 2
    frames, source = read(path)
    assert source.problem is None
    assert len(frames) - len(source.skipped) >= (30 if not cut else 29)
    assert [frame.image_size_hw for frame in frames[-10:]] == [(64, 96)] * 10
    red = [np.nonzero(f.image[..., 0].astype(int) - f.image[..., 1] > 80)[1].mean() for f in frames[-10:]]
    np.testing.assert_allclose(red, [i * 2 % 40 + 5.5 for i in range(10, 20)], atol=1.5)
    assert (np.diff([frame.time_s for frame in frames]) > 0).all()


@pytest.mark.parametrize(
    ("codecs", "read_of_them"),
    [
        (("mpeg2video", "libx264"), 1),
        (("libx264", "mpeg1video"), 1),
        (("mpeg4", "mpeg2video"), 1),
        (("mpeg1video", "mpeg4"), 1),
        (("mpeg2video", "mpeg1video", "mpeg2video"), 3),  # one decoder reads both
    ],
)
def test_program_streams_of_other_codecs(tmp_path, codecs, read_of_them):
    """FFmpeg takes them for further tracks, or has the first one's decoder read them."""
    path = tmp_path / "j.mpg"
    path.write_bytes(
        b"".join(
            program_stream(tmp_path / f"{k}.vob", 8, start=8 * k, codec=codec, sound=k % 2 == 0)
            for k, codec in enumerate(codecs)
        )
    )
    frames, source = read(path)
    assert (len(frames), source.skipped) == (8 * read_of_them, [])
    if read_of_them == len(codecs):
        assert source.problem is None
        return
    names = [codec.replace("libx264", "h264") for codec in codecs]
    assert source.problem.startswith(
        f"{path}: 2 videos joined byte by byte, of which the first 1 was read; of the next one, "
    )
    assert f"codec is {names[1]}, not {names[0]}" in source.problem or "the tracks are" in source.problem


CONTAINERS = ("mp4", "mkv", "webm", "avi", "flv", "wmv", "nut", "ivf", "mxf", "ogv", "y4m", "ts", "vob")


@pytest.fixture(scope="module")
def of_each_kind(tmp_path_factory):
    """Eight frames in each container; the WebM does not tell its length."""
    folder = tmp_path_factory.mktemp("videos")
    codecs = {
        "wmv": "wmv2",
        "mxf": "mpeg2video",
        "y4m": "rawvideo",
        "webm": "libvpx",
        "ivf": "libvpx",
        "ogv": "libvpx",
    }
    options = {"webm": {"live": "1"}}
    return {
        kind: program_stream(folder / "a.vob", 8)
        if kind == "vob"
        else part(folder / f"a.{kind}", 8, codec=codecs.get(kind, "libx264"), options=options.get(kind))
        for kind in CONTAINERS
    }


@pytest.mark.parametrize("first", CONTAINERS)
def test_videos_of_other_kinds_behind_are_said(tmp_path, of_each_kind, first):
    """FFmpeg reads the first one and says nothing of the next, or takes it for damage."""
    content = of_each_kind[first]
    path = tmp_path / f"j.{first}"
    for second in CONTAINERS:
        if {first, second} in ({first}, {"mkv", "webm"}):
            continue
        path.write_bytes(content + of_each_kind[second] + content)
        frames, source = read(path)
        assert (len(frames), source.skipped) == (8, []), second
        assert source.problem.startswith(
            f"{path}: 3 videos joined byte by byte, of which the first 1 was read; "
        ), second
        other = len(of_each_kind[second])
        assert f", {other} bytes from byte {len(content)} on, the container is " in source.problem, second


@pytest.mark.parametrize("live", [None, {"live": "1"}])
def test_matroska_and_webm_are_one_container_and_are_told_by_their_codecs(tmp_path, live):
    """FFmpeg reads both by one reader, and of ``cat a.mkv b.webm`` the first alone."""
    other = part(tmp_path / "a.mkv", 5, codec="libx264", b_frames=0, options=live)
    alike = part(tmp_path / "b.mkv", 5, codec="libvpx", options=live)
    webm = part(tmp_path / "c.webm", 6, codec="libvpx", options=live)
    path = tmp_path / "j.mkv"
    for first, second in ((alike, webm), (webm, alike)):
        path.write_bytes(first + second)
        assert [begin for begin, _ in parts_of(path)] == [0, len(first)]
        frames, source = read(path)
        assert (len(frames), source.skipped, source.problem) == (11, [], None)
    for first, second, count, codecs in (
        (other, webm, 5, "vp8, not h264"),
        (webm, other, 6, "h264, not vp8"),
    ):
        path.write_bytes(first + second)
        frames, source = read(path)
        assert len(frames) == count
        assert f"of the next one, {len(second)} bytes from byte {len(first)} on" in source.problem
        assert f"the codec is {codecs}; cut them apart" in source.problem


@pytest.mark.parametrize("first", ["ts", "vob"])
def test_videos_of_other_kinds_behind_cut_off_streams_are_said(tmp_path, of_each_kind, first):
    path = tmp_path / f"j.{first}"
    path.write_bytes(of_each_kind[first][:-77] + of_each_kind["mp4"])
    frames, source = read(path)
    assert len(frames) in (6, 7, 8)
    assert "the container is mov,mp4,m4a,3gp,3g2,mj2, not mpeg" in source.problem


def test_a_name_with_a_colon_is_no_protocol(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    part(tmp_path / "a.mp4", 3)
    (tmp_path / "a.mp4").rename("cam:1.mp4")
    assert len(read("cam:1.mp4")[0]) == 3
    assert av.open("file:cam:1.mp4").streams.video
