"""The occlusion-aware tracker (paper, section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fastpose_mtn.config import CfgNode
from fastpose_mtn.ops.overlap import iou_matrix
from fastpose_mtn.skeletons import POSETRACK15, Skeleton, get_skeleton
from fastpose_mtn.structures import PersonDetections, TrackedPersons
from fastpose_mtn.tracking.frame_steps import (
    births,
    check_embeddings,
    check_frame,
    numpy_people,
    without_weak_joints,
)
from fastpose_mtn.tracking.parameters import DEFAULT_PARAMETERS, TrackerParameters
from fastpose_mtn.tracking.scene_cuts import SceneCutDetector
from fastpose_mtn.tracking.similarity import (
    appearance_similarity,
    combined_similarity,
    distance_and_reach,
    embedding_distances,
    has_valid_embedding,
    height_ratio,
    match,
    proximity,
)
from fastpose_mtn.tracking.tracklets import Tracklets


@dataclass(frozen=True, eq=False)
class _Candidates:
    """The N detections of a frame that take part.

    Attributes:
        index: (N,) where they are among the frame's detections, ascending.
        boxes: (N, 4) xyxy pixels.
        scores: (N,).
        embeddings: (N, D) float64; None where there are none, or none counts.
        valid: (N,) bool, whose embedding counts; (0,) where there are none.
    """

    index: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    embeddings: np.ndarray | None = None
    valid: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))

    def __len__(self) -> int:
        return len(self.index)


class OcclusionAwareTracker:
    """Links people over frames by position, appearance and visibility; a ``fastpose_mtn.protocols.Tracker``.

    Each frame's people are matched to the tracklets by S, equation 2 of the paper: overlap with the box
    where a tracklet's person is expected, and similarity of their embeddings. All strategies share the
    motion model, the matching, the gate and the time for which a lost person is kept; they differ in the
    embeddings that count:

    * ``iou``: none; S is the overlap alone, the paper's baseline.
    * ``reid``: all; S weighs overlap and appearance.
    * ``occlusion_aware``: the valid ones, of people of whom enough joints are visible
      (N_valid > theta_valid); elsewhere S is the overlap. A tracklet's embedding changes only by valid
      ones. Whoever would become a new person is first compared with the lost people who could be there,
      see ``_recover``.

    Where people come without embeddings (None, or zeros), S is the overlap in every strategy.

    Two rules go beyond the paper, which says nothing of people who were lost for a while. Both strategies
    with embeddings let the position weight of a *lost* tracklet fade with the time since it was seen, so
    a return far from the old place is judged by appearance alone; at full weight no overlap would cost
    half of S. And pairs below the gate are no pairs to the solver, see ``similarity.match``.

    Nor does it speak of scene cuts. Behind one nobody is where they were: places, sizes and motion end, and whoever
    has an embedding can be found again anywhere by appearance alone, as long as a lost person can.

    Args:
        parameters: thresholds and the motion model's noise.
        skeleton: of the people; joints of its body count for N_valid.

    Attributes:
        scene_cut: whether the last frame began another scene.
    """

    def __init__(
        self, parameters: TrackerParameters = DEFAULT_PARAMETERS, *, skeleton: Skeleton = POSETRACK15
    ) -> None:
        self.parameters, self.skeleton = parameters, skeleton
        self._begins_scene = SceneCutDetector(parameters.cut_correlation)
        self.reset()

    @classmethod
    def from_config(cls, cfg: CfgNode) -> OcclusionAwareTracker:
        """The tracker that ``cfg.TRACKER`` describes, for people of ``MODEL.SKELETON``."""
        return cls(TrackerParameters.from_config(cfg), skeleton=get_skeleton(cfg.MODEL.SKELETON))

    @property
    def min_score(self) -> float:
        """Score below which nobody is looked at."""
        return self.parameters.min_score

    def reset(self) -> None:
        """Forgets every tracklet; ids begin again at 0 and time may start anywhere."""
        self._tracklets = Tracklets(parameters=self.parameters)
        self._next_id = 0
        self._time_s: float | None = None
        self._begins_scene.reset()
        self.scene_cut = False

    def update(
        self,
        detections: PersonDetections,
        time_s: float,
        frame: np.ndarray | None = None,
        *,
        scene_cut: bool | None = None,
    ) -> TrackedPersons:
        """Links the people of a frame to tracks; returns those who belong to one, in their order.

        Ids are 0, 1, 2, ... in order of birth; within a frame, the highest score is born first.

        Args:
            detections: people of the frame, none included: time passes all the same.
            time_s: the frame's time in seconds of video, not before that of the last call.
            frame: RGB uint8 image (H, W, 3), compared with the last one to notice a scene cut.
            scene_cut: whether this frame begins another scene, where that is known; None: the frame tells.

        Raises:
            ValueError: time goes backwards or is no number, the people have other joints than the
                skeleton, or embeddings of another length than before. The tracker is then as it was.
        """
        detections = numpy_people(detections)
        check_frame(detections, time_s, self._time_s, self.skeleton)
        check_embeddings(detections, self._tracklets.embeddings.shape[1])
        self._time_s = time_s
        tracklets = self._tracklets
        if detections.embeddings is not None and len(detections):
            tracklets.make_room_for_embeddings(detections.embeddings.shape[1])
        self.scene_cut = scene_cut = self._begins_scene.told(frame, scene_cut)
        if scene_cut:
            tracklets.displace()
        self._forget(time_s)

        people = self._candidates(detections)
        expected = tracklets.predicted_boxes(time_s) if self.parameters.motion else tracklets.boxes
        appearance, comparable = self._appearance(people)
        overlap = iou_matrix(expected, people.boxes)
        similarity = self._similarity(overlap, appearance, comparable, time_s)
        doubtful = (overlap < self.parameters.certain_overlap) | tracklets.lost[:, None]
        doubtful &= (similarity >= self.parameters.min_similarity) & tracklets.placed[:, None]
        rows, columns = doubtful.nonzero()
        if len(rows):
            far = ~self._reachable(expected[rows], people.boxes[columns], self._reach(time_s)[rows])
            if np.count_nonzero(far):
                similarity[rows[far], columns[far]] = 0.0
        rows, columns = match(similarity, self.parameters.min_similarity)
        if self.parameters.strategy == "occlusion_aware":
            rows, columns = self._recover(people, rows, columns, expected, appearance, comparable, time_s)

        tracklets.update(rows, people.boxes[columns], time_s)
        born = births(
            people.boxes,
            people.scores,
            columns,
            birth_score=self.parameters.birth_score,
            duplicate_iou=self.parameters.duplicate_iou,
        )
        if len(born):
            added = tracklets.add(self._new_ids(len(born)), people.boxes[born], time_s)
            rows, columns = np.concatenate([rows, added]), np.concatenate([columns, born])
        if people.embeddings is not None:
            valid = people.valid[columns]
            tracklets.update_embeddings(rows[valid], people.embeddings[columns[valid]])

        ids = np.full(len(people), -1, np.int64)
        ids[columns] = tracklets.ids[rows]
        if len(columns) == len(detections):  # all: nothing is copied
            reported = TrackedPersons(detections, ids)
        else:
            tracked = ids >= 0
            reported = TrackedPersons(detections[people.index[tracked]], ids[tracked])
        return without_weak_joints(reported, self.parameters.joint_output_thresh)

    def _new_ids(self, count: int) -> np.ndarray:
        """(count,) int64, the next ids."""
        self._next_id += count
        return np.arange(self._next_id - count, self._next_id)

    def _candidates(self, detections: PersonDetections) -> _Candidates:
        (index,) = (detections.scores >= self.parameters.min_score).nonzero()
        rows = slice(None) if len(index) == len(detections) else index  # all: nothing is copied
        boxes, scores = detections.boxes[rows], detections.scores[rows]
        if self.parameters.strategy == "iou" or detections.embeddings is None:
            return _Candidates(index, boxes, scores)
        embeddings = detections.embeddings[rows].astype(np.float64)
        valid = self._valid(detections.keypoints[rows])
        valid &= embeddings.any(axis=1)  # one of zeros says nothing of anybody
        return _Candidates(index, boxes, scores, embeddings, valid)

    def _valid(self, keypoints: np.ndarray) -> np.ndarray:
        """Which embeddings of people with these keypoints (N, K, 3) count, (N,) bool."""
        parameters = self.parameters
        if parameters.strategy != "occlusion_aware":
            return np.full(len(keypoints), parameters.strategy == "reid")
        return has_valid_embedding(
            keypoints,
            parameters.joint_thresh,
            parameters.valid_joints,
            body_joints=self.skeleton.parts["body"] if keypoints.size else (),
        )

    def _forget(self, time_s: float) -> None:
        """Drops people lost for too long; one seen in the last frame is not lost, however rare frames are."""
        tracklets = self._tracklets
        if not len(tracklets):
            return
        parameters = self.parameters
        longest_unseen_s = time_s - tracklets.last_seen_s.min()
        if longest_unseen_s <= parameters.max_lost_seconds and len(tracklets) <= parameters.max_lost:
            return  # as in most frames
        longest_s = max(parameters.max_lost_seconds, parameters.max_frame_seconds)
        kept = time_s - tracklets.last_seen_s <= np.where(
            tracklets.lost, parameters.max_lost_seconds, longest_s
        )
        if np.count_nonzero(tracklets.lost & kept) > parameters.max_lost:
            lost = np.flatnonzero(tracklets.lost & kept)
            by_time = lost[np.argsort(tracklets.last_seen_s[lost], kind="stable")]
            kept[by_time[: len(lost) - parameters.max_lost]] = False
        if not kept.all():
            tracklets.keep(kept)

    def _appearance(self, people: _Candidates) -> tuple[np.ndarray, np.ndarray]:
        """Appearance similarity (T, N), 0 where there is none, and whether both embeddings count, (T, N) bool."""
        tracklets = self._tracklets
        known = tracklets.has_embedding
        if (
            people.embeddings is None
            or len(people) == 0  # whose embeddings may be of any length
            or not np.count_nonzero(known)
        ):
            shape = len(tracklets), len(people)
            return np.zeros(shape), np.zeros(shape, bool)
        distances = embedding_distances(tracklets.embeddings, people.embeddings)
        appearance = appearance_similarity(distances, self.parameters.max_distance)
        appearance[~known] = 0.0
        return appearance, known[:, None] & people.valid

    def _similarity(
        self, iou: np.ndarray, appearance: np.ndarray, comparable: np.ndarray, time_s: float
    ) -> np.ndarray:
        """S of every tracklet and detection, (T, N)."""
        if self.parameters.strategy == "iou":
            return iou
        tracklets, parameters = self._tracklets, self.parameters
        lost_s = np.where(tracklets.lost, time_s - tracklets.last_seen_s, 0.0)
        weight = parameters.position_weight * np.exp(lost_s / -parameters.position_memory_seconds)
        similarity = combined_similarity(iou, appearance, comparable, position_weight=weight[:, None])
        if np.count_nonzero(tracklets.placed) == len(tracklets):
            return similarity
        alike = comparable & (appearance >= parameters.cut_appearance)
        return np.where(tracklets.placed[:, None], similarity, np.where(alike, appearance, 0.0))

    def _reachable(self, expected: np.ndarray, boxes: np.ndarray, reach: np.ndarray) -> np.ndarray:
        """Which of M boxes (M, 4) can show the person of their pair, (M,) bool: those near and about as high.

        Without it appearance alone would give an id to whoever looks alike at the other end of the picture.

        Args:
            expected: (M, 4) where the people of the pairs are expected.
            boxes: (M, 4).
            reach: (M,) in heights, see ``_reach``.
        """
        distance, reach_pixels = distance_and_reach(expected, boxes, reach)
        ratio = height_ratio(expected, boxes)
        return (distance < reach_pixels) & (ratio >= self.parameters.min_height_ratio)

    def _reach(self, time_s: float) -> np.ndarray:
        """How far each tracklet's person may be from the predicted place, (T,) in heights."""
        parameters = self.parameters
        return parameters.reach + parameters.reach_per_second * (time_s - self._tracklets.last_seen_s)

    def _recover(
        self,
        people: _Candidates,
        rows: np.ndarray,
        columns: np.ndarray,
        expected: np.ndarray,
        appearance: np.ndarray,
        comparable: np.ndarray,
        time_s: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Adds pairs of lost people and detections that no tracklet matched and that would begin one.

        People come out of hiding in parts: the box is cut, the embedding not valid yet, and S, then the
        overlap alone, is nothing. A new id here is the commonest identity switch of all. But whoever vanished
        must appear within a walk of the place where they vanished, about as high as they were. Of several
        such people the most similar is taken: who hides a person is seen, not lost, so that the part of a
        hidden person's embedding that describes somebody else favours none of the lost. Of whom both
        embeddings are valid and unlike, they are two people.

        Args:
            people: the frame's N.
            rows: (M,) tracklets that are matched.
            columns: (M,) the people they are matched to.
            expected: (T, 4) xyxy pixels.
            appearance: (T, N), see ``_appearance``.
            comparable: (T, N) bool, likewise.
            time_s: of the frame.

        Returns:
            Rows and columns with those of the added pairs.
        """
        parameters = self.parameters
        lost = self._tracklets.lost & self._tracklets.placed
        unmatched = people.scores > parameters.birth_score
        lost[rows], unmatched[columns] = False, False
        (row,), (column,) = lost.nonzero(), unmatched.nonzero()
        if not (len(row) and len(column)):
            return rows, columns
        pairs = np.ix_(row, column)
        here, boxes, appearance = expected[row, None], people.boxes[None, column], appearance[pairs]
        reach = self._reach(time_s)[row, None]
        ratio = height_ratio(here, boxes)
        floor = parameters.appearance_floor
        score = proximity(here, boxes, reach) * ratio**2 * (floor + (1.0 - floor) * appearance)
        different = comparable[pairs] & (appearance < parameters.min_appearance)
        score[(ratio < parameters.min_height_ratio) | different] = 0.0
        found, by = match(score, gate=1e-9)
        return np.concatenate([rows, row[found]]), np.concatenate([columns, column[by]])
