"""Random changes to a labelled image: cheap, NumPy and OpenCV, each with its own hand-checked geometry.

An augmentation is a function ``(LabelledImage, np.random.Generator) -> LabelledImage`` that changes
neither argument's arrays. Which ones run is read from ``INPUT`` in one place, ``build_augmentations``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from fastpose_mtn.config import CfgNode
from fastpose_mtn.data.sample import LabelledImage
from fastpose_mtn.data.transforms.crop_person import CropPerson
from fastpose_mtn.data.transforms.geometry import crop_resize_pad, moved_targets
from fastpose_mtn.data.transforms.occlusion import OcclusionPaste
from fastpose_mtn.data.transforms.paste import PersonPaste, find_cutouts
from fastpose_mtn.data.transforms.person_window import choose_person, window_around
from fastpose_mtn.data.transforms.rotation import RandomRotation
from fastpose_mtn.data.transforms.sifp import SIFP
from fastpose_mtn.skeletons import Skeleton, get_skeleton

Augmentation = Callable[[LabelledImage, np.random.Generator], LabelledImage]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, RGB


def build_augmentations(cfg: CfgNode) -> list[Augmentation]:
    """The training augmentations of whole images that ``INPUT`` asks for, in order."""
    _check_sizes(cfg)
    chain: list[Augmentation] = [
        SIFP.from_config(cfg) if cfg.INPUT.SIFP.ENABLED else RandomScaleCrop.from_config(cfg)
    ]
    if cfg.INPUT.RANDOM_FLIP == "horizontal":
        chain.append(RandomFlip(get_skeleton(cfg.MODEL.SKELETON)))
    elif cfg.INPUT.RANDOM_FLIP != "none":
        raise ValueError(f"INPUT.RANDOM_FLIP: expected horizontal or none, got {cfg.INPUT.RANDOM_FLIP!r}")
    return [*chain, *_changes_in_place(cfg)]


def build_crop_augmentations(cfg: CfgNode, skeleton: Skeleton) -> list[Augmentation]:
    """The training augmentations of a top-down network: one person is cut out, and the crop changed.

    Args:
        cfg: the configuration.
        skeleton: of the people.
    """
    return [CropPerson.from_config(cfg, skeleton), *_changes_in_place(cfg)]


def _changes_in_place(cfg: CfgNode) -> list[Augmentation]:
    """What ``INPUT.AUG`` asks for that leaves everybody where they are."""
    aug, chain = cfg.INPUT.AUG, list[Augmentation]()
    if aug.PASTE:
        chain.append(PersonPaste(probability=aug.PASTE, cutouts=find_cutouts(aug.PASTE_FOLDER)))
    if aug.OCCLUSION:
        chain.append(OcclusionPaste(probability=aug.OCCLUSION))
    if aug.COLOR > 0 or aug.GRAY > 0:
        chain.append(RandomColor(strength=aug.COLOR, gray_probability=aug.GRAY))
    if aug.BLUR > 0:
        chain.append(RandomBlur(probability=aug.BLUR))
    return chain


def _check_sizes(cfg: CfgNode) -> None:
    """Sizes of no pixels would fail in the middle of the first step."""
    aug, sizes = cfg.INPUT.AUG, tuple(cfg.INPUT.MIN_SIZE_TRAIN)
    if aug.SIZE and (len(aug.SIZE) != 2 or min(aug.SIZE) < 1):
        raise ValueError(
            f"INPUT.AUG.SIZE: expected [height, width] in pixels, or [] to crop nothing, got {list(aug.SIZE)}"
        )
    least = 1 if cfg.INPUT.SIFP.ENABLED or cfg.INPUT.MIN_SIZE_TRAIN_SAMPLING == "range" else 0
    if not sizes or min(sizes) < least:
        raise ValueError(
            f"INPUT.MIN_SIZE_TRAIN: expected pixels of the shorter side, such as [640], {least} or more, got {sizes}"
        )
    if aug.AROUND_PERSON and (not aug.SIZE or cfg.INPUT.SIFP.ENABLED):
        raise ValueError(
            "INPUT.AUG.AROUND_PERSON: expected windows of INPUT.AUG.SIZE without INPUT.SIFP; set [height, width] there and "
            "INPUT.SIFP.ENABLED False"
        )
    if cfg.INPUT.MAX_SIZE_TRAIN < 1:
        raise ValueError(
            f"INPUT.MAX_SIZE_TRAIN: expected pixels of the longer side, got {cfg.INPUT.MAX_SIZE_TRAIN}"
        )


def augment(
    image: LabelledImage, augmentations: Sequence[Augmentation], rng: np.random.Generator
) -> LabelledImage:
    """The image after all augmentations, one after the other."""
    for augmentation in augmentations:
        image = augmentation(image, rng)
    return image


def flip_horizontally(image: LabelledImage, skeleton: Skeleton) -> LabelledImage:
    """The mirror image: left joints become right ones and keep their visibility."""
    width = image.image.shape[1]
    targets = image.targets
    boxes = targets.boxes.copy()
    boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
    keypoints = targets.keypoints[:, list(skeleton.flip_permutation)].copy()
    labelled = keypoints[..., 2] > 0  # unlabelled joints stay at (0, 0)
    keypoints[..., 0] = np.where(labelled, width - keypoints[..., 0], keypoints[..., 0])
    return replace(image, image=cv2.flip(image.image, 1), targets=moved_targets(targets, boxes, keypoints))


@dataclass(frozen=True)
class RandomFlip:
    """Mirrors half of the images.

    Raises:
        ValueError: the skeleton has no flip pairs, so that left and right would not change places.
    """

    skeleton: Skeleton
    probability: float = 0.5

    def __post_init__(self) -> None:
        if not self.skeleton.flip_pairs:
            raise ValueError(
                f"INPUT.RANDOM_FLIP: skeleton {self.skeleton.name} has no flip pairs, none of its joints is called "
                f"left_... or right_...: name them so, or set INPUT.RANDOM_FLIP none"
            )

    def __call__(self, image: LabelledImage, rng: np.random.Generator) -> LabelledImage:
        """The image mirrored left to right with probability ``probability``, otherwise the image itself."""
        return flip_horizontally(image, self.skeleton) if rng.random() < self.probability else image


@dataclass(frozen=True)
class RandomScaleCrop:
    """Resizes by the shorter side, times a random factor, then crops and pads to one size.

    Attributes:
        short_sides: pixels to choose the shorter side from, 0: as it is; or with ``range`` sampling its two ends.
        max_side: pixels the longer side may have before the random factor, where the shorter one is not as it is.
        sampling: ``choice`` or ``range`` (Detectron2's ResizeShortestEdge).
        scale_range: least and greatest random factor, drawn evenly on a logarithmic scale.
        size_hw: pixels of every result, or None to keep what resizing gives.
        fill_rgb: of the padding; the mean colour becomes zero in the network.
        around_person: crops are centred on one of the people and may reach out of the image; or anywhere in it.
        rotation: before all that, in the same resampling; None: none.
    """

    short_sides: tuple[int, ...]
    max_side: int
    sampling: str = "choice"
    scale_range: tuple[float, float] = (1.0, 1.0)
    size_hw: tuple[int, int] | None = None
    fill_rgb: tuple[int, int, int] = (124, 116, 104)
    around_person: bool = False
    rotation: RandomRotation | None = None

    def __post_init__(self) -> None:
        if self.sampling not in ("choice", "range"):
            raise ValueError(
                f"INPUT.MIN_SIZE_TRAIN_SAMPLING: expected choice or range, got {self.sampling!r}"
            )
        if not 0 < self.scale_range[0] <= self.scale_range[1]:
            raise ValueError(f"INPUT.AUG.SCALE: expected 0 < least <= greatest, got {self.scale_range}")

    @classmethod
    def from_config(cls, cfg: CfgNode) -> RandomScaleCrop:
        """The one that ``INPUT.MIN_SIZE_TRAIN``, ``INPUT.MAX_SIZE_TRAIN`` and ``INPUT.AUG`` describe."""
        return cls(
            short_sides=tuple(cfg.INPUT.MIN_SIZE_TRAIN),
            max_side=cfg.INPUT.MAX_SIZE_TRAIN,
            sampling=cfg.INPUT.MIN_SIZE_TRAIN_SAMPLING,
            scale_range=tuple(cfg.INPUT.AUG.SCALE),
            size_hw=tuple(cfg.INPUT.AUG.SIZE) or None,
            fill_rgb=tuple(round(v) for v in cfg.MODEL.PIXEL_MEAN),  # type: ignore[arg-type]
            around_person=cfg.INPUT.AUG.AROUND_PERSON,
            rotation=RandomRotation.from_config(cfg),
        )

    def __call__(self, image: LabelledImage, rng: np.random.Generator) -> LabelledImage:
        """The image turned, resized, cropped and padded at random, with its labels."""
        height, width = image.image.shape[:2]
        turn = None if self.rotation is None else self.rotation.draw((width, height), rng)
        if turn is not None:
            image = replace(image, targets=turn.targets(image.targets))
        if self.sampling == "choice":
            short = int(rng.choice(self.short_sides))
        else:
            short = int(rng.integers(min(self.short_sides), max(self.short_sides) + 1))
        scale = min(short / min(height, width), self.max_side / max(height, width)) if short else 1.0
        low, high = np.log(self.scale_range[0]), np.log(self.scale_range[1])
        scale *= float(np.exp(rng.uniform(low, high)))
        if self.size_hw is None:
            return crop_resize_pad(image, (0, 0, width, height), scale, None, self.fill_rgb, (0, 0), turn)
        out_h, out_w = self.size_hw
        window_wh = max(1, int(np.ceil(out_w / scale))), max(1, int(np.ceil(out_h / scale)))
        person = choose_person(image.targets, rng) if self.around_person else None
        if person is not None:
            centre = image.targets.boxes[person].reshape(2, 2).mean(axis=0)
            window, place = window_around(centre, (width, height), window_wh)
        else:
            window_w, window_h = min(width, window_wh[0]), min(height, window_wh[1])
            x, y = int(rng.integers(0, width - window_w + 1)), int(rng.integers(0, height - window_h + 1))
            window, place = (x, y, x + window_w, y + window_h), (float(rng.random()), float(rng.random()))
        return crop_resize_pad(image, window, scale, (out_h, out_w), self.fill_rgb, place, turn)


@dataclass(frozen=True)
class RandomColor:
    """Brightness, contrast, saturation and white balance by one 3x4 colour matrix; sometimes grey.

    Attributes:
        strength: each factor is drawn from 1 - strength to 1 + strength; a channel's from half of that.
        gray_probability: of taking all colour away, which makes identity rest on more than colour.
    """

    strength: float
    gray_probability: float = 0.0

    def __call__(self, image: LabelledImage, rng: np.random.Generator) -> LabelledImage:
        """The image with random colours; its labels stay."""
        s = self.strength
        brightness, contrast, saturation = rng.uniform(1 - s, 1 + s, 3)
        channels = rng.uniform(1 - s / 2, 1 + s / 2, 3)
        if rng.random() < self.gray_probability:
            saturation, channels = 0.0, np.ones(3)
        matrix = saturation * np.eye(3) + (1 - saturation) * np.tile(_LUMA, (3, 1))
        matrix = brightness * contrast * channels[:, None] * matrix
        # Contrast turns about mid grey, as brightness has left it.
        offset = np.full((3, 1), 128.0 * brightness * (1 - contrast))
        return replace(
            image, image=cv2.transform(image.image, np.hstack([matrix, offset]).astype(np.float32))
        )


@dataclass(frozen=True)
class RandomBlur:
    """A Gaussian blur of 0.3 to 1.5 px, some of the time."""

    probability: float

    def __call__(self, image: LabelledImage, rng: np.random.Generator) -> LabelledImage:
        """The image blurred with probability ``probability``, otherwise the image itself; its labels stay."""
        if rng.random() >= self.probability:
            return image
        sigma = float(rng.uniform(0.3, 1.5))
        return replace(image, image=cv2.GaussianBlur(image.image, (0, 0), sigma))
