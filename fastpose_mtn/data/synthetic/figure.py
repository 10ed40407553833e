"""A person as the camera sees them, before anything is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastpose_mtn.data.synthetic.appearance import Appearance

Jobs = list[tuple[float, Callable[[], None]]]  # (metres away, what draws it)


@dataclass(frozen=True)
class Figure:
    """A person as seen in one frame.

    Attributes:
        xy: (P, 2) image pixels of the body's points (axes: unused rows).
        depth: (P,) metres away from the camera, relative to the feet.
        axes: (P, 3) the raw points, whose last rows are unit vectors (right, up, away).
        scale: pixels per metre.
        light: -1 to 1: from where the light falls, left to right.
        box: whether the person carries a box.
        across: (x, y) unit vector of the image across the trunk, to the right of somebody upright; (1, 0) for all
            whose axes are not turned with the trunk.
    """

    xy: np.ndarray
    depth: np.ndarray
    axes: np.ndarray
    scale: float
    light: float
    box: bool
    across: tuple[float, float] = (1.0, 0.0)


def outline_reach(look: Appearance, scale: float) -> float:
    """Pixels by which a figure may reach beyond its points (width of limbs, hair, bags)."""
    return (0.20 + 0.05 * look.build) * look.height * scale + 3.0
