"""Multi-stage identity matching: embeddings first, then places and poses (AlphaPose, section 4.2).

Fang et al., PAMI 2022. Motion model, gates and bookkeeping are its code's, which has no pose in its second stage; the
paper has it and gives neither its weight nor the third stage's threshold. Time is in seconds of video, and a track's ids
are the tracker's own.
"""

from __future__ import annotations

import numpy as np

from fastpose_mtn.config import CfgNode
from fastpose_mtn.ops.overlap import iou_matrix
from fastpose_mtn.ops.pose_similarity import PoseParameters, pose_distance
from fastpose_mtn.skeletons import POSETRACK15, Skeleton, get_skeleton
from fastpose_mtn.structures import PersonDetections, TrackedPersons
from fastpose_mtn.tracking import box_kalman
from fastpose_mtn.tracking.frame_steps import check_embeddings, check_frame, without_weak_joints
from fastpose_mtn.tracking.msim_parameters import MAX_COST, MSIMParameters
from fastpose_mtn.tracking.scene_cuts import SceneCutDetector
from fastpose_mtn.tracking.similarity import has_valid_embedding, match

TENTATIVE, TRACKED, LOST = 0, 1, 2


class MSIMTracker:
    """Links people by embeddings, then by places and poses; a ``fastpose_mtn.protocols.Tracker``.

    Where people have no embeddings the first stage is left out, where they have no joints the pose counts nothing.

    Args:
        parameters: thresholds and weights.
        skeleton: of the people; joints of its body count.

    Attributes:
        scene_cut: whether the last frame began another scene.
    """

    def __init__(self, parameters: MSIMParameters | None = None, *, skeleton: Skeleton = POSETRACK15) -> None:
        self.parameters, self.skeleton = parameters or MSIMParameters(), skeleton
        self._begins_scene = SceneCutDetector(self.parameters.cut_correlation)
        self.reset()

    @classmethod
    def from_config(cls, cfg: CfgNode) -> MSIMTracker:
        """The tracker that ``cfg.TRACKER`` describes, for people of ``MODEL.SKELETON``."""
        return cls(MSIMParameters.from_config(cfg), skeleton=get_skeleton(cfg.MODEL.SKELETON))

    @property
    def min_score(self) -> float:
        """Score below which nobody is looked at."""
        return self.parameters.min_score

    def reset(self) -> None:
        """Forgets every track; ids begin again at 0 and time may start anywhere."""
        self._ids = np.zeros(0, np.int64)
        self._state = np.zeros(0, np.int64)
        self._placed = np.zeros(0, bool)  # whether they are known to be of this scene
        self._last_seen_s = np.zeros(0)
        self._means, self._covariances = np.zeros((0, 8)), np.zeros((0, 8, 8))
        self._poses: np.ndarray | None = None  # (T, J, 3) of the body, in shares of their boxes
        self._embeddings: np.ndarray | None = None  # (T, E), rows of length 1, or of 0: unknown
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
        """Links the people of a frame to tracks; see ``protocols.Tracker``.

        Raises:
            ValueError: time goes backwards or is no number, or people have other joints or embeddings than before.
        """
        if not isinstance(detections.boxes, np.ndarray):
            detections = detections.numpy()
        check_frame(detections, time_s, self._time_s, self.skeleton)
        check_embeddings(detections, 0 if self._embeddings is None else self._embeddings.shape[1])
        self.scene_cut = scene_cut = self._begins_scene.told(frame, scene_cut)
        self._pass_time(time_s)
        if scene_cut:
            self._placed[:] = False
            self._state[self._state == TRACKED] = LOST

        index = np.flatnonzero(detections.scores >= self.parameters.min_score)
        people = detections[index]
        poses, embeddings = self._relative_poses(people), self._valid_embeddings(people)
        self._allocate(poses, embeddings)
        track_of = np.full(len(people), -1)
        self._match_embeddings(people, embeddings, track_of)
        costs = self._place_costs(people, poses)
        self._match_places(costs, track_of, self._state == TRACKED, self.parameters.fused_thresh)
        relaxed = (self._state == TRACKED) | (self._state == TENTATIVE)
        self._match_places(costs, track_of, relaxed, self.parameters.relaxed_thresh)

        matched = np.flatnonzero(track_of >= 0)
        self._see(track_of[matched], people.boxes[matched], poses[matched], embeddings[matched], time_s)
        self._miss(np.setdiff1d(np.arange(len(self._ids)), track_of[matched]))
        born = np.flatnonzero((track_of < 0) & (people.scores > self.parameters.birth_score))
        track_of[born] = self._begin(people.boxes[born], poses[born], embeddings[born], time_s)
        return self._report(people, track_of)

    def _pass_time(self, time_s: float) -> None:
        """Where everybody is expected now, and who has been lost for too long, or is so behind a break in the video."""
        lost_s = self.parameters.max_lost_seconds
        longest_s = np.where(self._state == LOST, lost_s, max(lost_s, self.parameters.max_frame_seconds))
        self._keep(time_s - self._last_seen_s <= longest_s)
        if self._time_s is not None and len(self._ids) and time_s > self._time_s:
            self._means[self._state != TRACKED, 7] = 0.0
            frames = (time_s - self._time_s) * box_kalman.FRAMES_PER_SECOND
            self._means, self._covariances = box_kalman.predict(self._means, self._covariances, frames)
        self._time_s = time_s

    def _relative_poses(self, people: PersonDetections) -> np.ndarray:
        """(N, J, 3) joints of the body in shares of the person's box, and their confidences."""
        if not len(people) or not people.keypoints.shape[1]:
            return np.zeros((len(people), 0 if self._poses is None else self._poses.shape[1], 3))
        poses = people.keypoints[:, list(self.skeleton.parts["body"])].astype(np.float64)
        size = np.maximum(people.boxes[:, 2:] - people.boxes[:, :2], 1.0)
        poses[..., :2] = (poses[..., :2] - people.boxes[:, None, :2]) / size[:, None]
        return poses

    def _valid_embeddings(self, people: PersonDetections) -> np.ndarray:
        """(N, E) of length 1; of length 0 where too few joints are visible for it to be valid (``VALID_JOINTS``)."""
        if not len(people) or people.embeddings is None:
            return np.zeros((len(people), 0 if self._embeddings is None else self._embeddings.shape[1]))
        length = np.linalg.norm(people.embeddings, axis=1, keepdims=True)
        embeddings = people.embeddings / np.maximum(length, 1e-12)
        if self.parameters.valid_joints and people.keypoints.shape[1]:
            valid = has_valid_embedding(
                people.keypoints,
                self.parameters.joint_thresh,
                self.parameters.valid_joints,
                body_joints=self.skeleton.parts["body"],
            )
            embeddings = embeddings * valid[:, None]
        return embeddings

    def _allocate(self, poses: np.ndarray, embeddings: np.ndarray) -> None:
        """Room for what tracks keep, once it is known how much of it there is."""
        if self._poses is None or (self._poses.shape[1] == 0 and len(poses)):
            self._poses = np.zeros((len(self._ids), poses.shape[1], 3))
        if self._embeddings is None or (self._embeddings.shape[1] == 0 and len(embeddings)):
            self._embeddings = np.zeros((len(self._ids), embeddings.shape[1]))

    def _match_embeddings(
        self, people: PersonDetections, embeddings: np.ndarray, track_of: np.ndarray
    ) -> None:
        """The first stage: tracked and lost people by their vectors, where motion allows it (equation 21)."""
        parameters, stored = self.parameters, self._embeddings
        rows = np.flatnonzero(self._state != TENTATIVE)
        if stored is None or not stored.shape[1] or not len(rows) or not len(people):
            return
        distance = 1.0 - stored[rows] @ embeddings.T
        known = (np.linalg.norm(stored[rows], axis=1) > 0)[:, None] & (np.linalg.norm(embeddings, axis=1) > 0)
        measured = box_kalman.to_xyah(people.boxes)
        motion = box_kalman.mahalanobis(self._means[rows], self._covariances[rows], measured)
        motion[~self._placed[rows]] = 0.0
        weight = parameters.motion_weight
        cost = (1 - weight) * distance + weight * motion
        cost = np.where(known & (motion <= parameters.gate), cost, MAX_COST)
        _assign(cost, parameters.emb_thresh, rows, np.arange(len(people)), track_of)

    def _place_costs(self, people: PersonDetections, poses: np.ndarray) -> np.ndarray:
        """(T, N): what is missing to full overlap, and how much poses differ in their boxes (equation 22)."""
        expected = box_kalman.to_xyxy(self._means)
        cost = 1.0 - iou_matrix(expected, people.boxes)
        if self.parameters.pose_weight and poses.shape[1] and self._poses is not None:
            cost = cost + self.parameters.pose_weight * pose_distance(self._poses, poses, PoseParameters())
        return np.where(self._placed[:, None], cost, MAX_COST)

    def _match_places(
        self, costs: np.ndarray, track_of: np.ndarray, wanted: np.ndarray, threshold: float
    ) -> None:
        """A stage by place and pose, of the wanted tracks and the detections that are left."""
        rows = np.setdiff1d(np.flatnonzero(wanted), track_of)
        columns = np.flatnonzero(track_of < 0)
        _assign(costs[np.ix_(rows, columns)], threshold, rows, columns, track_of)

    def _see(
        self, tracks: np.ndarray, boxes: np.ndarray, poses: np.ndarray, embeddings: np.ndarray, time_s: float
    ) -> None:
        """Tracks that were found: their motion, pose and vector follow."""
        if not len(tracks):
            return
        assert self._poses is not None
        assert self._embeddings is not None
        measured = box_kalman.to_xyah(boxes)
        fresh = ~self._placed[tracks]
        if fresh.any():  # behind a cut their motion begins again
            self._means[tracks[fresh]], self._covariances[tracks[fresh]] = box_kalman.initiate(
                measured[fresh]
            )
        self._means[tracks], self._covariances[tracks] = box_kalman.update(
            self._means[tracks], self._covariances[tracks], measured
        )
        self._state[tracks], self._last_seen_s[tracks], self._placed[tracks] = TRACKED, time_s, True
        self._poses[tracks] = poses
        known = np.linalg.norm(embeddings, axis=1) > 0
        if known.any():
            old, new = self._embeddings[tracks[known]], embeddings[known]
            first = np.linalg.norm(old, axis=1, keepdims=True) == 0
            mean = np.where(first, new, self.parameters.memory * old + (1 - self.parameters.memory) * new)
            self._embeddings[tracks[known]] = mean / np.maximum(
                np.linalg.norm(mean, axis=1, keepdims=True), 1e-12
            )

    def _miss(self, tracks: np.ndarray) -> None:
        """Tracks that were not found: those just begun end, the others are lost; of two in one place the younger ends."""
        missed = np.zeros(len(self._ids), bool)
        missed[tracks] = True
        self._gone = missed & (self._state == TENTATIVE)
        self._state[missed & (self._state == TRACKED)] = LOST
        seen, lost = (
            np.flatnonzero(self._state == TRACKED),
            np.flatnonzero((self._state == LOST) & self._placed),
        )
        expected = box_kalman.to_xyxy(self._means)
        overlap = iou_matrix(expected[seen], expected[lost]) > self.parameters.duplicate_iou
        for row, column in zip(*np.nonzero(overlap), strict=True):
            # the one who was seen now is reported now, whoever of the two is younger
            self._ids[seen[row]], self._ids[lost[column]] = sorted(
                (self._ids[seen[row]], self._ids[lost[column]])
            )
            self._gone[lost[column]] = True

    def _begin(
        self, boxes: np.ndarray, poses: np.ndarray, embeddings: np.ndarray, time_s: float
    ) -> np.ndarray:
        """New tracks; where they are among all."""
        assert self._poses is not None
        assert self._embeddings is not None
        count, first = len(boxes), len(self._ids)
        means, covariances = box_kalman.initiate(box_kalman.to_xyah(boxes))
        self._ids = np.concatenate((self._ids, self._next_id + np.arange(count)))
        self._next_id += count
        self._state = np.concatenate((self._state, np.full(count, TENTATIVE)))
        self._placed = np.concatenate((self._placed, np.ones(count, bool)))
        self._gone = np.concatenate((self._gone, np.zeros(count, bool)))
        self._last_seen_s = np.concatenate((self._last_seen_s, np.full(count, time_s)))
        self._means = np.concatenate((self._means, means))
        self._covariances = np.concatenate((self._covariances, covariances))
        self._poses = np.concatenate((self._poses, poses))
        self._embeddings = np.concatenate((self._embeddings, embeddings))
        return first + np.arange(count)

    def _report(self, people: PersonDetections, track_of: np.ndarray) -> TrackedPersons:
        """Those of the people who are on a track, in their order; ends the tracks that are over."""
        reported = track_of >= 0
        if not self.parameters.report_tentative:
            reported[reported] = self._state[track_of[reported]] == TRACKED
        ids = self._ids[track_of[reported]]
        found = people[reported]
        if self.parameters.boxes == "filtered":
            boxes = box_kalman.to_xyxy(self._means[track_of[reported]]).astype(np.float32)
            found = PersonDetections(boxes, found.scores, found.keypoints, found.embeddings)
        self._keep(~self._gone)
        return without_weak_joints(TrackedPersons(found, ids), self.parameters.joint_output_thresh)

    def _keep(self, kept: np.ndarray) -> None:
        if kept.all():
            return
        for name in (
            "_ids",
            "_state",
            "_placed",
            "_last_seen_s",
            "_means",
            "_covariances",
            "_poses",
            "_embeddings",
        ):
            value = getattr(self, name)
            if value is not None:
                setattr(self, name, value[kept])


def _assign(
    costs: np.ndarray, threshold: float, rows: np.ndarray, columns: np.ndarray, track_of: np.ndarray
) -> None:
    """Writes the cheapest one-to-one pairs, none above the threshold, into ``track_of``."""
    if costs.size:
        tracks, people = match(np.maximum(MAX_COST - costs, 0.0), MAX_COST - threshold)
        track_of[columns[people]] = rows[tracks]
