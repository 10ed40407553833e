"""What stands in front of people: poles, trees, cars, walls, plants and the like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastpose_mtn.data.synthetic.appearance import Colour
from fastpose_mtn.data.synthetic.motion import GroundView
from fastpose_mtn.data.synthetic.scenery import facade, tone

_KINDS = {
    "street": ("pole", "pole", "sign", "tree", "car", "wall"),
    "field": ("tree", "tree", "hedge", "pole", "wall"),
    "indoor": ("pillar", "pillar", "counter", "plant", "plant", "wall"),
}


@dataclass(frozen=True)
class Occluder:
    """A flat thing that stands upright on the ground, facing the camera.

    Attributes:
        x, z: metres, of the middle of its foot.
        half_width: metres, of what can hide a person.
        outlines: each (P, 2) metres: right of the middle, up from the ground.
        colours: one per outline.
    """

    x: float
    z: float
    half_width: float
    outlines: tuple[np.ndarray, ...]
    colours: tuple[Colour, ...]


def place_occluders(
    rng: np.random.Generator, place: str, view: GroundView, distances: np.ndarray, occlusion: float
) -> list[Occluder]:
    """Occluders in front of some of the people.

    Args:
        rng: gives kinds, places and shapes.
        place: street, field or indoor; decides which kinds there are.
        view: the camera at rest.
        distances: (N,) metres, of the people.
        occlusion: 0 to 1; none at 0, about six at 1.
    """
    count = int(rng.binomial(8, 0.75 * occlusion)) if occlusion > 0 else 0
    if occlusion >= 0.15:
        count = max(count, 1)
    out: list[Occluder] = []
    for _ in range(count):
        behind = float(rng.choice(distances)) if len(distances) else 8.0
        z = max(2.2, behind * float(rng.uniform(0.55, 0.85)))
        kind = str(rng.choice(_KINDS[place]))
        # Near the camera only slim things, so that a scene still shows its people.
        if z < 6.0 and kind in ("car", "wall", "hedge", "counter", "tree", "pillar", "sign"):
            kind = "plant" if place == "indoor" and z > 3.5 else "pole"
        elif z < 3.5:
            kind = "pole"
        x = float(rng.uniform(-0.9, 0.9)) * view.half_width_at(z)
        out.append(make_occluder(rng, kind, x, z))
    return out


def make_occluder(rng: np.random.Generator, kind: str, x: float, z: float) -> Occluder:
    """One occluder of a kind: pole, sign, tree, car, wall, hedge, plant, pillar or counter."""
    colour = tone(rng, 50, 190, 30)
    if kind == "pole":
        half = min(float(rng.uniform(0.05, 0.11)), 0.016 * z)
        shapes = _column(rng, half, 6.0, tone(rng, 60, 140, 8))
    elif kind == "pillar":
        half = float(rng.uniform(0.22, 0.4))
        shapes = _column(rng, half, 6.0, tone(rng, 130, 215, 12))
    elif kind == "sign":
        half = 0.4
        shapes = [
            (_rect(-0.04, 0, 0.04, 2.4), (96, 98, 102)),
            (_rect(-0.4, 1.0, 0.4, 2.1), colour),
            (_rect(-0.33, 1.08, 0.33, 2.02), _dim(colour, 1.3)),
            (_rect(-0.25, 1.5, 0.25, 1.7), (240, 238, 230)),
        ]
    elif kind == "tree":
        half = float(rng.uniform(0.14, 0.28))
        shapes = _column(rng, half, 3.0, tone(rng, 70, 105, 6)) + _leaves(rng, 22, 0.0, 3.2, 1.5, 0.9, 0.42)
    elif kind == "car":
        half = 2.1
        body = np.array(
            [
                [-2.1, 0.35],
                [2.1, 0.35],
                [2.15, 0.75],
                [1.5, 0.92],
                [0.95, 1.42],
                [-0.9, 1.45],
                [-1.5, 0.95],
                [-2.1, 0.85],
            ]
        )
        glass = np.array([[1.25, 0.92], [0.85, 1.34], [-0.8, 1.36], [-1.25, 0.94]])
        colour = tone(rng, 60, 200, 50)
        shapes = [
            (body, colour),
            (_rect(-2.1, 0.33, 2.1, 0.55), _dim(colour, 0.7)),
            (glass, (58, 72, 84)),
            (_rect(-0.06, 0.5, 0.0, 1.36), _dim(colour, 0.8)),
        ]
        for wheel in (-1.3, 1.3):
            shapes += [
                (_disc(wheel, 0.33, 0.34, 0.34), (28, 28, 30)),
                (_disc(wheel, 0.33, 0.19, 0.19), (150, 152, 156)),
            ]
    elif kind == "wall":
        half, tall = float(rng.uniform(0.5, 1.1)), float(rng.uniform(0.8, 2.6))
        colour = facade(rng)
        shapes = [(_rect(-half, 0, half, tall), colour)]
        for k, row in enumerate(np.arange(0.0, tall, 0.25)):
            shapes.append((_rect(-half, row, half, row + 0.018), _dim(colour, 0.8)))
            for joint in np.arange(-half + 0.2 + 0.25 * (k % 2), half, 0.5):
                shapes.append((_rect(joint, row, joint + 0.018, min(row + 0.25, tall)), _dim(colour, 0.8)))
        shapes.append((_rect(-half - 0.04, tall - 0.08, half + 0.04, tall), _dim(colour, 0.65)))
    elif kind == "hedge":
        half, tall = float(rng.uniform(0.6, 1.2)), float(rng.uniform(0.7, 1.5))
        shapes = [
            (_rect(-half, 0, half, tall * 0.9), (46, 82, 40)),
            *_leaves(rng, 34, 0.0, tall * 0.55, half, tall * 0.45, 0.2),
        ]
    elif kind == "counter":
        half = float(rng.uniform(0.6, 1.2))
        shapes = [
            (_rect(-half, 0, half, 0.95), colour),
            (_rect(-half - 0.06, 0.93, half + 0.06, 1.03), _dim(colour, 1.3)),
            (_rect(-half + 0.08, 0.1, -0.04, 0.85), _dim(colour, 0.82)),
            (_rect(0.04, 0.1, half - 0.08, 0.85), _dim(colour, 0.82)),
        ]
    else:  # a plant in a pot
        half = 0.35
        pot = np.array([[-0.18, 0], [0.18, 0], [0.26, 0.45], [-0.26, 0.45]])
        shapes = [(pot, tone(rng, 120, 170, 25)), *_leaves(rng, 26, 0.0, 0.95, 0.42, 0.55, 0.17)]
    return Occluder(x, z, half, tuple(s for s, _ in shapes), tuple(c for _, c in shapes))


def _rect(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def _disc(x: float, y: float, rx: float, ry: float, sides: int = 14) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], -1)


def _dim(colour: Colour, factor: float) -> Colour:
    red, green, blue = (int(min(255, c * factor)) for c in colour)
    return red, green, blue


def _column(
    rng: np.random.Generator, radius: float, tall: float, colour: Colour
) -> list[tuple[np.ndarray, Colour]]:
    return [
        (_rect(-radius, 0, radius, tall), _dim(colour, 0.75)),
        (_rect(-0.7 * radius, 0, 0.4 * radius, tall), colour),
        (_rect(-0.5 * radius, 0, -0.1 * radius, tall), _dim(colour, 1.15)),
        (_rect(-1.4 * radius, 0, 1.4 * radius, 0.12), _dim(colour, 0.6)),
    ]


def _leaves(
    rng: np.random.Generator, count: int, x: float, y: float, rx: float, ry: float, size: float
) -> list[tuple[np.ndarray, Colour]]:
    green = np.array([rng.uniform(30, 90), rng.uniform(80, 140), rng.uniform(25, 70)])
    shapes = []
    for k in range(count):
        angle, radius = rng.uniform(0, 2 * np.pi), rng.random() ** 0.5
        at = (x + rx * radius * np.cos(angle), y + ry * radius * np.sin(angle))
        tone = np.clip(green * (0.65 + 0.6 * k / count) + rng.normal(0, 6, 3), 0, 255)
        wide, tall = size * rng.uniform(0.6, 1.3), size * rng.uniform(0.5, 1.0)
        shapes.append((_disc(*at, wide, tall, 9), (int(tone[0]), int(tone[1]), int(tone[2]))))
    return shapes
