"""The occlusion-aware tracker (paper, section 3.3)."""

from __future__ import annotations

import math

import numpy as np

from fastpose_mtn.config import CfgNode
from fastpose_mtn.ops.overlap import iou_matrix
from fastpose_mtn.skeletons import POSETRACK15, Skeleton, get_skeleton
from fastpose_mtn.structures import PersonDetections, TrackedPersons
from fastpose_mtn.tracking.similarity import (
    appearance_similarity,
    combined_similarity,
    embedding_distances,
    has_valid_embedding,
    height_ratio,
    match,
    nearness,
)
from fastpose_mtn.tracking.tracklets import Tracklets

STRATEGIES = ("iou", "reid", "occlusion_aware")  # the rows of the paper's Table 1c

# Seconds in which the say of a lost person's position falls to 1/e.
_POSITION_MEMORY_S = 0.7
# Share of a new identity vector in a tracklet's.
_VECTOR_GAIN = 0.15
# How far a lost person may be from the expected place, in heights: at once, and more with every second.
_REACH, _REACH_PER_S = 0.4, 2.0
# The least height ratio of a lost person's box and one that may show them again, partly hidden.
_MIN_HEIGHT_RATIO = 0.6
# Appearance similarity below which two people who are seen clearly are surely different.
_UNLIKE = 0.1
# Overlap above which two boxes are one person, found twice.
_DUPLICATE_IOU = 0.9
# Frames further apart than this, in seconds, are a break, even where lost people are not kept at all.
_LONGEST_FRAME_S = 1.0


class OcclusionAwareTracker:
    """Links the people of successive frames; a ``fastpose_mtn.protocols.Tracker``.

    Each frame's people are matched to the tracklets by S, equation 2 of the paper: overlap with the box
    where a tracklet's person is expected, and likeness of their identity vectors. All strategies share the
    motion model, the matching, the gate and the time for which a lost person is kept; they differ in
    what they believe:

    * ``iou``: S is the overlap alone, the paper's baseline.
    * ``reid``: S weighs overlap and likeness, and every vector is believed.
    * ``occlusion_aware``: a vector is believed only where enough joints are seen (N_valid > theta_valid);
      elsewhere S is the overlap. A tracklet's vector changes only by vectors that are believed. Whoever
      would become a new person is first offered to the lost people who could be there, see ``_recover``.

    Where people come without identity vectors (``embeddings`` None), S is the overlap in every strategy.

    Two rules go beyond the paper, which says nothing of people who were lost for a while. Both strategies
    with vectors let the position weight of a *lost* tracklet fade with the time since it was seen, so a
    return far from the old place is judged by appearance alone; at full weight no overlap would cost
    half of S. And pairs below the gate are no pairs to the solver, see ``similarity.match``.

    Args:
        skeleton: of the people; joints of its body count for N_valid.
        strategy: one of ``STRATEGIES``.
        joint_threshold: gamma, 0.2 in the paper: a joint is seen where its confidence is above this.
        valid_joint_share: theta_valid, 10 of 15 joints in the paper: a vector is valid where more are seen.
        position_weight: theta_pos, 0.5 in the paper: the overlap's share of S.
        max_distance: sigma_max: Euclidean distance of vectors at and above which people are unlike.
            Vectors of length 1 of unrelated people are at right angles: sqrt(2).
        motion: whether people are expected where a constant velocity takes them; else where last seen, as
            the paper has it. The same for all strategies.
        min_similarity: the gate, above 0: a pair with a lower S is no match.
        max_lost_seconds: of video, for which a person who is not seen can be found again.
        birth_score: an unmatched detection with a score above this begins a tracklet.
        min_score: detections with a lower score are not looked at.
        max_lost: how many people lost before a frame are kept at most; the longest lost go first.

    Raises:
        ValueError: a value is out of range; the message names it.
    """

    def __init__(
        self,
        *,
        skeleton: Skeleton = POSETRACK15,
        strategy: str = "occlusion_aware",
        joint_threshold: float = 0.2,
        valid_joint_share: float = 10.0 / 15.0,
        position_weight: float = 0.5,
        max_distance: float = math.sqrt(2.0),
        min_similarity: float = 0.3,
        motion: bool = True,
        max_lost_seconds: float = 2.0,
        birth_score: float = 0.5,
        min_score: float = 0.4,
        max_lost: int = 1000,
    ) -> None:
        if strategy not in STRATEGIES:
            raise ValueError(f"strategy: expected one of {', '.join(STRATEGIES)}, got {strategy!r}")
        for name, value in (
            ("joint_threshold", joint_threshold),
            ("valid_joint_share", valid_joint_share),
            ("position_weight", position_weight),
            ("birth_score", birth_score),
            ("min_score", min_score),
        ):
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{name}: expected a number from 0 to 1, got {value}")
        if not 0.0 < min_similarity <= 1.0:
            raise ValueError(f"min_similarity: expected a number above 0 and up to 1, got {min_similarity}")
        if not (max_distance > 0.0 and math.isfinite(max_distance)):
            raise ValueError(f"max_distance: expected a distance above 0, got {max_distance}")
        if not (max_lost_seconds >= 0.0 and math.isfinite(max_lost_seconds)):
            raise ValueError(f"max_lost_seconds: expected 0 or more seconds, got {max_lost_seconds}")
        if max_lost < 0:
            raise ValueError(f"max_lost: expected 0 or more people, got {max_lost}")
        self.skeleton, self.strategy = skeleton, strategy
        self.joint_threshold, self.valid_joint_share = joint_threshold, valid_joint_share
        self.position_weight, self.max_distance = position_weight, max_distance
        self.min_similarity, self.max_lost_seconds = min_similarity, max_lost_seconds
        self.birth_score, self.min_score, self.max_lost = birth_score, min_score, max_lost
        self.motion = motion
        self.reset()

    @classmethod
    def from_config(cls, cfg: CfgNode) -> OcclusionAwareTracker:
        """The tracker that ``cfg.TRACKER`` describes, for people of ``MODEL.SKELETON``."""
        c = cfg.TRACKER
        return cls(
            skeleton=get_skeleton(cfg.MODEL.SKELETON),
            strategy=c.STRATEGY,
            joint_threshold=c.JOINT_THRESH,
            valid_joint_share=c.VALID_JOINTS,
            position_weight=c.POSITION_WEIGHT,
            max_distance=c.MAX_DISTANCE,
            min_similarity=c.MIN_SIMILARITY,
            motion=c.MOTION,
            max_lost_seconds=c.MAX_LOST_SECONDS,
            birth_score=c.BIRTH_SCORE,
            min_score=c.MIN_SCORE,
        )

    def reset(self) -> None:
        """Forgets every tracklet; ids begin again at 0 and time may start anywhere."""
        self._tracklets = Tracklets()
        self._next_id = 0
        self._time_s: float | None = None

    def update(
        self, detections: PersonDetections, time_s: float, frame: np.ndarray | None = None
    ) -> TrackedPersons:
        """The people of this frame who belong to a track, in the order of ``detections``.

        Ids are 0, 1, 2, ... in order of birth; within a frame, the highest score is born first.

        Args:
            detections: people of the frame, none included: time passes all the same.
            time_s: the frame's time in seconds of video, not before that of the last call.
            frame: not looked at.

        Raises:
            ValueError: time goes backwards or is no number, the people have other joints than the
                skeleton, or identity vectors of another length than before. The tracker is then as it was.
        """
        if not isinstance(detections.boxes, np.ndarray):
            detections = detections.numpy()
        self._check(detections, time_s)
        self._time_s = time_s
        self._forget(time_s)

        tracklets = self._tracklets
        looked_at = np.flatnonzero(detections.scores >= self.min_score)
        boxes, scores = detections.boxes[looked_at], detections.scores[looked_at]
        vectors = None if detections.embeddings is None else detections.embeddings[looked_at]
        valid = self._believed(detections, looked_at)

        expected = tracklets.predicted_boxes(time_s) if self.motion else tracklets.boxes
        likeness, comparable = self._likeness(vectors, valid)
        similarity = self._similarity(iou_matrix(expected, boxes), likeness, comparable, time_s)
        rows, columns = match(similarity, self.min_similarity)
        if self.strategy == "occlusion_aware":
            possible = ~comparable | (likeness >= _UNLIKE)
            rows, columns = self._recover(rows, columns, expected, boxes, scores, likeness, possible, time_s)

        tracklets.see(rows, boxes[columns], time_s)
        newborn = self._newborn(columns, boxes, scores)
        ids = np.full(len(boxes), -1, np.int64)
        ids[columns] = tracklets.ids[rows]
        ids[newborn] = np.arange(self._next_id, self._next_id + len(newborn))
        born = tracklets.begin(ids[newborn], boxes[newborn], time_s)
        self._next_id += len(newborn)
        if vectors is not None:
            rows, columns = np.concatenate([rows, born]), np.concatenate([columns, newborn])
            rows, columns = rows[valid[columns]], columns[valid[columns]]
            tracklets.remember(rows, vectors[columns], _VECTOR_GAIN)

        tracked = ids >= 0
        if len(ids) == len(detections) and tracked.all():
            return TrackedPersons(detections, ids)
        return TrackedPersons(detections[looked_at[tracked]], ids[tracked])

    def _check(self, detections: PersonDetections, time_s: float) -> None:
        if not math.isfinite(time_s):
            raise ValueError(f"time_s: expected seconds of video, got {time_s}")
        if self._time_s is not None and time_s < self._time_s:
            raise ValueError(
                f"time_s: {time_s} s comes after {self._time_s} s; give frames in order, or reset() for a new video"
            )
        joints = detections.keypoints.shape[1]
        if len(detections) and joints not in (0, len(self.skeleton)):  # 0: of a network that finds boxes only
            raise ValueError(
                f"keypoints: {joints} joints a person, but the tracker's skeleton {self.skeleton.name} has "
                f"{len(self.skeleton)}; give the tracker the people's skeleton (MODEL.SKELETON)"
            )
        if detections.embeddings is None or len(detections) == 0:
            return
        known, dim = self._tracklets.vectors.shape[1], detections.embeddings.shape[1]
        if known == 0:
            self._tracklets.vectors = np.zeros((len(self._tracklets), dim))
        elif known != dim:
            raise ValueError(
                f"embeddings: {dim} values a person, but {known} in earlier frames; "
                "reset() before people of another network"
            )

    def _forget(self, time_s: float) -> None:
        """Drops people lost for too long; one seen in the last frame is not lost, however rare frames are."""
        tracklets = self._tracklets
        if not len(tracklets):
            return
        unseen_s = time_s - tracklets.last_seen_s
        limit_s = np.where(
            tracklets.lost, self.max_lost_seconds, max(self.max_lost_seconds, _LONGEST_FRAME_S)
        )
        kept = unseen_s <= limit_s
        if np.count_nonzero(tracklets.lost & kept) > self.max_lost:
            lost = np.flatnonzero(tracklets.lost & kept)
            by_time = lost[np.argsort(tracklets.last_seen_s[lost], kind="stable")]
            kept[by_time[: len(lost) - self.max_lost]] = False
        if not kept.all():
            tracklets.keep(kept)

    def _believed(self, detections: PersonDetections, looked_at: np.ndarray) -> np.ndarray:
        """Whose identity vector counts, (N,) bool."""
        if self.strategy == "occlusion_aware":
            keypoints = detections.keypoints[looked_at]
            return has_valid_embedding(
                keypoints,
                self.joint_threshold,
                self.valid_joint_share,
                body_joints=self.skeleton.parts["body"] if keypoints.size else (),
            )
        return np.full(len(looked_at), self.strategy == "reid")

    def _likeness(self, vectors: np.ndarray | None, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Appearance similarity (T, N), 0 where there is no vector, and where S may use it, (T, N) bool."""
        tracklets = self._tracklets
        comparable = tracklets.has_vector[:, None] & valid
        if vectors is None or self.strategy == "iou" or not tracklets.has_vector.any():
            return np.zeros(comparable.shape), np.zeros(comparable.shape, bool)
        likeness = appearance_similarity(embedding_distances(tracklets.vectors, vectors), self.max_distance)
        return np.where(tracklets.has_vector[:, None], likeness, 0.0), comparable

    def _similarity(
        self, iou: np.ndarray, likeness: np.ndarray, comparable: np.ndarray, time_s: float
    ) -> np.ndarray:
        """S of every tracklet and detection, (T, N)."""
        if self.strategy == "iou":
            return iou
        lost_s = np.where(self._tracklets.lost, time_s - self._tracklets.last_seen_s, 0.0)
        weight = self.position_weight * np.exp(lost_s / -_POSITION_MEMORY_S)
        return combined_similarity(iou, likeness, comparable, position_weight=weight[:, None])

    def _recover(
        self,
        rows: np.ndarray,
        columns: np.ndarray,
        expected: np.ndarray,
        boxes: np.ndarray,
        scores: np.ndarray,
        likeness: np.ndarray,
        possible: np.ndarray,
        time_s: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Adds pairs of lost people and detections that no tracklet matched and that would begin one.

        People come out of hiding in parts: the box is cut, the vector not valid yet, and S, then the
        overlap alone, is nothing. A new id here is the commonest identity switch of all. But whoever vanished
        must appear within a walk of the place where they vanished, about as high as they were. Of several
        such people the likest is taken: who hides a person is seen, not lost, so that the part of a hidden
        person's vector that describes somebody else favours none of the lost. A person who is seen clearly
        and looks unlike (``possible`` (T, N) is false) is somebody else.
        """
        lost, unmatched = self._tracklets.lost.copy(), scores > self.birth_score
        lost[rows], unmatched[columns] = False, False
        row, column = np.flatnonzero(lost), np.flatnonzero(unmatched)
        if not (len(row) and len(column)):
            return rows, columns
        pairs = np.ix_(row, column)
        reach = _REACH + _REACH_PER_S * (time_s - self._tracklets.last_seen_s[row])
        ratio = height_ratio(expected[row], boxes[column])
        score = nearness(expected[row], boxes[column], reach) * ratio**2 * (0.1 + 0.9 * likeness[pairs])
        score[(ratio < _MIN_HEIGHT_RATIO) | ~possible[pairs]] = 0.0
        found, by = match(score, gate=1e-9)
        return np.concatenate([rows, row[found]]), np.concatenate([columns, column[by]])

    def _newborn(self, matched: np.ndarray, boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Detections that begin a tracklet, highest score first; a person found twice begins one."""
        free = scores > self.birth_score
        free[matched] = False
        candidates = np.flatnonzero(free)
        if not len(candidates):
            return candidates
        candidates = candidates[np.argsort(-scores[candidates], kind="stable")]
        same = iou_matrix(boxes[candidates], boxes) > _DUPLICATE_IOU
        if np.count_nonzero(same) == len(candidates):  # each is like itself only
            return candidates
        taken, newborn = np.zeros(len(boxes), bool), []
        taken[matched] = True
        for candidate, like in zip(candidates, same, strict=True):
            if not taken[like].any():
                newborn.append(candidate)
                taken[candidate] = True
        return np.array(newborn, np.intp)
