"""Poses of real people as label files hold them: which people stand in one image, and where their joints are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fastpose_mtn.data.synthetic.pose_completion import complete_poses, drawn_poses
from fastpose_mtn.errors import InputError
from fastpose_mtn.skeletons import COCO17

MIN_JOINTS = 5  # labelled, below it too little of a pose is known
_TRUNK = [COCO17.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("shoulder", "hip")]
_MIN_TRUNK = 2  # of shoulders and hips: without them neither place nor size of the body is known
_LIMBS = slice(COCO17.index("left_shoulder"), COCO17.index("right_ankle") + 1)
_EXAMPLES = 1500  # whole poses that hidden limbs are taken from; more cost time and add little
_USUAL_SIZE = (640, 480)  # COCO's commonest, where an image's own cannot be told
_SIDES = np.arange(64, 641)  # pixels, that an image of COCO may have
_ROUNDED = 0.01  # pixels, by which 65535ths of a side are off


@dataclass(frozen=True, eq=False)
class Arrangement:
    """People of one image.

    Attributes:
        keypoints: (N, 17, 3) in COCO17's order: x, y in pixels and v; what is not labelled has v 0.
        size_wh: the image's (width, height), pixels.
    """

    keypoints: np.ndarray
    size_wh: tuple[int, int]


@dataclass(frozen=True, eq=False)
class PosePrior:
    """Poses of N people in M images, from which drawn people's poses, sizes and places are taken.

    Attributes:
        keypoints: (N, 17, 3) float32 in COCO17's order: x, y as shares of the image's sides and v; people of one
            image follow each other.
        counts: (M,) int64: people of each image, at least 1.
        sizes_wh: (M, 2) int64 pixels; (0, 0): the file does not say.
    """

    keypoints: np.ndarray
    counts: np.ndarray
    sizes_wh: np.ndarray

    @classmethod
    def of_usable(
        cls, keypoints: np.ndarray, images: np.ndarray, sizes_wh: np.ndarray, source: str
    ) -> PosePrior:
        """Those with enough labelled joints.

        Args:
            keypoints: (N, 17, 3), as the attribute, of everybody.
            images: (N,) int64: each one's image, a row of ``sizes_wh``.
            sizes_wh: (M, 2) int64, as the attribute.
            source: the file, for the error.

        Raises:
            InputError: there is nobody.
        """
        labelled = keypoints[..., 2] > 0
        usable = (labelled.sum(axis=1) >= MIN_JOINTS) & (labelled[:, _TRUNK].sum(axis=1) >= _MIN_TRUNK)
        # Joints that all lie in one place have no size.
        low = np.where(labelled[..., None], keypoints[..., :2], np.inf).min(axis=1)
        high = np.where(labelled[..., None], keypoints[..., :2], -np.inf).max(axis=1)
        usable &= (high > low).any(axis=1)
        rows = np.flatnonzero(usable)
        if not len(rows):
            raise InputError(
                f"{source}: expected people with {MIN_JOINTS} labelled joints, shoulders or hips among them, got "
                f"nobody of {len(keypoints)}; give labels of whole people, such as COCO's"
            )
        rows = rows[np.argsort(images[rows], kind="stable")]
        shown, counts = np.unique(images[rows], return_counts=True)
        return cls(keypoints[rows].astype(np.float32), counts.astype(np.int64), sizes_wh[shown])

    def arrangements(self, rng: np.random.Generator, people: int) -> list[Arrangement]:
        """Images that together show this many people: one image where one shows as many.

        Args:
            rng: which images, of those with the number that is wanted.
            people: how many; where all images have more, some of an image's people are left out.
        """
        chosen: list[Arrangement] = []
        while people > 0:
            fitting = self.counts[self.counts <= people]
            count = fitting.max() if len(fitting) else self.counts.min()
            image = int(rng.choice(np.flatnonzero(self.counts == count)))
            found = self.image(image)
            keep = rng.permutation(int(count))[:people]
            chosen.append(Arrangement(found.keypoints[np.sort(keep)], found.size_wh))
            people -= len(keep)
        return chosen

    def image(self, index: int) -> Arrangement:
        """The people of one image."""
        end = self._ends[index]
        shares = self.keypoints[end - self.counts[index] : end].astype(np.float64)
        width, height = self.sizes_wh[index].tolist()
        if width > 0:
            return Arrangement(shares * (width, height, 1), (width, height))
        size = _size_of_whole_pixels(shares[shares[..., 2] > 0])
        # Joints that are pixels' numbers lie in the middle of these.
        return Arrangement(shares * (*size, 1) + (0.5, 0.5, 0), size)

    def completed(self, arrangement: Arrangement) -> np.ndarray:
        """(N, 17, 3): the arrangement's people with all shoulders, hips and limbs; the face stays as it is."""
        return complete_poses(arrangement.keypoints, self._examples)

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.cumsum(self.counts)

    @cached_property
    def _examples(self) -> np.ndarray:
        """(E, 17, 3) whole poses in pixels, those of drawn people among them, so that there is always one."""
        whole = np.flatnonzero((self.keypoints[:, _LIMBS, 2] > 0).all(axis=1))
        some = whole[np.linspace(0, len(whole) - 1, min(len(whole), _EXAMPLES)).astype(np.int64)]
        images = np.searchsorted(self._ends, some, side="right")
        poses = [
            self.image(image).keypoints[row - (self._ends[image] - self.counts[image])]
            for row, image in zip(some.tolist(), images.tolist(), strict=True)
        ]
        return np.concatenate([np.array(poses).reshape(-1, len(COCO17), 3), drawn_poses()])


def _size_of_whole_pixels(shares: np.ndarray) -> tuple[int, int]:
    """The (width, height) on which all these shares (N, 2 or more) are whole pixels, as COCO's joints are.

    Shares are rounded to 1/65535 of a side, a hundredth of a pixel, so a few joints tell it. Where several are possible,
    as 320 and 640, it is the largest.
    """
    sides = []
    for axis in (0, 1):
        places = shares[:, axis, None] * _SIDES
        error = np.abs(places - np.rint(places)).max(axis=0)
        possible = _SIDES[error <= _ROUNDED]
        if not len(possible):
            return _USUAL_SIZE
        sides.append(int(possible[-1]))
    return sides[0], sides[1]
