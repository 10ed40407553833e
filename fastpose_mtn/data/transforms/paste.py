"""Pasting real people in front of labelled ones, so that joints hidden by somebody are seen in training.

A folder of people with their outlines: ``images/NAME.*``, and for each ``masks/NAME.png``, of the same size,
255 where the person is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from fastpose_mtn.data.image_file import image_size_wh, is_image, read_image
from fastpose_mtn.data.sample import LabelledImage
from fastpose_mtn.data.transforms.occlusion import hide
from fastpose_mtn.errors import InputError
from fastpose_mtn.structures import PersonTargets

# of the pasted person to the covered one: who stands in front is nearer and looks larger
_HEIGHTS = (0.8, 1.6)
_ASIDE = 0.25  # of the covered person's width that the pasted one's middle may lie outside of their box
_LOWER = 0.25  # of the pasted person's height that their feet may be lower; feet nearer to the camera are
_COVERED = 0.6  # share of a box behind the pasted person from which its person is ignored
_MIN_PIXELS = 30  # of a pasted person's outline within the image: less is no person


@dataclass(frozen=True)
class Cutout:
    """One person with their outline, by their two files."""

    image: Path
    mask: Path

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """The person alone: pixels (h, w, 3) uint8 RGB and the outline (h, w) uint8, 255 inside; no rows if it is empty.

        Raises:
            InputError: a file cannot be read, or they are of different sizes.
        """
        pixels, mask = read_image(self.image), read_image(self.mask)[..., 0]
        if pixels.shape[:2] != mask.shape:
            raise InputError(_of_two_sizes(self, pixels.shape[1::-1], mask.shape[::-1]))
        x, y, width, height = cv2.boundingRect((mask > 127).astype(np.uint8))
        part = slice(y, y + height), slice(x, x + width)
        return pixels[part], mask[part]


def find_cutouts(folder: str | Path) -> tuple[Cutout, ...]:
    """The people of ``INPUT.AUG.PASTE_FOLDER``, in order of their names.

    Raises:
        InputError: there is none, or one has no outline, or one of another size; names the file.
    """
    images, masks = Path(folder) / "images", Path(folder) / "masks"
    cutouts = tuple(
        Cutout(path, masks / f"{path.stem}.png")
        for path in (sorted(images.iterdir()) if images.is_dir() else [])
        if is_image(path)
    )
    if not cutouts or not str(folder):
        raise InputError(
            f"INPUT.AUG.PASTE_FOLDER: expected a folder with people in images/NAME.jpg and their outlines in "
            f"masks/NAME.png, got {str(folder)!r}"
        )
    for cutout in cutouts:
        if not cutout.mask.is_file():
            raise InputError(
                f"INPUT.AUG.PASTE_FOLDER: {cutout.image} has no outline; expected {cutout.mask}, 255 inside"
            )
        sizes = image_size_wh(cutout.image), image_size_wh(cutout.mask)
        if sizes[0] != sizes[1]:
            raise InputError(f"INPUT.AUG.PASTE_FOLDER: {_of_two_sizes(cutout, *sizes)}")
    return cutouts


@dataclass(frozen=True)
class PersonPaste:
    """Puts people in front of labelled people.

    Joints below a pasted person become labelled and hidden (v = 1), and who is covered by more than a share is
    ignored. The pasted person has no labels: their box is an ignored one, no example of background.

    Attributes:
        probability: that somebody is pasted in front of a person.
        cutouts: whom to paste.

    Raises:
        ValueError: it is no probability.
    """

    probability: float
    cutouts: tuple[Cutout, ...]

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ValueError(f"INPUT.AUG.PASTE: expected a probability, got {self.probability}")

    def __call__(self, image: LabelledImage, rng: np.random.Generator) -> LabelledImage:
        """The image with other people pasted in front of some of its own, and the joints below them hidden."""
        targets = image.targets
        people = np.flatnonzero(~targets.ignore & (rng.random(len(targets)) < self.probability))
        for person in people:
            pixels, mask = self.cutouts[int(rng.integers(len(self.cutouts)))].read()
            if rng.random() < 0.5:
                pixels, mask = pixels[:, ::-1], mask[:, ::-1]
            if len(mask):
                image = _pasted(image, pixels, mask, _place(targets.boxes[person], mask.shape, rng))
        return image


def _place(box: np.ndarray, mask_hw: tuple[int, ...], rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Where a pasted person stands, whole pixels xyxy, of which some may lie outside the image."""
    width, height = (box[2:] - box[:2]).tolist()
    h = height * float(np.exp(rng.uniform(*np.log(_HEIGHTS))))
    w = h * mask_hw[1] / mask_hw[0]
    x = float(rng.uniform(box[0] - _ASIDE * width, box[2] + _ASIDE * width)) - w / 2
    y = float(box[3]) + h * float(rng.uniform(0, _LOWER)) - h
    left, top = round(x), round(y)
    return left, top, left + max(1, round(w)), top + max(1, round(h))


def _pasted(
    image: LabelledImage, pixels: np.ndarray, mask: np.ndarray, place_xyxy: tuple[int, int, int, int]
) -> LabelledImage:
    """The image with a person in front of everybody, as far as they lie in it.

    Args:
        image: is not changed.
        pixels: (h, w, 3) uint8.
        mask: (h, w) uint8, 255 inside, greys at a soft edge.
        place_xyxy: where the person goes, whole pixels; may reach beyond the image.
    """
    x1, y1, x2, y2 = place_xyxy
    size = (x2 - x1, y2 - y1)
    how = cv2.INTER_AREA if size[0] < mask.shape[1] else cv2.INTER_LINEAR
    height, width = image.image.shape[:2]
    window = max(0, x1), max(0, y1), min(width, x2), min(height, y2)
    if window[0] >= window[2] or window[1] >= window[3]:
        return image
    part = slice(window[1] - y1, window[3] - y1), slice(window[0] - x1, window[2] - x1)
    share = cv2.resize(np.ascontiguousarray(mask), size, interpolation=how)[part].astype(np.float32) / 255
    inside = share > 0.5
    if inside.sum() < _MIN_PIXELS:
        return image
    person = cv2.resize(np.ascontiguousarray(pixels), size, interpolation=how)[part]
    out = image.image.copy()
    view = out[window[1] : window[3], window[0] : window[2]]
    mixed = share[..., None] * person + (1 - share[..., None]) * view
    view[...] = np.rint(mixed).astype(np.uint8)
    targets = hide(image.targets, window, inside, most_covered=_COVERED)
    x, y, w, h = cv2.boundingRect(inside.astype(np.uint8))
    box = np.array([[x, y, x + w, y + h]], np.float32) + np.array([*window[:2], *window[:2]], np.float32)
    return replace(image, image=out, targets=_with_ignored(targets, box))


def _with_ignored(targets: PersonTargets, boxes: np.ndarray) -> PersonTargets:
    """The people and more, (M, 4) boxes of whom nothing else is known."""
    count = len(boxes)
    return PersonTargets(
        boxes=np.concatenate([targets.boxes, boxes]),
        keypoints=np.concatenate(
            [targets.keypoints, np.zeros((count, *targets.keypoints.shape[1:]), np.float32)]
        ),
        identities=np.concatenate([targets.identities, np.full(count, -1, np.int64)]),
        ignore=np.concatenate([targets.ignore, np.ones(count, bool)]),
    )


def _of_two_sizes(cutout: Cutout, image_wh: tuple[int, ...], mask_wh: tuple[int, ...]) -> str:
    return (
        f"{cutout.mask}: expected an outline of {image_wh[0]}x{image_wh[1]} pixels, as {cutout.image.name} is, got "
        f"{mask_wh[0]}x{mask_wh[1]}"
    )
