"""What one worker of a corpus does: holds a network and tracks the videos that it is sent. Knows nothing of Ray."""

from __future__ import annotations

import dataclasses
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol

from fastpose_mtn.corpus.place import Place
from fastpose_mtn.errors import InputError, error_line
from fastpose_mtn.version import __version__

if TYPE_CHECKING:
    from fastpose_mtn.build import NetworkArguments, PoseTracking
    from fastpose_mtn.video.job import Request
    from fastpose_mtn.video.run import Summary


@dataclass(frozen=True)
class Job:
    """One attempt at one video.

    Attributes:
        name: of the results.
        source: the video's address.
        folder: the address of a folder that this attempt's files go to, and no other's.
        content: of the source, where only the sender sees it.
        give: send the files back, as only the sender sees the folder.
    """

    name: str
    source: str
    folder: str
    content: bytes | None = None
    give: bool = False


@dataclass(frozen=True)
class Ready:
    """A worker whose network is loaded, or what hinders it.

    Attributes:
        settings: what its results depend on.
        machine: its address.
        version: of its fastpose_mtn.
        problem: why it cannot work; None where it can.
    """

    settings: dict[str, str] = field(default_factory=dict)
    machine: str = ""
    version: str = __version__
    problem: str | None = None


@dataclass(frozen=True)
class Result:
    """What became of a job.

    Attributes:
        frames, boxes, tracks, skipped, seconds: as in the manifest's rows.
        files: that are whole, in the job's folder.
        contents: of the files, where the job asked for them.
        problem: why there are no files or, where there are, what is missing of the video.
        again: another attempt may go better: it is a storage's or a machine's trouble, not the video's.
    """

    frames: int = 0
    boxes: int = 0
    tracks: int = 0
    skipped: int = 0
    seconds: float = 0.0
    files: tuple[str, ...] = ()
    contents: tuple[bytes, ...] = ()
    problem: str | None = None
    again: bool = False


class Worker(Protocol):
    """What ``run.Corpus`` asks of a worker."""

    def load(self, probe: str | None) -> Ready:
        """Loads the network; ``probe`` is the address of a file that it must see, or None."""

    def track(self, job: Job) -> Result:
        """Tracks a video."""

    def frames(self) -> int:
        """How many frames of the job under way are done."""


class TrackingWorker:
    """Tracks videos with ``video.job``.

    Args:
        arguments: what the network is built with.
        request: what is made of each video; its folder is the job's.
        threads: that the network computes in on a CPU, and that decoding and encoding may use each.
    """

    def __init__(self, arguments: NetworkArguments, request: Request, threads: int) -> None:
        self._arguments = arguments
        self._request = request
        self._threads = threads
        self._tracking: PoseTracking | None = None
        self._summary: Summary | None = None

    def load(self, probe: str | None) -> Ready:
        """Loads the network; what is wrong with configuration or weights is told, not raised."""
        from fastpose_mtn.runtime.memory import share_one_arena

        share_one_arena()  # the network runs in a thread
        import cv2
        import torch

        from fastpose_mtn.build import build_pose_tracking
        from fastpose_mtn.corpus.settings import result_settings

        machine = socket.gethostname()
        try:
            if probe is not None and not _seen(Place.of(probe)):
                return Ready(
                    machine=machine,
                    problem=f"{probe}: not seen from {machine}; choose an --output that every machine sees, "
                    "a shared folder or an address such as s3://bucket/folder",
                )
            torch.set_num_threads(self._threads)
            cv2.setNumThreads(self._threads)
            self._tracking = build_pose_tracking(**self._arguments)
            return Ready(result_settings(self._tracking, self._arguments, self._request), machine)
        except (ValueError, OSError) as error:
            return Ready(machine=machine, problem=f"{_text(error)} (on {machine})")

    def frames(self) -> int:
        """How many frames of the video under way are done."""
        return self._summary.frames if self._summary else 0

    def track(self, job: Job) -> Result:
        """Tracks a video into its job's folder; what is wrong with the video is told, not raised."""
        from fastpose_mtn.video.run import Summary

        self._summary = summary = Summary(job.name)
        try:
            with tempfile.TemporaryDirectory(prefix="fastpose-corpus-") as scratch:
                return self._track(job, summary, Path(scratch))
        except (ValueError, OSError) as error:
            return Result(problem=_text(error), again=not isinstance(error, ValueError))
        finally:
            self._summary = None

    def _track(self, job: Job, summary: Summary, scratch: Path) -> Result:
        from fastpose_mtn.video.job import track_source
        from fastpose_mtn.video.sources import open_source

        assert self._tracking is not None, "load() comes first"
        target = Place.of(job.folder)
        folder = scratch / "results" if job.give or not target.local else target.local
        folder.mkdir(parents=True)
        with _on_disk(job, scratch) as (path, shown):
            try:
                source = open_source(str(path), threads=self._threads)
                track_source(
                    source,
                    self._tracking,
                    dataclasses.replace(self._request, folder=folder, quiet=True, threads=self._threads),
                    summary,
                )
            except ValueError as error:
                raise InputError(str(error).replace(str(path), shown)) from error
            problem = summary.problem and summary.problem.replace(str(path), shown)
        if summary.interrupted:  # whoever ends this process ended the video before its time
            raise InterruptedError(f"{job.source}: interrupted")
        if not summary.frames:
            raise InputError(f"{job.source}: no frames in it")
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        if not (job.give or target.local):
            for file in files:
                target.fs.put_file(str(folder / file), (target / file).path)
        return Result(
            frames=summary.frames,
            boxes=summary.boxes,
            tracks=len(summary.track_ids),
            skipped=len(summary.skipped),
            seconds=summary.seconds,
            files=tuple(files),
            contents=tuple((folder / file).read_bytes() for file in files) if job.give else (),
            problem=problem,
        )


@contextmanager
def _on_disk(job: Job, scratch: Path) -> Iterator[tuple[Path, str]]:
    """The video as a file on this machine, and what messages shall call it; a copy is removed at the end."""
    place = Place.of(job.source)
    if place.local and job.content is None:
        if not place.local.exists():
            raise InputError(
                f"{job.source}: not seen from {socket.gethostname()}; videos must lie where every machine sees them"
            )
        yield place.local, job.source
        return
    copy = scratch / PurePosixPath(place.path).name
    try:
        if job.content is None:
            place.fs.get_file(place.path, str(copy))
        else:
            copy.write_bytes(job.content)
        yield copy, job.source
    finally:
        copy.unlink(missing_ok=True)


def _seen(place: Place) -> bool:
    place.fs.invalidate_cache()
    return bool(place.fs.exists(place.path))


def _text(error: ValueError | OSError) -> str:
    return error_line(error).removeprefix("error: ")
