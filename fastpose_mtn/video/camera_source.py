"""Cameras of this machine. OpenCV knows them by number on every system; FFmpeg only on some."""

from __future__ import annotations

import time
from collections.abc import Iterator

import cv2

from fastpose_mtn.errors import InputError
from fastpose_mtn.video.frame import Frame
from fastpose_mtn.video.sources import Source


class CameraSource(Source):
    """A camera of this machine, by its number; frames are timed when they arrive."""

    def __init__(self, number: int) -> None:
        # OpenCV reports each driver that it tried in vain
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        self._capture = cv2.VideoCapture(number)
        if not self._capture.isOpened():
            raise InputError(
                f"camera {number}: there is none, or it cannot be opened; check that it is connected, not in use "
                "by another program and that you may read it, or give a video instead"
            )
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        super().__init__(f"camera{number}", frame_rate=rate if 1 <= rate <= 1000 else 30.0, live=True)
        self._number = number

    def __iter__(self) -> Iterator[Frame]:
        began: float | None = None
        index = 0
        while True:
            arrived, image = self._capture.read()
            now = time.monotonic()
            if not arrived:
                self.problem = (
                    f"camera {self._number}: it stopped after {index} frames; check that it is connected"
                )
                return
            began = now if began is None else began
            yield Frame(
                index=index,
                number=index,
                time_s=now - began,
                duration_s=1.0 / self.frame_rate,
                image=cv2.cvtColor(image, cv2.COLOR_BGR2RGB),
                image_size_hw=image.shape[:2],
            )
            index += 1

    def close(self) -> None:
        """Gives the camera back to the system."""
        self._capture.release()
