"""Between frames of any size and a network that sees images: resize, views, merging, mapping back, pose NMS."""

from __future__ import annotations

import functools
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fastpose_mtn.available_memory import ALWAYS_FITS, available_bytes, check_memory
from fastpose_mtn.config import CfgNode
from fastpose_mtn.estimators.frames import check_frames, image_to_frame_scale, to_frame
from fastpose_mtn.estimators.views import View, join_views, merge_views, mirror, view_image, views_from_config
from fastpose_mtn.ops.pose_nms import PoseNMS
from fastpose_mtn.skeletons import Skeleton, get_skeleton
from fastpose_mtn.structures import PersonDetections

_LOG = logging.getLogger("fastpose_mtn")
# Where a quarter of the reported people score less, those who were left out score less too, and are hardly people.
_LIKELY = 0.1
# Of images that fitted into memory the system is asked again after so long: its answer takes up to a millisecond, once a
# process has taken and freed much.
_ASKED_AGAIN_S = 1.0

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
        max_people: of an image how many are found at most, and of several views how many are reported; None: any
            number. Reaching it is said once.
        pose_nms: leaves people found twice out; None: they are reported.
        merge: leaves out who was found in several views, of all their people; None: by ``nms_thresh``.
        bytes_per_pixel: of this machine's memory that the network takes for a pixel of its images; 0: it computes
            elsewhere. Images that do not fit together go through it one after the other.
    """

    skeleton: Skeleton
    views: tuple[View, ...] = (View(),)
    nms_thresh: float = 0.5
    max_people: int | None = None
    pose_nms: PoseNMS | None = None
    merge: Callable[[PersonDetections], PersonDetections] | None = None
    bytes_per_pixel: int = 0
    _said: set[int] = field(default_factory=set, compare=False, repr=False)
    _fitted: dict[int, float] = field(default_factory=dict, compare=False, repr=False)  # bytes, and when

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
            bytes_per_pixel=_network_bytes_per_pixel(cfg),
        )

    def estimate(self, frames: Sequence[np.ndarray], find: FindPeople) -> list[PersonDetections]:
        """The people of each frame, best first; see ``protocols.PersonDetector``.

        Args:
            frames: RGB uint8 (H, W, 3), each of any size.
            find: is given the images of one view of all frames.

        Raises:
            ValueError: a frame is not such an image, or the network's memory for it is not there.
        """
        check_frames(frames)
        if not frames:
            return []
        found = [self._look(frames, view, find) for view in self.views]
        merged = found[0]
        if len(found) > 1:
            merged = [self._merge(people) for people in zip(*found, strict=True)]
            self._tell_of_the_limit(merged)
        return merged if self.pose_nms is None else [self.pose_nms(people) for people in merged]

    def _merge(self, views: Sequence[PersonDetections]) -> PersonDetections:
        if self.merge is not None:
            return self.merge(join_views(views))
        return merge_views(views, nms_thresh=self.nms_thresh, count=self.max_people)

    def estimate_given(
        self, frame: np.ndarray, boxes_xyxy: np.ndarray, scores: np.ndarray, locate: LocatePeople
    ) -> PersonDetections:
        """The people of given boxes; see ``protocols.GivenPersonEstimator``. Of several views the first is looked at.

        Raises:
            ValueError: the frame is not an image, or boxes and scores are not such.
        """
        check_frames([frame])
        given = PersonDetections.of_boxes(boxes_xyxy, scores)
        image = view_image(frame, self.views[0]._replace(mirrored=False))
        self._batches([image])
        scale = image_to_frame_scale(image.shape[:2], frame.shape[:2])
        located = locate(image, given.boxes / np.tile(scale, 2), given.scores)
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
        found = [people for batch in self._batches(images) for people in find(batch)]
        self._tell_of_the_limit(found)
        if view.mirrored:
            found = [mirror(one, i.shape[1], self.skeleton) for one, i in zip(found, images, strict=True)]
        return [
            to_frame(one.best_first(), image_size_hw=image.shape[:2], frame_size_hw=frame.shape[:2])
            for one, image, frame in zip(found, images, frames, strict=True)
        ]

    def _batches(self, images: Sequence[np.ndarray]) -> list[Sequence[np.ndarray]]:
        """Images that fit into memory together: all of them, or one after the other.

        Raises:
            InputError: one alone does not fit.
        """
        # a batch is padded to its largest image
        largest = max(images, key=lambda image: image.shape[0] * image.shape[1])
        needed = largest.shape[0] * largest.shape[1] * self.bytes_per_pixel
        together, now = needed * len(images), time.monotonic()
        if together <= ALWAYS_FITS or now - self._fitted.get(together, -np.inf) < _ASKED_AGAIN_S:
            return [images]
        free = available_bytes()
        self._fitted.clear()
        if free is None or together <= free:
            self._fitted[together] = now
            return [images]
        height, width = largest.shape[:2]
        check_memory(
            needed,
            f"the network's view of a frame, {width}x{height} pixels,",
            "make it smaller with --image-size",
        )
        return [[image] for image in images]

    def _tell_of_the_limit(self, people: Sequence[PersonDetections]) -> None:
        """Says, once, that there may be more people than are reported."""
        limit = self.max_people
        if not limit or limit in self._said:
            return
        if any(len(one) >= limit and np.percentile(one.scores, 25) > _LIKELY for one in people):
            self._said.add(limit)
            _LOG.warning(
                "an image has %d people, as many as are reported: others may be left out; "
                "raise TEST.DETECTIONS_PER_IMAGE to find more",
                limit,
            )


def _network_bytes_per_pixel(cfg: CfgNode) -> int:
    """Memory that a network takes at once for a pixel of its image, in float32, roughly: most lies in the pyramid.

    Measured as a process's growth: MobileNet-V2 with 96 channels 190, ResNet-50 with 256 channels 740.
    """
    return 3 * cfg.MODEL.FPN.OUT_CHANNELS


class FrameEstimator(ABC):
    """A pose estimator of frames around something that sees images; see ``protocols.PoseEstimator``.

    Attributes:
        frames: how frames become images, and people the frames'.
    """

    frames: FrameAdapter

    def estimate(self, frames: Sequence[np.ndarray], min_score: float = 0.0) -> list[PersonDetections]:
        """Finds the people of each frame, best first, in its pixels, as NumPy arrays; see ``protocols.PersonDetector``."""
        return self.frames.estimate(frames, functools.partial(self._find, min_score=min_score))

    def estimate_given(
        self, frame: np.ndarray, boxes_xyxy: np.ndarray, scores: np.ndarray
    ) -> PersonDetections:
        """Locates the keypoints of the people in given boxes, in their order, none left out.

        Joints weigh in the scores as in those of people found.

        Raises:
            InputError: the network takes no boxes.
        """
        return self.frames.estimate_given(frame, boxes_xyxy, scores, self._locate)

    def describe(self, frame: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Identity vectors (N, E) of the people in given boxes (N, 4), in the frame's pixels.

        Raises:
            ValueError: the frame is not an image, the network takes no boxes, or it describes nobody.
        """
        return self.frames.describe(frame, boxes_xyxy, self._locate)

    @abstractmethod
    def _find(self, images: Sequence[np.ndarray], *, min_score: float) -> list[PersonDetections]:
        """The people of each image (H, W, 3), best first, in its pixels."""

    @abstractmethod
    def _locate(self, image: np.ndarray, boxes_xyxy: np.ndarray, scores: np.ndarray) -> PersonDetections:
        """The people of given boxes (N, 4) of an image (H, W, 3), in their order."""
