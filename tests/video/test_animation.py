import numpy as np
import pytest
from PIL import Image
from rectangles import moving, scene

from fastpose_mtn.data.image_file import is_animated
from fastpose_mtn.errors import InputError
from fastpose_mtn.video import sources
from fastpose_mtn.video.sources import ImageSource, find_inputs, open_source

SUFFIXES = ["webp", "png", "apng", "avif", "gif"]
DURATIONS_MS = [100, 100, 200, 100, 100, 300]


def animation(path, count=6):
    first, *others = (Image.fromarray(moving(3 * i)) for i in range(count))
    form = {".apng": "PNG"}.get(path.suffix)
    options = {"lossless": True} if path.suffix == ".webp" else {}
    first.save(
        path, form, save_all=True, append_images=others, duration=DURATIONS_MS[:count], loop=0, **options
    )
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_animated_image_is_a_video(tmp_path, suffix):
    path = animation(tmp_path / f"a.{suffix}")
    assert is_animated(path)
    source = open_source(str(path))
    frames = list(source)
    assert (source.name, source.still, source.skipped, source.problem) == ("a", False, [], None)
    np.testing.assert_allclose([f.time_s for f in frames], [0.0, 0.1, 0.2, 0.4, 0.5, 0.6], atol=1e-3)
    for index, frame in enumerate(frames):
        assert frame.image.shape == (48, 64, 3)
        red = frame.image[20, :, 0].astype(int) - frame.image[20, :, 1] > 60
        assert np.nonzero(red)[0][0] == pytest.approx(6 * index, abs=2)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_still_one_is_a_photograph(tmp_path, suffix):
    path = animation(tmp_path / f"a.{suffix}", count=1)
    assert not is_animated(path)
    source = open_source(str(path))
    assert isinstance(source, ImageSource)
    assert [frame.image.shape for frame in source] == [(48, 64, 3)]


@pytest.mark.parametrize("bits", [8, 16])
def test_the_pages_of_a_tiff_are_a_video(tmp_path, bits):
    grey = [moving(3 * i)[..., 0] for i in range(4)]
    pages = [Image.fromarray(page if bits == 8 else page.astype(np.uint16) * 257) for page in grey]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    Image.fromarray(scene()).save(tmp_path / "single.tif")
    assert find_inputs(str(tmp_path)) == [str(tmp_path / "stack.tif")]
    frames = list(open_source(str(tmp_path / "stack.tif")))
    assert [frame.time_s for frame in frames] == pytest.approx([0.0, 0.1, 0.2, 0.3])
    for frame, page in zip(frames, grey, strict=True):
        np.testing.assert_array_equal(frame.image, np.repeat(page[..., None], 3, axis=2))


def test_each_file_of_a_folder_is_looked_at_once(tmp_path, monkeypatch):
    """A recording's folder of TIFFs can lie on a disk far away."""
    looked_at = []
    monkeypatch.setattr(sources, "is_animated", lambda path: looked_at.append(path.name) or is_animated(path))
    for name in ("a.tif", "b.tif"):
        Image.fromarray(scene()).save(tmp_path / name)
    for look in (find_inputs, open_source):
        look(str(tmp_path))
        assert looked_at == ["a.tif", "b.tif"]
        looked_at.clear()


def test_a_tiff_with_a_thumbnail_is_a_photograph(tmp_path):
    Image.fromarray(scene()).save(
        tmp_path / "a.tif", save_all=True, append_images=[Image.fromarray(scene()[::4, ::4])]
    )
    assert isinstance(open_source(str(tmp_path / "a.tif")), ImageSource)


@pytest.mark.parametrize("name", ["a.mp4", "a"])
def test_an_animation_is_known_whatever_its_name(tmp_path, name):
    path = animation(tmp_path / "a.webp").rename(tmp_path / name)
    assert len(list(open_source(str(path)))) == 6


def test_animations_of_a_folder_are_its_videos(tmp_path):
    animation(tmp_path / "moves.webp")
    animation(tmp_path / "moves.gif")
    Image.fromarray(scene()).save(tmp_path / "still.webp")
    told = []
    assert find_inputs(str(tmp_path), told.append) == [
        str(tmp_path / "moves.gif"),
        str(tmp_path / "moves.webp"),
    ]
    assert "1 image beside them passed over" in told[0]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("told_ms", "times_s"),
    [
        ([0, 0, 0, 0], [0.0, 0.1, 0.2, 0.3]),
        ([1, 1, 1, 1], [0.0, 0.1, 0.2, 0.3]),
        ([10, 10, 10, 10], [0.0, 0.1, 0.2, 0.3]),
        ([20, 20, 20, 20], [0.0, 0.02, 0.04, 0.06]),
        ([70, 10, 200, 0], [0.0, 0.07, 0.17, 0.37]),
        ([40, 600_000, 40, 40], [0.0, 0.04, 600.04, 600.08]),
    ],
)
def test_times_of_nothing_are_a_tenth_of_a_second_as_in_browsers(tmp_path, suffix, told_ms, times_s):
    first, *others = (Image.fromarray(moving(i)) for i in range(len(told_ms)))
    path = tmp_path / f"a.{suffix}"
    first.save(
        path,
        "PNG" if suffix == "apng" else None,
        save_all=True,
        append_images=others,
        duration=told_ms,
        loop=0,
    )
    source = open_source(str(path))
    frames = list(source)
    assert [frame.time_s for frame in frames] == pytest.approx(times_s, abs=1e-3)
    assert [f.duration_s for f in frames[:3]] == pytest.approx(list(np.diff(times_s)), abs=1e-3)
    assert (source.skipped, source.problem) == ([], None)


def test_a_damaged_animation_is_told(tmp_path):
    path = animation(tmp_path / "a.webp")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=r"a\.webp: the animation cannot be decoded: .*; convert it to MP4"):
        list(open_source(str(path)))
