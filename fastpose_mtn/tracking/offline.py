"""Tracking with hindsight: a recorded video's tracks, mended by what comes after.

The tracker's tracks are cut into tracklets wherever a link is doubtful, the tracklets are joined anew by everything
that is known before and behind them (``offline_joining``), tracks of single detections are pruned, and short gaps are
filled by people who are marked as interpolated.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import TrackedPersons
from fastpose_mtn.tracking.offline_gaps import fill_gaps
from fastpose_mtn.tracking.offline_joining import join_tracklets, paths_of
from fastpose_mtn.tracking.offline_parameters import DEFAULT_OFFLINE_PARAMETERS, OfflineParameters
from fastpose_mtn.tracking.offline_tracklets import People, cut_tracks
from fastpose_mtn.tracking.parameters import DEFAULT_PARAMETERS, TrackerParameters
from fastpose_mtn.tracking.retrack import Tracked


def mend_tracks(
    frames: Sequence[Tracked],
    skeleton: Skeleton,
    parameters: OfflineParameters = DEFAULT_OFFLINE_PARAMETERS,
    *,
    tracking: TrackerParameters = DEFAULT_PARAMETERS,
    source: str = "",
) -> list[Tracked]:
    """The same frames with mended identities, in their order.

    Everybody of a tracker's track is in them, but for those whom nothing joins to
    ``parameters.min_detections - 1`` others, where there are as many frames. Ids are 0, 1, 2, ... in order of appearance.

    Args:
        frames: of one video, with the people that a tracker put on tracks.
        skeleton: of the people.
        parameters: of what is joined, pruned and interpolated.
        tracking: the tracker's: its strategy, which embeddings count, a person's reach, and people behind a scene cut.
        source: the video's name, for errors.

    Raises:
        InputError: embeddings of another length than in earlier frames.
    """
    people = People.of(frames, tracking, skeleton, source)
    tracks = cut_tracks(people, parameters.contested_cover)
    path = paths_of(join_tracklets(people, tracks, parameters, tracking))[tracks.of_person]
    counts = np.bincount(path)
    kept = counts[path] >= min(parameters.min_detections, len(frames))
    ids = np.full(len(people), -1, np.int64)
    _, first, place = np.unique(path[kept], return_index=True, return_inverse=True)
    ids[kept] = np.argsort(np.argsort(first, kind="stable"), kind="stable")[place]
    begins = np.searchsorted(people.frame, np.arange(len(frames) + 1))
    mended: list[Tracked] = []
    for index, (saved, tracked) in enumerate(frames):
        own = ids[begins[index] : begins[index + 1]]
        mended.append((saved, TrackedPersons(tracked.detections[own >= 0], own[own >= 0])))
    return fill_gaps(mended, parameters.interpolate_seconds)
