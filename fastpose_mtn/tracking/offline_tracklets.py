"""A whole video's tracked people as arrays, and the tracklets that are left where tracks are cut at doubtful links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastpose_mtn.errors import InputError
from fastpose_mtn.ops.overlap import box_intersection
from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import TrackedPersons
from fastpose_mtn.tracking.detections_file import SavedFrame
from fastpose_mtn.tracking.parameters import TrackerParameters
from fastpose_mtn.tracking.similarity import has_valid_embedding

# Shares of a whole embedding's weight: of one that is not valid, and the power with which cover takes it away. Of 12,176
# drawn detections the embedding is nearest to the right person's mean for 98 % where nobody else is near, for 87 %
# where a third to a half of the box is another's, and still for 82 % of those that are not valid.
_INVALID, _LEAST_SEEN = 0.2, 0.05
_PART_SECONDS = 0.2  # of a tracklet whose boxes are covered; ours


@dataclass(frozen=True, eq=False)
class People:
    """The N people on tracks of all frames, in order of the frames.

    Attributes:
        frame: (N,) int64 index of the frame in the video.
        time_s: (N,) seconds of video.
        scene: (N,) int64, how many scene cuts lie before.
        track: (N,) int64, whom the tracker took each for.
        boxes: (N, 4) float64 xyxy pixels.
        cover: (N,) share of the box that the box of one other person covers.
        embeddings: (N, D) float64; zeros where there is none.
        weight: (N,) in [0, 1], how much each embedding counts; 0 where there is none.
    """

    frame: np.ndarray
    time_s: np.ndarray
    scene: np.ndarray
    track: np.ndarray
    boxes: np.ndarray
    cover: np.ndarray
    embeddings: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def heights(self) -> np.ndarray:
        """(N,) pixels, above 0."""
        return np.maximum(self.boxes[:, 3] - self.boxes[:, 1], 1e-6)

    @property
    def centres(self) -> np.ndarray:
        """(N, 2) x, y pixels."""
        return (self.boxes[:, :2] + self.boxes[:, 2:]) / 2.0

    @classmethod
    def of(
        cls,
        frames: Sequence[tuple[SavedFrame, TrackedPersons]],
        parameters: TrackerParameters,
        skeleton: Skeleton,
        source: str = "",
    ) -> People:
        """The people of a video's frames; the strategy says which embeddings are valid.

        Raises:
            InputError: embeddings of another length than in earlier frames.
        """
        count = np.array([len(people) for _, people in frames], np.int64)
        frame = np.repeat(np.arange(len(frames)), count)
        times = np.array([saved.time_s for saved, _ in frames])
        scenes = np.cumsum([saved.scene_cut for saved, _ in frames], dtype=np.int64)
        cover = [_cover(people.boxes) for _, people in frames]
        embeddings, valid = [], []
        dim = next((p.embeddings.shape[1] for _, p in frames if len(p) and p.embeddings is not None), 0)
        for saved, people in frames:
            some = people.embeddings if len(people) else None
            if some is not None and some.shape[1] != dim:
                raise InputError(
                    f"{source}: frame {saved.number}: embeddings: {some.shape[1]} values a person, but {dim} in earlier frames"
                )
            embeddings.append(np.zeros((len(people), dim)) if some is None else some.astype(np.float64))
            valid.append(_valid(people, parameters, skeleton))
        vectors = _joined(embeddings, (0, dim))
        hidden = _joined(cover, (0,))
        weight = np.where(_joined(valid, (0,)) > 0, 1.0, _INVALID) * np.maximum(1.0 - hidden, _LEAST_SEEN)
        if parameters.strategy == "iou":
            weight[:] = 0.0
        weight[~vectors.any(axis=1)] = 0.0  # an embedding of zeros says nothing of anybody
        return cls(
            frame=frame,
            time_s=times[frame],
            scene=scenes[frame],
            track=_joined([people.track_ids for _, people in frames], (0,)).astype(np.int64),
            boxes=_joined([people.boxes.astype(np.float64) for _, people in frames], (0, 4)),
            cover=hidden,
            embeddings=vectors,
            weight=weight,
        )


@dataclass(frozen=True, eq=False)
class CutTracks:
    """The T pieces that tracks were cut into at doubtful links, in order of their beginning: tracklets.

    Attributes:
        of_person: (N,) int64, each person's tracklet.
        first: (T,) int64, its first person.
        last: (T,) int64, its last.
        following: (T,) int64, the tracklet that the tracker had follow it; -1 where the track ends.
    """

    of_person: np.ndarray
    first: np.ndarray
    last: np.ndarray
    following: np.ndarray

    def __len__(self) -> int:
        return len(self.first)


def cut_tracks(people: People, contested_cover: float) -> CutTracks:
    """Cuts tracks where somebody was lost, where a scene ends, and around and within times of covered boxes."""
    order = np.lexsort((people.frame, people.track))
    a, b = order[:-1], order[1:]
    contested = people.cover > contested_cover
    linked = people.track[a] == people.track[b]
    sure = linked & (people.frame[b] == people.frame[a] + 1) & (people.scene[a] == people.scene[b])
    # Covered boxes stay together for a part of a second: cut at each, two who walk side by side would be exchanged to and
    # fro by the noise of single frames.
    part = np.floor(people.time_s / _PART_SECONDS + 1e-6)
    sure &= (contested[a] == contested[b]) & (~contested[a] | (part[a] == part[b]))
    begins = np.concatenate([[True], ~sure])[: len(order)]
    ends = np.concatenate([~sure, [True]])[-len(order) :] if len(order) else begins
    first, last = order[begins], order[ends]
    by_start = np.argsort(people.frame[first], kind="stable")
    place = np.empty(len(first), np.int64)
    place[by_start] = np.arange(len(first))
    of_person = np.empty(len(people), np.int64)
    of_person[order] = place[np.cumsum(begins) - 1]
    following = np.full(len(first), -1, np.int64)
    cut = linked & ~sure
    following[of_person[a[cut]]] = of_person[b[cut]]
    return CutTracks(of_person, first[by_start], last[by_start], following)


def _valid(people: TrackedPersons, parameters: TrackerParameters, skeleton: Skeleton) -> np.ndarray:
    if parameters.strategy != "occlusion_aware" or not people.keypoints.size:
        return np.full(len(people), parameters.strategy == "reid")
    return has_valid_embedding(
        people.keypoints,
        parameters.joint_thresh,
        parameters.valid_joints,
        body_joints=skeleton.parts["body"],
    )


def _cover(boxes_xyxy: np.ndarray) -> np.ndarray:
    """The greatest share of each box (N, 4) that one other covers, (N,)."""
    n = len(boxes_xyxy)
    if n < 2:
        return np.zeros(n)
    shared = box_intersection(boxes_xyxy[:, None], boxes_xyxy[None])
    area = np.maximum(np.diagonal(shared), 1e-9).copy()
    np.fill_diagonal(shared, 0.0)
    return shared.max(axis=1) / area


def _joined(parts: Sequence[np.ndarray], empty: tuple[int, ...]) -> np.ndarray:
    return np.concatenate(parts) if len(parts) else np.zeros(empty)
