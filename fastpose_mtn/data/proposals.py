"""Boxes as a detector would have drawn them, for training crops (AlphaPose's PGPG, section 3.3).

A network that is shown labelled boxes only is surprised by those that a detector finds. So its training crops are taken
around boxes that differ from the labels as detections do.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml

from fastpose_mtn.config import CfgNode
from fastpose_mtn.errors import InputError

_TRIES = 10  # to draw a box that has sides
_SMALLEST = 2.0  # pixels of a side
_SHARES = (0.05, 0.95)  # quantiles between which the uniform approximation lies

# from a labelled box (4,) xyxy to one that a detector could have found
BoxSampler = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def released_box(box_xyxy: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The released code's variant: one distribution for all people, whose numbers are its.

    In 15 of 100 cases a part of the box, at least 0.85 of each side; else each side moves by itself, about a tenth of
    the box's size.
    """
    x1, y1, x2, y2 = np.asarray(box_xyxy, float)
    width, height = x2 - x1, y2 - y1
    if rng.random() < 0.15:
        share = rng.uniform(0.85, 1.0)
        left, top = x1 + rng.uniform(0, (1 - share) * width), y1 + rng.uniform(0, (1 - share) * height)
        return np.array([left, top, left + share * width, top + share * height])
    means, deviations = (-0.0142, 0.0043, 0.0154, -0.0013), (0.1158, 0.068, 0.1337, 0.0711)
    return np.array([x1, y1, x2, y2]) + rng.normal(means, deviations) * (width, height, width, height)


class AxisOffsets(NamedTuple):
    """How the two ends of boxes differ from their labels along one axis, in shares of the labelled side.

    weights (C,), means (C, 2), covariances (C, 2, 2) of a Gaussian mixture of (lower end, upper end); ranges (2, 2), the
    least and the greatest of each end, of its uniform approximation.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    ranges: np.ndarray

    def mixture(self, rng: np.random.Generator) -> np.ndarray:
        """(2,) drawn from the mixture."""
        component = int(rng.choice(len(self.weights), p=self.weights / self.weights.sum()))
        return rng.multivariate_normal(self.means[component], self.covariances[component])

    def uniform(self, rng: np.random.Generator) -> np.ndarray:
        """(2,) drawn from the uniform approximation."""
        return rng.uniform(self.ranges[:, 0], self.ranges[:, 1])


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
    if len(offsets) < 10:
        raise InputError(f"proposals: expected the offsets of 10 boxes or more, got {len(offsets)}")
    rng = np.random.default_rng(seed)
    best = min((_fit(offsets, count, steps, rng) for count in range(1, most + 1)), key=lambda fit: fit[0])
    ranges = np.quantile(offsets, _SHARES, axis=0).T
    return AxisOffsets(best[1], best[2], best[3], ranges)


_Fit = tuple[float, np.ndarray, np.ndarray, np.ndarray]  # criterion, weights, means, covariances


def _fit(x: np.ndarray, count: int, steps: int, rng: np.random.Generator) -> _Fit:
    means = _spread(x, count, rng)
    weights = np.full(count, 1 / count)
    covariances = np.tile(np.cov(x.T) + 1e-4 * np.eye(2), (count, 1, 1))
    for _ in range(steps):
        each = _log_densities(x, weights, means, covariances)
        share = np.exp(each - np.logaddexp.reduce(each, axis=1, keepdims=True))
        mass = share.sum(axis=0) + 1e-9
        weights, means = mass / mass.sum(), share.T @ x / mass[:, None]
        away = x[:, None] - means
        covariances = np.einsum("nc,nci,ncj->cij", share, away, away) / mass[:, None, None] + 1e-4 * np.eye(2)
    likelihood = np.logaddexp.reduce(_log_densities(x, weights, means, covariances), axis=1).sum()
    return (6 * count - 1) * np.log(len(x)) - 2 * likelihood, weights, means, covariances


def _spread(x: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, 2) starting points far from each other (k-means++)."""
    chosen = [x[rng.integers(len(x))]]
    while len(chosen) < count:
        distance = np.min([((x - c) ** 2).sum(axis=1) for c in chosen], axis=0)
        chosen.append(x[rng.choice(len(x), p=distance / distance.sum())])
    return np.array(chosen)


def _log_densities(
    x: np.ndarray, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray
) -> np.ndarray:
    """(N, C) of each point under each weighted component."""
    away = x[:, None] - means
    square = np.einsum("nci,cij,ncj->nc", away, np.linalg.inv(covariances), away)
    return np.log(weights) - 0.5 * (square + np.log(np.linalg.det(covariances)) + 2 * np.log(2 * np.pi))


def offsets_of(labelled_xyxy: np.ndarray, found_xyxy: np.ndarray) -> np.ndarray:
    """(N, 2, 2): of each pair of boxes (N, 4), along x and along y, how far both ends are off, in shares of the side."""
    size = labelled_xyxy[:, 2:] - labelled_xyxy[:, :2]
    return ((found_xyxy - labelled_xyxy) / np.tile(size, 2)).reshape(-1, 2, 2).transpose(0, 2, 1)


Table = dict[str, tuple[AxisOffsets, AxisOffsets]]  # offsets along x and y by the part of a person


def save_table(path: Path, table: Table) -> None:
    """Writes fitted offsets as YAML."""
    plain = {
        part: {
            axis: {name: np.round(value, 6).tolist() for name, value in fit._asdict().items()}
            for axis, fit in zip("xy", axes, strict=True)
        }
        for part, axes in table.items()
    }
    path.write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")


def load_table(path: Path) -> Table:
    """Reads fitted offsets.

    Raises:
        InputError: the file is missing, or holds something else.
    """
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
        table: Table = {}
        for part, axes in loaded.items():
            x, y = (
                AxisOffsets(**{name: np.asarray(v, float) for name, v in axes[axis].items()}) for axis in "xy"
            )
            table[str(part)] = (x, y)
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"INPUT.PGPG.TABLE {path}: not a table of proposals: {error}") from error
    return table


class FittedBoxes:
    """Boxes by fitted offsets.

    Args:
        axes: offsets along x and along y.
        uniform: draw from the uniform approximation instead of the mixture.
    """

    def __init__(self, axes: tuple[AxisOffsets, AxisOffsets], *, uniform: bool = False) -> None:
        self._axes, self._uniform = axes, uniform

    def __call__(self, box_xyxy: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(4,): the box with its ends moved; the box itself where no draw leaves it any sides."""
        box = np.asarray(box_xyxy, float)
        size = box[2:] - box[:2]
        for _ in range(_TRIES):
            ends = np.array(
                [axis.uniform(rng) if self._uniform else axis.mixture(rng) for axis in self._axes]
            )
            drawn = box + (ends * size[:, None]).T.ravel()
            if (drawn[2:] - drawn[:2] >= _SMALLEST).all():
                return drawn
        return box


def build_box_sampler(cfg: CfgNode) -> BoxSampler | None:
    """What ``INPUT.PGPG`` asks for; None: crops are taken around the labelled boxes.

    Raises:
        InputError: there is no such sampler, or its table cannot be used.
    """
    c = cfg.INPUT.PGPG
    if c.SAMPLER == "":
        return None
    if c.SAMPLER == "released":
        return released_box
    if c.SAMPLER not in ("mixture", "uniform"):
        raise InputError(
            f"INPUT.PGPG.SAMPLER: expected mixture, uniform, released or nothing, got {c.SAMPLER!r}"
        )
    table = load_table(Path(c.TABLE))
    if "whole" not in table:
        raise InputError(
            f"INPUT.PGPG.TABLE {c.TABLE}: it has no offsets of whole people, only of {', '.join(table)}"
        )
    return FittedBoxes(table["whole"], uniform=c.SAMPLER == "uniform")
