"""The data-driven parameters of the parametric pose NMS (Fang et al., PAMI 2022, section 3.4).

Keypoint AP is maximised on labelled images by pairs in turn, as in the paper: sigma1 and sigma2, then lambda and eta, each
on a grid of factors around the present values. ``python -m fastpose_mtn.evaluation.pose_nms`` is the command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fastpose_mtn.errors import InputError
from fastpose_mtn.evaluation.coco.repeated import LabelledPeople, RepeatedAP
from fastpose_mtn.ops.pose_nms import PoseNMS, best_first, joint_weights
from fastpose_mtn.ops.pose_similarity import (
    PoseParameters,
    clusters,
    confidence_term,
    distance_term,
    pose_offsets,
)
from fastpose_mtn.skeletons import Skeleton

ROUNDS = 8
_EXPONENTS = np.linspace(-2, 2, 9)  # of two, times the step: factors on a parameter
_LEAST_GAIN = 1e-4  # of AP by a round, that counts as one
_IDLE_ROUNDS = 2  # after which the search ends
_START = PoseParameters()


@dataclass(frozen=True)
class SearchStep:
    """What the search has come to.

    Attributes:
        what: was looked at: ``start``, or two parameters' names.
        parameters: the best so far.
        ap: their keypoint AP, in [0, 1], as pycocotools', with people merged where the NMS merges them.
    """

    what: str
    parameters: PoseParameters
    ap: float


def search_parameters(
    images: Sequence[LabelledPeople],
    skeleton: Skeleton,
    start: PoseParameters = _START,
    *,
    merge: bool = True,
    floor: float = 0.05,
    rounds: int = ROUNDS,
) -> Iterator[SearchStep]:
    """Searches for the parameters of greatest keypoint AP; gives every step, the last one's are the best.

    Points of a grid are compared by the AP of the poses that are kept, as they were found; the best is then measured with
    what merging does to them, and taken if that is more than before. So AP never falls.

    Args:
        images: with the people found before any were left out.
        skeleton: of the people.
        start: to begin with.
        merge: see ``PoseNMS``.
        floor: likewise.
        rounds: at most; it ends after two of which neither gained 1e-4.

    Raises:
        InputError: nobody is labelled.
    """
    grid = _Grid(images, skeleton, floor)

    def measure(parameters: PoseParameters) -> float:
        nms = PoseNMS(skeleton, kind="parametric", parameters=parameters, merge=merge, floor=floor)
        return keypoint_ap(images, skeleton, nms)

    best, ap = start, measure(start)
    if np.isnan(ap):
        raise InputError("pose NMS: nobody is labelled with joints that the people found have")
    yield SearchStep("start", best, ap)
    step, idle = 1.0, 0
    for _ in range(rounds):
        before = ap
        for first, second, propose in (
            ("sigma1", "sigma2", grid.sigmas),
            ("weight", "threshold", grid.weights),
        ):
            candidate = propose(best, step)
            value = measure(candidate) if candidate != best else ap
            if value > ap:
                best, ap = candidate, value
            yield SearchStep(f"{first}, {second}", best, ap)
        gained = ap - before >= _LEAST_GAIN
        step, idle = (step, 0) if gained else (step / 2, idle + 1)
        if idle == _IDLE_ROUNDS:
            return


def keypoint_ap(images: Sequence[LabelledPeople], skeleton: Skeleton, nms: PoseNMS) -> float:
    """Keypoint AP in [0, 1], as pycocotools', of the people whom a pose NMS keeps; NaN without labels."""
    kept = [replace(image, found=nms(image.found)) for image in images]
    return RepeatedAP(kept, skeleton)([np.arange(len(image.found)) for image in kept])


class _Grid:
    """The points around given parameters, and which of them keeps the best people."""

    def __init__(self, images: Sequence[LabelledPeople], skeleton: Skeleton, floor: float) -> None:
        self._ap = RepeatedAP(images, skeleton)
        self._joints = joint_weights(skeleton)
        self._orders = [best_first(image.found) for image in images]
        self._people = [image.found[order] for image, order in zip(images, self._orders, strict=True)]
        self._sure = [people.keypoints[..., 2].max(axis=1, initial=0) >= floor for people in self._people]

    def sigmas(self, around: PoseParameters, step: float) -> PoseParameters:
        """The best of the grid of sigma1 and sigma2."""
        firsts, seconds = (value * 2 ** (step * _EXPONENTS) for value in (around.sigma1, around.sigma2))
        terms = [self._terms(people.boxes, people.keypoints, firsts, seconds) for people in self._people]

        def same(image: int, i: int, j: int) -> np.ndarray:
            by_score, by_distance = terms[image]
            found: np.ndarray = by_score[i] + around.weight * by_distance[j] >= around.threshold
            return found

        i, j = self._best(same)
        return around._replace(sigma1=float(firsts[i]), sigma2=float(seconds[j]))

    def weights(self, around: PoseParameters, step: float) -> PoseParameters:
        """The best of the grid of lambda and eta."""
        firsts, seconds = (value * 2 ** (step * _EXPONENTS) for value in (around.weight, around.threshold))
        sigmas = np.array([around.sigma1]), np.array([around.sigma2])
        terms = [self._terms(people.boxes, people.keypoints, *sigmas) for people in self._people]

        def same(image: int, i: int, j: int) -> np.ndarray:
            by_score, by_distance = terms[image]
            found: np.ndarray = by_score[0] + firsts[i] * by_distance[0] >= seconds[j]
            return found

        i, j = self._best(same)
        return around._replace(weight=float(firsts[i]), threshold=float(seconds[j]))

    def _terms(
        self, boxes_xyxy: np.ndarray, keypoints: np.ndarray, sigma1: np.ndarray, sigma2: np.ndarray
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The two terms, each (N, N), for each value of their parameter."""
        boxes, poses = boxes_xyxy.astype(np.float64), keypoints.astype(np.float64)
        near, distance = pose_offsets(boxes, poses)
        return (
            [confidence_term(near, poses[..., 2], self._joints, value) for value in sigma1],
            [distance_term(distance, self._joints, value) for value in sigma2],
        )

    def _best(self, same: Callable[[int, int, int], np.ndarray]) -> tuple[int, int]:
        """The point whose people have the greatest AP; of equal ones the nearest to the middle, where the search stands."""
        middle, best = len(_EXPONENTS) // 2, (-1.0, 0.0)
        point = middle, middle
        for i in range(len(_EXPONENTS)):
            for j in range(len(_EXPONENTS)):
                kept = [
                    order[self._kept(same(image, i, j), self._sure[image])]
                    for image, order in enumerate(self._orders)
                ]
                worth = self._ap(kept), -float(np.hypot(i - middle, j - middle))
                if worth > best:
                    best, point = worth, (i, j)
        return point

    def _kept(self, same: np.ndarray, sure: np.ndarray) -> np.ndarray:
        leaders = np.array([group[0] for group in clusters(same)], np.int64)
        return leaders[sure[leaders]]
