"""The whole job of a video, as ``track_video.py`` does it: decode, network, tracking, overlay and JSON."""

from __future__ import annotations

import tempfile
from pathlib import Path

from fastpose_mtn.protocols import PoseEstimator, Tracker
from fastpose_mtn.video.outputs import Outputs
from fastpose_mtn.video.run import Summary, run_source
from fastpose_mtn.video.sources import Source


def run_job(
    source: Source,
    estimator: PoseEstimator,
    tracker: Tracker,
    *,
    batch_size: int,
    max_frames: int | None = None,
    min_score: float = 0.0,
) -> Summary:
    """What the job did and how long it took; its files are deleted. See ``video.run.run_source``."""
    summary = Summary("job")
    with tempfile.TemporaryDirectory() as folder:

        def outputs() -> Outputs:
            return Outputs(
                Path(folder), "out", source=source, skeleton=estimator.skeleton, formats=["posetrack"], video=True,
                detections=False, joint_thresh=0.2, times=summary.times,
            )  # fmt: skip

        return run_source(
            source, estimator, tracker, outputs, summary, batch_size=batch_size, max_frames=max_frames,
            quiet=True, min_score=min_score,
        )  # fmt: skip
