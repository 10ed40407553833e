"""The occlusion-aware tracker among Detectron2's tracker heads."""

from __future__ import annotations

import numpy as np
import torch
from detectron2.config import CfgNode, configurable
from detectron2.structures import Instances
from detectron2.tracking.base_tracker import TRACKER_HEADS_REGISTRY, BaseTracker

from fastpose_mtn.arguments import frame_rate_argument
from fastpose_mtn.build import build_tracker
from fastpose_mtn.detectron2.instances import to_detections
from fastpose_mtn.ops.pose_nms import PoseNMS
from fastpose_mtn.protocols import Tracker


@TRACKER_HEADS_REGISTRY.register()
class OcclusionAwareTracker(BaseTracker):
    """``fastpose_mtn.tracking``'s tracker with Detectron2's interface.

    Args:
        tracker: does the work.
        pose_nms: leaves people found twice out first; None: they are tracked too.
        frame_rate: frames a second, where ``update`` is not told the time.
    """

    @configurable
    def __init__(self, *, tracker: Tracker, frame_rate: float, pose_nms: PoseNMS | None = None) -> None:
        super().__init__()
        self.tracker, self.frame_rate, self.pose_nms = tracker, frame_rate, pose_nms
        self._time_s = -1.0 / frame_rate

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, object]:
        """The constructor's arguments from ``TRACKER``, ``TEST.POSE_NMS`` and ``VIDEO.FOLDER_FRAME_RATE``."""
        return {
            "tracker": build_tracker(cfg),
            "frame_rate": frame_rate_argument("VIDEO.FOLDER_FRAME_RATE", cfg.VIDEO.FOLDER_FRAME_RATE),
            "pose_nms": PoseNMS.from_config(cfg),
        }

    def update(self, predictions: Instances, time_s: float | None = None) -> Instances:
        """The people of the frame that are on a track, with their ``ID``.

        Args:
            predictions: people of one frame, with ``pred_boxes``, ``scores`` and ``pred_keypoints``, and for
                finding people again ``pred_embeddings``.
            time_s: seconds of video, not before that of the last call; None: a frame after it.
        """
        self._time_s = self._time_s + 1.0 / self.frame_rate if time_s is None else time_s
        people = to_detections(predictions)
        once = people if self.pose_nms is None else self.pose_nms(people)
        tracked = self.tracker.update(once, self._time_s)
        # which of the frame's people these are: the tracker hands them on as they were
        same = (tracked.boxes[:, None] == people.boxes[None]).all(axis=2)
        same &= tracked.scores[:, None] == people.scores[None]
        rows = same.argmax(axis=1) if len(people) else np.zeros(0, np.int64)
        chosen = predictions[torch.as_tensor(rows, dtype=torch.int64, device=predictions.scores.device)]
        chosen.ID = tracked.track_ids.tolist()
        return chosen

    def reset(self) -> None:
        """Forgets every track; ids begin again."""
        self.tracker.reset()
        self._time_s = -1.0 / self.frame_rate
