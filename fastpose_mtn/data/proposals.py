"""Boxes as a detector would have drawn them, for training crops (AlphaPose's PGPG, section 3.3).

A network that has seen labelled boxes only does worse in those that a detector finds. So its training crops are taken
around boxes that differ from the labels as detections do.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import yaml

from fastpose_mtn.config import CfgNode
from fastpose_mtn.config.files import read_yaml
from fastpose_mtn.data.person_parts import WHOLE
from fastpose_mtn.errors import InputError
from fastpose_mtn.files import write_text

_TRIES = 10  # to draw a box that has sides
_SMALLEST = 2.0  # pixels of a side


class BoxSampler(Protocol):
    """Draws boxes as a detector would have found them."""

    def __call__(self, box_xyxy: np.ndarray, rng: np.random.Generator, part: str = WHOLE) -> np.ndarray:
        """(4,) xyxy: a person's box.

        Args:
            box_xyxy: (4,) the labelled box, pixels.
            rng: for the draw.
            part: whose box it is: a person's, or one of ``person_parts.PARTS``, which is all that is labelled of them.
        """
        ...


def released_box(box_xyxy: np.ndarray, rng: np.random.Generator, part: str = WHOLE) -> np.ndarray:
    """The released code's variant: one distribution for all people, whose numbers are its; see ``BoxSampler``.

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
    least and the greatest of each end, of its uniform approximation; boxes, how many they were fitted to.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    ranges: np.ndarray
    boxes: int

    def mixture(self, rng: np.random.Generator) -> np.ndarray:
        """(2,) drawn from the mixture."""
        component = int(rng.choice(len(self.weights), p=self.weights / self.weights.sum()))
        return rng.multivariate_normal(self.means[component], self.covariances[component])

    def uniform(self, rng: np.random.Generator) -> np.ndarray:
        """(2,) drawn from the uniform approximation."""
        return rng.uniform(self.ranges[:, 0], self.ranges[:, 1])


Table = dict[str, tuple[AxisOffsets, AxisOffsets]]  # offsets along x and y by the part of a person


def save_table(path: Path, table: Table) -> None:
    """Writes fitted offsets as YAML, whole or not at all."""
    plain = {
        part: {
            axis: {name: np.round(value, 6).tolist() for name, value in fit._asdict().items()}
            for axis, fit in zip("xy", axes, strict=True)
        }
        for part, axes in table.items()
    }
    write_text(path, yaml.safe_dump(plain, sort_keys=False))


def load_table(path: Path) -> Table:
    """Reads fitted offsets.

    Raises:
        InputError: the file is missing, or holds something else.
    """
    try:
        with path.open(encoding="utf-8") as file:
            loaded: Any = read_yaml(file)
        return {str(part): (_axis(axes["x"]), _axis(axes["y"])) for part, axes in loaded.items()}
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"INPUT.PGPG.TABLE {path}: not a table of proposals: {error}; python -m fastpose_mtn.data.proposals fit writes one"
        ) from error


def _axis(plain: Mapping[str, Any]) -> AxisOffsets:
    arrays = {name: np.asarray(plain[name], np.float64) for name in AxisOffsets._fields}
    count = arrays["weights"].size
    shapes = {
        "weights": (count,),
        "means": (count, 2),
        "covariances": (count, 2, 2),
        "ranges": (2, 2),
        "boxes": (),
    }
    for name, shape in shapes.items():
        if arrays[name].shape != shape or not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name}: expected finite numbers of shape {shape}, got {arrays[name].shape}")
    if not count or (arrays["weights"] <= 0).any():
        raise ValueError(f"weights: expected numbers above 0, got {plain['weights']}")
    return AxisOffsets(
        arrays["weights"], arrays["means"], arrays["covariances"], arrays["ranges"], int(arrays["boxes"])
    )


class FittedBoxes:
    """Boxes by fitted offsets; see ``BoxSampler``.

    Args:
        table: offsets of whole people, and of parts; a part that is not in it is treated as a whole person is.
        uniform: draw from the uniform approximation instead of the mixture.
    """

    def __init__(self, table: Table, *, uniform: bool = False) -> None:
        self._table, self._uniform = table, uniform

    def __call__(self, box_xyxy: np.ndarray, rng: np.random.Generator, part: str = WHOLE) -> np.ndarray:
        """(4,): the box with its ends moved; the box itself where no draw leaves it any sides."""
        box = np.asarray(box_xyxy, float)
        size = box[2:] - box[:2]
        axes = self._table.get(part, self._table[WHOLE])
        for _ in range(_TRIES):
            ends = np.array([axis.uniform(rng) if self._uniform else axis.mixture(rng) for axis in axes])
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
    if not c.TABLE:
        raise InputError(
            f"INPUT.PGPG.SAMPLER {c.SAMPLER}: needs INPUT.PGPG.TABLE, a file that python -m fastpose_mtn.data.proposals fit "
            f"writes; released needs none"
        )
    table = load_table(Path(c.TABLE))
    if WHOLE not in table:
        raise InputError(
            f"INPUT.PGPG.TABLE {c.TABLE}: it has no offsets of whole people, only of {', '.join(table)}"
        )
    return FittedBoxes(table, uniform=c.SAMPLER == "uniform")


if __name__ == "__main__":
    from fastpose_mtn.commands.proposals import main

    main()
