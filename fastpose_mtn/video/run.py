"""Tracks one source into files, with progress, and tells how it went."""

from __future__ import annotations

import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from fastpose_mtn.errors import InputError
from fastpose_mtn.protocols import PoseEstimator, Tracker
from fastpose_mtn.video.interrupt import Interruptible
from fastpose_mtn.video.outputs import Outputs
from fastpose_mtn.video.pipeline import StageTimes, track_frames
from fastpose_mtn.video.sources import Source

# tqdm's own, but always frames a second: below one it would turn to seconds a frame.
_PROGRESS = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_noinv_fmt}]"
_STAGES = ("decode", "network", "track", "write", "draw", "encode")


@dataclass
class Summary:
    """How one source went.

    Attributes:
        name: of the source.
        frames: read, those that could not be decoded among them.
        boxes: of people on tracks, summed over frames.
        most_people: on tracks in one frame.
        track_ids: of all people; none of unrelated photographs.
        seconds: that passed from the first frame to the closed files.
        times: seconds that each stage worked; stages overlap.
        skipped: indices of the frames that could not be decoded.
        skipped_files: the names of those that are files.
        interrupted: the signal to end that came, Ctrl-C's or another; the files hold what was done. None: none came.
        lost: what is missing in the files, a line each.
        problem: why there are fewer frames than there should be, or None.
        ages_s: of a live source's last frames, seconds from their arrival until their people were followed.
        passed_over: a live source's frames that nobody had time for.
    """

    name: str
    frames: int = 0
    boxes: int = 0
    most_people: int = 0
    track_ids: set[int] = field(default_factory=set)
    seconds: float = 0.0
    times: StageTimes = field(default_factory=StageTimes)
    skipped: list[int] = field(default_factory=list)
    skipped_files: list[str] = field(default_factory=list)
    interrupted: signal.Signals | None = None
    lost: list[str] = field(default_factory=list)
    problem: str | None = None
    ages_s: deque[float] = field(default_factory=lambda: deque(maxlen=1000))
    passed_over: int = 0


def run_source(
    source: Source,
    estimator: PoseEstimator,
    tracker: Tracker,
    open_outputs: Callable[[], Outputs],
    summary: Summary,
    *,
    batch_size: int,
    max_frames: int | None,
    quiet: bool,
    min_score: float = 0.0,
) -> Summary:
    """Tracks a source from its first frame to its last, to ``max_frames`` or to a signal to end, such as Ctrl-C.

    Args:
        source: gives the frames; is closed at the end.
        estimator: finds the people of each frame.
        tracker: follows them; one without tracks.
        open_outputs: is called at the first frame, so that a source without one leaves no file.
        summary: is filled in; its ``times`` are the outputs'.
        batch_size: frames that the network sees at once.
        max_frames: after which to stop; None: never.
        quiet: show no progress bar.
        min_score: people below it are neither tracked nor written, see ``track_frames``.

    Raises:
        Exception: what failed in any stage; the files are left as ``NAME.partial``.
    """
    began = time.perf_counter()
    total = min((n for n in (source.frame_count, max_frames) if n is not None), default=None)
    complete = False
    outputs: Outputs | None = None
    frames = track_frames(
        source,
        estimator,
        tracker,
        batch_size=batch_size,
        max_frames=max_frames,
        min_score=min_score,
        times=summary.times,
    )
    try:
        with (
            Interruptible(source.interrupt) as interrupt,
            logging_redirect_tqdm(),  # a warning has a line of its own, not the bar's
            tqdm(
                frames,
                bar_format=_PROGRESS if total else None,
                desc=summary.name,
                total=total,
                unit=" frames",
                disable=quiet,
                file=sys.stderr,
            ) as bar,
        ):
            try:
                for tracked in bar:
                    outputs = outputs or open_outputs()
                    outputs.write(tracked)
                    summary.frames += 1
                    if tracked.frame.image is None and tracked.frame.file_name:
                        summary.skipped_files.append(tracked.frame.file_name)
                    summary.boxes += len(tracked.people)
                    summary.most_people = max(summary.most_people, len(tracked.people))
                    if not source.independent:
                        summary.track_ids.update(tracked.people.track_ids.tolist())
                    if (age_s := tracked.age_s) is not None:
                        summary.ages_s.append(age_s)
                        summary.passed_over = tracked.index + 1 - summary.frames
                        bar.set_postfix_str(f"{1000 * age_s:.0f} ms behind", refresh=False)
                    if interrupt.requested:
                        break
                summary.interrupted = interrupt.requested
                complete = True
            finally:
                frames.close()
                if outputs:
                    outputs.close(complete)
                    summary.lost = outputs.remarks
    except Exception as error:
        if memory := _memory_that_is_out(error):
            raise InputError(
                f"{summary.name}: out of {memory} at {batch_size} frames a batch; use a smaller --batch-size, or "
                "--image-size"
            ) from error
        raise
    summary.seconds = time.perf_counter() - began
    summary.skipped = list(source.skipped)
    summary.problem = source.problem
    return summary


def _memory_that_is_out(error: Exception) -> str | None:
    """Which memory an error says is out, by its name and text: this module must not wait for torch; None: it is another."""
    if type(error).__name__ == "OutOfMemoryError":
        return "GPU memory"
    text = str(error)
    out = isinstance(error, MemoryError) or "can't allocate memory" in text or "Insufficient memory" in text
    return "memory" if out else None


def table(summaries: Sequence[Summary]) -> str:
    """One line a source: what was found, how fast, and the seconds that each stage worked.

    ``boxes`` are people counted in every frame anew, ``people`` the most of them in one frame, ``tracks`` how many
    identities they were followed as.
    """
    stages = [stage for stage in _STAGES if any(s.times.seconds[stage] for s in summaries)]
    live = any(summary.ages_s for summary in summaries)
    head = ["source", "frames", "boxes", "people", "tracks", "frames/s"]
    head += ["latency ms", "95 % below"] if live else []
    head += [f"{stage} s" for stage in stages]
    rows = [
        [
            summary.name,
            str(summary.frames),
            str(summary.boxes),
            str(summary.most_people),
            str(len(summary.track_ids)),
            f"{summary.frames / summary.seconds:.1f}" if summary.seconds else "-",
            *(_latency(summary) if live else ()),
            *(f"{summary.times.seconds[stage]:.1f}" for stage in stages),
        ]
        for summary in summaries
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in (head, *rows)
    )


def _latency(summary: Summary) -> tuple[str, str]:
    """Mean and 95th percentile, in milliseconds."""
    if not summary.ages_s:
        return "-", "-"
    ages_ms = 1000 * np.array(summary.ages_s)
    return f"{ages_ms.mean():.0f}", f"{np.percentile(ages_ms, 95):.0f}"


def remarks(summary: Summary) -> list[str]:
    """What else there is to say: frames left out, an end before its time."""
    lines = [f"{summary.name}: {line}" for line in summary.lost]
    if summary.passed_over:
        lines.append(
            f"{summary.name}: {summary.passed_over} of {summary.passed_over + summary.frames} frames came while the "
            "network was busy and were passed over"
        )
    if summary.skipped:
        count, which = len(summary.skipped), summary.skipped_files or list(map(str, summary.skipped))
        lines.append(
            f"{summary.name}: {count} {'frame' if count == 1 else 'frames'} could not be decoded and "
            f"{'was' if count == 1 else 'were'} left out: {', '.join(which[:10])}{', ...' if count > 10 else ''}"
        )
    if summary.interrupted:
        lines.append(
            f"{summary.name}: interrupted; the files hold the {summary.frames} frames that were done"
        )
    return lines
