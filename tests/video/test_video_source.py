import threading
from http.server import HTTPServer, SimpleHTTPRequestHandler

import numpy as np
import pytest
from rectangles import damage, moving, scene, write_video

from fastpose_mtn.errors import InputError
from fastpose_mtn.video.sources import open_source


def test_frames_are_rgb_in_order_and_counted(tmp_path):
    path = write_video(tmp_path / "a.b.mp4", [scene(red=(0, 0, 64, 48)), scene(green=(0, 0, 64, 48))])
    source = open_source(str(path))
    red, green = source
    assert (source.name, source.frame_count, source.frame_rate) == ("a.b", 2, 30)
    assert red.image.flags.c_contiguous
    assert np.abs(red.image[20, 20].astype(int) - (255, 0, 0)).max() < 12
    assert np.abs(green.image[20, 20].astype(int) - (0, 255, 0)).max() < 12
    assert [red.number, green.number] == [0, 1]
    assert source.problem is None


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_times_are_the_videos_own(tmp_path, suffix):
    times = [0.5, 0.6, 0.65, 0.9, 1.5, 1.55]
    path = write_video(tmp_path / f"a.{suffix}", [moving(i) for i in range(6)], times)
    got = [frame.time_s for frame in open_source(str(path))]
    np.testing.assert_allclose(got, [0.0, 0.1, 0.15, 0.4, 1.0, 1.05], atol=1e-3)


@pytest.mark.parametrize(
    ("rotation", "corner"), [(90, (-3, 2)), (-90, (2, -3)), (180, (-3, -3)), (None, (2, 2))]
)
def test_a_turned_video_is_upright(tmp_path, rotation, corner):
    """The upper left corner is red: turned anticlockwise by 90 degrees it is the lower left one."""
    path = write_video(tmp_path / "a.mp4", [scene(red=(0, 0, 10, 10))] * 2, rotation=rotation)
    frame = next(iter(open_source(str(path))))
    assert frame.image_size_hw == ((64, 48) if rotation in (90, -90) else (48, 64))
    assert frame.image[corner][0] > 200
    assert frame.image[corner][1] < 60


def test_an_odd_size_is_kept(tmp_path):
    path = write_video(tmp_path / "a.mp4", [moving(i, (47, 65)) for i in range(3)])
    assert {frame.image.shape for frame in open_source(str(path))} == {(47, 65, 3)}


@pytest.mark.parametrize("at", [4, 19])
def test_a_frame_that_cannot_be_decoded_keeps_its_place_and_time(tmp_path, at):
    path = damage(write_video(tmp_path / "a.mp4", [moving(i) for i in range(20)]), at)
    source = open_source(str(path))
    frames = list(source)
    assert source.skipped == [at]
    assert [f.index for f in frames] == list(range(20))
    assert [f.image is None for f in frames] == [i == at for i in range(20)]
    np.testing.assert_allclose([f.time_s for f in frames], np.arange(20) / 30, atol=1e-3)
    assert source.problem is None


def test_a_cut_off_video_gives_what_is_there_and_says_so(tmp_path):
    noise = np.random.default_rng(0)
    images = [noise.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(60)]
    path = write_video(tmp_path / "a.mp4", images, options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = open_source(str(path))
    decoded = [f for f in source if f.image is not None]
    assert 20 < len(decoded) < 40
    assert source.problem == (
        f"{path}: the video is cut off: {len(decoded)} of its 60 frames are there, and these were tracked; "
        "copy or record it again"
    )


@pytest.mark.parametrize("suffix", ["mkv", "flv"])
def test_a_cut_off_film_of_another_container(tmp_path, suffix):
    noise = np.random.default_rng(0)
    images = [noise.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(60)]
    path = write_video(tmp_path / f"a.{suffix}", images)
    whole = open_source(str(path))
    assert len(list(whole)) == 60
    assert whole.problem is None
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = open_source(str(path))
    assert 20 < len(list(source)) < 40
    assert "the video is cut off" in source.problem


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"hello\n" * 100, "not a video, or one that is cut off or damaged"),
        (bytes(range(256)) * 40, "not a video, or one that is cut off or damaged"),
    ],
)
def test_files_that_are_no_videos_are_named(tmp_path, content, message):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.mp4: {message}; copy or record"):
        open_source(str(tmp_path / "a.mp4"))


def test_a_video_without_its_index_is_refused(tmp_path):
    path = write_video(tmp_path / "a.mp4", [moving(i) for i in range(30)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="not a video, or one that is cut off"):
        open_source(str(path))


def test_sound_alone_is_refused(tmp_path):
    import av

    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        track = container.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 8000
        container.mux(track.encode(sound))
        container.mux(track.encode(None))
    with pytest.raises(InputError, match=r"a\.mp4: no video in it, only sound or data"):
        open_source(str(tmp_path / "a.mp4"))


def test_a_stream_is_read_over_the_network(tmp_path):
    write_video(tmp_path / "live.ts", [moving(i) for i in range(12)])

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(tmp_path))

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        source = open_source(f"http://127.0.0.1:{server.server_port}/live.ts?token=1")
        frames = list(source)
    finally:
        server.shutdown()
        server.server_close()
    assert (source.name, source.live, source.frame_count, source.path) == ("live", True, None, None)
    assert len(frames) == 12
    np.testing.assert_allclose([f.time_s for f in frames], np.arange(12) / 30, atol=1e-3)
