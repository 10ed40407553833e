"""Images of several pictures that FFmpeg does not read: animated WebP, TIFF of several pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fastpose_mtn.available_memory import check_memory
from fastpose_mtn.data.image_file import opened
from fastpose_mtn.errors import InputError
from fastpose_mtn.files import name_of
from fastpose_mtn.video.clock import shown_for
from fastpose_mtn.video.frame import Frame
from fastpose_mtn.video.sources import Source


class AnimatedImage(Source):
    """An animated WebP's pictures at their times, or a TIFF's pages, ten a second, decoded by Pillow.

    Transparency is dropped, and so are the lower 8 of 16 bits.

    Raises:
        InputError: its first picture cannot be decoded.
    """

    def __init__(self, path: Path) -> None:
        self._failures = (OSError, ValueError, SyntaxError, EOFError)
        try:
            self._image = opened(path)
        except self._failures as error:
            raise self._damaged(path, error) from error
        width, height = self._image.size
        check_memory(
            4 * width * height * 3,  # as decoded, with transparency, without, on their way
            f"{path}: reading pictures of {width}x{height} pixels",
            "make the animation smaller, or give the process more memory",
        )
        try:
            first_s = self._picture(0)[1]
        except self._failures as error:
            raise self._damaged(path, error) from error
        count = int(getattr(self._image, "n_frames", 1))
        super().__init__(name_of(path), path=path, frame_count=count, frame_rate=1 / first_s)
        self.frame_size_hw = (height, width)

    @staticmethod
    def _damaged(path: Path, error: Exception) -> InputError:
        return InputError(f"{path}: the animation cannot be decoded: {error}; convert it to MP4")

    def __iter__(self) -> Iterator[Frame]:
        time_s = 0.0
        for index in range(self.frame_count or 0):
            try:
                picture, duration_s = self._picture(index)
            except self._failures as error:
                self.problem = f"{self.path}: its pictures from {index} on cannot be decoded: {error}; those before were tracked"
                return
            yield Frame(
                index=index,
                number=index,
                time_s=time_s,
                duration_s=duration_s,
                image=picture,
                image_size_hw=picture.shape[:2],
            )
            time_s += duration_s

    def _picture(self, index: int) -> tuple[np.ndarray, float]:
        """A picture (H, W, 3) uint8 RGB, and the seconds for which it is shown."""
        self._image.seek(index)
        if self._image.mode.startswith("I;16"):  # Pillow's own conversion cuts what is above 255
            picture = np.repeat((np.asarray(self._image) >> 8).astype(np.uint8)[..., None], 3, axis=2)
        else:
            picture = np.asarray(self._image.convert("RGB"))
        told_s = float(self._image.info.get("duration", 0)) / 1000
        return np.ascontiguousarray(picture), shown_for(told_s)

    def close(self) -> None:
        """Closes the file."""
        self._image.close()
