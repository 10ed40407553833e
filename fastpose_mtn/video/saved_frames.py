"""The images of saved detections' frames, read again from their video; and files of results about such frames."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from fastpose_mtn.data.image_file import is_image
from fastpose_mtn.errors import InputError
from fastpose_mtn.structures import TrackedPersons
from fastpose_mtn.tracking.detections_file import ENDING, SavedDetections, SavedFrame
from fastpose_mtn.video.frame import Frame
from fastpose_mtn.video.sources import VIDEO_SUFFIXES, open_source
from fastpose_mtn.video.writers import ResultWriter, open_writer

_LOG = logging.getLogger("fastpose_mtn")
_REMEDY = "give --images the video or the folder of images that the detections are of, as it was"


def find_video(images: Path, name: str, *, alone: bool) -> Path:
    """Where the frames of saved detections are: below a folder the folder or video of their name, else it itself.

    Args:
        images: a video, a folder of images, or a folder of such.
        name: of the source whose detections were saved.
        alone: whether no other source's frames are asked for, so that ``images`` may be this one's.

    Raises:
        InputError: there is nothing of this name.
    """
    if not images.exists():
        raise InputError(f"--images {images}: no such file or folder; {_REMEDY}")
    if images.is_dir():
        if (images / name).is_dir():
            return images / name
        videos = [
            f for f in sorted(images.glob("*.*")) if f.stem == name and f.suffix.lower() in VIDEO_SUFFIXES
        ]
        if videos:
            return videos[0]
    if images.stem == name or (alone and (images.is_file() or any(map(is_image, images.iterdir())))):
        return images
    raise InputError(
        f"--images {images}: expected {name}, a folder of images or a video, for {name}{ENDING}; it is not there"
    )


def images_again(saved: SavedDetections, video: Path) -> Iterator[np.ndarray | None]:
    """The images of the saved frames, in their order; RGB uint8 (H, W, 3).

    Frames that nobody looked at (of a live source) are passed over. One that cannot be decoded is None where nobody was
    found in it, as it was none then. A video whose frames come at other times is told of in the log, once.

    Args:
        saved: says which frames.
        video: a video, or a folder of images.

    Raises:
        InputError: the video cannot be read, or is another one: a frame is missing, has another size, or cannot be
            decoded; names it.
    """
    source = open_source(str(video), images="sequence")
    told = False
    try:
        frames = iter(source)
        for wanted in saved:
            frame = next((f for f in frames if _is(f, wanted)), None)
            if frame is None:
                raise InputError(
                    f"{video}: it ends before frame {wanted.number} of {saved.source}; {_REMEDY}"
                )
            if frame.image is None and len(wanted.detections):
                raise InputError(
                    f"{video}: frame {wanted.number} cannot be decoded, but people were found in it; {_REMEDY}"
                )
            if frame.image is not None and frame.image.shape[:2] != wanted.image_size_hw:
                (height, width), (was_height, was_width) = frame.image.shape[:2], wanted.image_size_hw
                raise InputError(
                    f"{video}: frame {wanted.number} is {width}x{height} pixels, but the people were found in "
                    f"{was_width}x{was_height}; {_REMEDY}"
                )
            if not told and frame.file_name is None and abs(frame.time_s - wanted.time_s) > frame.duration_s:
                told = True
                _LOG.warning(
                    "%s: frame %d comes at %.2f s, but at %.2f s in %s, in which the people were found; if the frame rate was "
                    "changed, or it is another video, the tracks mean nothing",
                    video, wanted.number, frame.time_s, wanted.time_s, saved.source,
                )  # fmt: skip
            yield frame.image
    finally:
        source.close()


def _is(frame: Frame, wanted: SavedFrame) -> bool:
    if wanted.file_name is not None and frame.file_name is not None:
        return frame.file_name == wanted.file_name
    return frame.number == wanted.number


class SavedFrameResults:
    """A file of results as ``fastpose track`` writes it, of frames whose pictures are not at hand.

    Args:
        writer: of the file.
    """

    def __init__(self, writer: ResultWriter) -> None:
        self.path, self._writer = writer.path, writer

    def write(self, index: int, saved: SavedFrame, people: TrackedPersons) -> None:
        """Adds the frame of this index, with or without people."""
        # black, without memory: None would say that the frame could not be decoded, which saved detections do not tell
        picture = np.broadcast_to(np.uint8(0), (*saved.image_size_hw, 3))
        frame = Frame(
            index, saved.number, saved.time_s, 0.0, picture, saved.image_size_hw, file_name=saved.file_name
        )
        self._writer.write(frame, people)

    def close(self, complete: bool) -> None:
        """Ends the file: under its own name if ``complete``."""
        self._writer.close(complete)


def open_result_files(
    folder: Path, saved: SavedDetections, *, formats: Sequence[str]
) -> list[SavedFrameResults]:
    """The files ``folder/NAME`` of results in formats of ``video.writers.FORMATS``."""
    return [
        SavedFrameResults(open_writer(form, folder, sequence=saved.source, skeleton=saved.skeleton))
        for form in formats
    ]
