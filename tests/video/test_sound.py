from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest
from rectangles import write_film

from fastpose_mtn.video.encoder import VideoEncoder
from fastpose_mtn.video.sound import SoundReader
from fastpose_mtn.video.sources import open_source

TICK = Fraction(1, 90_000)


def copy(path, target):
    """The overlay of a video, but for what is drawn, and what is said of its sound."""
    source = open_source(str(path))
    encoder = None
    for frame in source:
        encoder = encoder or VideoEncoder(
            target, frame_rate=source.frame_rate, time_base=source.time_base, sound=source.sound
        )
        encoder.write(frame.image, frame.time_s, frame.duration_s, frame.sound)
    encoder.close(True)
    return encoder.lost


def heard(path):
    """Seconds from the first picture to the beginning and the end of the sound, and its loudness."""
    with av.open(str(path)) as container:
        first_s = next(container.decode(video=0)).time
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        loud = np.abs(
            np.concatenate([frame.to_ndarray().astype(float).ravel() for frame in frames[5:] or frames])
        ).mean()
        last = frames[-1]
        return frames[0].time - first_s, last.time + last.samples / last.sample_rate - first_s, loud


@pytest.mark.parametrize(
    ("name", "film", "expected_s"),
    [
        ("a.mp4", {}, (0.0, 1.33)),
        ("a.ts", {}, (0.0, 1.33)),
        ("a.mkv", {"codec": "libopus"}, (0.0, 1.33)),
        ("a.mpg", {"codec": "mp2", "video": "mpeg2video"}, (0.0, 1.33)),
        ("a.avi", {"codec": "libmp3lame", "video": "mpeg4"}, (0.0, 1.33)),
        ("begins_before_the_picture.mp4", {"picture_s": 0.5}, (0.0, 0.81)),
        ("begins_after_the_picture.mp4", {"sound_s": 0.5, "length_s": 0.5}, (0.5, 1.0)),
        ("outlasts_the_picture.mp4", {"length_s": 3.0}, (0.0, 1.33)),
        ("short.mp4", {"count": 1, "length_s": 0.5}, (0.0, 0.03)),
    ],
)
def test_sound_is_copied_in_time_with_the_picture(tmp_path, name, film, expected_s):
    assert copy(write_film(tmp_path / name, **film), tmp_path / "copy.mp4") == []
    begin_s, end_s, _ = heard(tmp_path / "copy.mp4")
    assert (begin_s, end_s) == pytest.approx(expected_s, abs=0.06)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_sound_is_not_encoded_again_and_keeps_its_times(tmp_path, name):
    copy(write_film(tmp_path / name), tmp_path / "copy.mp4")
    packets = []
    for path in (tmp_path / name, tmp_path / "copy.mp4"):
        with av.open(str(path)) as container:
            first_s = container.streams.video[0].start_time * container.streams.video[0].time_base
            read = [packet for packet in container.demux(audio=0) if packet.size]
            packets.append({bytes(packet): float(packet.pts * packet.time_base - first_s) for packet in read})
    assert len(packets[1]) > 50
    assert set(packets[1]) <= set(packets[0])
    assert max(abs(packets[0][data] - time) for data, time in packets[1].items()) < 0.002


def test_sound_that_players_do_not_play_in_mp4_is_left_out_and_said(tmp_path):
    lost = copy(write_film(tmp_path / "a.mov", codec="pcm_s16le"), tmp_path / "copy.mp4")
    assert lost == [
        "its sound is not in the overlay: it is in pcm_s16le, which players do not play in an MP4; convert it to AAC"
    ]
    with av.open(str(tmp_path / "copy.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]


@pytest.mark.parametrize("suffix", ["ts", "mp4"])
def test_sound_goes_on_with_the_picture_where_segments_were_joined(tmp_path, suffix):
    parts = [write_film(tmp_path / f"{i}.{suffix}", 45).read_bytes() for i in range(3)]
    joined = tmp_path / f"joined.{suffix}"
    joined.write_bytes(b"".join(parts))
    assert copy(joined, tmp_path / "copy.mp4") == []
    begin_s, end_s, loud = heard(tmp_path / "copy.mp4")
    assert (begin_s, end_s) == pytest.approx((0.0, 4.5), abs=0.1)
    copy(tmp_path / f"0.{suffix}", tmp_path / "once.mp4")
    assert loud == pytest.approx(heard(tmp_path / "once.mp4")[2], rel=0.1)  # no silence between them


def packet(time_s, track=1):
    stream = SimpleNamespace(index=track)
    ticks = round(time_s * 1000)
    return SimpleNamespace(
        dts=ticks, pts=ticks, size=9, duration=100, time_base=Fraction(1, 1000), stream=stream
    )


def test_packets_of_both_sides_of_a_jump_are_told_apart():
    """The picture has jumped from 10 s to 0 s; sound of the old side comes after it, and of the new one."""
    reader = SoundReader((), TICK)
    ten_s = round(10 / TICK)
    reader.add(packet(9.7), [0])
    for time_s in (9.8, 9.9, 0.0, 0.1):
        reader.add(packet(time_s), [0, ten_s])
    assert [round(sound.time_s, 3) for sound in reader.take(0.0)] == [9.7, 9.8, 9.9, 10.0, 10.1]


def test_sound_ahead_of_a_jump_that_the_picture_has_not_made_is_left_out():
    reader = SoundReader((), TICK)
    for time_s in (9.8, 9.9, 0.0):
        reader.add(packet(time_s), [0])
    assert [round(sound.time_s, 3) for sound in reader.take(9.85)] == [0.05]
