"""Leaves tracks out that are too short to be people (MDPN, Guo et al. 2018, section 2.2), of a whole video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from fastpose_mtn.structures import TrackedPersons
from fastpose_mtn.tracking.retrack import Tracked


def prune_tracks(frames: Iterable[Tracked], min_length: int) -> list[Tracked]:
    """The same frames without those on tracks that are seen in fewer than ``min_length`` of them; ids stay.

    An appearance that was interpolated counts.
    """
    frames = list(frames)
    seen = Counter(track for _, people in frames for track in people.track_ids.tolist())
    return [(saved, _without(people, seen, min_length)) for saved, people in frames]


def _without(people: TrackedPersons, seen: Counter[int], min_length: int) -> TrackedPersons:
    kept = np.array([seen[track] >= min_length for track in people.track_ids.tolist()], bool)
    return people if kept.all() else people[kept]
