"""The data-driven parameters of the parametric pose NMS (Fang et al., PAMI 2022, section 3.4).

Keypoint AP is maximised on labelled images by pairs in turn, as in the paper: sigma1 and sigma2, then lambda and eta, each
on a grid of factors around the present values. ``python -m fastpose_mtn.evaluation.pose_nms`` is the command.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from fastpose_mtn.errors import InputError
from fastpose_mtn.evaluation.coco.repeated import LabelledPeople, RepeatedAP
from fastpose_mtn.ops.pose_nms import PoseNMS, joint_weights, parametric_order
from fastpose_mtn.ops.pose_similarity import (
    PoseParameters,
    clusters,
    confidence_term,
    distance_term,
    pose_offsets,
)
from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import PersonDetections

ROUNDS = 8
_EXPONENTS = np.linspace(-2, 2, 9)  # of two, times the step: factors on a parameter
_LEAST_GAIN = 1e-4  # of AP by a round, that counts as one
_IDLE_ROUNDS = 2  # after which the search ends
_START = PoseParameters()


@dataclass(frozen=True)
class SearchStep:
    """The best parameters after a step of the search.

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
        for pair in (("sigma1", "sigma2"), ("weight", "threshold")):
            candidate = grid.best(best, pair, step)
            value = measure(candidate) if candidate != best else ap
            if value > ap:
                best, ap = candidate, value
            yield SearchStep(", ".join(pair), best, ap)
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
        self._orders = [parametric_order(image.found) for image in images]
        self._people = [image.found[order] for image, order in zip(images, self._orders, strict=True)]
        self._sure = [people.keypoints[..., 2].max(axis=1, initial=0) >= floor for people in self._people]

    def best(self, around: PoseParameters, pair: tuple[str, str], step: float) -> PoseParameters:
        """The point of two parameters' grid whose people have the greatest AP; of equal ones the nearest to ``around``."""
        factors = 2 ** (step * _EXPONENTS)
        axes = [(getattr(around, name) * factors).tolist() for name in pair]
        points = [around._replace(**dict(zip(pair, values, strict=True))) for values in product(*axes)]
        away = [float(np.hypot(*exponents)) for exponents in product(_EXPONENTS, repeat=2)]
        terms = [_Terms.of(people, self._joints, points) for people in self._people]
        worth = [(self._ap(self._kept(terms, point)), -far) for point, far in zip(points, away, strict=True)]
        return points[worth.index(max(worth))]

    def _kept(self, terms: Sequence[_Terms], point: PoseParameters) -> list[np.ndarray]:
        """Of each image the numbers of the people whom parameters keep."""
        kept = []
        for order, sure, own in zip(self._orders, self._sure, terms, strict=True):
            leaders = np.array([group[0] for group in clusters(own.same(point))], np.int64)
            kept.append(order[leaders[sure[leaders]]])
        return kept


@dataclass(frozen=True, eq=False)
class _Terms:
    """The two terms of an image's similarities, each (N, N), by the values of their sigma."""

    by_score: Mapping[float, np.ndarray]
    by_distance: Mapping[float, np.ndarray]

    @classmethod
    def of(cls, people: PersonDetections, joints: np.ndarray, points: Sequence[PoseParameters]) -> _Terms:
        """Those that the points need."""
        poses = people.keypoints.astype(np.float64)
        near, distance = pose_offsets(people.boxes.astype(np.float64), poses)
        firsts, seconds = {point.sigma1 for point in points}, {point.sigma2 for point in points}
        return cls(
            {sigma: confidence_term(near, poses[..., 2], joints, sigma) for sigma in firsts},
            {sigma: distance_term(distance, joints, sigma) for sigma in seconds},
        )

    def same(self, point: PoseParameters) -> np.ndarray:
        """(N, N): whether two are one person."""
        similarity = self.by_score[point.sigma1] + point.weight * self.by_distance[point.sigma2]
        same: np.ndarray = similarity >= point.threshold
        return same
