"""A top-down network as a pose estimator: a detector's boxes, crops of several frames together, joints mapped back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fastpose_mtn.config import CfgNode
from fastpose_mtn.errors import NOT_FINITE_REMEDY, InputError
from fastpose_mtn.estimators.frames import check_frames
from fastpose_mtn.ops.crop_coordinates import CONTINUOUS, CropCoordinates, crop_coordinates
from fastpose_mtn.ops.person_crops import check_extension, crop_matrix, crop_regions, warp_person
from fastpose_mtn.ops.pose_nms import PoseNMS
from fastpose_mtn.protocols import FrameName, PersonDescriber, estimate_frames
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.systems.topdown.detectors import Detector, build_detector
from fastpose_mtn.systems.topdown.locator import JointLocator, Located

_LOG = logging.getLogger("fastpose_mtn")
SCORES = ("product", "mean", "release", "oks", "box")
_SEEN = 0.2  # confidence from which a joint counts for a person's score


class TopDownEstimator:
    """A top-down network with its detector, without gradients and at its fastest; see ``protocols.PoseEstimator``.

    Boxes are the detector's, and so are identity vectors where the network itself describes nobody.

    Args:
        locator: the pose network.
        detector: finds people, or has their boxes in a file; None: they are always given.
        padding: factor on boxes, see ``ops.person_crops.crop_regions``.
        pose_batch: crops that go through the network together at most.
        score: one of ``SCORES``, see ``MODEL.TOPDOWN.SCORE``.
        min_box_score: boxes scored lower are left out.
        max_people: of a frame at most, the best.
        pose_nms: leaves people found twice out; None: they are reported.
        margins: factors on boxes' widths and heights before they are extended.
        coordinates: of the network, as which crops are cut.

    Raises:
        ValueError: a value is out of range.
    """

    def __init__(
        self,
        locator: JointLocator,
        detector: Detector | None,
        *,
        padding: float = 1.25,
        pose_batch: int = 64,
        score: str = "product",
        min_box_score: float = 0.1,
        max_people: int = 100,
        pose_nms: PoseNMS | None = None,
        margins: Sequence[float] = (1.0, 1.0),
        coordinates: CropCoordinates = CONTINUOUS,
    ) -> None:
        if score not in SCORES:
            raise ValueError(f"MODEL.TOPDOWN.SCORE: expected one of {', '.join(SCORES)}, got {score!r}")
        if pose_batch < 1:
            raise ValueError(f"MODEL.TOPDOWN.POSE_BATCH: expected 1 or more crops, got {pose_batch}")
        if max_people < 1:
            raise ValueError(f"MODEL.TOPDOWN.DETECTOR.MAX: expected 1 person or more, got {max_people}")
        if not 0 <= min_box_score <= 1:
            raise ValueError(f"MODEL.TOPDOWN.DETECTOR.SCORE_THRESH: expected 0 to 1, got {min_box_score}")
        check_extension(padding, margins)
        self.skeleton, self.detector, self._locator = locator.skeleton, detector, locator
        self._padding, self._pose_batch = padding, pose_batch
        self._score, self._min_box_score, self._max_people = score, min_box_score, max_people
        self._told = False  # that there are more people than these
        self._pose_nms, self._margins, self._coordinates = pose_nms, margins, coordinates

    @classmethod
    def from_config(
        cls, cfg: CfgNode, locator: JointLocator, *, device: str, precision: str = "auto"
    ) -> TopDownEstimator:
        """The estimator that ``MODEL.TOPDOWN`` describes, with its detector.

        Args:
            cfg: the configuration.
            locator: the pose network.
            device: of the detector.
            precision: of the detector.

        Raises:
            ValueError: the detector's weights cannot be used, or a value is out of range.
        """
        c = cfg.MODEL.TOPDOWN
        return cls(
            locator,
            build_detector(cfg, device=device, precision=precision, describes=locator.embedding_dim is None),
            padding=c.PADDING,
            pose_batch=c.POSE_BATCH,
            score=c.SCORE,
            min_box_score=c.DETECTOR.SCORE_THRESH,
            max_people=c.DETECTOR.MAX,
            pose_nms=PoseNMS.from_config(cfg),
            margins=c.MARGINS,
            coordinates=crop_coordinates(c.COORDINATES),
        )

    @property
    def embedding_dim(self) -> int | None:
        """Numbers of an identity vector, the network's or else the detector's; None: there are none."""
        if self._locator.embedding_dim is not None or self.detector is None:
            return self._locator.embedding_dim
        return self.detector.embedding_dim

    def estimate(self, frames: Sequence[np.ndarray], min_score: float = 0.0) -> list[PersonDetections]:
        """The people of each frame, best first, in its pixels, as NumPy arrays; see ``protocols.PersonDetector``.

        Crops of all frames go through the network together.

        Raises:
            InputError: there is no detector.
        """
        check_frames(frames)
        least = max(self._min_box_score, min_score)  # joints only lower a box's score
        return self._report(frames, self._finds_people().estimate(frames, least), least)

    def estimate_named(
        self, frames: Sequence[np.ndarray], names: Sequence[FrameName], min_score: float = 0.0
    ) -> list[PersonDetections]:
        """``estimate``, of frames that are known by their names; see ``protocols.NamedFrameEstimator``.

        Raises:
            InputError: there is no detector, or its file is of other frames.
        """
        check_frames(frames)
        least = max(self._min_box_score, min_score)
        return self._report(frames, estimate_frames(self._finds_people(), frames, names, least), least)

    def _finds_people(self) -> Detector:
        if self.detector is None:
            raise InputError("no detector: MODEL.TOPDOWN.DETECTOR.WEIGHTS names nobody who finds people")
        return self.detector

    def _report(
        self, frames: Sequence[np.ndarray], found: Sequence[PersonDetections], least: float
    ) -> list[PersonDetections]:
        """The people of each frame, of those whom the detector found and scored ``least`` or more."""
        located = self._locate(frames, [self._select(people, least) for people in found])
        best = [people.best_first() for people in located]
        return best if self._pose_nms is None else [self._pose_nms(people) for people in best]

    def estimate_given(
        self, frame: np.ndarray, boxes_xyxy: np.ndarray, scores: np.ndarray
    ) -> PersonDetections:
        """The people of given boxes, in their order, none left out; see ``protocols.GivenPersonEstimator``.

        Raises:
            ValueError: the frame is not an image, or boxes and scores are not such.
        """
        check_frames([frame])
        return self._locate([frame], [PersonDetections.of_boxes(boxes_xyxy, scores)])[0]

    def describe(self, frame: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Identity vectors (N, E), as ``embedding_dim`` says whose, of the people in given boxes (N, 4).

        Args:
            frame: (H, W, 3) uint8 RGB.
            boxes_xyxy: in its pixels.

        Raises:
            ValueError: the frame is not an image, or neither the network nor the detector describes people.
        """
        if self._locator.embedding_dim is not None:
            check_frames([frame])
            given = PersonDetections.of_boxes(boxes_xyxy, np.ones(len(boxes_xyxy)))
            (located,) = self._locate([frame], [given])
            assert located.embeddings is not None
            return located.embeddings
        if not isinstance(self.detector, PersonDescriber):
            raise ValueError("neither the network nor its detector has an identity head: MODEL.REID_ON True")
        return self.detector.describe(frame, boxes_xyxy)

    def crops_of(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the network is shown of a frame's people, as a ``JointLocator`` takes it: crops and sizes; of nobody none.

        Raises:
            InputError: there is no detector.
        """
        (found,) = self._finds_people().estimate([frame], self._min_box_score)
        boxes = self._select(found, self._min_box_score).boxes
        return self._crops([frame] * len(boxes), boxes, self._regions(boxes))

    def _regions(self, boxes_xyxy: np.ndarray) -> np.ndarray:
        """(N, 4): what the crops of boxes (N, 4) show of their frames."""
        return crop_regions(
            boxes_xyxy,
            self._locator.size_hw,
            self._padding,
            margins=self._margins,
            coordinates=self._coordinates,
        )

    def _select(self, people: PersonDetections, min_score: float) -> PersonDetections:
        """The people whose boxes are looked at; that there are more is told in the log, once."""
        found = people[people.scores >= min_score].best_first()
        if len(found) > self._max_people and not self._told:
            self._told = True
            _LOG.warning(
                "%d people in a frame: joints are located of the best %d alone, see MODEL.TOPDOWN.DETECTOR.MAX",
                len(found), self._max_people,
            )  # fmt: skip
        return found[: self._max_people]

    def _locate(
        self, frames: Sequence[np.ndarray], found: Sequence[PersonDetections]
    ) -> list[PersonDetections]:
        """The people of each frame, in their order, with joints, scores by them and, of the network, identity vectors."""
        boxes = np.concatenate([own.boxes for own in found]) if found else np.zeros((0, 4), np.float32)
        regions = self._regions(boxes)
        frame_of = np.repeat(np.arange(len(found)), [len(own) for own in found])
        joints, vectors = self._look([frames[index] for index in frame_of.tolist()], boxes, regions)
        origin, size = regions[:, None, :2], regions[:, None, 2:] - regions[:, None, :2]
        keypoints = np.concatenate((origin + joints[..., :2] * size, joints[..., 2:3]), axis=-1)
        scores = np.concatenate([own.scores for own in found] or [np.zeros(0, np.float32)]) * self._shares(
            joints
        )
        ends = np.cumsum([len(own) for own in found]).tolist()
        rows = [slice(end - len(own), end) for own, end in zip(found, ends, strict=True)]
        return [
            replace(
                own,
                keypoints=keypoints[place],
                scores=scores[place],
                embeddings=own.embeddings if vectors is None else vectors[place],
            )
            for own, place in zip(found, rows, strict=True)
        ]

    def _look(
        self, frames: Sequence[np.ndarray], boxes_xyxy: np.ndarray, regions_xyxy: np.ndarray
    ) -> Located:
        """What the network says of N people.

        Args:
            frames: each person's.
            boxes_xyxy: (N, 4).
            regions_xyxy: (N, 4): what their crops show.

        Raises:
            InputError: it gives no finite numbers.
        """
        dim = self._locator.embedding_dim
        joints = [np.zeros((0, len(self.skeleton), 4), np.float32)]
        vectors = [np.zeros((0, dim or 0), np.float32)]
        for first in range(0, len(frames), self._pose_batch):
            rows = slice(first, first + self._pose_batch)
            located = self._locator(*self._crops(frames[rows], boxes_xyxy[rows], regions_xyxy[rows]))
            joints.append(located.joints)
            if located.embeddings is not None:
                vectors.append(located.embeddings)
        made = Located(np.concatenate(joints), None if dim is None else np.concatenate(vectors))
        lost = np.flatnonzero(~np.isfinite(made.joints).all(axis=(1, 2)))
        if len(lost):
            box = [round(side, 1) for side in boxes_xyxy[lost[0]].tolist()]
            raise InputError(
                f"the pose network: expected finite joints, got NaN or infinity for {len(lost)} of {len(frames)} people, the "
                f"first in the box {box}; {NOT_FINITE_REMEDY}"
            )
        return made

    def _crops(
        self, frames: Sequence[np.ndarray], boxes_xyxy: np.ndarray, regions_xyxy: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Crops (N, H, W, 3) uint8, and the sizes (N, 2) of boxes as shares of them; arguments as of ``_look``."""
        size_hw, averages = self._locator.size_hw, not self._coordinates.as_released
        fill = self._locator.fill_rgb if averages else (0.0, 0.0, 0.0)
        crops = np.empty((len(frames), *size_hw, 3), np.uint8)
        for index, (frame, region) in enumerate(zip(frames, regions_xyxy, strict=True)):
            crops[index] = warp_person(frame, crop_matrix(region, size_hw), size_hw, fill, averages=averages)
        shares = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]) / (regions_xyxy[:, 2:] - regions_xyxy[:, :2])
        return crops, shares

    def _shares(self, joints: np.ndarray) -> np.ndarray:
        """(N,): what the people's joints leave of their boxes' scores."""
        if self._score == "box":
            return np.ones(len(joints), np.float32)
        if self._score == "oks":
            return joints[..., 3].mean(axis=1)
        confidence = joints[..., 2]
        if self._score == "mean":
            return confidence.mean(axis=1)
        # the mean of its joints' scores, a height and a half, in shares of the greatest
        if self._score == "release":
            return (confidence.mean(axis=1) + 0.5) / 1.5
        seen = confidence > _SEEN
        return np.where(seen, confidence, 0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1).astype(np.float32)
