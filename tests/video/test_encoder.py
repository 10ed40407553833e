import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import rectangles
from rectangles import COLOURS, moving, scene

from fastpose_mtn.video.encoder import VideoEncoder
from fastpose_mtn.video.sources import open_source


def encode(path, images, times, *, durations=None, frame_rate=30.0, time_base=Fraction(1, 90_000)):
    encoder = VideoEncoder(path, frame_rate=frame_rate, time_base=time_base)
    durations = durations or [1 / frame_rate] * len(times)
    for image, time, duration in zip(images, times, durations, strict=True):
        encoder.write(image, time, duration)
    assert not path.exists()
    encoder.close(True)
    return path


def length_s(path):
    with av.open(str(path)) as container:
        return container.duration / av.time_base


def test_frames_keep_their_times_and_the_video_its_length(tmp_path):
    times = [0.0, 0.1, 0.15, 0.4, 1.0, 1.05, 1.5]
    path = encode(
        tmp_path / "a.mp4",
        [moving(i) for i in range(7)],
        times,
        durations=[0.01] * 6 + [0.25],
        frame_rate=4.0,
    )
    with av.open(str(path)) as container:
        np.testing.assert_allclose([f.time for f in container.decode(video=0)], times, atol=2e-5)
        track = container.streams.video[0]
        assert (track.codec_context.name, track.codec_context.pix_fmt) == ("h264", "yuv420p")
    assert length_s(path) == pytest.approx(1.75, abs=0.002)


def test_a_constant_rate_is_kept_exactly(tmp_path):
    times = [i * 1001 / 30000 for i in range(31)]
    path = encode(tmp_path / "a.mp4", [moving(i) for i in range(31)], times, frame_rate=30000 / 1001)
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == Fraction(30000, 1001)
    assert length_s(path) == pytest.approx(31 * 1001 / 30000, abs=0.002)


@pytest.mark.parametrize(
    ("size_hw", "expected"), [((48, 64), (48, 64)), ((47, 65), (48, 66)), ((1, 1), (2, 2))]
)
def test_odd_sides_grow_by_one(tmp_path, size_hw, expected):
    path = encode(tmp_path / "a.mp4", [scene(size_hw)] * 3, [0.0, 0.1, 0.2])
    assert {frame.image_size_hw for frame in open_source(str(path))} == {expected}


def test_colours_survive(tmp_path):
    images = [np.full((48, 64, 3), colour, np.uint8) for colour in COLOURS.values()]
    path = encode(tmp_path / "a.mp4", images, [0.0, 1.0, 2.0])
    for frame, colour in zip(open_source(str(path)), COLOURS.values(), strict=True):
        assert np.abs(frame.image[24, 32].astype(int) - colour).max() < 12


def test_a_frame_of_another_size_is_fitted_on_black(tmp_path):
    images = [scene((48, 64)), np.full((96, 32, 3), 255, np.uint8)]  # half as large: 48x16 in the middle
    path = encode(tmp_path / "a.mp4", images, [0.0, 1.0])
    _, second = open_source(str(path))
    assert second.image.shape == (48, 64, 3)
    assert second.image[24, 32].min() > 230
    assert second.image[24, 10].max() < 25


def test_two_frames_of_one_time_are_both_kept(tmp_path):
    path = encode(tmp_path / "a.mp4", [moving(i) for i in range(4)], [0.0, 0.1, 0.1, 0.2])
    assert len(list(open_source(str(path)))) == 4


def test_a_video_cut_by_a_kill_plays_up_to_the_cut(tmp_path):
    """Nothing is closed and no buffer emptied; with the frames that are still inside the encoder left out."""
    code = f"""
import os, sys
sys.path.insert(0, {str(Path(rectangles.__file__).parent)!r})
from fractions import Fraction
from pathlib import Path
from rectangles import moving
from fastpose_mtn.video.encoder import VideoEncoder
encoder = VideoEncoder(Path({str(tmp_path / "a.mp4")!r}), frame_rate=30, time_base=Fraction(1, 90000))
for i in range(20):
    encoder.write(moving(i), i / 30, 1 / 30)
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4.partial"]
    with av.open(str(tmp_path / "a.mp4.partial")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert 15 <= len(times) <= 20
    np.testing.assert_allclose(times, np.arange(len(times)) / 30, atol=1e-4)


def test_a_finished_video_is_a_common_mp4(tmp_path):
    path = encode(tmp_path / "a.mp4", [moving(i) for i in range(40)], [i / 30 for i in range(40)])
    content = path.read_bytes()
    boxes, position = [], 0
    while position < len(content):
        size = int.from_bytes(content[position : position + 4], "big")
        boxes.append(content[position + 4 : position + 8].decode())
        position += size
    assert [box for box in boxes if box != "free"] == ["ftyp", "mdat", "moov"]


@pytest.mark.parametrize("time_base", [Fraction(1), Fraction(1, 25), Fraction(1, 10**9), Fraction(1, 15360)])
def test_times_that_a_sources_tick_cannot_tell_or_mp4_cannot_hold(tmp_path, time_base):
    times = [0.0, 0.02, 0.03, 3000.0]
    path = encode(tmp_path / "a.mp4", [moving(i) for i in range(4)], times, time_base=time_base)
    with av.open(str(path)) as container:
        np.testing.assert_allclose([frame.time for frame in container.decode(video=0)], times, atol=1e-3)


def test_a_frame_an_hour_is_a_rate_too(tmp_path):
    path = encode(
        tmp_path / "a.mp4", [moving(i) for i in range(3)], [0.0, 3600.0, 7200.0], frame_rate=1 / 3600
    )
    assert [frame.time_s for frame in open_source(str(path))] == [0.0, 3600.0, 7200.0]


def test_an_unfinished_video_is_plainly_partial(tmp_path):
    encoder = VideoEncoder(tmp_path / "a.mp4", frame_rate=30.0, time_base=Fraction(1, 90_000))
    encoder.write(moving(0), 0.0, 0.1)
    encoder.close(False)
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4.partial"]


def test_no_frame_is_no_file(tmp_path):
    VideoEncoder(tmp_path / "a.mp4", frame_rate=30.0, time_base=Fraction(1, 90_000)).close(True)
    assert not list(tmp_path.iterdir())
