"""Between frames of any size and a network that sees images: resize, views, merging, mapping back, pose NMS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fastpose_mtn.config import CfgNode
from fastpose_mtn.estimators.frames import check_frames, image_to_frame_scale, to_frame
from fastpose_mtn.estimators.views import View, merge_views, mirror, view_image, views_from_config
from fastpose_mtn.ops.pose_nms import PoseNMS
from fastpose_mtn.skeletons import Skeleton, get_skeleton
from fastpose_mtn.structures import PersonDetections

# the people of each image (H, W, 3) RGB uint8, in its pixels, NumPy
FindPeople = Callable[[Sequence[np.ndarray]], list[PersonDetections]]
# the people of given boxes (N, 4) with scores (N,), float32, of one image, in its pixels, in the order of the boxes
LocatePeople = Callable[[np.ndarray, np.ndarray, np.ndarray], PersonDetections]


@dataclass(frozen=True)
class FrameAdapter:
    """What every estimator that looks at whole images does with frames, and with the people found in them.

    Attributes:
        skeleton: of the people.
        views: how frames are looked at, one or more; each costs as much as the one.
        nms_thresh: overlap (IoU) above which boxes of several views are one person.
        max_people: of several views, how many are reported at most.
        pose_nms: leaves people found twice out; None: they are reported.
    """

    skeleton: Skeleton
    views: tuple[View, ...] = (View(),)
    nms_thresh: float = 0.5
    max_people: int = 100
    pose_nms: PoseNMS | None = None

    @classmethod
    def from_config(cls, cfg: CfgNode) -> FrameAdapter:
        """The adapter with the views of ``TEST.AUG``, the pose NMS and the limits of a configuration.

        Raises:
            ValueError: ``TEST.AUG`` names no size, or a value of ``TEST.POSE_NMS`` is out of range.
        """
        return cls(
            skeleton=get_skeleton(cfg.MODEL.SKELETON),
            views=tuple(views_from_config(cfg)),
            nms_thresh=cfg.MODEL.ROI_HEADS.NMS_THRESH_TEST,
            max_people=cfg.TEST.DETECTIONS_PER_IMAGE,
            pose_nms=PoseNMS.from_config(cfg),
        )

    def estimate(self, frames: Sequence[np.ndarray], find: FindPeople) -> list[PersonDetections]:
        """The people of each frame, best first; see ``protocols.PersonDetector``.

        Args:
            frames: RGB uint8 (H, W, 3), each of any size.
            find: is given the images of one view of all frames.

        Raises:
            ValueError: a frame is not such an image.
        """
        check_frames(frames)
        if not frames:
            return []
        found = [self._look(frames, view, find) for view in self.views]
        merged = found[0]
        if len(found) > 1:
            merged = [
                merge_views(people, nms_thresh=self.nms_thresh, count=self.max_people)
                for people in zip(*found, strict=True)
            ]
        return merged if self.pose_nms is None else [self.pose_nms(people) for people in merged]

    def estimate_given(
        self, frame: np.ndarray, boxes_xyxy: np.ndarray, scores: np.ndarray, locate: LocatePeople
    ) -> PersonDetections:
        """The people of given boxes; see ``protocols.GivenPersonEstimator``. Of several views the first is looked at.

        Raises:
            ValueError: the frame is not an image, or boxes and scores are not such.
        """
        check_frames([frame])
        boxes = np.require(boxes_xyxy, np.float32, "W")  # PyTorch warns of memory that cannot be written to
        given = PersonDetections(
            boxes=boxes,
            scores=np.require(scores, np.float32, "W"),
            keypoints=np.zeros((len(boxes), 0, 3), np.float32),
        )
        image = view_image(frame, self.views[0]._replace(mirrored=False))
        scale = image_to_frame_scale(image.shape[:2], frame.shape[:2])
        located = locate(image, boxes / np.tile(scale, 2), given.scores)
        keypoints = located.keypoints.copy()
        keypoints[..., :2] *= scale
        return replace(given, scores=located.scores, keypoints=keypoints, embeddings=located.embeddings)

    def describe(self, frame: np.ndarray, boxes_xyxy: np.ndarray, locate: LocatePeople) -> np.ndarray:
        """Identity vectors (N, E) float32 of given people; see ``estimate_given``.

        Raises:
            ValueError: as there; or the network has no identity head.
        """
        people = self.estimate_given(frame, boxes_xyxy, np.ones(len(boxes_xyxy), np.float32), locate)
        if people.embeddings is None:
            raise ValueError("the network has no identity head: MODEL.REID_ON True")
        return people.embeddings

    def _look(self, frames: Sequence[np.ndarray], view: View, find: FindPeople) -> list[PersonDetections]:
        images = [view_image(frame, view) for frame in frames]
        found = find(images)
        if view.mirrored:
            found = [mirror(one, i.shape[1], self.skeleton) for one, i in zip(found, images, strict=True)]
        return [
            to_frame(one.best_first(), image_size_hw=image.shape[:2], frame_size_hw=frame.shape[:2])
            for one, image, frame in zip(found, images, frames, strict=True)
        ]
