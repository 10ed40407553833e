"""Kinds of places, and the tones that things in them have."""

from __future__ import annotations

import numpy as np

from fastpose_mtn.data.synthetic.appearance import Colour

PLACES = ("street", "field", "indoor")
_FACADES: tuple[Colour, ...] = (
    (158, 92, 74), (186, 148, 116), (206, 194, 172), (132, 128, 124), (176, 172, 168), (120, 96, 84), (150, 160, 168), (214, 204, 190),
)  # fmt: skip


def tone(rng: np.random.Generator, low: int, high: int, tint: float = 18) -> Colour:
    """A random colour of about this brightness; ``tint`` is how far from grey."""
    red, green, blue = np.clip(rng.uniform(low, high) + rng.normal(0, tint, 3), 5, 250)
    return int(red), int(green), int(blue)


def facade(rng: np.random.Generator) -> Colour:
    """Brick, plaster, stone or concrete."""
    base = np.array(_FACADES[rng.integers(len(_FACADES))]) * rng.uniform(0.8, 1.1)
    red, green, blue = (int(v) for v in np.clip(base + rng.normal(0, 6, 3), 5, 250))
    return red, green, blue
