"""What a second worker brings to a corpus: videos a second of two workers with a core each, over those of one.

One machine, copies of one clip, rounds of one worker and of two in turn. Counted is the time in which all workers are at
work: from when each has done its first video until the first has none left. On a machine with other work the cores that
the workers get differ from round to round; the processor time that a frame takes, alone and beside another worker,
tells what they would bring on one without.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
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


class PinnedWorker(TrackingWorker):
    """Has one core and no other, as on a machine of its own, and notes the processor time of each video."""

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
        (self._times / job.name).write_text(f"{(time.process_time() - began) / result.frames}")
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
    finished: list[float] = []

    def report(row: Row) -> None:
        assert row.status == DONE, row.problem
        finished.append(time.monotonic())

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
    first, last = workers - 1, len(finished) - workers
    names = [row.name for row in rows]
    return Measured(
        rate=(last - first) / (finished[last] - finished[first]),
        cpu_s=statistics.median(float((times / name).read_text()) for name in names),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clip", type=Path, default=DEMO_CLIP)
    parser.add_argument("--videos", type=int, default=8, help="copies of the clip")
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
