import threading
from fractions import Fraction
from http.server import HTTPServer, SimpleHTTPRequestHandler
from types import SimpleNamespace

import av
import numpy as np
import pytest
from av.stream import Disposition
from rectangles import damage, moving, scene, write_video

from fastpose_mtn.errors import InputError
from fastpose_mtn.video.sources import open_source
from fastpose_mtn.video.tracks import is_a_tile


def add_silence(container, track):
    """Writes 1024 samples of silence, all that the track has."""
    silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
    silence.sample_rate = 8000
    container.mux(track.encode(silence))
    container.mux(track.encode(None))


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


@pytest.mark.parametrize(
    ("matrix", "corner", "size_hw"),
    [
        ((-1, 0, 0, 1), (2, -3), (48, 64)),  # a selfie, mirrored
        ((1, 0, 0, -1), (-3, 2), (48, 64)),
        ((0, 1, 1, 0), (2, 2), (64, 48)),
        ((0, -1, -1, 0), (-3, -3), (64, 48)),
    ],
)
def test_a_mirrored_video_is_as_players_show_it(tmp_path, matrix, corner, size_hw):
    """Left and right are a person's own: unmirrored they would be exchanged, and upside down nobody is found."""
    a, b, c, d = (65536 * factor for factor in matrix)
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        track = container.add_stream("libx264", rate=30)
        track.height, track.width, track.pix_fmt = 48, 64, "yuv420p"
        track.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        for _ in range(2):
            image = av.VideoFrame.from_ndarray(scene(red=(0, 0, 10, 10)), format="rgb24")
            container.mux(track.encode(image))
        container.mux(track.encode(None))
    frame = next(iter(open_source(str(tmp_path / "a.mp4"))))
    assert frame.image.shape == (*size_hw, 3)
    assert frame.image.flags.c_contiguous
    assert frame.image[corner][0] > 200
    assert frame.image[corner][1] < 60


@pytest.mark.parametrize(
    ("pixel", "size_hw"),
    [
        (Fraction(2), (48, 128)),
        (Fraction(1, 2), (96, 64)),
        (Fraction(16, 11), (48, 93)),
        (Fraction(100), (48, 64)),
    ],
)
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_pixels_are_made_square_as_players_show_them(tmp_path, suffix, pixel, size_hw):
    """Without loss: the shorter side is stretched. A hundred times as wide as high is nonsense."""
    path = write_video(tmp_path / f"a.{suffix}", [scene(red=(16, 12, 48, 36))] * 20, pixel=pixel)
    for frame in open_source(str(path)):
        assert frame.image.shape[:2] == frame.image_size_hw == size_hw
        rows, columns = np.nonzero(frame.image[..., 0].astype(int) - frame.image[..., 1] > 80)
        found = [columns.min() / size_hw[1], rows.min() / size_hw[0], np.ptp(columns) / size_hw[1]]
        np.testing.assert_allclose(found, [0.25, 0.25, 0.5], atol=0.04)


def test_oblong_pixels_of_a_turned_video(tmp_path):
    path = write_video(tmp_path / "a.mp4", [scene()] * 2, rotation=90, pixel=Fraction(2))
    assert {frame.image_size_hw for frame in open_source(str(path))} == {(128, 48)}


def test_pixels_whose_shape_changes_on_the_way_as_in_broadcasts(tmp_path):
    parts = [
        write_video(tmp_path / f"{i}.ts", [moving(i) for i in range(20)], pixel=pixel).read_bytes()
        for i, pixel in enumerate((Fraction(2), Fraction(1)))
    ]
    (tmp_path / "a.ts").write_bytes(b"".join(parts))
    widths = [frame.image_size_hw[1] for frame in open_source(str(tmp_path / "a.ts"))]
    assert widths == [128] * 20 + [64] * 20


def write_two_tracks(path, *, first, second, still=False):
    """Tracks of ``first`` and ``second`` frames, of 64x48 and 32x24 pixels."""
    with av.open(str(path), "w") as container:
        for count, size_hw in ((first, (48, 64)), (second, (24, 32))):
            track = container.add_stream("libx264", rate=30)
            track.height, track.width = size_hw
            track.pix_fmt, track.codec_context.time_base = "yuv420p", Fraction(1, 30)
            if count == 1 and still:
                track.disposition = Disposition.attached_pic
        for track, count in zip(container.streams, (first, second), strict=True):
            for index in range(count):
                frame = av.VideoFrame.from_ndarray(moving(index, (track.height, track.width)), format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, 30)
                container.mux(track.encode(frame))
            container.mux(track.encode(None))
    return path


@pytest.mark.parametrize(("first", "second", "size_hw"), [(20, 12, (48, 64)), (1, 20, (24, 32))])
def test_of_several_tracks_the_main_one_is_seen_to_its_end(tmp_path, first, second, size_hw):
    """A thumbnail's track of one frame is not the film, wherever it stands."""
    source = open_source(str(write_two_tracks(tmp_path / "a.mkv", first=first, second=second)))
    frames = list(source)
    assert (len(frames), source.skipped, source.problem) == (max(first, second), [], None)
    assert {frame.image_size_hw for frame in frames} == {size_hw}


def test_cover_art_is_not_the_video(tmp_path):
    """Of a song with a cover there is nothing to track."""
    with av.open(str(tmp_path / "song.m4a"), "w", format="mp4") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.height, cover.width, cover.pix_fmt = 48, 64, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        sound = container.add_stream("aac", rate=8000)
        container.mux(
            cover.encode(av.VideoFrame.from_ndarray(moving(0), format="rgb24").reformat(format="yuvj420p"))
        )
        container.mux(cover.encode(None))
        add_silence(container, sound)
    with pytest.raises(InputError, match=r"song\.m4a: no video in it, only sound or data"):
        open_source(str(tmp_path / "song.m4a"))


def test_a_photograph_in_tiles_is_not_taken_for_one_of_them():
    def track(index, size=(512, 512), disposition=Disposition.dependent):
        return SimpleNamespace(index=index, width=size[0], height=size[1], disposition=disposition)

    phone = [track(0, disposition=Disposition.default), track(1), track(2), track(3, (320, 240))]
    assert is_a_tile(phone[0], phone)
    assert not is_a_tile(phone[0], [phone[0], phone[3]])  # a picture and its thumbnail
    assert not is_a_tile(
        phone[0], [phone[0], track(1, disposition=Disposition.default)]
    )  # two cameras' films


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
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        track = container.add_stream("aac", rate=8000)
        add_silence(container, track)
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
