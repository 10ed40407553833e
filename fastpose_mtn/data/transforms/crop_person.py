"""Cutting one person out of an image, changed at random: half bodies, size, turn and mirror image in one warp.

After Xiao et al. (*Simple Baselines*, 2018), and half bodies after Wang et al. (2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fastpose_mtn.config import CfgNode
from fastpose_mtn.data.person_crops import learnable
from fastpose_mtn.data.person_parts import shown_part
from fastpose_mtn.data.proposals import BoxSampler, build_box_sampler
from fastpose_mtn.data.sample import LabelledImage
from fastpose_mtn.ops.crop_coordinates import CONTINUOUS, CropCoordinates, crop_coordinates
from fastpose_mtn.ops.person_crops import (
    check_extension,
    crop_matrix,
    crop_regions,
    crop_size,
    transform_points,
    warp_person,
)
from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import PersonTargets

_HALF_BODY_PADDING = 1.5  # of the joints' extent
_LOWER = ("hip", "pelvis", "knee", "ankle", "big_toe", "small_toe", "heel")


@dataclass(frozen=True)
class CropPerson:
    """Cuts a sample's person out of its image, at the network's input size.

    The crop's one person keeps joints that lie outside it: the network is to know that they are not in it.

    Attributes:
        skeleton: of the people, that the network learns in.
        size_hw: of the crop.
        padding: factor on the box, see ``ops.person_crops.crop_regions``.
        fill_rgb: colour of what lies outside the image.
        half_body: probability that only the upper or only the lower half is shown, of people with more than
            ``half_body_joints`` labelled joints.
        half_body_joints: see there.
        scale: standard deviation of the factor on the crop's size, which stays within 0.65 to 1.35.
        degrees: standard deviation of the turn's angle, which stays within twice as much.
        scale_range: None, or factors are drawn evenly between its two, and angles within ``degrees`` either way.
        growth: greatest growth of the box's width and height, in shares of them.
        shift: greatest move of the crop along each axis, in shares of it.
        shift_probability: of moving at all.
        turn_probability: of turning at all.
        flip_probability: of mirroring.
        propose: draws boxes as a detector would; None: the labelled ones.
        propose_from: first draw of the run that is cropped so.
        margins: factors on the box's width and height before it is extended.
        coordinates: of the network, as which crops are cut.

    Raises:
        ValueError: a probability is none, a number is below 0, or the skeleton cannot be mirrored.
    """

    skeleton: Skeleton
    size_hw: tuple[int, int]
    padding: float = 1.25
    fill_rgb: tuple[int, int, int] = (124, 116, 104)
    half_body: float = 0.3
    half_body_joints: int = 8
    scale: float = 0.35
    degrees: float = 45.0
    scale_range: tuple[float, float] | None = None
    growth: tuple[float, float] = (0.0, 0.0)
    shift: float = 0.0
    shift_probability: float = 0.3
    turn_probability: float = 0.6
    flip_probability: float = 0.5
    propose: BoxSampler | None = None
    propose_from: int = 0
    margins: Sequence[float] = (1.0, 1.0)
    coordinates: CropCoordinates = CONTINUOUS

    def __post_init__(self) -> None:
        for key, value in (
            ("HALF_BODY", self.half_body), ("ROTATION_PROBABILITY", self.turn_probability),
            ("SHIFT_PROBABILITY", self.shift_probability),
        ):  # fmt: skip
            if not 0 <= value <= 1:
                raise ValueError(f"INPUT.CROP.{key}: expected a probability, got {value}")
        for key, value in (("SCALE", self.scale), ("ROTATION", self.degrees), ("SHIFT", self.shift)):
            if not value >= 0:
                raise ValueError(f"INPUT.CROP.{key}: expected 0 or more, got {value}")
        scales = self.scale_range
        if scales is not None and (len(scales) != 2 or not 0 < scales[0] <= scales[1]):
            raise ValueError(f"INPUT.CROP.SCALE_RANGE: expected 0 < least <= greatest, got {scales}")
        if len(self.growth) != 2 or not min(self.growth) >= 0:
            raise ValueError(f"INPUT.CROP.GROWTH: expected two shares of 0 or more, got {self.growth}")
        check_extension(self.padding, self.margins)
        if self.flip_probability and not self.skeleton.flip_pairs:
            raise ValueError(
                f"INPUT.RANDOM_FLIP: skeleton {self.skeleton.name} has no flip pairs, none of its joints is called "
                f"left_... or right_...: name them so, or set INPUT.RANDOM_FLIP none"
            )

    @classmethod
    def from_config(cls, cfg: CfgNode, skeleton: Skeleton) -> CropPerson:
        """The one that ``INPUT.CROP``, ``INPUT.RANDOM_FLIP`` and ``MODEL.TOPDOWN`` describe, for people in a skeleton."""
        crop, model = cfg.INPUT.CROP, cfg.MODEL.TOPDOWN
        if cfg.INPUT.RANDOM_FLIP not in ("horizontal", "none"):
            raise ValueError(f"INPUT.RANDOM_FLIP: expected horizontal or none, got {cfg.INPUT.RANDOM_FLIP!r}")
        coordinates = crop_coordinates(model.COORDINATES, decoder=model.DECODER)
        mean = [0 if coordinates.as_released else round(value) for value in cfg.MODEL.PIXEL_MEAN]
        red, green, blue = mean if cfg.INPUT.FORMAT == "RGB" else mean[::-1]
        if crop.DISTRIBUTION not in ("normal", "uniform"):
            raise ValueError(
                f"INPUT.CROP.DISTRIBUTION: expected normal or uniform, got {crop.DISTRIBUTION!r}"
            )
        return cls(
            skeleton=skeleton,
            size_hw=crop_size(model.INPUT_SIZE),
            padding=model.PADDING,
            fill_rgb=(red, green, blue),
            half_body=crop.HALF_BODY,
            half_body_joints=crop.HALF_BODY_JOINTS,
            scale=crop.SCALE,
            degrees=crop.ROTATION,
            scale_range=tuple(crop.SCALE_RANGE) if crop.DISTRIBUTION == "uniform" else None,  # type: ignore[arg-type]
            growth=tuple(crop.GROWTH),  # type: ignore[arg-type]
            shift=crop.SHIFT,
            shift_probability=crop.SHIFT_PROBABILITY,
            turn_probability=crop.ROTATION_PROBABILITY,
            flip_probability=0.5 if cfg.INPUT.RANDOM_FLIP == "horizontal" else 0.0,
            propose=build_box_sampler(cfg),
            propose_from=cfg.INPUT.PGPG.FROM_ITER * cfg.SOLVER.IMS_PER_BATCH,
            margins=tuple(model.MARGINS),
            coordinates=coordinates,
        )

    def __call__(self, image: LabelledImage, rng: np.random.Generator) -> LabelledImage:
        """The crop of the person in focus, or of anyone; of an image with nobody the whole, which trains nothing."""
        person = image.focus
        if person is None:
            people = learnable(image.targets, identified="identities" in image.tasks)
            person = int(rng.choice(people)) if len(people) else None
        if person is None:
            height, width = image.image.shape[:2]
            targets = _nobody(len(self.skeleton), width, height)
        else:
            targets = image.targets[person : person + 1]
        region = self._region(targets, rng, image)
        turns = rng.random() < self.turn_probability
        if self.scale_range is None:
            degrees = float(np.clip(rng.normal(0, self.degrees), -2 * self.degrees, 2 * self.degrees))
        else:
            degrees = float(rng.uniform(-self.degrees, self.degrees))
        mirrored = bool(rng.random() < self.flip_probability)
        matrix = crop_matrix(region, self.size_hw, degrees=degrees if turns else 0.0, mirrored=mirrored)
        return replace(
            image,
            image=warp_person(
                image.image, matrix, self.size_hw, self.fill_rgb, averages=not self.coordinates.as_released
            ),
            targets=self._moved(targets, matrix, mirrored),
            focus=None,
            posetrack=None,
        )

    def _region(self, targets: PersonTargets, rng: np.random.Generator, image: LabelledImage) -> np.ndarray:
        """(4,): what the crop shows of the image, before the turn."""
        half = self._half_body(targets.keypoints[0], rng)
        if half is None:
            box = self._proposed(targets, rng, image)
            if any(self.growth):
                grown = (box[2:] - box[:2]) * rng.uniform(0, self.growth) / 2
                box = np.concatenate((box[:2] - grown, box[2:] + grown))
            (region,) = crop_regions(
                box[None], self.size_hw, self.padding, margins=self.margins, coordinates=self.coordinates
            )
        else:
            (region,) = crop_regions(half[None], self.size_hw, _HALF_BODY_PADDING)
        if self.scale_range is None:
            factor = float(np.clip(rng.normal(1, self.scale), 0.65, 1.35))
        else:
            factor = float(rng.uniform(*self.scale_range))
        centre = (region[:2] + region[2:]) / 2
        region = np.concatenate((centre, centre)) + factor * (region - np.concatenate((centre, centre)))
        if self.shift and rng.random() < self.shift_probability:
            move = rng.uniform(-self.shift, self.shift, 2) * (region[2:] - region[:2])
            region = region + np.concatenate((move, move))
        return region

    def _proposed(self, targets: PersonTargets, rng: np.random.Generator, image: LabelledImage) -> np.ndarray:
        """(4,): the person's box, or one as a detector would have found it."""
        labelled = targets.boxes[0]
        if self.propose is None or image.draw < self.propose_from:
            return labelled
        shown = shown_part(targets.keypoints[0], self.skeleton)
        if shown is not None:
            part, box = shown
            return self.propose(box, rng, part)
        drawn = self.propose(labelled, rng)
        # a detector's boxes lie within the image, those of people at its edge too
        height, width = image.image.shape[:2]
        slack = (labelled[2:] - labelled[:2]) / 4
        least = np.minimum(labelled[:2], -slack)
        greatest = np.maximum(labelled[2:], np.array([width, height]) + slack)
        clipped = np.clip(drawn, np.tile(least, 2), np.tile(greatest, 2))
        return clipped if (clipped[2:] > clipped[:2]).all() else labelled

    def _half_body(self, keypoints: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """(4,) around the joints of the upper or the lower half, or None for the whole."""
        labelled = keypoints[:, 2] > 0
        wanted, upper_first = rng.random() < self.half_body, rng.random() < 0.5
        if not wanted or labelled.sum() <= self.half_body_joints:
            return None
        lower = np.array([joint.endswith(_LOWER) for joint in self.skeleton.joints], bool)
        halves = (labelled & ~lower, labelled & lower)
        first, second = halves if upper_first else halves[::-1]
        chosen = first if first.sum() >= 3 else second
        if chosen.sum() < 2:
            return None
        points = keypoints[chosen, :2]
        return np.concatenate((points.min(axis=0), points.max(axis=0)))

    def _moved(self, targets: PersonTargets, matrix: np.ndarray, mirrored: bool) -> PersonTargets:
        """The person where the crop takes them; the box is drawn around the old one's corners."""
        x1, y1, x2, y2 = targets.boxes[0]
        corners = transform_points(np.array([[x1, y1], [x2, y1], [x1, y2], [x2, y2]]), matrix)
        box = np.concatenate((corners.min(axis=0), corners.max(axis=0)))
        keypoints = targets.keypoints.copy()
        if mirrored:
            keypoints = keypoints[:, list(self.skeleton.flip_permutation)]
        labelled = keypoints[..., 2:] > 0
        keypoints[..., :2] = np.where(labelled, transform_points(keypoints[..., :2], matrix), 0)
        return replace(targets, boxes=box[None].astype(np.float32), keypoints=keypoints)


def _nobody(joints: int, width: int, height: int) -> PersonTargets:
    """A person without labels who fills the image and trains nothing."""
    return PersonTargets(
        boxes=np.array([[0, 0, width, height]], np.float32),
        keypoints=np.zeros((1, joints, 3), np.float32),
        identities=np.array([-1], np.int64),
        ignore=np.array([True]),
    )
