import itertools
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from rectangles import moving, write_video

from fastpose_mtn.video.clock import FrameClock, PacketClock, nominal_rate
from fastpose_mtn.video.sources import open_source

TICK = Fraction(1, 90_000)


def times_of(path):
    """Of every frame; all are decoded, and each is later than the one before."""
    source = open_source(str(path))
    frames = list(source)
    assert (source.skipped, source.problem) == ([], None)
    times = [frame.time_s for frame in frames]
    assert all(a < b for a, b in itertools.pairwise(times))
    assert [frame.index for frame in frames] == list(range(len(frames)))
    return times


def segment(path, count, *, start_s=0.0, b_frames=0):
    images = [moving(i) for i in range(count)]
    times = [start_s + i / 30 for i in range(count)]
    return write_video(path, images, times, b_frames=b_frames, base=Fraction(1, 30)).read_bytes()


@pytest.mark.parametrize("suffix", ["ts", "mpg"])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_the_clock_goes_on_where_segments_were_joined(tmp_path, suffix, b_frames):
    parts = [
        segment(tmp_path / f"{i}.{suffix}", count, start_s=start, b_frames=b_frames)
        for i, (count, start) in enumerate(((20, 0.0), (5, 0.0), (25, 0.0)))
    ]
    (tmp_path / f"joined.{suffix}").write_bytes(b"".join(parts))
    times = times_of(tmp_path / f"joined.{suffix}")
    np.testing.assert_allclose(times, np.arange(50) / 30, atol=0.04 if b_frames else 1e-3)


def test_segments_of_a_camera_whose_clock_was_set_between_them(tmp_path):
    """Back by two hours, which FFmpeg takes for its clock of 33 bits that began anew; then on by three."""
    parts = [segment(tmp_path / f"{i}.ts", 20, start_s=start) for i, start in enumerate((8000, 1000, 12_000))]
    (tmp_path / "joined.ts").write_bytes(b"".join(parts))
    np.testing.assert_allclose(times_of(tmp_path / "joined.ts"), np.arange(60) / 30, atol=1e-3)


def test_a_transport_streams_clock_that_begins_anew_after_26_hours(tmp_path):
    wrap_s = 2**33 / 90_000
    path = tmp_path / "a.ts"
    path.write_bytes(
        segment(path, 60, start_s=wrap_s - 2.4)
    )  # the muxer adds 1.4 s; in the middle it begins anew
    np.testing.assert_allclose(times_of(path), np.arange(60) / 30, atol=1e-3)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_a_gap_stays_a_gap(tmp_path, suffix):
    times = [*(i / 30 for i in range(10)), *(20 + i / 30 for i in range(10))]
    path = write_video(tmp_path / f"a.{suffix}", [moving(i) for i in range(20)], times)
    np.testing.assert_allclose(times_of(path), times, atol=1e-3)


def test_times_before_zero_count_from_the_first_frame(tmp_path):
    times = [i / 30 - 5 for i in range(10)]
    path = write_video(
        tmp_path / "a.mkv", [moving(i) for i in range(10)], times, options={"avoid_negative_ts": "0"}
    )
    np.testing.assert_allclose(times_of(path), np.arange(10) / 30, atol=1.1e-3)


def test_a_raw_stream_has_its_own_rate(tmp_path):
    """Its demuxer would make up 25 frames a second."""
    path = write_video(tmp_path / "a.h264", [moving(i) for i in range(30)], b_frames=2, base=Fraction(1, 30))
    np.testing.assert_allclose(times_of(path), np.arange(30) / 30, atol=1e-6)


def test_reordered_frames_in_avi_which_knows_no_times_of_showing(tmp_path):
    path = write_video(tmp_path / "a.avi", [moving(i) for i in range(18)], b_frames=3, base=Fraction(1, 30))
    np.testing.assert_allclose(times_of(path), np.arange(18) / 30, atol=1e-3)
    reds = [int(np.argmax(frame.image[20, :, 0] > 200)) for frame in open_source(str(path))]
    assert reds == sorted(reds)


def test_a_short_film_of_delayed_frames_is_not_called_cut_off(tmp_path):
    """FLV's length counts from 0, its first frame is shown two frames later."""
    path = write_video(tmp_path / "a.flv", [moving(i) for i in range(12)], b_frames=2)
    assert len(times_of(path)) == 12


def advanced(times, rate=30):
    clock = FrameClock(Fraction(rate))
    return [clock.advance(time) for time in times]


def test_repeated_times_are_spread_without_pushing_on_those_that_follow():
    frame = 1 / 30
    got = advanced([5.0, 5.0, 5 + 2 * frame, 5 + 2 * frame, 5 + 4 * frame])
    np.testing.assert_allclose(got, [0, 0.5 * frame, 2 * frame, 2.5 * frame, 4 * frame], atol=1e-9)


def test_times_that_are_all_one_are_frames_at_the_nominal_rate():
    np.testing.assert_allclose(advanced([0.0] * 5, rate=10), [0, 0.05, 0.15, 0.25, 0.35])


def test_frames_a_tick_apart_are_frames_at_the_nominal_rate():
    """A file that was written without a rate; its whole length would be a blink."""
    np.testing.assert_allclose(advanced([i / 90_000 for i in range(4)], rate=10), [0, 0.05, 0.15, 0.25])


def test_missing_times_follow_by_a_frame():
    np.testing.assert_allclose(advanced([None, None, 7.0, None, 7.3], rate=10), [0, 0.1, 0.2, 0.3, 0.5])


def track(**told):
    context = SimpleNamespace(has_b_frames=told.pop("has_b_frames", False))
    given = {"average_rate": None, "guessed_rate": None, "start_time": 0, "time_base": TICK, **told}
    return SimpleNamespace(codec_context=context, **given)


@pytest.mark.parametrize(
    ("told", "rate"),
    [
        ({"average_rate": Fraction(25), "guessed_rate": Fraction(50)}, 25),
        ({"average_rate": Fraction(0), "guessed_rate": Fraction(50)}, 50),
        ({"average_rate": Fraction(90_000)}, 30),
        ({"average_rate": Fraction(25), "guessed_rate": Fraction(30), "start_time": None}, 30),
        ({}, 30),
    ],
)
def test_a_rate_that_is_missing_or_nonsense_is_replaced(told, rate):
    assert nominal_rate(track(**told)) == rate


def mended(packets, **told):
    clock = PacketClock(track(**told), Fraction(30))
    for packet in packets:
        clock.mend(packet)
    return [packet.pts for packet in packets], clock


def test_times_of_showing_written_as_times_of_decoding_are_no_jump():
    """B-frames: the fifth is decoded second. Only without reordering is a step back a new beginning."""
    order = [0, 4, 2, 1, 3, 8, 6, 5, 7]
    packets = [SimpleNamespace(pts=3000 * i, dts=3000 * i) for i in order]
    got, clock = mended(packets, has_b_frames=True)
    assert got == [3000 * i for i in order]
    assert not clock.jumped


def test_a_jump_moves_both_times_of_all_that_follows():
    packets = [SimpleNamespace(pts=3000 * i + 6000, dts=3000 * i) for i in (100, 101, 7, 8, 9)]
    got, clock = mended(packets)
    assert got == [3000 * i + 6000 for i in (100, 101, 102, 103, 104)]
    assert clock.shifts == [0, 3000 * 95]
