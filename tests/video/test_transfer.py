"""Videos of high dynamic range look as others do."""

import av
import numpy as np
import pytest

from fastpose_mtn.video.sources import open_source

# Luma of 10 bits: in PQ 0, 10, 36.5 (18 % of white), 203 and 10,000 nits.
BLACK, DARK, GREY, WHITE, BRIGHT = 64, 327, 424, 573, 940


def read(path, transfer, primaries, matrix):
    """Grey frames of each luma, written and read."""
    with av.open(str(path), "w") as container:
        track = container.add_stream("libx264", rate=30)
        track.width, track.height, track.pix_fmt = 64, 48, "yuv420p10le"
        track.options = {"crf": "1", "preset": "ultrafast"}
        context = track.codec_context
        context.color_trc, context.color_primaries, context.colorspace = transfer, primaries, matrix
        for luma in (BLACK, DARK, GREY, WHITE, BRIGHT):
            frame = av.VideoFrame(64, 48, "yuv420p10le")
            for plane, value in zip(frame.planes, (luma, 512, 512), strict=True):
                plane.update(np.full(plane.buffer_size // 2, value, np.uint16).tobytes())
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return [frame.image[20, 30].tolist() for frame in open_source(str(path))]


def test_white_of_pq_is_white(tmp_path):
    seen = read(tmp_path / "a.mp4", transfer=16, primaries=9, matrix=9)
    # sRGB of linear 0, 10 / 203, 36.5 / 203, 0.7 + 0.3 (1 - 1 / e), 1
    np.testing.assert_allclose(seen, np.repeat([[0], [63], [118], [242], [255]], 3, axis=1), atol=5)


@pytest.mark.parametrize(("transfer", "primaries", "matrix"), [(18, 9, 9), (1, 1, 1), (2, 2, 2)])
def test_others_are_as_they_are(tmp_path, transfer, primaries, matrix):
    """HLG is made to be seen on screens that know nothing of it."""
    seen = read(tmp_path / "a.mp4", transfer, primaries, matrix)
    expected = [[(luma - 64) / 876 * 255] * 3 for luma in (BLACK, DARK, GREY, WHITE, BRIGHT)]
    np.testing.assert_allclose(seen, expected, atol=3)
