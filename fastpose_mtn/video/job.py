"""One source's whole job: its people tracked into the files that were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fastpose_mtn.build import PoseTracking
from fastpose_mtn.video.names import check_names
from fastpose_mtn.video.outputs import Outputs, overlay_endings
from fastpose_mtn.video.run import Summary, run_source
from fastpose_mtn.video.sources import Source

if TYPE_CHECKING:  # an HTTP server, only where somebody wants to watch
    from fastpose_mtn.video.live_view import LiveView


@dataclass(frozen=True)
class Request:
    """What is written of each input, and how it is read.

    Attributes:
        folder: for the results.
        formats: keys of ``fastpose_mtn.video.writers.FORMATS``.
        video: whether to draw the people into a video.
        detections: whether to save the people before tracking.
        batch_size: frames that the network sees at once; None: as many as its device likes.
        max_frames: of each source; None: all.
        quiet: whether to print errors and warnings only.
        live: one of ``fastpose_mtn.video.live.MODES``.
        images: one of ``fastpose_mtn.video.image_order.ARRANGEMENTS``.
        pictures: whether to make the overlay's frames as pictures.
        crops: a folder for crops of the people; None: none are made.
        threads: that the overlay's encoder may use; None: as many as there are cores.
    """

    folder: Path
    formats: Sequence[str] = ("posetrack",)
    video: bool = True
    detections: bool = False
    batch_size: int | None = None
    max_frames: int | None = None
    quiet: bool = False
    live: str = "auto"
    images: str = "auto"
    pictures: bool = False
    crops: Path | None = None
    threads: int | None = None


def track_source(
    source: Source,
    tracking: PoseTracking,
    request: Request,
    summary: Summary,
    *,
    view: LiveView | None = None,
) -> None:
    """Tracks a source into files called ``summary.name``, which is filled in.

    Args:
        source: gives the frames; is closed at the end.
        tracking: the network, and what makes a tracker.
        request: what to write, and where; the folder exists.
        summary: of this source; holds its name and nothing else yet.
        view: shows the overlay while it is made.

    Raises:
        InputError: a result's name would be too long.
        Exception: what failed in any stage; the files are left as ``NAME.partial``.
    """
    try:
        check_names(
            request.folder,
            summary.name,
            source,
            formats=request.formats,
            overlays=overlay_endings(source, video=request.video, pictures=request.pictures),
            detections=request.detections,
            crops=request.crops is not None,
        )
    except BaseException:
        source.close()
        raise

    def open_outputs() -> Outputs:
        return Outputs(
            request.folder,
            summary.name,
            source=source,
            skeleton=tracking.estimator.skeleton,
            formats=request.formats,
            video=request.video,
            detections=request.detections,
            joint_thresh=float(tracking.cfg.TRACKER.JOINT_THRESH),
            times=summary.times,
            pictures=request.pictures,
            crops=request.crops,
            view=view,
            threads=request.threads,
        )

    run_source(
        source,
        tracking.estimator,
        tracking.new_tracker(),
        open_outputs,
        summary,
        batch_size=request.batch_size or tracking.batch_size,
        max_frames=request.max_frames,
        quiet=request.quiet,
        # saved detections are tracked again with other settings
        min_score=0.0 if request.detections else tracking.min_score,
    )
