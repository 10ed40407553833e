"""Keypoint AP of many choices of the same people: COCO's, with all that the choice does not change computed once.

It is pycocotools' AP over all sizes, 20 people an image, to the last digit; pycocotools itself would compare the same
poses again for each choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastpose_mtn.ops.oks import AREA_PER_BOX
from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import PersonDetections, PersonTargets

_THRESHOLDS = np.linspace(0.5, 0.95, 10)
_RECALLS = np.linspace(0.0, 1.0, 101)
_MOST = 20  # people of an image
_RIGHT, _WRONG, _NEITHER = 1, 0, -1


@dataclass(frozen=True, eq=False)
class LabelledPeople:
    """Whom a network found in an image, and who is labelled there, NumPy and of one skeleton.

    Attributes:
        found: the people found.
        targets: the labelled people.
        areas: (N,) of the labelled people, square pixels; None: a share of their boxes.
        size_hw: of the image, pixels.
    """

    found: PersonDetections
    targets: PersonTargets
    areas: np.ndarray | None
    size_hw: tuple[int, int]


class RepeatedAP:
    """Keypoint AP of choices among the people of the same images.

    Args:
        images: in the order of their ids, which settles ties between equal scores.
        skeleton: of all people.
    """

    def __init__(self, images: Sequence[LabelledPeople], skeleton: Skeleton) -> None:
        sigmas = np.array(skeleton.sigmas)
        self._similarities = [_similarities(image, sigmas) for image in images]
        self._ignored = [_ignored(image.targets) for image in images]
        self._crowds = [image.targets.ignore for image in images]
        self._scores = [image.found.scores.astype(np.float64) for image in images]
        self._labelled = sum(int((~ignored).sum()) for ignored in self._ignored)
        self._known: list[dict[bytes, np.ndarray]] = [{} for _ in images]

    def __call__(self, chosen: Sequence[np.ndarray]) -> float:
        """Keypoint AP in [0, 1], NaN without a labelled person.

        Args:
            chosen: of each image the numbers (n,) of the people who count.
        """
        if not self._labelled:
            return float("nan")
        scores, hits = [], []
        for number, people in enumerate(chosen):
            order = people[np.argsort(-self._scores[number][people], kind="stable")][:_MOST]
            key = order.tobytes()
            if key not in self._known[number]:
                self._known[number][key] = self._compare(number, order)
            scores.append(self._scores[number][order])
            hits.append(self._known[number][key])
        ranked = np.argsort(-np.concatenate(scores), kind="stable")
        return float(np.mean([_average(row[ranked], self._labelled) for row in np.concatenate(hits, axis=1)]))

    def _compare(self, number: int, order: np.ndarray) -> np.ndarray:
        """(10, n) what each of n people, best first, is at each threshold."""
        ignored, crowds = self._ignored[number], self._crowds[number]
        taken = np.zeros((len(_THRESHOLDS), len(ignored)), bool)
        found = np.full((len(_THRESHOLDS), len(order)), _WRONG, np.int8)
        least = np.minimum(_THRESHOLDS, 1 - 1e-10)[:, None]
        rows = np.arange(len(_THRESHOLDS))
        for place, person in enumerate(order) if len(ignored) else ():
            similarity = self._similarities[number][person]
            fits = (similarity >= least) & (~taken | crowds)
            real = (fits & ~ignored).any(axis=1)
            fits &= np.where(real[:, None], ~ignored, ignored)
            # of equally like ones the last
            best = len(ignored) - 1 - np.where(fits, similarity, -1.0)[:, ::-1].argmax(axis=1)
            some = fits.any(axis=1)
            taken[rows[some], best[some]] = True
            found[some, place] = np.where(real[some], _RIGHT, _NEITHER)
        return found


def _average(hits: np.ndarray, labelled: int) -> float:
    """The precision, averaged over recalls, of people in order, of so many who are labelled."""
    counted = hits[hits != _NEITHER] == _RIGHT
    right = np.cumsum(counted)
    precision = right / np.arange(1, len(counted) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(right / labelled, _RECALLS, side="left")
    return float(np.append(envelope, 0.0)[np.minimum(places, len(envelope))].mean())


def _ignored(targets: PersonTargets) -> np.ndarray:
    """(N,): neither found nor missed."""
    ignored: np.ndarray = targets.ignore | ~(targets.keypoints[..., 2] > 0).any(axis=1)
    return ignored


def _similarities(image: LabelledPeople, sigmas: np.ndarray) -> np.ndarray:
    """(people found, people labelled) object keypoint similarities, of the unlabelled by their boxes, as pycocotools."""
    targets, poses = image.targets, image.found.keypoints[..., :2].astype(np.float64)
    boxes = targets.boxes.astype(np.float64)
    size = boxes[:, 2:] - boxes[:, :2]
    area = AREA_PER_BOX * size.prod(axis=1) if image.areas is None else image.areas
    labelled = targets.keypoints[..., 2] > 0
    offset = poses[:, None] - targets.keypoints[None, ..., :2].astype(np.float64)
    # joints as pixel indices beside three times the box
    index, low, high = (
        poses[:, None] - 0.5,
        boxes[:, None, :2] - size[:, None],
        boxes[:, None, :2] + 2 * size[:, None],
    )
    outside = np.maximum(0, low - index) + np.maximum(0, index - high)
    some = labelled.any(axis=1)
    square = (np.where(some[:, None, None], offset, outside) ** 2).sum(axis=-1)
    scaled = square / (2 * sigmas) ** 2 / (area + np.spacing(1))[:, None] / 2
    counted = labelled | ~some[:, None]
    similarity: np.ndarray = (np.exp(-scaled) * counted).sum(axis=-1) / counted.sum(axis=-1)
    return similarity
