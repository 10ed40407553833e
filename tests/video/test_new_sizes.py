from fractions import Fraction

import numpy as np
import pytest
from rectangles import moving, write_video

from fastpose_mtn.video.sources import open_source

_BASE = Fraction(1, 30)


def part(path, start, **options):
    size_hw = options.pop("size_hw", (48, 64))
    images = [moving(start + i, size_hw) for i in range(10)]
    return write_video(path, images, [i / 30 for i in range(10)], base=_BASE, **options).read_bytes()


def read(path, parts):
    path.write_bytes(b"".join(parts))
    source = open_source(str(path))
    frames = list(source)
    assert (source.skipped, source.problem) == ([], None)
    red = [np.nonzero(f.image[..., 0].astype(int) - f.image[..., 1] > 80)[1].mean() for f in frames]
    return frames, red


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        ("m2v", "mpeg2video"),
        ("mpg", "mpeg2video"),
        ("vob", "mpeg2video"),
        ("ts", "mpeg2video"),
        ("avi", "mpeg4"),
        ("h264", "libx264"),
        ("mpeg", "mpeg1video"),
    ],
)
def test_no_frame_is_lost_where_the_size_changes(tmp_path, suffix, codec, b_frames):
    """The red person walks on through all three: each frame is there, in its place."""
    parts = [
        part(tmp_path / f"{i}.{suffix}", 10 * i, codec=codec, b_frames=b_frames, size_hw=size_hw)
        for i, size_hw in enumerate(((48, 64), (64, 96), (48, 64)))
    ]
    frames, red = read(tmp_path / f"j.{suffix}", parts)
    assert [f.image_size_hw for f in frames] == [(48, 64)] * 10 + [(64, 96)] * 10 + [(48, 64)] * 10
    np.testing.assert_allclose(red, [i * 2 % 40 + 5.5 for i in range(30)], atol=1.5)
    np.testing.assert_allclose([f.time_s for f in frames], np.arange(30) / 30, atol=0.15)


@pytest.mark.parametrize("suffix", ["m2v", "ts"])
def test_nor_where_the_pixels_shape_changes(tmp_path, suffix):
    """An MPEG-2 decoder begins anew there too."""
    parts = [
        part(tmp_path / f"{i}.{suffix}", 10 * i, codec="mpeg2video", b_frames=2, pixel=pixel)
        for i, pixel in enumerate((Fraction(16, 11), Fraction(1)))
    ]
    frames, _ = read(tmp_path / f"j.{suffix}", parts)
    assert len({f.image_size_hw for f in frames[:10]}) == 1
    assert frames[9].image_size_hw != frames[10].image_size_hw
    assert len(frames) == 20


def test_reference_frames_are_kept_where_nothing_changes(tmp_path):
    """Frames between two groups refer to both: an emptied decoder would lose them."""
    parts = [part(tmp_path / f"{i}.m2v", 10 * i, codec="mpeg2video", b_frames=2) for i in range(3)]
    frames, red = read(tmp_path / "j.m2v", parts)
    assert len(frames) == 30
    np.testing.assert_allclose(red, [i * 2 % 40 + 5.5 for i in range(30)], atol=1.5)
