"""How a detector's boxes differ from labelled ones, fitted (AlphaPose's PGPG; Fang et al., PAMI 2022, section 3.3).

The offsets of the two ends of a box along an axis, in shares of the labelled side, are a mixture of Gaussians, one for each
part of a person that labels show: a detector finds people, so the box of a hand's person is many times the hand's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from fastpose_mtn.data.person_parts import WHOLE, part_boxes
from fastpose_mtn.data.proposals import AxisOffsets, Table
from fastpose_mtn.errors import InputError
from fastpose_mtn.ops.overlap import iou_matrix
from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import PersonDetections, PersonTargets, has_area

LEAST_BOXES = 10  # to fit anything to
MIN_IOU = 0.5  # of a detection with the labelled person that it shows
_SHARES = (0.05, 0.95)  # quantiles between which the uniform approximation lies
_FLOOR = 1e-4  # of a component's variances, squared shares of the side

Offsets = dict[str, list[np.ndarray]]  # by part, of each box (2, 2): along x and y, of both ends


def add_offsets(
    offsets: Offsets, targets: PersonTargets, found: PersonDetections, skeleton: Skeleton
) -> tuple[int, int]:
    """Adds an image's people to ``offsets``, those whom a detector found.

    Best score first, a box shows the person whom it overlaps most, by an IoU of 0.5 or more, and whom no better one shows.

    Args:
        offsets: are added to.
        targets: the labelled people, NumPy; ignored ones do not count.
        found: the detector's boxes, NumPy.
        skeleton: of the labelled people.

    Returns:
        How many were found, and how many there are.
    """
    people = np.flatnonzero(~targets.ignore & has_area(targets.boxes))
    overlap = iou_matrix(found.boxes, targets.boxes[people])
    count = 0
    for box in np.argsort(-found.scores, kind="stable"):
        if not overlap.shape[1] or overlap[box].max() < MIN_IOU:
            continue
        best = int(overlap[box].argmax())
        overlap[:, best] = 0.0
        count += 1
        person = people[best]
        labelled = {WHOLE: targets.boxes[person], **part_boxes(targets.keypoints[person], skeleton)}
        for part, own in labelled.items():
            offsets.setdefault(part, []).append(offsets_of(own[None], found.boxes[box][None])[0])
    return count, len(people)


def fit_table(offsets: Mapping[str, Iterable[np.ndarray]]) -> Table:
    """The mixtures of each part with enough boxes; see ``fit_axis``.

    Raises:
        InputError: there are too few of whole people.
    """
    stacked = {part: np.array(list(own)).reshape(-1, 2, 2) for part, own in offsets.items()}
    whole = stacked.get(WHOLE, np.zeros((0, 2, 2)))
    return {
        part: (fit_axis(own[:, 0]), fit_axis(own[:, 1]))
        for part, own in ({WHOLE: whole} | stacked).items()
        if part == WHOLE or len(own) >= LEAST_BOXES
    }


def offsets_of(labelled_xyxy: np.ndarray, found_xyxy: np.ndarray) -> np.ndarray:
    """(N, 2, 2): of each pair of boxes (N, 4), along x and along y, how far both ends are off, in shares of the side."""
    size = np.asarray(labelled_xyxy[:, 2:] - labelled_xyxy[:, :2], np.float64)
    return ((found_xyxy - labelled_xyxy) / np.tile(size, 2)).reshape(-1, 2, 2).transpose(0, 2, 1)


def fit_axis(offsets: np.ndarray, *, most: int = 4, steps: int = 100, seed: int = 0) -> AxisOffsets:
    """Fits the offsets along one axis.

    Expectation maximisation from k-means++, with as many components as the Bayesian information criterion likes best.

    Args:
        offsets: (N, 2) of both ends, in shares of the labelled side; 10 or more.
        most: components at most.
        steps: of expectation maximisation.
        seed: of the start.

    Raises:
        InputError: there are too few.
    """
    if len(offsets) < LEAST_BOXES:
        raise InputError(
            f"proposals: expected {LEAST_BOXES} or more boxes that show labelled people (IoU {MIN_IOU} or more), got "
            f"{len(offsets)}"
        )
    rng = np.random.default_rng(seed)
    best = min((_fit(offsets, count, steps, rng) for count in range(1, most + 1)), key=lambda fit: fit[0])
    ranges = np.quantile(offsets, _SHARES, axis=0).T
    return AxisOffsets(best[1], best[2], best[3], ranges, len(offsets))


_Fit = tuple[float, np.ndarray, np.ndarray, np.ndarray]  # criterion, weights, means, covariances


def _fit(x: np.ndarray, count: int, steps: int, rng: np.random.Generator) -> _Fit:
    means = _spread(x, count, rng)
    weights = np.full(count, 1 / count)
    covariances = _floored(np.tile(np.cov(x.T), (count, 1, 1)))
    for _ in range(steps):
        each = _log_densities(x, weights, means, covariances)
        share = np.exp(each - np.logaddexp.reduce(each, axis=1, keepdims=True))
        mass = share.sum(axis=0) + 1e-9
        weights, means = mass / mass.sum(), share.T @ x / mass[:, None]
        away = x[:, None] - means
        covariances = _floored(np.einsum("nc,nci,ncj->cij", share, away, away) / mass[:, None, None])
    likelihood = np.logaddexp.reduce(_log_densities(x, weights, means, covariances), axis=1).sum()
    return (6 * count - 1) * np.log(len(x)) - 2 * likelihood, weights, means, covariances


def _floored(covariances: np.ndarray) -> np.ndarray:
    """(C, 2, 2) without a direction in which a component has no width."""
    variances, axes = np.linalg.eigh(covariances)
    floored: np.ndarray = (axes * np.maximum(variances, _FLOOR)[:, None]) @ axes.transpose(0, 2, 1)
    return floored


def _spread(x: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, 2) starting points far from each other (k-means++)."""
    chosen = [x[rng.integers(len(x))]]
    while len(chosen) < count:
        distance = np.min([((x - c) ** 2).sum(axis=1) for c in chosen], axis=0)
        total = distance.sum()  # 0: all points are the same
        chosen.append(x[rng.choice(len(x), p=distance / total if total > 0 else None)])
    return np.array(chosen)


def _log_densities(
    x: np.ndarray, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray
) -> np.ndarray:
    """(N, C) of each point under each weighted component."""
    away = x[:, None] - means
    square = np.einsum("nci,cij,ncj->nc", away, np.linalg.inv(covariances), away)
    return np.log(weights) - 0.5 * (square + np.log(np.linalg.det(covariances)) + 2 * np.log(2 * np.pi))
