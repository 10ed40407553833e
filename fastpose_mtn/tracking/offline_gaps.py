"""Fills the short gaps of tracks with interpolated people, who are marked so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fastpose_mtn.structures import PersonDetections, TrackedPersons
from fastpose_mtn.tracking.retrack import Tracked

# Share of the lower score of the two people between whom one is placed; ours: nobody was found there.
_INTERPOLATED_SCORE = 0.5

_Seen = tuple[int, PersonDetections]  # the frame's index, and one person


def fill_gaps(frames: Sequence[Tracked], longest_s: float) -> list[Tracked]:
    """The same frames with people where a track has none, but not for longer than so many seconds.

    A gap in which another scene begins stays one.

    Args:
        frames: of one video.
        longest_s: from the person before a gap to the one behind it.
    """
    times = [saved.time_s for saved, _ in frames]
    added: dict[int, list[tuple[int, PersonDetections]]] = {}
    for track, (first, one), (last, other) in _gaps(frames):
        elapsed = times[last] - times[first]
        if elapsed > longest_s:
            continue
        for index in range(first + 1, last):
            share = (times[index] - times[first]) / max(elapsed, 1e-9)
            added.setdefault(index, []).append((track, _between(one, other, share)))
    return [
        (saved, _with_interpolated(people, added[index]) if index in added else people)
        for index, (saved, people) in enumerate(frames)
    ]


def _gaps(frames: Sequence[Tracked]) -> Iterator[tuple[int, _Seen, _Seen]]:
    """Each track and its people on both sides of a gap within a scene."""
    last_seen: dict[int, _Seen] = {}
    for index, (saved, people) in enumerate(frames):
        if saved.scene_cut:
            last_seen.clear()
        for place, track in enumerate(people.track_ids.tolist()):
            person = people.detections[place : place + 1]
            before = last_seen.get(track)
            if before is not None and before[0] < index - 1:
                yield track, before, (index, person)
            last_seen[track] = index, person


def _between(one: PersonDetections, other: PersonDetections, share: float) -> PersonDetections:
    """A person on the way from one to the other, whom nobody saw: joints without confidence, no embedding."""
    keypoints = _mixed(one.keypoints, other.keypoints, share)
    # where a joint was not located on either side, it is not located between
    missing = ~(one.keypoints[..., :2].any(axis=2) & other.keypoints[..., :2].any(axis=2))
    keypoints[missing] = 0.0
    keypoints[..., 2] = 0.0
    return PersonDetections(
        boxes=_mixed(one.boxes, other.boxes, share),
        scores=_INTERPOLATED_SCORE * np.minimum(one.scores, other.scores),
        keypoints=keypoints,
        embeddings=None if one.embeddings is None else np.zeros_like(one.embeddings),
    )


def _mixed(one: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    return ((1.0 - share) * one + share * other).astype(np.float32)


def _with_interpolated(
    people: TrackedPersons, more: Sequence[tuple[int, PersonDetections]]
) -> TrackedPersons:
    every = [people.detections] * (len(people) > 0) + [person for _, person in more]
    embeddings = [person.embeddings for person in every if person.embeddings is not None]
    detections = PersonDetections(
        boxes=np.concatenate([person.boxes for person in every]),
        scores=np.concatenate([person.scores for person in every]),
        keypoints=np.concatenate([person.keypoints for person in every]),
        embeddings=np.concatenate(embeddings) if len(embeddings) == len(every) else None,
    )
    ids = np.concatenate([people.track_ids, np.array([track for track, _ in more], np.int64)])
    return TrackedPersons(detections, ids, np.arange(len(ids)) >= len(people))
