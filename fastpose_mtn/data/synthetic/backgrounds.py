"""Paints the empty places that people are put into."""

from __future__ import annotations

import cv2
import numpy as np

from fastpose_mtn.data.synthetic.appearance import Colour
from fastpose_mtn.data.synthetic.scenery import facade, tone


def paint_background(
    rng: np.random.Generator, place: str, size_wh: tuple[int, int], horizon: int
) -> np.ndarray:
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


def _gradient(canvas: np.ndarray, top: int, bottom: int, first: Colour, last: Colour) -> None:
    top, bottom = max(top, 0), min(bottom, len(canvas))
    if bottom > top:
        ramp = np.linspace(0, 1, bottom - top)[:, None] * (np.array(last, float) - first) + first
        canvas[top:bottom] = ramp[:, None].astype(np.uint8)


def _texture(
    rng: np.random.Generator,
    canvas: np.ndarray,
    top: int,
    bottom: int,
    cells: float,
    strength: float,
    squash: float = 1.0,
) -> None:
    """Adds cloudy grain; ``cells`` is the grain's size in pixels, ``squash`` flattens it."""
    top, bottom = max(top, 0), min(bottom, len(canvas))
    if bottom <= top:
        return
    area = canvas[top:bottom]
    height, width = area.shape[:2]
    total = np.zeros((height, width), np.float32)
    for octave in (1.0, 3.0):
        rows, columns = max(2, int(height / (cells * squash / octave))), max(2, int(width / (cells / octave)))
        grain = rng.normal(0, strength / octave**0.5, (min(rows, height), min(columns, width))).astype(
            np.float32
        )
        total += cv2.resize(grain, (width, height), interpolation=cv2.INTER_LINEAR)
    area[:] = np.clip(area + total[:, :, None], 0, 255).astype(np.uint8)


def _perspective_lines(
    canvas: np.ndarray, horizon: int, colour: Colour, spacing: float, thickness: int
) -> None:
    """Lines on the floor that run to the vanishing point, and lines across."""
    height, width = canvas.shape[:2]
    depth = height - horizon
    for k in np.arange(-14, 15):
        foot = int(width / 2 + k * spacing * width)
        cv2.line(
            canvas,
            (int(width / 2 + (foot - width / 2) * 0.06), int(horizon + 0.06 * depth)),
            (foot, height),
            colour,
            thickness,
            cv2.LINE_AA,
        )
    for row in range(1, 26):
        y = int(horizon + depth * 1.25 / (0.12 + 0.28 * row))
        if horizon + 0.05 * depth < y < height:
            cv2.line(canvas, (0, y), (width, y), colour, thickness, cv2.LINE_AA)


def _sky(rng: np.random.Generator, canvas: np.ndarray, horizon: int) -> None:
    grey = rng.random() < 0.4
    top = (
        tone(rng, 130, 190, 6)
        if grey
        else (int(rng.uniform(70, 130)), int(rng.uniform(130, 180)), int(rng.uniform(190, 240)))
    )
    _gradient(canvas, 0, horizon, top, tone(rng, 200, 235, 8))
    _texture(rng, canvas, 0, horizon, 120, 9, 0.35)


def _street(rng: np.random.Generator, canvas: np.ndarray, horizon: int, unit: float) -> None:
    height, width = canvas.shape[:2]
    _sky(rng, canvas, horizon)
    base = horizon + int(0.035 * height)
    x = -int(rng.uniform(0, 60) * unit)
    while x < width:
        wide = int(rng.uniform(90, 240) * unit)
        top = int(horizon - rng.uniform(90, 420) * unit)
        wall = facade(rng)
        cv2.rectangle(canvas, (x, top), (x + wide, base), wall, -1)
        pane = tone(rng, 40, 110, 14)
        frame = tuple(min(255, c + 40) for c in wall)
        dx, dy = rng.uniform(22, 40) * unit, rng.uniform(30, 48) * unit
        for wy in np.arange(top + 0.4 * dy, base - 1.1 * dy, dy):
            for wx in np.arange(x + 0.3 * dx, x + wide - 0.8 * dx, dx):
                a, b = (int(wx), int(wy)), (int(wx + 0.55 * dx), int(wy + 0.6 * dy))
                cv2.rectangle(canvas, a, b, pane if rng.random() < 0.85 else (214, 200, 150), -1)
                cv2.rectangle(canvas, a, b, frame, 1)
        shop = tone(rng, 50, 190, 40)
        cv2.rectangle(
            canvas,
            (x + int(0.06 * wide), base - int(44 * unit)),
            (x + int(0.94 * wide), base),
            (52, 56, 62),
            -1,
        )
        cv2.rectangle(
            canvas,
            (x + int(0.06 * wide), base - int(54 * unit)),
            (x + int(0.94 * wide), base - int(42 * unit)),
            shop,
            -1,
        )
        x += wide
    _texture(rng, canvas, 0, base, 30, 5)
    _gradient(canvas, base, height, tone(rng, 120, 165, 6), tone(rng, 130, 180, 6))
    _perspective_lines(canvas, base, tone(rng, 100, 120, 4), 0.16, 1)
    kerb, road = base + int(0.05 * height), base + int(rng.uniform(0.16, 0.3) * height)
    if rng.random() < 0.65:
        _gradient(canvas, kerb, road, (74, 75, 78), (92, 93, 96))
        cv2.line(canvas, (0, road), (width, road), (190, 188, 180), max(2, int(4 * unit)))
        middle = (kerb + road) // 2
        for dash in range(0, width, int(90 * unit)):
            cv2.rectangle(
                canvas,
                (dash, middle - 1),
                (dash + int(45 * unit), middle + int(2 * unit)),
                (214, 212, 200),
                -1,
            )
    _texture(rng, canvas, base, height, 14, 7, 0.4)


def _blob_tree(rng: np.random.Generator, canvas: np.ndarray, x: float, foot: float, tall: float) -> None:
    cv2.rectangle(
        canvas,
        (int(x - 0.035 * tall), int(foot - 0.5 * tall)),
        (int(x + 0.035 * tall), int(foot)),
        (78, 60, 44),
        -1,
    )
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
        ys = horizon - (60 - 22 * layer) * unit * (
            1 + 0.5 * np.sin(xs / width * rng.uniform(4, 11) + rng.uniform(0, 6))
        )
        green = (int(120 - 20 * layer), int(146 - 6 * layer), int(128 - 30 * layer))
        outline = np.concatenate([np.stack([xs, ys], -1), [[width, horizon + 4], [0, horizon + 4]]])
        cv2.fillPoly(canvas, [outline.astype(np.int32)], green, cv2.LINE_AA)
    _gradient(
        canvas,
        horizon,
        height,
        (112, 142, 76),
        (int(rng.uniform(80, 120)), int(rng.uniform(125, 150)), int(rng.uniform(55, 80))),
    )
    _texture(rng, canvas, horizon, height, 26, 10, 0.35)
    _texture(rng, canvas, horizon, height, 5, 8, 0.8)
    if rng.random() < 0.5:  # a path
        left = rng.uniform(0.1, 0.8) * width
        path = np.array(
            [
                [left, horizon],
                [left + 12 * unit, horizon],
                [left + rng.uniform(-200, 500) * unit, height],
                [left - rng.uniform(0, 500) * unit, height],
            ]
        )
        cv2.fillPoly(canvas, [path.astype(np.int32)], (186, 168, 132), cv2.LINE_AA)
        _texture(rng, canvas, horizon, height, 9, 5, 0.5)
    else:  # a pitch's lines
        for k in range(4):
            y = int(horizon + (height - horizon) * (0.08 + 0.24 * k))
            cv2.line(canvas, (0, y), (width, y), (222, 226, 214), 1 + k)
    for _ in range(int(rng.integers(5, 13))):
        _blob_tree(
            rng,
            canvas,
            rng.uniform(0, width),
            horizon + rng.uniform(2, 20) * unit,
            rng.uniform(70, 190) * unit,
        )
    if rng.random() < 0.5:
        for x in np.arange(0, width, 26 * unit):
            cv2.line(
                canvas,
                (int(x), int(horizon - 14 * unit)),
                (int(x), int(horizon + 14 * unit)),
                (120, 92, 62),
                max(1, int(3 * unit)),
            )
        cv2.line(
            canvas,
            (0, int(horizon - 6 * unit)),
            (width, int(horizon - 6 * unit)),
            (132, 102, 70),
            max(1, int(3 * unit)),
        )


def _indoor(rng: np.random.Generator, canvas: np.ndarray, horizon: int, unit: float) -> None:
    height, width = canvas.shape[:2]
    base = horizon + int(rng.uniform(0.06, 0.12) * height)
    wall = tone(rng, 140, 225, 9)
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
            cv2.rectangle(
                canvas, (a, int(base - 190 * unit)), (int(x + 80 * unit), base), tone(rng, 70, 170, 30), -1
            )
            cv2.rectangle(
                canvas,
                (a, int(base - 190 * unit)),
                (int(x + 80 * unit), base),
                (60, 52, 46),
                max(1, int(3 * unit)),
            )
            cv2.circle(
                canvas,
                (int(x + 68 * unit), int(base - 92 * unit)),
                max(2, int(4 * unit)),
                (210, 200, 150),
                -1,
            )
        elif kind == 1:  # a picture
            top = int(base - rng.uniform(190, 260) * unit)
            cv2.rectangle(canvas, (a, top), (int(x + wide), top + int(80 * unit)), (64, 50, 40), -1)
            cv2.rectangle(
                canvas,
                (a + 5, top + 5),
                (int(x + wide) - 5, top + int(80 * unit) - 5),
                tone(rng, 60, 220, 45),
                -1,
            )
            cv2.circle(
                canvas,
                (int(x + wide / 2), top + int(40 * unit)),
                int(22 * unit),
                tone(rng, 60, 220, 45),
                -1,
                cv2.LINE_AA,
            )
        elif kind == 2:  # a window
            top = int(base - 230 * unit)
            cv2.rectangle(canvas, (a, top), (int(x + wide), top + int(130 * unit)), (206, 224, 238), -1)
            cv2.rectangle(
                canvas,
                (a, top),
                (int(x + wide), top + int(130 * unit)),
                (240, 240, 236),
                max(2, int(5 * unit)),
            )
            cv2.line(
                canvas,
                (int(x + wide / 2), top),
                (int(x + wide / 2), top + int(130 * unit)),
                (240, 240, 236),
                max(1, int(3 * unit)),
            )
        else:  # shelves
            for k in range(4):
                y = int(base - (40 + 48 * k) * unit)
                cv2.rectangle(canvas, (a, y), (int(x + wide), y + max(2, int(5 * unit))), (112, 84, 58), -1)
                for bx in np.arange(x + 3, x + wide - 8 * unit, 9 * unit):
                    if rng.random() < 0.8:
                        cv2.rectangle(
                            canvas,
                            (int(bx), int(y - rng.uniform(18, 36) * unit)),
                            (int(bx + 7 * unit), y),
                            tone(rng, 50, 200, 45),
                            -1,
                        )
        x += wide + rng.uniform(30, 170) * unit
    cv2.rectangle(canvas, (0, base - int(8 * unit)), (width, base), (232, 230, 224), -1)
    _texture(rng, canvas, 0, base, 40, 4)
    floor = np.array([(152, 116, 80), (176, 170, 160), (110, 96, 88), (196, 186, 168)][rng.integers(4)])
    _gradient(canvas, base, height, tuple(int(c * 0.82) for c in floor), tuple(int(c) for c in floor))  # type: ignore[arg-type]
    _perspective_lines(canvas, base, tuple(int(c * 0.72) for c in floor), rng.uniform(0.09, 0.2), 1)  # type: ignore[arg-type]
    _texture(rng, canvas, base, height, 22, 5, 0.3)
