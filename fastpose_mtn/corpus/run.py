"""Hands a corpus's videos to workers, Ray actors, until each is done or given up; a lost worker's video is done again."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import ray
from ray.exceptions import RayError, RayTaskError

from fastpose_mtn.corpus.manifest import DONE, FAILED, Manifest, Row, differences
from fastpose_mtn.corpus.place import Place
from fastpose_mtn.corpus.worker import Job, Ready, Result
from fastpose_mtn.errors import InputError
from fastpose_mtn.version import __version__

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle

STAGING = ".corpus"  # in the folder of results: one folder an attempt, until its video is done
FRAMES_GROUP = "frames"  # Ray's concurrency group: frames() answers while track() works
_TICK_S = 0.5
_ENDING_S = 10.0  # for workers to be gone before what they wrote is removed


@dataclass(eq=False)
class _Member:
    """A worker, and what it is at."""

    actor: ActorHandle
    pending: ObjectRef | None  # what it has not answered yet
    row: Row | None = None
    folder: Place | None = None
    counting: ObjectRef | None = None  # asks for the frames of the video under way
    frames: int = 0
    machine: str = ""


def prepare_staging(folder: Place) -> Place:
    """Clears what an earlier run left by halves, and makes a file that each worker must see; gives its place.

    Raises:
        InputError: nothing can be written to the folder.
    """
    seen = folder / STAGING / "seen"
    try:
        (folder / STAGING).remove()
        seen.write_whole(b"")
    except Exception as error:  # each file system's client has errors of its own
        reason = getattr(error, "strerror", None) or error or type(error).__name__
        raise InputError(
            f"output {folder.address}: cannot be written to: {reason}; choose another with --output"
        ) from error
    return seen


class Corpus:
    """The videos that are still to be done.

    Only this process puts files into the folder of results: a worker that was given up for lost and comes back writes to
    a folder that nobody looks at any more.

    Args:
        folder: for the results.
        seen: ``prepare_staging``'s file.
        manifest: has a row for each video and the settings in force; is written as they are done.
        waiting: rows of the videos to track.
        new_worker: makes a Ray actor of a ``worker.Worker``.
        workers: how many to have.
        attempts: how often a video is begun before it is given up.
        report: is called for each row that is done or failed.
        warn: is told why a video or a worker has to be begun again.
        progress: is called with the frames done so far and the seconds since the first worker was ready.
    """

    def __init__(
        self,
        folder: Place,
        seen: Place,
        manifest: Manifest,
        waiting: Iterable[Row],
        new_worker: Callable[[], ActorHandle],
        *,
        workers: int,
        attempts: int,
        report: Callable[[Row], None],
        warn: Callable[[str], None],
        progress: Callable[[int, float], None],
    ) -> None:
        self._folder = folder
        self._staging = folder / STAGING
        self._probe = None if seen.within_process else seen.address
        self._manifest = manifest
        self._waiting = deque(waiting)
        self._new_worker = new_worker
        self._count = workers
        self._attempts = attempts
        self._report = report
        self._warn = warn
        self._progress = progress
        self._members: list[_Member] = []
        self._lost_loading = 0
        self._began: float | None = None
        self._frames = 0

    def run(self, stop: Callable[[], bool]) -> None:
        """Tracks all videos, or until ``stop()``; the manifest is up to date at the end, also after an error.

        Raises:
            InputError: a worker cannot load the network, or would have other results than this machine.
            OSError: the manifest cannot be written.
        """
        try:
            self._manifest.write()
            while not stop() and (self._waiting or any(member.row for member in self._members)):
                self._fill_up()
                pending = [member.pending for member in self._members if member.pending is not None]
                answered = ray.wait(pending, timeout=_TICK_S)[0] if pending else []
                for member in [member for member in self._members if member.pending in answered]:
                    self._hear(member)
                self._count_frames()
                self._manifest.write(now=False)
        finally:
            self._dismiss()
            self._manifest.write()

    def _fill_up(self) -> None:
        """As many workers as were asked for and have something to do."""
        idle = [member for member in self._members if member.pending is None]
        for member in idle:
            if self._waiting:
                self._give(member)
        loading = sum(member.row is None for member in self._members)
        for _ in range(min(self._count - len(self._members), len(self._waiting) - loading)):
            actor = self._new_worker()
            self._members.append(_Member(actor, actor.load.remote(self._probe)))

    def _give(self, member: _Member) -> None:
        row = self._waiting.popleft()
        row.attempts += 1
        try:
            source = Place.of(row.source)
            content = source.fs.cat_file(source.path) if source.within_process else None
        except OSError as error:
            self._settle(row, FAILED, f"cannot be read: {error}", [])
            return
        member.row, member.folder, member.frames = row, self._staging / uuid.uuid4().hex, 0
        job = Job(
            name=row.name,
            source=row.source,
            folder=member.folder.address,
            content=content,
            give=self._folder.within_process,
        )
        member.pending = member.actor.track.remote(job)

    def _hear(self, member: _Member) -> None:
        """Takes a worker's answer, or notes that there will be none."""
        pending, member.pending = member.pending, None
        assert pending is not None
        try:
            answer = ray.get(pending)
        except RayError as error:
            self._lose(member, _why(error))
            return
        if isinstance(answer, Ready):
            self._check(answer)
            member.machine = answer.machine
        elif isinstance(answer, Result) and member.row and member.folder:
            row, folder, member.row = member.row, member.folder, None
            row.machine = member.machine
            self._take(row, folder, answer)

    def _check(self, ready: Ready) -> None:
        if ready.problem:
            raise InputError(ready.problem)
        if ready.version != __version__:
            raise InputError(
                f"{ready.machine}: it has fastpose_mtn {ready.version}, and this machine {__version__}; "
                "install the same on all"
            )
        differing = differences(self._manifest.settings, ready.settings)
        if differing:
            raise InputError(f"here and on {ready.machine} results would differ: here {differing} there")
        self._lost_loading = 0
        self._began = self._began or time.monotonic()

    def _lose(self, member: _Member, why: str) -> None:
        """Another worker takes the place, and the video its turn again."""
        self._members.remove(member)
        ray.kill(member.actor)
        if member.row and member.folder:
            _clear(member.folder)
            self._again(member.row, f"its worker was lost: {why}")
            return
        self._lost_loading += 1
        if self._lost_loading >= self._attempts:
            raise InputError(
                f"{self._lost_loading} workers were lost while they loaded the network: {why}; "
                "if memory is short, give fewer --workers"
            )
        self._warn(f"a worker was lost while it loaded the network: {why}; another is begun")

    def _take(self, row: Row, folder: Place, result: Result) -> None:
        """Puts a video's files in place and notes what became of it."""
        problem, again = result.problem, result.again
        row.frames, row.boxes, row.tracks = result.frames, result.boxes, result.tracks
        row.skipped, row.seconds = result.skipped, result.seconds
        if result.files:
            try:
                self._publish(folder, result)
            except OSError as error:
                problem, again = f"its results cannot be put in place: {error}", True
            else:
                self._settle(row, DONE, problem, list(result.files))
                return
            finally:
                _clear(folder)
        if again:
            self._again(row, problem or "")
        else:
            self._settle(row, FAILED, problem, [])

    def _publish(self, folder: Place, result: Result) -> None:
        for number, file in enumerate(result.files):
            if result.contents:
                (self._folder / file).write_whole(result.contents[number])
            else:
                (folder / file).move_to(self._folder / file)

    def _again(self, row: Row, problem: str) -> None:
        if row.attempts < self._attempts:
            self._warn(f"{row.source}: {problem}; it is tracked again")
            self._waiting.append(row)  # behind the others: one that ends its worker must not hold them up
        else:
            self._settle(row, FAILED, f"{problem}; given up after {row.attempts} attempts", [])

    def _settle(self, row: Row, status: str, problem: str | None, files: list[str]) -> None:
        for file in set(row.files) - set(files):  # of what the source was before
            (self._folder / file).remove()
        row.status, row.problem, row.files = status, problem, files
        row.version, row.finished = __version__, datetime.now(timezone.utc)
        self._frames += row.frames if status == DONE else 0
        self._report(row)

    def _count_frames(self) -> None:
        """Asks the workers how far they are, without waiting for an answer."""
        for member in self._members:
            if member.counting is None and member.row:
                member.counting = member.actor.frames.options(concurrency_group=FRAMES_GROUP).remote()
            elif member.counting is not None and ray.wait([member.counting], timeout=0)[0]:
                with contextlib.suppress(RayError):
                    member.frames = ray.get(member.counting)
                member.counting = None
        if self._began is not None:
            under_way = sum(member.frames for member in self._members if member.row)
            self._progress(self._frames + under_way, time.monotonic() - self._began)

    def _dismiss(self) -> None:
        """Ends the workers and removes what they did by halves."""
        for member in self._members:
            ray.kill(member.actor)
        pending = [member.pending for member in self._members if member.pending is not None]
        if pending:
            ray.wait(pending, num_returns=len(pending), timeout=_ENDING_S)
        self._members.clear()
        _clear(self._staging)


def _clear(place: Place) -> None:
    with contextlib.suppress(OSError):  # what stays is cleared when the next run begins
        place.remove()


def _why(error: RayError) -> str:
    """One line of Ray's many."""
    if isinstance(error, RayTaskError) and error.cause is not None:
        return f"{type(error.cause).__name__}: {' '.join(str(error.cause).split())}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
