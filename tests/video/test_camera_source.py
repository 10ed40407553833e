import cv2
import numpy as np
import pytest

from fastpose_mtn.errors import InputError
from fastpose_mtn.video import camera_source
from fastpose_mtn.video.sources import open_source


class Camera:
    """Three blue frames, then it is unplugged."""

    def __init__(self, number):
        self.left, self.open = 3, number == 0

    def isOpened(self):
        return self.open

    def get(self, what):
        return 25.0 if what == cv2.CAP_PROP_FPS else 0.0

    def read(self):
        self.left -= 1
        image = np.zeros((6, 8, 3), np.uint8)
        image[..., 0] = 255  # OpenCV's first channel is blue
        return (True, image) if self.left >= 0 else (False, None)

    def release(self):
        self.open = False


def test_a_camera_gives_rgb_frames_timed_by_their_arrival(monkeypatch):
    clock = iter([10.0, 10.5, 11.25, 12.0])
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    monkeypatch.setattr(camera_source.time, "monotonic", lambda: next(clock))
    source = open_source("0")
    frames = list(source)
    assert (source.name, source.live, source.frame_rate, source.frame_count) == ("camera0", True, 25.0, None)
    assert [f.time_s for f in frames] == [0.0, 0.5, 1.25]
    np.testing.assert_array_equal(frames[0].image[0, 0], [0, 0, 255])
    assert source.problem == "camera 0: it stopped after 3 frames; check that it is connected"
    source.close()
    assert not source._capture.open


def test_a_camera_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    with pytest.raises(InputError, match="camera 1: there is none, or it cannot be opened"):
        open_source("1")
