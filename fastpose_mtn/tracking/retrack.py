"""Tracks saved detections: the same ids and the same files as ``track_video.py``, without the network."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from fastpose_mtn.data.dataset import FRAME_RATE
from fastpose_mtn.data.posetrack.file18 import PoseTrack18File
from fastpose_mtn.errors import InputError, did_you_mean_file
from fastpose_mtn.ops.pose_nms import PoseNMS
from fastpose_mtn.protocols import Tracker, needs_frames
from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import TrackedPersons
from fastpose_mtn.tracking import alphapose_file
from fastpose_mtn.tracking.alphapose_file import is_alphapose_file
from fastpose_mtn.tracking.detections_file import ENDING, SavedDetections, SavedFrame, load, source_of
from fastpose_mtn.tracking.saved_remarks import remarks

Tracked = tuple[SavedFrame, TrackedPersons]


class ResultFile(Protocol):
    """Takes a video's frames in order."""

    path: Path

    def write(self, index: int, saved: SavedFrame, people: TrackedPersons) -> None:
        """Adds the frame of this index, with or without people."""
        ...

    def close(self, complete: bool) -> None:
        """Ends the file: under its own name if ``complete``."""
        ...


class PoseTrackResults:
    """``folder/NAME.json``, PoseTrack18's JSON; where it is not completed nothing is left of it."""

    def __init__(self, folder: Path, saved: SavedDetections) -> None:
        self.path = folder / f"{saved.source}.json"
        self._source, self._skeleton = saved.source, saved.skeleton
        self._file = PoseTrack18File(self.path)

    def write(self, index: int, saved: SavedFrame, people: TrackedPersons) -> None:
        """Adds a frame."""
        self._file.add_tracked(
            self._source, saved.number, saved.image_size_hw, people, self._skeleton, saved.file_name
        )

    def close(self, complete: bool) -> None:
        """Ends the file."""
        self._file.finish() if complete else self._file.abandon(keep=False)


@dataclass(frozen=True)
class TrackedVideo:
    """The result of tracking one video.

    Attributes:
        source: its name.
        frames: how many there are.
        boxes: of people on tracks, summed over frames.
        tracks: how many there are; none of unrelated photographs.
        path: the first of the files of results.
        remarks: what is odd about its detections, see ``saved_remarks``.
    """

    source: str
    frames: int
    boxes: int
    tracks: int
    path: Path
    remarks: tuple[str, ...] = ()


def find_detections(path: Path | str) -> list[Path]:
    """Files of detections: one, or a folder's ``*.detections.npz``, or else its ``*.alphapose.json``, in order of their names.

    Raises:
        InputError: there is none.
    """
    path = Path(path)
    if not path.is_dir():
        if not path.is_file():
            raise InputError(
                f"{path}: no such file or folder{did_you_mean_file(path)}; "
                f"track_video.py --save-detections writes NAME{ENDING}"
            )
        return [path]
    files = sorted(path.glob(f"*{ENDING}")) or sorted(path.glob(f"*{alphapose_file.ENDING}"))
    if not files:
        raise InputError(f"{path}: no NAME{ENDING} in it; track_video.py --save-detections writes them")
    return files


def read_detections(path: Path | str, frame_rate: float = FRAME_RATE) -> SavedDetections:
    """Detections that were saved, or AlphaPose's results (``.json``), which say nothing of time.

    Args:
        path: of the file.
        frame_rate: of AlphaPose's, frames a second.

    Raises:
        InputError: the file cannot be used.
    """
    path = Path(path)
    return alphapose_file.read_alphapose(path, frame_rate) if is_alphapose_file(path) else load(path)


def named_source(path: Path) -> str:
    """The name of the video that a file's people were found in, as its own name tells."""
    return alphapose_file.source_name(path) if is_alphapose_file(path) else path.name.removesuffix(ENDING)


# Gives the images of a video's saved frames in their order, None where one cannot be decoded and nobody was found.
ImagesAgain = Callable[[SavedDetections], Iterable[np.ndarray | None]]


def check_sources(files: Sequence[Path]) -> list[str]:
    """What is to be told of files whose results have another name than they themselves, a line each.

    Raises:
        InputError: two files are of one video, whose results would take each other's place.
    """
    remarks: list[str] = []
    of_source: dict[str, Path] = {}
    for file in files:
        try:
            source = named_source(file) if is_alphapose_file(file) else source_of(file)
        except InputError:
            continue  # tracking it tells what is wrong
        if source in of_source:
            raise InputError(
                f"{file}: holds the people of {source!r}, as {of_source[source]} does: their results would take each "
                "other's place; track them one by one into folders of their own"
            )
        of_source[source] = file
        if named_source(file) != source:
            remarks.append(f"{file}: holds the people of another video, {source!r}, which names the results")
    return remarks


def track_saved(
    saved: SavedDetections,
    tracker: Tracker,
    pose_nms: PoseNMS | None = None,
    images: Iterable[np.ndarray | None] | None = None,
) -> Iterator[Tracked]:
    """Tracks saved people: each frame and those of them on a track; the tracker is reset first.

    Ids begin anew with each of unrelated photographs.

    Args:
        saved: of one video.
        tracker: for people of its skeleton.
        pose_nms: is applied to each frame's people first, which changes nothing where their estimator did so already.
            Older files hold people found twice; with it they too give all trackers the people that they would see now.
        images: of the frames, RGB uint8 (H, W, 3), for trackers that look at pixels; None: they are not at hand.
    """
    tracker.reset()
    pixels: Iterable[np.ndarray | None] = itertools.repeat(None, len(saved)) if images is None else images
    for frame, image in zip(saved, pixels, strict=True):
        if saved.independent:
            tracker.reset()
        people = frame.detections if pose_nms is None else pose_nms(frame.detections)
        try:
            yield frame, tracker.update(people, frame.time_s, image, scene_cut=frame.scene_cut)
        except ValueError as error:
            raise InputError(f"{saved.source}: frame {frame.number}: {error}") from error


@dataclass(frozen=True)
class Retracking:
    """How files of detections are tracked.

    Attributes:
        new_tracker: makes a tracker for people of a file's skeleton.
        new_pose_nms: makes what leaves people of that skeleton out who were found twice, or None; see ``track_saved``.
        images_again: gives the frames' images, where the tracker needs them.
        frame_rate: of a file that does not tell the time, see ``read_detections``.
        mend: improves a whole video's tracks, see ``tracking.offline``; not called of unrelated photographs.
        break_seconds: frames further apart are a break in the video, which is remarked.
    """

    new_tracker: Callable[[Skeleton], Tracker]
    new_pose_nms: Callable[[Skeleton], PoseNMS | None] = lambda skeleton: None
    images_again: ImagesAgain | None = None
    frame_rate: float = FRAME_RATE
    mend: Callable[[Sequence[Tracked], SavedDetections], Iterable[Tracked]] | None = None
    break_seconds: float = math.inf

    def track(self, saved: SavedDetections) -> Iterable[Tracked]:
        """Each frame of a video, and those of its people who are on a track."""
        tracker, pose_nms = self.new_tracker(saved.skeleton), self.new_pose_nms(saved.skeleton)
        again = self.images_again if needs_frames(tracker) else None
        frames = track_saved(saved, tracker, pose_nms, None if again is None else again(saved))
        if self.mend is None or saved.independent:
            return frames
        return self.mend(list(frames), saved)


def posetrack_file(folder: Path, saved: SavedDetections) -> Sequence[ResultFile]:
    """The file of results where no others are asked for: ``folder/NAME.json``, PoseTrack18's JSON."""
    return [PoseTrackResults(folder, saved)]


def track_file(
    path: Path | str,
    folder: Path,
    how: Retracking,
    open_files: Callable[[Path, SavedDetections], Sequence[ResultFile]] = posetrack_file,
) -> TrackedVideo:
    """Tracks a file of detections into files of results.

    They are named after the video, as ``track_video.py`` names its results, and appear when they are whole.

    Args:
        path: of the detections, see ``read_detections``.
        folder: where the results are written.
        how: by whom they are tracked.
        open_files: opens the files of results, one at least.

    Raises:
        InputError: the file cannot be used.
        OSError: the result cannot be written.
    """
    saved = read_detections(path, how.frame_rate)
    if not saved.source or Path(saved.source).name != saved.source:
        raise InputError(f"{path}: source: expected a plain file name, got {saved.source!r}")
    frames = how.track(saved)
    files, count, ids, complete = open_files(folder, saved), 0, set[int](), False
    try:
        for index, (frame, people) in enumerate(frames):
            for file in files:
                file.write(index, frame, people)
            count += len(people)
            if not saved.independent:
                ids.update(people.track_ids.tolist())
        complete = True
    finally:
        for file in files:
            file.close(complete)
    told = tuple(f"{path}: {text}" for text in remarks(saved, how.break_seconds))
    return TrackedVideo(saved.source, len(saved), count, len(ids), files[0].path, told)
