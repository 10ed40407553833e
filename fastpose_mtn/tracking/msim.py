"""Multi-stage identity matching: embeddings first, then places and poses (AlphaPose, section 4.2).

Fang et al., PAMI 2022. Motion model and bookkeeping are its code's, which has no pose in its second stage; the paper has
it and gives neither its weight nor the third stage's threshold. The code's gate on motion, which the paper has not, is
off (``TRACKER.MSIM.GATE``): boxes of people who come out from behind others jump, and it made new people of them. Time is
in seconds of video, and a track's ids are the tracker's own.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fastpose_mtn.config import CfgNode
from fastpose_mtn.ops.overlap import iou_matrix
from fastpose_mtn.ops.pose_similarity import PoseParameters, pose_distance
from fastpose_mtn.skeletons import POSETRACK15, Skeleton, get_skeleton
from fastpose_mtn.structures import PersonDetections, TrackedPersons
from fastpose_mtn.tracking import box_kalman
from fastpose_mtn.tracking.frame_steps import check_embeddings, check_frame, numpy_people, without_weak_joints
from fastpose_mtn.tracking.msim_parameters import MAX_COST, MSIMParameters
from fastpose_mtn.tracking.msim_tracks import LOST, TENTATIVE, TRACKED, MSIMTracks
from fastpose_mtn.tracking.scene_cuts import SceneCutDetector
from fastpose_mtn.tracking.similarity import has_valid_embedding, match


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
        self._tracks = MSIMTracks.none()
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
        detections = numpy_people(detections)
        check_frame(detections, time_s, self._time_s, self.skeleton)
        check_embeddings(detections, self._tracks.embeddings.shape[1])
        self.scene_cut = scene_cut = self._begins_scene.told(frame, scene_cut)
        self._pass_time(time_s)
        if scene_cut:
            self._tracks.placed[:] = False
            self._tracks.states[self._tracks.states == TRACKED] = LOST

        people = detections[np.flatnonzero(detections.scores >= self.parameters.min_score)]
        poses, embeddings = self._relative_poses(people), self._valid_embeddings(people)
        self._tracks = tracks = self._tracks.with_room(poses, embeddings)
        track_of = self._matched(people, poses, embeddings)

        found = np.flatnonzero(track_of >= 0)
        tracks.see(
            track_of[found],
            people.boxes[found],
            poses[found],
            embeddings[found],
            time_s=time_s,
            memory=self.parameters.memory,
        )
        missed = np.ones(len(tracks), bool)
        missed[track_of[found]] = False
        gone = self._miss(missed)
        born = np.flatnonzero((track_of < 0) & (people.scores > self.parameters.birth_score))
        track_of[born] = len(tracks) + np.arange(len(born))
        if len(born):
            ids = self._next_id + np.arange(len(born))
            self._next_id += len(born)
            begun = MSIMTracks.begun(ids, people.boxes[born], poses[born], embeddings[born], time_s)
            self._tracks = tracks.with_others(begun)
        reported = self._report(people, track_of)
        if gone.any():
            self._tracks = self._tracks[~np.pad(gone, (0, len(born)))]
        return reported

    def _pass_time(self, time_s: float) -> None:
        """Where everybody is expected now, and who has been lost for too long, or is so behind a break in the video."""
        tracks, lost_s = self._tracks, self.parameters.max_lost_seconds
        longest_s = np.where(tracks.states == LOST, lost_s, max(lost_s, self.parameters.max_frame_seconds))
        kept = time_s - tracks.last_seen_s <= longest_s
        if not kept.all():
            self._tracks = tracks = tracks[kept]
        if self._time_s is not None and len(tracks) and time_s > self._time_s:
            self._tracks = tracks.later(time_s - self._time_s)
        self._time_s = time_s

    def _relative_poses(self, people: PersonDetections) -> np.ndarray:
        """(N, J, 3) joints of the body in shares of the person's box, and their confidences."""
        if not len(people) or not people.keypoints.shape[1]:
            return np.zeros((len(people), self._tracks.poses.shape[1], 3))
        poses = people.keypoints[:, list(self.skeleton.parts["body"])].astype(np.float64)
        size = np.maximum(people.boxes[:, 2:] - people.boxes[:, :2], 1.0)
        poses[..., :2] = (poses[..., :2] - people.boxes[:, None, :2]) / size[:, None]
        return poses

    def _valid_embeddings(self, people: PersonDetections) -> np.ndarray:
        """(N, E) of length 1; of length 0 where too few joints are visible for it to be valid (``VALID_JOINTS``)."""
        if not len(people) or people.embeddings is None:
            return np.zeros((len(people), self._tracks.embeddings.shape[1]))
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

    def _matched(self, people: PersonDetections, poses: np.ndarray, embeddings: np.ndarray) -> np.ndarray:
        """(N,): each person's track after the three stages, -1 where there is none."""
        track_of = np.full(len(people), -1)
        self._match_embeddings(people, embeddings, track_of)
        costs, states = self._place_costs(people, poses), self._tracks.states
        self._match_places(costs, track_of, states == TRACKED, self.parameters.fused_thresh)
        relaxed = (states == TRACKED) | (states == TENTATIVE)
        self._match_places(costs, track_of, relaxed, self.parameters.relaxed_thresh)
        return track_of

    def _match_embeddings(
        self, people: PersonDetections, embeddings: np.ndarray, track_of: np.ndarray
    ) -> None:
        """The first stage: tracked and lost people by their vectors, where motion allows it (equation 21)."""
        parameters, tracks = self.parameters, self._tracks
        rows = np.flatnonzero(tracks.states != TENTATIVE)
        if not tracks.embeddings.shape[1] or not len(rows) or not len(people):
            return
        stored = tracks.embeddings[rows]
        distance = 1.0 - stored @ embeddings.T
        known = (np.linalg.norm(stored, axis=1) > 0)[:, None] & (np.linalg.norm(embeddings, axis=1) > 0)
        measured = box_kalman.to_xyah(people.boxes)
        motion = box_kalman.mahalanobis(tracks.means[rows], tracks.covariances[rows], measured)
        motion[~tracks.placed[rows]] = 0.0
        weight = parameters.motion_weight
        cost = (1 - weight) * distance + weight * motion
        near = motion <= (parameters.gate or np.inf)
        cost = np.where(known & near, cost, MAX_COST)
        _assign(cost, parameters.emb_thresh, rows, np.arange(len(people)), track_of)

    def _place_costs(self, people: PersonDetections, poses: np.ndarray) -> np.ndarray:
        """(T, N): what is missing to full overlap, and how much poses differ in their boxes (equation 22)."""
        tracks = self._tracks
        cost = 1.0 - iou_matrix(tracks.expected_boxes(), people.boxes)
        if self.parameters.pose_weight and poses.shape[1]:
            cost = cost + self.parameters.pose_weight * pose_distance(tracks.poses, poses, PoseParameters())
        return np.where(tracks.placed[:, None], cost, MAX_COST)

    def _match_places(
        self, costs: np.ndarray, track_of: np.ndarray, wanted: np.ndarray, threshold: float
    ) -> None:
        """A stage by place and pose, of the wanted tracks and the detections that are left."""
        matched = track_of >= 0
        free = wanted.copy()
        free[track_of[matched]] = False
        rows, columns = np.flatnonzero(free), np.flatnonzero(~matched)
        _assign(costs[np.ix_(rows, columns)], threshold, rows, columns, track_of)

    def _miss(self, missed: np.ndarray) -> np.ndarray:
        """Tracks that were not found: those just begun end, the others are lost; of two in one place the younger ends.

        Args:
            missed: (T,) bool, which.

        Returns:
            (T,) bool, who ends.
        """
        tracks = self._tracks
        gone = missed & (tracks.states == TENTATIVE)
        tracks.states[missed & (tracks.states == TRACKED)] = LOST
        seen = np.flatnonzero(tracks.states == TRACKED)
        lost = np.flatnonzero((tracks.states == LOST) & tracks.placed)
        expected = tracks.expected_boxes()
        overlap = iou_matrix(expected[seen], expected[lost]) > self.parameters.duplicate_iou
        for row, column in zip(*np.nonzero(overlap), strict=True):
            # the one who was seen now is reported now, whoever of the two is younger
            pair = [seen[row], lost[column]]
            tracks.ids[pair] = sorted(tracks.ids[pair])
            gone[lost[column]] = True
        return gone

    def _report(self, people: PersonDetections, track_of: np.ndarray) -> TrackedPersons:
        """Those of the people who are on a track, in their order."""
        reported = track_of >= 0
        if not self.parameters.report_tentative:
            reported[reported] = self._tracks.states[track_of[reported]] == TRACKED
        rows, found = track_of[reported], people[reported]
        if self.parameters.boxes == "filtered":
            boxes = box_kalman.to_xyxy(self._tracks.means[rows])
            found = replace(found, boxes=boxes.astype(np.float32))
        ids = self._tracks.ids[rows]
        return without_weak_joints(TrackedPersons(found, ids), self.parameters.joint_output_thresh)


def _assign(
    costs: np.ndarray, threshold: float, rows: np.ndarray, columns: np.ndarray, track_of: np.ndarray
) -> None:
    """Writes the cheapest one-to-one pairs, none above the threshold, into ``track_of``."""
    if costs.size:
        tracks, people = match(np.maximum(MAX_COST - costs, 0.0), MAX_COST - threshold)
        track_of[columns[people]] = rows[tracks]
