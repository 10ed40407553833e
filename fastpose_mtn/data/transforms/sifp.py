"""SIFP: scale-normalised image pyramids for training (paper, section 3.2). Testing stays single-scale.

The image at its base size (``INPUT.MIN_SIZE_TRAIN``, ``MAX_SIZE_TRAIN``: the size that testing has) is
resized by each factor of ``INPUT.SIFP.SCALES``. A person of scale s = sqrt(wh), measured after resizing,
trains at a level only if s lies in ``INPUT.SIFP.VALID_RANGE``; otherwise they are ignored there: neither a
positive nor a negative example, for any task. A level larger than the base image is cut into as few
crops of the base size as it takes for every valid person to lie wholly in one; a smaller level is padded
to that size. So all training images of one source have one size.

* A person who is larger than a crop at a level is ignored at that level. They fit at the factors up to 1,
  where the whole image is seen, and are in range there unless they are some hundred times as long as wide.
* A valid person whom another one's crop cuts is trained as cut while they are still in range, and ignored
  otherwise, like everyone whom a crop cuts.
* A draw is one level, at random among those with a valid person, then one of its crops, then a place
  of the crop at which it still holds its people (a smaller level: a place in the padding). All of it follows
  from the generator, so the same draw gives the same training image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from fastpose_mtn.config import CfgNode
from fastpose_mtn.data.sample import LabelledImage
from fastpose_mtn.data.transforms.crop_cover import Crop, cover_with_crops, fits
from fastpose_mtn.data.transforms.geometry import clip_targets, padded, scale_targets
from fastpose_mtn.data.transforms.rotation import RandomRotation, Rotation
from fastpose_mtn.structures import PersonTargets


@dataclass(frozen=True, eq=False)
class PyramidLevel:
    """One resized version of an image, before it is cut or padded.

    Attributes:
        factor: of the base image.
        size_wh: pixels.
        window_wh: pixels of a crop, at most the level's own.
        targets: everyone, in the level's pixels; who does not train at this level is ignored.
    """

    factor: float
    size_wh: tuple[int, int]
    window_wh: tuple[int, int]
    targets: PersonTargets

    def crops(self) -> list[Crop]:
        """Windows that together hold every valid person wholly."""
        return cover_with_crops(self.targets.boxes[~self.targets.ignore], self.size_wh, self.window_wh)


@dataclass(frozen=True)
class SIFP:
    """One training image of the pyramid, see above.

    Attributes:
        short_side: pixels of the base image's shorter side; 0: as the image is.
        max_side: pixels that its longer side may have.
        factors: of the levels.
        valid_range: least and greatest sqrt(wh) that trains, pixels after resizing, both included.
        size_hw: pixels of every training image, into which the base image fits; None: the base image's own.
        fill_rgb: of the padding; the mean colour becomes zero in the network.
        rotation: before the sizes of people are looked at, which it changes; in the same resampling. None: none.

    Raises:
        ValueError: the values mean nothing.
    """

    short_side: int
    max_side: int
    factors: tuple[float, ...] = (2.0, 1.5, 1.0, 0.75)
    valid_range: tuple[float, float] = (16.0, 560.0)
    size_hw: tuple[int, int] | None = None
    fill_rgb: tuple[int, int, int] = (124, 116, 104)
    rotation: RandomRotation | None = None

    def __post_init__(self) -> None:
        if not self.factors or min(self.factors) <= 0:
            raise ValueError(
                f"INPUT.SIFP.SCALES: expected factors above 0 such as [2.0, 1.5, 1.0, 0.75], got {self.factors}"
            )
        if len(self.valid_range) != 2 or not 0 <= self.valid_range[0] < self.valid_range[1]:
            raise ValueError(
                f"INPUT.SIFP.VALID_RANGE: expected least and greatest pixels such as [16, 560], got "
                f"{self.valid_range}"
            )

    @classmethod
    def from_config(cls, cfg: CfgNode) -> SIFP:
        """The pyramid that ``INPUT.SIFP`` describes.

        Raises:
            ValueError: ``INPUT.MIN_SIZE_TRAIN`` is not one size, or ``INPUT.AUG.SCALE`` resizes too.
        """
        sizes, aug = tuple(cfg.INPUT.MIN_SIZE_TRAIN), cfg.INPUT.AUG
        if len(sizes) != 1:
            raise ValueError(
                f"INPUT.MIN_SIZE_TRAIN is {sizes}: INPUT.SIFP needs one base size; name one, the pyramid's other "
                f"sizes are INPUT.SIFP.SCALES"
            )
        if tuple(aug.SCALE) != (1.0, 1.0):
            raise ValueError(
                f"INPUT.AUG.SCALE is {tuple(aug.SCALE)}: INPUT.SIFP has scales of its own; set it to [1.0, 1.0]"
            )
        return cls(
            short_side=sizes[0],
            max_side=cfg.INPUT.MAX_SIZE_TRAIN,
            factors=tuple(float(factor) for factor in cfg.INPUT.SIFP.SCALES),
            valid_range=tuple(float(limit) for limit in cfg.INPUT.SIFP.VALID_RANGE),  # type: ignore[arg-type]
            size_hw=tuple(aug.SIZE) or None,
            fill_rgb=tuple(round(v) for v in cfg.MODEL.PIXEL_MEAN),  # type: ignore[arg-type]
            rotation=RandomRotation.from_config(cfg),
        )

    def base_size_wh(self, image_wh: tuple[int, int]) -> tuple[int, int]:
        """The image's size at factor 1."""
        width, height = image_wh
        scale = self.short_side / min(image_wh) if self.short_side else 1.0
        scale = min(scale, self.max_side / max(image_wh)) if self.max_side else scale
        if self.size_hw is not None:
            scale = min(scale, self.size_hw[0] / height, self.size_hw[1] / width)
        return max(1, round(width * scale)), max(1, round(height * scale))

    def canvas_wh(self, image_wh: tuple[int, int]) -> tuple[int, int]:
        """The size of all of its training images."""
        return self.base_size_wh(image_wh) if self.size_hw is None else (self.size_hw[1], self.size_hw[0])

    def level(self, image: LabelledImage, factor: float) -> PyramidLevel:
        """The labels at one level; no pixel is touched."""
        image_wh = (image.image.shape[1], image.image.shape[0])
        base, canvas = self.base_size_wh(image_wh), self.canvas_wh(image_wh)
        size = (max(1, round(base[0] * factor)), max(1, round(base[1] * factor)))
        window = (min(size[0], canvas[0]), min(size[1], canvas[1]))
        factors = np.divide(size, image_wh).astype(np.float32)
        targets = clip_targets(
            scale_targets(image.targets, factors, np.zeros(2, np.float32)), (0.0, 0.0, *size)
        )
        targets = self._ignore_out_of_range(targets)
        targets = replace(targets, ignore=targets.ignore | ~fits(targets.boxes, window))
        return PyramidLevel(factor, size, window, targets)

    def __call__(self, image: LabelledImage, rng: np.random.Generator) -> LabelledImage:
        """One training image: a random crop of a random level at which somebody trains."""
        image_wh = (image.image.shape[1], image.image.shape[0])
        turn = None if self.rotation is None else self.rotation.draw(image_wh, rng)
        if turn is not None:
            image = replace(image, targets=turn.targets(image.targets))
        levels = [self.level(image, factor) for factor in self.factors]
        trained = [level for level in levels if not level.targets.ignore.all()] or levels
        level = trained[rng.integers(len(trained))]
        crops = level.crops()
        crop = crops[rng.integers(len(crops))]
        x, y = (
            int(rng.integers(low, high + 1))
            for low, high in zip(crop.lowest_xy, crop.highest_xy, strict=True)
        )
        return self.cut(image, level, (x, y), (float(rng.random()), float(rng.random())), turn)

    def cut(
        self,
        image: LabelledImage,
        level: PyramidLevel,
        corner_xy: tuple[int, int],
        place: tuple[float, float],
        turn: Rotation | None = None,
    ) -> LabelledImage:
        """A window of a level as a training image.

        Args:
            image: its targets are not looked at.
            level: what is cut.
            corner_xy: the window's upper left pixel in the level.
            place: where a level smaller than the canvas lies on it, 0 left (top) to 1 right (bottom).
            turn: of the image, made in the same step; the level's targets are turned already.
        """
        image_wh = (image.image.shape[1], image.image.shape[0])
        canvas_w, canvas_h = self.canvas_wh(image_wh)
        (width, height), (x, y) = level.window_wh, corner_xy
        left, top = round((canvas_w - width) * place[0]), round((canvas_h - height) * place[1])
        window = (x, y, x + width, y + height)
        if turn is None:
            pixels = resized_window(image.image, level.size_wh, window)
        else:
            unscaled = np.multiply(window, np.tile(np.divide(image_wh, level.size_wh), 2))
            pixels = turn.window(image.image, tuple(unscaled.tolist()), (width, height))
        if (width, height) != (canvas_w, canvas_h):
            pixels = padded(pixels, (canvas_h, canvas_w), (left, top), self.fill_rgb)
        shift = np.array([left - x, top - y], np.float32)
        targets = clip_targets(
            scale_targets(level.targets, np.ones(2, np.float32), shift),
            (left, top, left + width, top + height),
        )
        # moving a box that is just large enough may take a rounding error off it
        targets = self._ignore_out_of_range(targets, slack=1e-3)
        return replace(image, image=np.ascontiguousarray(pixels), targets=targets)

    def _ignore_out_of_range(self, targets: PersonTargets, slack: float = 0.0) -> PersonTargets:
        sides = targets.boxes[:, 2:] - targets.boxes[:, :2]
        scale = np.sqrt(sides.prod(axis=1))
        outside = (scale < self.valid_range[0] - slack) | (scale > self.valid_range[1] + slack)
        return replace(targets, ignore=targets.ignore | outside)


def resized_window(
    image: np.ndarray, size_wh: tuple[int, int], window_xyxy: tuple[int, int, int, int]
) -> np.ndarray:
    """Part of the image as it is after resizing to ``size_wh``; enlarging computes no other pixel.

    Args:
        image: (H, W, 3) uint8.
        size_wh: (width, height) of the whole resized image, pixels.
        window_xyxy: pixels of the resized image, within it.
    """
    x1, y1, x2, y2 = window_xyxy
    height, width = image.shape[:2]
    if size_wh == (width, height):
        return image[y1:y2, x1:x2]
    if size_wh[0] < width or size_wh[1] < height:  # only area averaging does not alias
        return cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA)[y1:y2, x1:x2]
    step_x, step_y = width / size_wh[0], height / size_wh[1]
    # Pixel i of the result has its centre at (x1 + i + 0.5) * step in the source.
    to_source = np.array(
        [[step_x, 0, (x1 + 0.5) * step_x - 0.5], [0, step_y, (y1 + 0.5) * step_y - 0.5]], np.float64
    )
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, to_source, (x2 - x1, y2 - y1), flags=how, borderMode=cv2.BORDER_REPLICATE)
