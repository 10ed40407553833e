"""The flow tracker: poses carried on by optical flow, compared by OKS (MDPN, Guo et al. 2018, section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fastpose_mtn.config import CfgNode
from fastpose_mtn.ops.overlap import iou_matrix
from fastpose_mtn.ops.pose_similarity import oks_between
from fastpose_mtn.skeletons import POSETRACK15, Skeleton, get_skeleton
from fastpose_mtn.structures import PersonDetections, TrackedPersons
from fastpose_mtn.tracking.flow_parameters import DEFAULT_FLOW_PARAMETERS, FlowParameters
from fastpose_mtn.tracking.frame_steps import births, check_frame, numpy_people, without_weak_joints
from fastpose_mtn.tracking.optical_flow import OpticalFlow
from fastpose_mtn.tracking.parameters import DEFAULT_PARAMETERS, TrackerParameters
from fastpose_mtn.tracking.scene_cuts import SceneCutDetector
from fastpose_mtn.tracking.similarity import match
from fastpose_mtn.tracking.track_rows import TrackRows

_FEWEST_JOINTS = 3  # visible in both, for a pose to be compared; ours
# Points whose median motion is the box's, in shares of it; ours.
_GRID = np.stack(np.meshgrid([0.25, 0.5, 0.75], [0.25, 0.5, 0.75]), axis=-1).reshape(-1, 2)


@dataclass(frozen=True, eq=False)
class _Tracks(TrackRows):
    """T people as they are expected in the last frame that was seen, in order of birth.

    Attributes:
        ids: (T,) int64; -1 of whom nothing was reported yet.
        boxes: (T, 4) float64 xyxy pixels.
        poses: (T, B, 3) float64 the body's joints: x, y in pixels, and the confidence when they were last seen.
        unseen: (T,) int64, frames since then.
        appearances: (T,) int64, frames they were seen in.
    """

    boxes: np.ndarray
    poses: np.ndarray
    unseen: np.ndarray
    appearances: np.ndarray

    @classmethod
    def of(cls, boxes: np.ndarray, poses: np.ndarray) -> _Tracks:
        """New tracks of people, boxes (N, 4) and poses (N, B, 3)."""
        count = len(boxes)
        zeros = np.zeros(count, np.int64)
        return cls(
            zeros - 1, boxes.astype(np.float64), poses.astype(np.float64), zeros.copy(), zeros.copy() + 1
        )


class FlowTracker:
    """Links people by pose where optical flow carries them; a ``fastpose_mtn.protocols.Tracker``.

    Each frame's flow moves the joints of everybody who was seen in the last frames, matched in between or not, so that
    flows of one frame to the next are chained. Poses are compared by object keypoint similarity over the body's joints
    that are visible in both, boxes by overlap where these are fewer than three, and matched by the Hungarian method.
    Who is not seen for ``history`` frames is forgotten, and after a scene cut everybody: nothing but the place tells who
    somebody is.

    Around it the paper has a threshold of boxes, one of joints, and OKS-NMS, which other trackers' users have too:
    ``TRACKER.MIN_SCORE``, ``TRACKER.JOINT_OUTPUT_THRESH`` and ``TEST.POSE_NMS.KIND oks``. Its pruning of people who were
    seen once needs the whole video: ``fastpose retrack --offline``; ``confirm`` 2 is what can be done online.

    Args:
        parameters: of flow and matching.
        tracking: those shared with other trackers: the scores, ``joint_thresh``, ``joint_output_thresh``,
            ``duplicate_iou``, ``max_frame_seconds``, ``cut_correlation``.
        skeleton: of the people.
        device: of RAFT, see ``OpticalFlow``.

    Attributes:
        scene_cut: whether the last frame began another scene.

    Raises:
        InputError: see ``OpticalFlow``.
    """

    def __init__(
        self,
        parameters: FlowParameters = DEFAULT_FLOW_PARAMETERS,
        *,
        tracking: TrackerParameters = DEFAULT_PARAMETERS,
        skeleton: Skeleton = POSETRACK15,
        device: str = "auto",
    ) -> None:
        self.parameters, self.tracking, self.skeleton = parameters, tracking, skeleton
        self._body = list(skeleton.parts["body"])
        self._sigmas = np.array(skeleton.sigmas)[self._body]
        self._flow = OpticalFlow(
            parameters.method, max_side=parameters.max_side, window=parameters.window, device=device
        )
        self._begins_scene = SceneCutDetector(tracking.cut_correlation)
        self.reset()

    @classmethod
    def from_config(cls, cfg: CfgNode) -> FlowTracker:
        """The tracker that ``cfg.TRACKER`` describes, for people of ``MODEL.SKELETON``."""
        return cls(
            FlowParameters.from_config(cfg),
            tracking=TrackerParameters.from_config(cfg),
            skeleton=get_skeleton(cfg.MODEL.SKELETON),
            device=cfg.MODEL.DEVICE,
        )

    @property
    def needs_frames(self) -> bool:
        """Whether ``update`` needs the frames' pixels."""
        return self._flow.sees_frames

    @property
    def min_score(self) -> float:
        """Score below which nobody is looked at."""
        return self.tracking.min_score

    def reset(self) -> None:
        """Forgets everybody; ids begin again at 0 and time may start anywhere."""
        self._tracks = _Tracks.of(np.zeros((0, 4)), np.zeros((0, len(self._body), 3)))
        self._next_id = 0
        self._time_s: float | None = None
        self._flow.reset()
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

        Ids are 0, 1, 2, ... in order of the first report; within a frame, the highest score is born first.

        Args:
            detections: people of the frame, none included: time passes all the same.
            time_s: the frame's time in seconds of video, not before that of the last call.
            frame: RGB uint8 image (H, W, 3), of the last one's size unless a scene begins with it. None where it could
                not be decoded, and nobody was found: the next one's flow then spans both.
            scene_cut: whether this frame begins another scene, where that is known; None: the frame tells.

        Raises:
            ValueError: time goes backwards or is no number, the people have other joints than the skeleton, the frame
                is missing or has another size. All tracks are then as they were.
        """
        detections = numpy_people(detections)
        check_frame(detections, time_s, self._time_s, self.skeleton)
        if frame is None and self.needs_frames and len(detections):
            raise ValueError(
                "frame: TRACKER.NAME flow looks at the frames' pixels, got None; give them (fastpose retrack: --images "
                "SOURCE), or set TRACKER.FLOW.METHOD none"
            )
        scene_cut = self._begins_scene.told(frame, scene_cut)
        tracks = self._tracks
        longest_s = self.tracking.max_frame_seconds
        if scene_cut or (self._time_s is not None and time_s - self._time_s > longest_s):
            self._flow.reset()
            tracks = tracks[np.zeros(0, np.intp)]
        if frame is not None:
            tracks = self._moved(tracks, frame)
        self.scene_cut, self._time_s = scene_cut, time_s

        index = np.flatnonzero(detections.scores >= self.tracking.min_score)
        people = detections[index]
        seen = _Tracks.of(people.boxes, self._poses(people))
        rows, columns = match(self._similarity(tracks, seen), self.parameters.min_oks)
        tracks = self._continued(tracks, rows, seen, columns)
        born = births(
            people.boxes,
            people.scores,
            columns,
            birth_score=self.tracking.birth_score,
            duplicate_iou=self.tracking.duplicate_iou,
        )
        columns, rows = (
            np.concatenate([columns, born]),
            np.concatenate([rows, len(tracks) + np.arange(len(born))]),
        )
        tracks = tracks.with_others(seen[born])
        self._name(tracks)
        ids = np.full(len(people), -1, np.int64)
        ids[columns] = tracks.ids[rows]
        self._tracks = tracks[tracks.unseen < self.parameters.history]
        tracked = ids >= 0
        reported = TrackedPersons(detections[index[tracked]], ids[tracked])
        return without_weak_joints(reported, self.tracking.joint_output_thresh)

    def _poses(self, people: PersonDetections) -> np.ndarray:
        """The body's joints (N, B, 3); nothing visible of a network that finds boxes only."""
        if people.keypoints.shape[1] == 0:
            return np.zeros((len(people), len(self._body), 3))
        return people.keypoints[:, self._body]

    def _moved(self, tracks: _Tracks, frame: np.ndarray) -> _Tracks:
        """The tracks where the flow from the last frame to this one carries them."""
        count, joints = tracks.poses.shape[:2]
        corners, sizes = tracks.boxes[:, None, :2], (tracks.boxes[:, 2:] - tracks.boxes[:, :2])[:, None]
        points = np.concatenate([tracks.poses[..., :2], corners + sizes * _GRID], axis=1)
        moves = self._flow.displacements(frame, points.reshape(-1, 2)).reshape(points.shape)
        if not count:
            return tracks
        poses = tracks.poses.copy()
        poses[..., :2] += moves[:, :joints]
        return replace(
            tracks, boxes=tracks.boxes + np.tile(np.median(moves[:, joints:], axis=1), 2), poses=poses
        )

    def _similarity(self, tracks: _Tracks, seen: _Tracks) -> np.ndarray:
        """S of every track and person, (T, N)."""
        oks, common = oks_between(
            tracks.boxes,
            tracks.poses,
            seen.boxes,
            seen.poses,
            self._sigmas,
            seen_above=self.tracking.joint_thresh,
        )
        return np.where(common >= _FEWEST_JOINTS, oks, iou_matrix(tracks.boxes, seen.boxes))

    @staticmethod
    def _continued(tracks: _Tracks, rows: np.ndarray, seen: _Tracks, columns: np.ndarray) -> _Tracks:
        """The tracks (T) after a frame that shows people ``columns`` (M,) of ``rows`` (M,)."""
        boxes, poses = tracks.boxes.copy(), tracks.poses.copy()
        unseen, appearances = tracks.unseen + 1, tracks.appearances.copy()
        boxes[rows], poses[rows] = seen.boxes[columns], seen.poses[columns]
        unseen[rows] = 0
        appearances[rows] += 1
        return replace(tracks, boxes=boxes, poses=poses, unseen=unseen, appearances=appearances)

    def _name(self, tracks: _Tracks) -> None:
        """Gives ids to those who have been seen often enough."""
        new = np.flatnonzero((tracks.ids < 0) & (tracks.appearances >= self.parameters.confirm))
        tracks.ids[new] = np.arange(self._next_id, self._next_id + len(new))
        self._next_id += len(new)
