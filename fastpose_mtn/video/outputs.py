"""Everything that is written for one source: result files, the overlay and saved detections."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fastpose_mtn.data.picture_files import encode_picture, write_picture
from fastpose_mtn.errors import InputError
from fastpose_mtn.files import finish, naming, partial_path
from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.tracking.detections_file import ENDING, DetectionsWriter, SavedFrame
from fastpose_mtn.video.background import Consumer
from fastpose_mtn.video.crops import CropWriter
from fastpose_mtn.video.encoder import VideoEncoder
from fastpose_mtn.video.frame import Frame
from fastpose_mtn.video.pipeline import StageTimes, TrackedFrame
from fastpose_mtn.video.sound import SoundPacket
from fastpose_mtn.video.sources import Source
from fastpose_mtn.video.writers import FORMATS, ResultWriter, open_writer
from fastpose_mtn.visualization.overlay import Overlay

if TYPE_CHECKING:  # an HTTP server, only where somebody wants to watch
    from fastpose_mtn.video.live_view import LiveView

_WAITING = 3  # frames between two stages
_PICTURES = ".overlay"  # of a folder: frames of a video are often in a folder of its name already
_FOLDERS = ("", _PICTURES, FORMATS["openpose"][1])  # endings of results that are no single file


def check_formats(text: str) -> list[str]:
    """``"posetrack,mot"`` as a list; ``""`` is none.

    Raises:
        InputError: one is unknown; the message lists those there are.
    """
    formats = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [form for form in formats if form not in FORMATS]
    if unknown:
        raise InputError(f"--formats: unknown format {unknown[0]!r}; choose from {','.join(FORMATS)}")
    return formats


class Outputs:
    """Writes tracked frames to files, drawing and encoding each in a thread of its own.

    Args:
        folder: where the files go; it exists.
        name: of the source, and so of each file but for its ending.
        source: whose clock the overlay keeps; its own file is never written over.
        skeleton: of the people.
        formats: keys of ``FORMATS``.
        video: whether to make the overlay, ``NAME.mp4``, ``NAME.jpg`` of a single picture, or a picture a
            photograph in the folder ``NAME``.
        detections: whether to save the untracked people too, for ``python -m fastpose_mtn.tracking``.
        joint_thresh: the confidence above which the overlay shows a joint as visible.
        times: is added to, under "write", "draw" and "encode".
        pictures: whether to make the overlay's frames as pictures in the folder ``NAME.overlay``, or what ``video``
            makes of a single picture and of photographs.
        crops: a folder for crops of the people, in ``NAME/ID``.
        view: shows the overlay while it is made.
        threads: that the overlay's encoder may use; None: as many as there are cores.

    Raises:
        InputError: a file of the output would take the place of the source, or of a folder.
        OSError: a file cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        source: Source,
        skeleton: Skeleton,
        formats: Sequence[str],
        video: bool,
        detections: bool,
        joint_thresh: float,
        times: StageTimes,
        pictures: bool = False,
        crops: Path | None = None,
        view: LiveView | None = None,
        threads: int | None = None,
    ) -> None:
        overlays = overlay_endings(source, video=video, pictures=pictures)
        for ending in [FORMATS[form][1] for form in formats] + overlays + [ENDING] * detections:
            _check_not_the_source(folder / f"{name}{ending}", source)
            if ending not in _FOLDERS:
                _check_no_folder(folder / f"{name}{ending}")
        self._times = times
        self._writers: list[ResultWriter] = [
            open_writer(form, folder, sequence=name, skeleton=skeleton) for form in formats
        ]
        if crops is not None:
            self._writers.append(CropWriter(crops / name, independent=source.independent))
        self._detections = (
            DetectionsWriter(
                folder / f"{name}{ENDING}", source=name, skeleton=skeleton, independent=source.independent
            )
            if detections
            else None
        )
        self._name, self._independent, self._view = name, source.independent, view
        self._overlay = Overlay(skeleton, joint_thresh=joint_thresh) if overlays or view else None
        self._film: VideoEncoder | None = None
        self._encoders: list[VideoEncoder | _Picture | _Pictures] = []
        for ending in overlays:
            path = folder / f"{name}{ending}"
            if ending == ".mp4":
                self._film = VideoEncoder(
                    path,
                    frame_rate=source.frame_rate,
                    time_base=source.time_base,
                    sound=() if source.live else source.sound,
                    threads=threads,
                )
                self._encoders.append(self._film)
            else:
                picture = _Picture(path) if ending == ".jpg" else _Pictures(path, ours=ending == _PICTURES)
                self._encoders.append(picture)
        self._encoding: Consumer[tuple[Frame, np.ndarray, list[SoundPacket]]] | None = (
            Consumer(self._encode, capacity=_WAITING, name="encode") if overlays else None
        )
        self._sound_is_live = source.live and bool(source.sound)
        self._sound: list[SoundPacket] = []  # of frames without an image
        self._writing: Consumer[TrackedFrame] = Consumer(self._write, capacity=_WAITING, name="write")

    @property
    def remarks(self) -> list[str]:
        """What is missing in the files, a line each; complete when they are closed."""
        if self._film and self._sound_is_live:
            return ["the sound of a live source is not in the overlay, whose frames are not all there"]
        return self._film.lost if self._film else []

    def write(self, tracked: TrackedFrame) -> None:
        """Hands a frame over; raises what went wrong with an earlier one."""
        self._writing.put(tracked)

    def close(self, complete: bool) -> None:
        """Ends all files: under their own names if ``complete``, else as they are, ``NAME.partial``."""
        problem: BaseException | None = None
        for stage in (self._writing, self._encoding):
            try:
                if stage:
                    stage.close(drop=not complete)
            except BaseException as error:
                problem = problem or error
        complete = complete and problem is None
        for output in (*self._writers, self._detections, *self._encoders):
            try:
                if output:
                    with naming(output.path):
                        output.close(complete)
            except BaseException as error:
                problem = problem or error
        if problem:
            raise problem

    def _write(self, tracked: TrackedFrame) -> None:
        frame = tracked.frame
        with self._times.measure("write"):
            for writer in self._writers:
                with naming(writer.path):
                    writer.write(frame, tracked.people)
            if self._detections:
                saved = SavedFrame(
                    frame.number, frame.time_s, frame.image_size_hw, tracked.detections, frame.file_name, tracked.scene_cut
                )  # fmt: skip
                with naming(self._detections.path):
                    self._detections.write(saved)
        if self._encoding:
            self._sound += frame.sound
        watched = self._view is not None and self._view.watched
        if self._overlay and (self._encoding or watched) and frame.image is not None:
            if self._independent or tracked.scene_cut:
                self._overlay.reset()
            with self._times.measure("draw"):
                drawn = self._overlay.draw(frame.image, tracked.people, frame.time_s)
            if self._view:
                self._view.show(drawn, f"{self._name}: frame {frame.index}, {frame.time_s:.2f} s")
            if self._encoding:
                self._encoding.put((frame, drawn, self._sound))
                self._sound = []

    def _encode(self, item: tuple[Frame, np.ndarray, list[SoundPacket]]) -> None:
        frame, drawn, sound = item
        with self._times.measure("encode"):
            for encoder in self._encoders:
                with naming(encoder.path):
                    if isinstance(encoder, VideoEncoder):
                        encoder.write(drawn, frame.time_s, frame.duration_s, sound)
                    else:
                        encoder.write(drawn, frame)


class _Picture:
    """The overlay of a single picture."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._partial = partial_path(path)

    def write(self, image: np.ndarray, frame: Frame) -> None:
        self._partial.write_bytes(encode_picture(image))

    def close(self, complete: bool) -> None:
        if complete and self._partial.exists():
            finish(self.path)


class _Pictures:
    """The overlays of a source's frames, in a folder: ``000017.jpg``, or by their own names: ``anna.png`` is ``anna.jpg``.

    Args:
        folder: is made.
        ours: nobody else's pictures are in it: those of an earlier run that went further are removed.
    """

    def __init__(self, folder: Path, *, ours: bool) -> None:
        self.path, self._ours = folder, ours
        folder.mkdir(exist_ok=True)
        self._taken: set[str] = set()

    def write(self, image: np.ndarray, frame: Frame) -> None:
        original = Path(frame.file_name or f"{frame.number:06d}.png")
        name = f"{original.stem}.jpg"
        if name.lower() in self._taken:  # anna.png beside anna.jpg
            name = f"{original.name}.jpg"
        self._taken.add(name.lower())
        write_picture(self.path / name, image)

    def close(self, complete: bool) -> None:
        """Each picture is whole when it is there."""
        for file in self.path.glob("*.jpg") if complete and self._ours else ():
            if file.name.lower() not in self._taken:
                file.unlink()


def overlay_endings(source: Source, *, video: bool, pictures: bool) -> list[str]:
    """Of the overlays' names; a folder of photographs has none."""
    if source.still:
        return [".jpg"] if video or pictures else []
    if source.independent:
        return [""] if video or pictures else []
    return [".mp4"] * video + [_PICTURES] * pictures


def _check_not_the_source(path: Path, source: Source) -> None:
    if source.path and path.exists() and source.path.exists() and path.samefile(source.path):
        raise InputError(
            f"{source.path}: its result would take its place; choose another folder with --output"
        )


def _check_no_folder(path: Path) -> None:
    if path.is_dir():  # told now, and not when all frames are done
        raise InputError(
            f"{path}: a folder stands where a result is to be; move it away, or choose another with --output"
        )
