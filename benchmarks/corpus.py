"""What a second worker brings to a corpus: videos a second of two workers with a core each, over those of one.

One machine, copies of one clip, rounds of one worker and of two in turn. Counted is the time in which all workers are at
work, from when each has done its first video until the first has none left, and of that each worker's own from the end of
a video to the end of another: workers that keep step end two videos at once, so that videos by the time between the first
end and the last would be five in the time of three. On a machine with other work the cores that
the workers get differ from round to round; the processor time that a frame takes, alone and beside another worker,
tells what they would bring on one without.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ray

from fastpose_mtn.build import NetworkArguments
from fastpose_mtn.commands.track import DEMO_CLIP
from fastpose_mtn.corpus.cluster import joined
from fastpose_mtn.corpus.manifest import DONE, Manifest, Row
from fastpose_mtn.corpus.place import Place
from fastpose_mtn.corpus.run import FRAMES_GROUP, Corpus, prepare_staging
from fastpose_mtn.corpus.track import result_settings_of, rows_of
from fastpose_mtn.corpus.videos import find_videos
from fastpose_mtn.corpus.worker import Job, Ready, Result, TrackingWorker
from fastpose_mtn.video.job import Request


@dataclass(frozen=True)
class Done:
    """A video: by the worker on which core, when, s, and in how much of its time a frame, s."""

    core: int
    at_s: float
    cpu_s: float


class PinnedWorker(TrackingWorker):
    """Has one core and no other, as on a machine of its own, and notes the time and processor time of each video."""

    def __init__(self, arguments: NetworkArguments, request: Request, core: int, times: Path) -> None:
        super().__init__(arguments, request, threads=1)
        self._core, self._times = core, times

    def load(self, probe: str | None) -> Ready:
        for thread in os.listdir("/proc/self/task"):
            os.sched_setaffinity(int(thread), {self._core})
        return super().load(probe)

    def track(self, job: Job) -> Result:
        began = time.process_time()
        result = super().track(job)
        done = Done(self._core, time.monotonic(), (time.process_time() - began) / result.frames)
        (self._times / job.name).write_text(json.dumps(dataclasses.astuple(done)))
        return result


@dataclass(frozen=True)
class Measured:
    """One round: videos a second, and median processor seconds a frame."""

    rate: float
    cpu_s: float


def measure(
    workers: int, videos: Path, folder: Path, request: Request, arguments: NetworkArguments
) -> Measured:
    times = folder / "times"
    times.mkdir(parents=True)
    output = Place.of(str(folder / "out"))
    manifest = Manifest(output)
    manifest.check_settings(result_settings_of(arguments, request))
    rows = rows_of(find_videos([str(videos)], output)[0], manifest, output)
    cores = iter(sorted(os.sched_getaffinity(0)))
    make = ray.remote(num_cpus=1, concurrency_groups={FRAMES_GROUP: 1})(PinnedWorker)

    def report(row: Row) -> None:
        assert row.status == DONE, row.problem

    Corpus(
        output,
        prepare_staging(output),
        manifest,
        rows,
        lambda: make.remote(arguments, request, next(cores), times),
        workers=workers,
        attempts=1,
        report=report,
        warn=print,
        progress=lambda frames, seconds: None,
    ).run(lambda: False)
    done = [Done(*json.loads((times / row.name).read_text())) for row in rows]
    ends = [sorted(each.at_s for each in done if each.core == core) for core in {each.core for each in done}]
    assert len(ends) == workers, "a worker had no video"
    return Measured(rate=rate_of(ends), cpu_s=statistics.median(each.cpu_s for each in done))


def rate_of(ends: Iterable[Sequence[float]]) -> float:
    """Videos a second while all workers are at work.

    Args:
        ends: of each worker when its videos were done, s, in order.

    Raises:
        ValueError: a worker has no whole video in that time.
    """
    ends = list(ends)
    began, ended = max(each[0] for each in ends), min(each[-1] for each in ends)
    rate = 0.0
    for each in ends:
        counted = [at for at in each if began <= at <= ended]
        if len(counted) < 2:
            raise ValueError(
                "expected more videos, so that each worker has a whole one beside the others; give --videos"
            )
        rate += (len(counted) - 1) / (counted[-1] - counted[0])
    return rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clip", type=Path, default=DEMO_CLIP)
    parser.add_argument("--videos", type=int, default=12, help="copies of the clip")
    parser.add_argument("--frames", type=int, default=40, help="of each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--weights", default="people")
    args = parser.parse_args()
    request = Request(Path(), video=False, max_frames=args.frames, quiet=True)
    arguments: NetworkArguments = {
        "weights": args.weights, "config_file": None, "device": "cpu", "precision": "auto", "strategy": None,
        "options": (), "host": "default",
    }  # fmt: skip
    # Ray's workers give way to all else, as one wants them to where somebody works; here they would measure that.
    os.environ.setdefault("RAY_worker_niceness", "0")
    measured: dict[int, list[Measured]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as scratch, joined():
        videos = Path(scratch) / "videos"
        videos.mkdir()
        for number in range(args.videos):
            shutil.copy(args.clip, videos / f"{number}{args.clip.suffix}")
        for number in range(args.rounds):
            for workers in (1, 2):
                done = measure(workers, videos, Path(scratch) / f"{number}-{workers}", request, arguments)
                measured[workers].append(done)
                print(
                    f"{workers} worker{'s' * (workers > 1)}: {done.rate * args.frames:.1f} frames/s, "
                    f"{1000 * done.cpu_s:.1f} ms of a core a frame; load {os.getloadavg()[0]:.1f}",
                    flush=True,
                )
    one, two = ([each.rate for each in measured[workers]] for workers in (1, 2))
    print(
        f"two workers over one: {statistics.median(b / a for a, b in zip(one, two, strict=True)):.2f} times"
    )
    alone, beside = (statistics.median(each.cpu_s for each in measured[workers]) for workers in (1, 2))
    print(f"by processor time: {2 * alone / beside:.2f} times")


if __name__ == "__main__":
    main()
