"""A corpus from its sources to its manifest: what is new, what is done, and how it went."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import ray
from tqdm import tqdm

from fastpose_mtn.build import NetworkArguments, build_pose_tracking
from fastpose_mtn.corpus.cluster import Share, count_workers, default_share, joined
from fastpose_mtn.corpus.manifest import DONE, Manifest, Row
from fastpose_mtn.corpus.place import Place
from fastpose_mtn.corpus.run import FRAMES_GROUP, Corpus, prepare_staging
from fastpose_mtn.corpus.settings import result_settings
from fastpose_mtn.corpus.videos import Video, find_videos, name_videos
from fastpose_mtn.corpus.worker import TrackingWorker
from fastpose_mtn.errors import error_line
from fastpose_mtn.video.interrupt import Interruptible
from fastpose_mtn.video.job import Request

if TYPE_CHECKING:
    from ray.actor import ActorHandle

_PROGRESS = "{l_bar}{bar}| {n_fmt}/{total_fmt} videos [{elapsed}{postfix}]"


@dataclass(frozen=True)
class Workers:
    """The workers that a corpus is given to: how many, how large, and how persistent.

    Attributes:
        count: how many; None: as many as the cluster has room for.
        cores: of each; None: one, or with GPUs an equal part.
        attempts: how often a video is begun before it is given up.
    """

    count: int | None = None
    cores: int | None = None
    attempts: int = 3


def track_corpus(
    sources: Sequence[str], output: str, request: Request, arguments: NetworkArguments, workers: Workers
) -> int:
    """Tracks every video of the sources that the output's manifest does not call done.

    Args:
        sources: paths, folders with all that is in them, patterns, and addresses of these.
        output: a folder's path or address.
        request: what is made of each video.
        arguments: what each worker's network is built with.
        workers: who does the work.

    Returns:
        The exit status: 0, 2 if a source or a video failed, 128 and the signal's number after one that asked to end.

    Raises:
        ValueError, OSError: nothing can be done: no network, no cluster, no output, or results made otherwise there.
    """
    folder = Place.of(output)
    videos, problems = find_videos(sources, folder)
    for problem in problems:
        print(error_line(problem), file=sys.stderr)
    if not videos:
        return 2
    manifest = Manifest(folder)
    arguments = {
        **arguments,
        "weights": _absolute(arguments["weights"]),
        "config_file": _absolute(arguments["config_file"]),
    }
    manifest.check_settings(result_settings_of(arguments, request))
    rows = rows_of(videos, manifest, folder)
    waiting = [row for row in rows if row.status != DONE]
    say: Callable[[str], None] = (lambda text: None) if request.quiet else print
    if len(waiting) < len(rows):
        say(f"{len(rows) - len(waiting)} of {len(rows)} videos are done already")
    ended = _track(rows, waiting, folder, manifest, request, arguments, workers) if waiting else None
    counts = Counter(row.status for row in rows)
    say(f"{len(rows)} videos: " + ", ".join(f"{count} {status}" for status, count in counts.items()))
    say(f"results: {folder.address}")
    if ended:
        print("interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 128 + ended
    return 2 if problems or any(row.problem for row in rows) else 0


def result_settings_of(arguments: NetworkArguments, request: Request) -> dict[str, str]:
    """What the results depend on; the network is built for it, so that what is wrong with it is told at once."""
    on_any_machine: NetworkArguments = {**arguments, "device": "cpu", "precision": "auto"}
    return result_settings(build_pose_tracking(**on_any_machine), arguments, request)


def rows_of(videos: Sequence[Video], manifest: Manifest, folder: Place) -> list[Row]:
    """The manifest's row of each video, new where there is none; one to be done (again) is waiting."""
    names = name_videos(videos, {row.source: row.name for row in manifest.rows.values()})
    there = _names_in(folder) if manifest.rows else set()
    rows = []
    for video in videos:
        new = Row(names[video.source], video.source, video.size, video.stamp)
        row = manifest.rows.setdefault(video.source, new)
        changed = (row.size, row.stamp) != (video.size, video.stamp)
        if row.status != DONE or changed or not {file.partition("/")[0] for file in row.files} <= there:
            new.files = row.files
            row = manifest.rows[video.source] = new
        rows.append(row)
    return rows


def _names_in(folder: Place) -> set[str]:
    return {path.rstrip("/").rpartition("/")[2] for path in folder.fs.ls(folder.path, detail=False)}


def _track(
    rows: Sequence[Row],
    waiting: Sequence[Row],
    folder: Place,
    manifest: Manifest,
    request: Request,
    arguments: NetworkArguments,
    workers: Workers,
) -> signal.Signals | None:
    """Does the work on a cluster; returns the signal that ended it before its time, or None."""
    seen = prepare_staging(folder)
    with (
        joined() as alone,
        Interruptible() as interrupt,
        tqdm(
            total=len(rows),
            initial=len(rows) - len(waiting),
            bar_format=_PROGRESS,
            desc="corpus",
            disable=request.quiet,
            file=sys.stderr,
        ) as bar,
    ):
        share = default_share(arguments["device"], workers.cores)
        count, warning = count_workers(workers.count, share, alone=alone)

        def warn(text: str) -> None:
            bar.write(f"warning: {text}", file=sys.stderr)

        def report(row: Row) -> None:
            bar.update()
            if row.problem:
                named = row.problem if row.source in row.problem else f"{row.source}: {row.problem}"
                bar.write(f"error: {named}", file=sys.stderr)

        def progress(frames: int, seconds: float) -> None:
            done = bar.n - bar.initial
            bar.set_postfix_str(f"{done / seconds:.2f} videos/s, {frames / seconds:.1f} frames/s")

        if warning:
            warn(warning)
        Corpus(
            folder,
            seen,
            manifest,
            waiting,
            lambda: _new_worker(arguments, request, share),
            workers=count,
            attempts=workers.attempts,
            report=report,
            warn=warn,
            progress=progress,
        ).run(lambda: interrupt.requested is not None)
        return interrupt.requested


def _new_worker(arguments: NetworkArguments, request: Request, share: Share) -> ActorHandle:
    """An actor on whichever machine has room; Ray does not start it again, as its video's attempts are counted."""
    actor: ActorHandle = ray.remote(  # type: ignore[call-overload]  # its annotation lacks concurrency_groups
        num_cpus=share.cores, num_gpus=share.gpus, max_restarts=0, concurrency_groups={FRAMES_GROUP: 1}
    )(TrackingWorker).remote(arguments, request, share.cores)
    return actor


def _absolute(file: str | None) -> str | None:
    """A file's path in any working directory; names such as ``people`` stay."""
    return str(Path(file).absolute()) if file and os.path.exists(file) else file
