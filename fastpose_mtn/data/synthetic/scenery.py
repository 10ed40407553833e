"""What stands around the people: backgrounds behind them and occluders in front of them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from fastpose_mtn.data.synthetic.appearance import Colour
from fastpose_mtn.data.synthetic.motion import GroundView

PLACES = ("street", "field", "indoor")


def _tone(rng: np.random.Generator, low: int, high: int, tint: float = 18) -> Colour:
    red, green, blue = np.clip(rng.uniform(low, high) + rng.normal(0, tint, 3), 5, 250)
    return int(red), int(green), int(blue)


def _gradient(canvas: np.ndarray, top: int, bottom: int, first: Colour, last: Colour) -> None:
    top, bottom = max(top, 0), min(bottom, len(canvas))
    if bottom > top:
        ramp = np.linspace(0, 1, bottom - top)[:, None] * (np.array(last, float) - first) + first
        canvas[top:bottom] = ramp[:, None].astype(np.uint8)


def _texture(rng: np.random.Generator, canvas: np.ndarray, top: int, bottom: int, cells: float, strength: float, squash: float = 1.0) -> None:
    """Adds cloudy grain; ``cells`` is the grain's size in pixels, ``squash`` flattens it."""
    top, bottom = max(top, 0), min(bottom, len(canvas))
    if bottom <= top:
        return
    area = canvas[top:bottom]
    height, width = area.shape[:2]
    total = np.zeros((height, width), np.float32)
    for octave in (1.0, 3.0):
        rows, columns = max(2, int(height / (cells * squash / octave))), max(2, int(width / (cells / octave)))
        grain = rng.normal(0, strength / octave**0.5, (min(rows, height), min(columns, width))).astype(np.float32)
        total += cv2.resize(grain, (width, height), interpolation=cv2.INTER_LINEAR)
    area[:] = np.clip(area + total[:, :, None], 0, 255).astype(np.uint8)


def _perspective_lines(canvas: np.ndarray, horizon: int, colour: Colour, spacing: float, thickness: int) -> None:
    """Lines on the floor that run to the vanishing point, and lines across."""
    height, width = canvas.shape[:2]
    depth = height - horizon
    for k in np.arange(-14, 15):
        foot = int(width / 2 + k * spacing * width)
        cv2.line(canvas, (int(width / 2 + (foot - width / 2) * 0.06), int(horizon + 0.06 * depth)), (foot, height), colour, thickness, cv2.LINE_AA)
    for k in range(1, 26):
        y = int(horizon + depth * 1.25 / (0.12 + 0.28 * k))
        if horizon + 0.05 * depth < y < height:
            cv2.line(canvas, (0, y), (width, y), colour, thickness, cv2.LINE_AA)


def paint_background(rng: np.random.Generator, place: str, size_wh: tuple[int, int], horizon: int) -> np.ndarray:
    """A picture (H, W, 3) of an empty place; the ground begins at row ``horizon``."""
    width, height = size_wh
    canvas = np.zeros((height, width, 3), np.uint8)
    unit = height / 500.0
    if place == "street":
        _street(rng, canvas, horizon, unit)
    elif place == "field":
        _field(rng, canvas, horizon, unit)
    else:
        _indoor(rng, canvas, horizon, unit)
    return canvas


def _sky(rng: np.random.Generator, canvas: np.ndarray, horizon: int) -> None:
    grey = rng.random() < 0.4
    top = _tone(rng, 130, 190, 6) if grey else (int(rng.uniform(70, 130)), int(rng.uniform(130, 180)), int(rng.uniform(190, 240)))
    _gradient(canvas, 0, horizon, top, _tone(rng, 200, 235, 8))
    _texture(rng, canvas, 0, horizon, 120, 9, 0.35)


_FACADES: tuple[Colour, ...] = (
    (158, 92, 74), (186, 148, 116), (206, 194, 172), (132, 128, 124), (176, 172, 168), (120, 96, 84), (150, 160, 168), (214, 204, 190),
)  # fmt: skip


def _facade(rng: np.random.Generator) -> Colour:
    """Brick, plaster, stone or concrete."""
    base = np.array(_FACADES[rng.integers(len(_FACADES))]) * rng.uniform(0.8, 1.1)
    red, green, blue = (int(v) for v in np.clip(base + rng.normal(0, 6, 3), 5, 250))
    return red, green, blue


def _street(rng: np.random.Generator, canvas: np.ndarray, horizon: int, unit: float) -> None:
    height, width = canvas.shape[:2]
    _sky(rng, canvas, horizon)
    base = horizon + int(0.035 * height)
    x = -int(rng.uniform(0, 60) * unit)
    while x < width:
        wide = int(rng.uniform(90, 240) * unit)
        top = int(horizon - rng.uniform(90, 420) * unit)
        wall = _facade(rng)
        cv2.rectangle(canvas, (x, top), (x + wide, base), wall, -1)
        pane = _tone(rng, 40, 110, 14)
        frame = tuple(min(255, c + 40) for c in wall)
        dx, dy = rng.uniform(22, 40) * unit, rng.uniform(30, 48) * unit
        for wy in np.arange(top + 0.4 * dy, base - 1.1 * dy, dy):
            for wx in np.arange(x + 0.3 * dx, x + wide - 0.8 * dx, dx):
                a, b = (int(wx), int(wy)), (int(wx + 0.55 * dx), int(wy + 0.6 * dy))
                cv2.rectangle(canvas, a, b, pane if rng.random() < 0.85 else (214, 200, 150), -1)
                cv2.rectangle(canvas, a, b, frame, 1)
        shop = _tone(rng, 50, 190, 40)
        cv2.rectangle(canvas, (x + int(0.06 * wide), base - int(44 * unit)), (x + int(0.94 * wide), base), (52, 56, 62), -1)
        cv2.rectangle(canvas, (x + int(0.06 * wide), base - int(54 * unit)), (x + int(0.94 * wide), base - int(42 * unit)), shop, -1)
        x += wide
    _texture(rng, canvas, 0, base, 30, 5)
    _gradient(canvas, base, height, _tone(rng, 120, 165, 6), _tone(rng, 130, 180, 6))
    _perspective_lines(canvas, base, _tone(rng, 100, 120, 4), 0.16, 1)
    kerb, road = base + int(0.05 * height), base + int(rng.uniform(0.16, 0.3) * height)
    if rng.random() < 0.65:
        _gradient(canvas, kerb, road, (74, 75, 78), (92, 93, 96))
        cv2.line(canvas, (0, road), (width, road), (190, 188, 180), max(2, int(4 * unit)))
        middle = (kerb + road) // 2
        for dash in range(0, width, int(90 * unit)):
            cv2.rectangle(canvas, (dash, middle - 1), (dash + int(45 * unit), middle + int(2 * unit)), (214, 212, 200), -1)
    _texture(rng, canvas, base, height, 14, 7, 0.4)


def _blob_tree(rng: np.random.Generator, canvas: np.ndarray, x: float, foot: float, tall: float) -> None:
    cv2.rectangle(canvas, (int(x - 0.035 * tall), int(foot - 0.5 * tall)), (int(x + 0.035 * tall), int(foot)), (78, 60, 44), -1)
    green = np.array([rng.uniform(40, 90), rng.uniform(85, 135), rng.uniform(35, 70)])
    for k in range(16):
        centre = (int(x + rng.normal(0, 0.17) * tall), int(foot - (0.68 + rng.normal(0, 0.13)) * tall))
        colour = tuple(int(c) for c in np.clip(green * (0.75 + 0.03 * k), 0, 255))
        cv2.circle(canvas, centre, max(2, int(rng.uniform(0.08, 0.17) * tall)), colour, -1, cv2.LINE_AA)


def _field(rng: np.random.Generator, canvas: np.ndarray, horizon: int, unit: float) -> None:
    height, width = canvas.shape[:2]
    _sky(rng, canvas, horizon)
    for layer in range(3):
        xs = np.linspace(0, width, 24)
        ys = horizon - (60 - 22 * layer) * unit * (1 + 0.5 * np.sin(xs / width * rng.uniform(4, 11) + rng.uniform(0, 6)))
        green = (int(120 - 20 * layer), int(146 - 6 * layer), int(128 - 30 * layer))
        outline = np.concatenate([np.stack([xs, ys], -1), [[width, horizon + 4], [0, horizon + 4]]])
        cv2.fillPoly(canvas, [outline.astype(np.int32)], green, cv2.LINE_AA)
    _gradient(canvas, horizon, height, (112, 142, 76), (int(rng.uniform(80, 120)), int(rng.uniform(125, 150)), int(rng.uniform(55, 80))))
    _texture(rng, canvas, horizon, height, 26, 10, 0.35)
    _texture(rng, canvas, horizon, height, 5, 8, 0.8)
    if rng.random() < 0.5:  # a path
        left = rng.uniform(0.1, 0.8) * width
        path = np.array([[left, horizon], [left + 12 * unit, horizon], [left + rng.uniform(-200, 500) * unit, height], [left - rng.uniform(0, 500) * unit, height]])
        cv2.fillPoly(canvas, [path.astype(np.int32)], (186, 168, 132), cv2.LINE_AA)
        _texture(rng, canvas, horizon, height, 9, 5, 0.5)
    else:  # a pitch's lines
        for k in range(4):
            y = int(horizon + (height - horizon) * (0.08 + 0.24 * k))
            cv2.line(canvas, (0, y), (width, y), (222, 226, 214), 1 + k)
    for _ in range(int(rng.integers(5, 13))):
        _blob_tree(rng, canvas, rng.uniform(0, width), horizon + rng.uniform(2, 20) * unit, rng.uniform(70, 190) * unit)
    if rng.random() < 0.5:
        for x in np.arange(0, width, 26 * unit):
            cv2.line(canvas, (int(x), int(horizon - 14 * unit)), (int(x), int(horizon + 14 * unit)), (120, 92, 62), max(1, int(3 * unit)))
        cv2.line(canvas, (0, int(horizon - 6 * unit)), (width, int(horizon - 6 * unit)), (132, 102, 70), max(1, int(3 * unit)))


def _indoor(rng: np.random.Generator, canvas: np.ndarray, horizon: int, unit: float) -> None:
    height, width = canvas.shape[:2]
    base = horizon + int(rng.uniform(0.06, 0.12) * height)
    wall = _tone(rng, 140, 225, 9)
    _gradient(canvas, 0, base, tuple(int(0.86 * c) for c in wall), wall)  # type: ignore[arg-type]
    if rng.random() < 0.5:  # panels
        low = tuple(int(0.7 * c) for c in wall)
        cv2.rectangle(canvas, (0, base - int(70 * unit)), (width, base), low, -1)
    x = rng.uniform(0, 120) * unit
    while x < width:
        kind = rng.integers(4)
        wide = rng.uniform(60, 150) * unit
        a = int(x)
        if kind == 0:  # a door
            cv2.rectangle(canvas, (a, int(base - 190 * unit)), (int(x + 80 * unit), base), _tone(rng, 70, 170, 30), -1)
            cv2.rectangle(canvas, (a, int(base - 190 * unit)), (int(x + 80 * unit), base), (60, 52, 46), max(1, int(3 * unit)))
            cv2.circle(canvas, (int(x + 68 * unit), int(base - 92 * unit)), max(2, int(4 * unit)), (210, 200, 150), -1)
        elif kind == 1:  # a picture
            top = int(base - rng.uniform(190, 260) * unit)
            cv2.rectangle(canvas, (a, top), (int(x + wide), top + int(80 * unit)), (64, 50, 40), -1)
            cv2.rectangle(canvas, (a + 5, top + 5), (int(x + wide) - 5, top + int(80 * unit) - 5), _tone(rng, 60, 220, 45), -1)
            cv2.circle(canvas, (int(x + wide / 2), top + int(40 * unit)), int(22 * unit), _tone(rng, 60, 220, 45), -1, cv2.LINE_AA)
        elif kind == 2:  # a window
            top = int(base - 230 * unit)
            cv2.rectangle(canvas, (a, top), (int(x + wide), top + int(130 * unit)), (206, 224, 238), -1)
            cv2.rectangle(canvas, (a, top), (int(x + wide), top + int(130 * unit)), (240, 240, 236), max(2, int(5 * unit)))
            cv2.line(canvas, (int(x + wide / 2), top), (int(x + wide / 2), top + int(130 * unit)), (240, 240, 236), max(1, int(3 * unit)))
        else:  # shelves
            for k in range(4):
                y = int(base - (40 + 48 * k) * unit)
                cv2.rectangle(canvas, (a, y), (int(x + wide), y + max(2, int(5 * unit))), (112, 84, 58), -1)
                for bx in np.arange(x + 3, x + wide - 8 * unit, 9 * unit):
                    if rng.random() < 0.8:
                        cv2.rectangle(canvas, (int(bx), int(y - rng.uniform(18, 36) * unit)), (int(bx + 7 * unit), y), _tone(rng, 50, 200, 45), -1)
        x += wide + rng.uniform(30, 170) * unit
    cv2.rectangle(canvas, (0, base - int(8 * unit)), (width, base), (232, 230, 224), -1)
    _texture(rng, canvas, 0, base, 40, 4)
    floor = np.array([(152, 116, 80), (176, 170, 160), (110, 96, 88), (196, 186, 168)][rng.integers(4)])
    _gradient(canvas, base, height, tuple(int(c * 0.82) for c in floor), tuple(int(c) for c in floor))  # type: ignore[arg-type]
    _perspective_lines(canvas, base, tuple(int(c * 0.72) for c in floor), rng.uniform(0.09, 0.2), 1)  # type: ignore[arg-type]
    _texture(rng, canvas, base, height, 22, 5, 0.3)


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


def _rect(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def _disc(x: float, y: float, rx: float, ry: float, sides: int = 14) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], -1)


def _dim(colour: Colour, factor: float) -> Colour:
    red, green, blue = (int(min(255, c * factor)) for c in colour)
    return red, green, blue


def _column(rng: np.random.Generator, radius: float, tall: float, colour: Colour) -> list[tuple[np.ndarray, Colour]]:
    return [
        (_rect(-radius, 0, radius, tall), _dim(colour, 0.75)),
        (_rect(-0.7 * radius, 0, 0.4 * radius, tall), colour),
        (_rect(-0.5 * radius, 0, -0.1 * radius, tall), _dim(colour, 1.15)),
        (_rect(-1.4 * radius, 0, 1.4 * radius, 0.12), _dim(colour, 0.6)),
    ]


def _leaves(rng: np.random.Generator, count: int, x: float, y: float, rx: float, ry: float, size: float) -> list[tuple[np.ndarray, Colour]]:
    green = np.array([rng.uniform(30, 90), rng.uniform(80, 140), rng.uniform(25, 70)])
    shapes = []
    for k in range(count):
        angle, radius = rng.uniform(0, 2 * np.pi), rng.random() ** 0.5
        at = (x + rx * radius * np.cos(angle), y + ry * radius * np.sin(angle))
        tone = np.clip(green * (0.65 + 0.6 * k / count) + rng.normal(0, 6, 3), 0, 255)
        wide, tall = size * rng.uniform(0.6, 1.3), size * rng.uniform(0.5, 1.0)
        shapes.append((_disc(*at, wide, tall, 9), (int(tone[0]), int(tone[1]), int(tone[2]))))
    return shapes


def make_occluder(rng: np.random.Generator, kind: str, x: float, z: float) -> Occluder:
    """One occluder of a kind: pole, sign, tree, car, wall, hedge, plant, pillar or counter."""
    colour = _tone(rng, 50, 190, 30)
    if kind == "pole":
        half = min(float(rng.uniform(0.05, 0.11)), 0.016 * z)
        shapes = _column(rng, half, 6.0, _tone(rng, 60, 140, 8))
    elif kind == "pillar":
        half = float(rng.uniform(0.22, 0.4))
        shapes = _column(rng, half, 6.0, _tone(rng, 130, 215, 12))
    elif kind == "sign":
        half = 0.4
        shapes = [(_rect(-0.04, 0, 0.04, 2.4), (96, 98, 102)), (_rect(-0.4, 1.0, 0.4, 2.1), colour), (_rect(-0.33, 1.08, 0.33, 2.02), _dim(colour, 1.3)), (_rect(-0.25, 1.5, 0.25, 1.7), (240, 238, 230))]
    elif kind == "tree":
        half = float(rng.uniform(0.14, 0.28))
        shapes = _column(rng, half, 3.0, _tone(rng, 70, 105, 6)) + _leaves(rng, 22, 0.0, 3.2, 1.5, 0.9, 0.42)
    elif kind == "car":
        half = 2.1
        body = np.array([[-2.1, 0.35], [2.1, 0.35], [2.15, 0.75], [1.5, 0.92], [0.95, 1.42], [-0.9, 1.45], [-1.5, 0.95], [-2.1, 0.85]])
        glass = np.array([[1.25, 0.92], [0.85, 1.34], [-0.8, 1.36], [-1.25, 0.94]])
        colour = _tone(rng, 60, 200, 50)
        shapes = [(body, colour), (_rect(-2.1, 0.33, 2.1, 0.55), _dim(colour, 0.7)), (glass, (58, 72, 84)), (_rect(-0.06, 0.5, 0.0, 1.36), _dim(colour, 0.8))]
        for wheel in (-1.3, 1.3):
            shapes += [(_disc(wheel, 0.33, 0.34, 0.34), (28, 28, 30)), (_disc(wheel, 0.33, 0.19, 0.19), (150, 152, 156))]
    elif kind == "wall":
        half, tall = float(rng.uniform(0.5, 1.1)), float(rng.uniform(0.8, 2.6))
        colour = _facade(rng)
        shapes = [(_rect(-half, 0, half, tall), colour)]
        for k, row in enumerate(np.arange(0.0, tall, 0.25)):
            shapes.append((_rect(-half, row, half, row + 0.018), _dim(colour, 0.8)))
            for joint in np.arange(-half + 0.2 + 0.25 * (k % 2), half, 0.5):
                shapes.append((_rect(joint, row, joint + 0.018, min(row + 0.25, tall)), _dim(colour, 0.8)))
        shapes.append((_rect(-half - 0.04, tall - 0.08, half + 0.04, tall), _dim(colour, 0.65)))
    elif kind == "hedge":
        half, tall = float(rng.uniform(0.6, 1.2)), float(rng.uniform(0.7, 1.5))
        shapes = [(_rect(-half, 0, half, tall * 0.9), (46, 82, 40)), *_leaves(rng, 34, 0.0, tall * 0.55, half, tall * 0.45, 0.2)]
    elif kind == "counter":
        half = float(rng.uniform(0.6, 1.2))
        shapes = [(_rect(-half, 0, half, 0.95), colour), (_rect(-half - 0.06, 0.93, half + 0.06, 1.03), _dim(colour, 1.3)), (_rect(-half + 0.08, 0.1, -0.04, 0.85), _dim(colour, 0.82)), (_rect(0.04, 0.1, half - 0.08, 0.85), _dim(colour, 0.82))]
    else:  # a plant in a pot
        half = 0.35
        pot = np.array([[-0.18, 0], [0.18, 0], [0.26, 0.45], [-0.26, 0.45]])
        shapes = [(pot, _tone(rng, 120, 170, 25)), *_leaves(rng, 26, 0.0, 0.95, 0.42, 0.55, 0.17)]
    return Occluder(x, z, half, tuple(s for s, _ in shapes), tuple(c for _, c in shapes))


_KINDS = {
    "street": ("pole", "pole", "sign", "tree", "car", "wall"),
    "field": ("tree", "tree", "hedge", "pole", "wall"),
    "indoor": ("pillar", "pillar", "counter", "plant", "plant", "wall"),
}


def place_occluders(
    rng: np.random.Generator, place: str, view: GroundView, distances: np.ndarray, occlusion: float
) -> list[Occluder]:
    """Occluders in front of some of the people.

    Args:
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
