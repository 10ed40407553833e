"""Draws the trunk with its clothes and their patterns, skirts and the neck."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from fastpose_mtn.data.synthetic.appearance import Appearance, Colour
from fastpose_mtn.data.synthetic.body import POINT
from fastpose_mtn.data.synthetic.brush import PART, Brush, capsules, shade
from fastpose_mtn.data.synthetic.figure import Figure


def has_hem(look: Appearance) -> bool:
    """Whether the clothes end in a hem around both thighs: a dress, a coat or a skirt."""
    return look.top in ("dress", "coat") or look.bottom == "skirt"


def _across(
    figure: Figure, centre: np.ndarray, left: np.ndarray, forward: np.ndarray, half: float, thick: float
) -> tuple[np.ndarray, np.ndarray]:
    """The two silhouette points of an elliptic cross-section, image pixels."""
    reach = np.hypot(half * left[0], thick * forward[0])
    tilt = -(half * half * left[0] * left[1] + thick * thick * forward[0] * forward[1]) / max(reach, 1e-6)
    x, y = figure.across
    offset = np.array([x * reach - y * tilt, y * reach + x * tilt])
    return centre - offset, centre + offset


def torso_surface(
    figure: Figure, look: Appearance, h: float, girth: float
) -> tuple[Callable[..., np.ndarray], np.ndarray]:
    """Maps (share of the width, height along the trunk) to pixels; and the heights of its sections."""
    axes, xy = figure.axes, figure.xy
    left, forward = axes[POINT["torso_left"]], axes[POINT["torso_forward"]]
    pelvis, chest = xy[POINT["pelvis"]], xy[POINT["chest"]]
    wide = look.shoulders * (0.6 + 0.4 * look.build)
    thick = {"coat": 1.12, "hoodie": 1.08}.get(look.top, 1.0)
    # Height along the trunk (0 pelvis, 1 shoulders), half width, half depth, as shares of the height.
    levels = (
        (-0.10, 0.086 * look.hips * thick, 0.062),
        (0.10, 0.090 * look.hips * thick, 0.064),
        (0.42, 0.080 * look.build**0.6 * thick, 0.060 * look.build),
        (0.75, 0.100 * wide * thick, 0.066),
        (0.93, 0.122 * wide * thick, 0.058),
        (1.03, 0.080 * wide, 0.045),
        (1.08, 0.034, 0.032),
    )
    edges = [
        _across(figure, pelvis + (chest - pelvis) * v, left, forward, half * h, deep * girth)
        for v, half, deep in levels
    ]
    one_side = np.array([e[0] for e in edges])
    other = np.array([e[1] for e in edges])
    heights = np.array([v for v, _, _ in levels])

    def at(u: np.ndarray | float, v: np.ndarray | float) -> np.ndarray:
        """The point at share ``u`` of the width (0 to 1) and height ``v``."""
        u, v = np.asarray(u, float), np.asarray(v, float)
        shape = u.shape if u.shape else v.shape
        a, b = np.empty((*shape, 2)), np.empty((*shape, 2))
        for i in (0, 1):
            a[..., i] = np.interp(v, heights, one_side[:, i])
            b[..., i] = np.interp(v, heights, other[:, i])
        return a + (b - a) * u[..., None]

    return at, heights


def draw_torso(
    figure: Figure,
    look: Appearance,
    brush: Brush,
    h: float,
    girth: float,
    at: Callable[..., np.ndarray],
    heights: np.ndarray,
) -> None:
    """Paints the trunk with its clothes and their patterns, and the neck.

    Args:
        figure: the person as seen in this frame.
        look: the person's clothes and colours.
        brush: paints.
        h: the person's height, pixels.
        girth: the same, wider for a stout person.
        at: maps (share of the width, height along the trunk) to pixels, see ``torso_surface``.
        heights: along the trunk, of its sections, 0 pelvis to 1 shoulders.
    """
    axes, xy = figure.axes, figure.xy
    left, forward = axes[POINT["torso_left"]], axes[POINT["torso_forward"]]
    chest = xy[POINT["chest"]]
    if not has_hem(look):
        seat = np.concatenate([at(0.0, np.array([-0.16, 0.0, 0.2])), at(1.0, np.array([0.2, 0.0, -0.16]))])
        seat[[0, -1]] = seat[[0, -1]] * 0.7 + 0.3 * seat[[-1, 0]]
        brush.paint(seat, shade(look.bottom_colour, 0.88), PART["torso"])
    lower = 0.02 if look.top in ("tee", "vest") else -0.04
    v = np.array([lower, *heights[heights > lower]])
    outline = np.concatenate([at(0.0, v), at(1.0, v)[::-1]])
    brush.paint(outline, shade(look.top_colour, 0.84), PART["torso"], convex=False)
    if h > 34:
        inner = 0.10 - 0.06 * figure.light, 0.90 - 0.06 * figure.light
        v_in = np.clip(v, lower, 1.04)
        brush.paint(
            np.concatenate([at(inner[0], v_in), at(inner[1], v_in)[::-1]]),
            look.top_colour,
            None,
            convex=False,
        )
    _pattern(look, brush, at, forward, left, lower, h)
    neck = figure.xy[POINT["neck"]]
    if look.hair_style == "scarf":
        collar: Colour = look.hat_colour
    else:
        collar = shade(look.skin, 0.82)
    base = chest + (neck - chest) * 0.1
    brush.paint(
        capsules(base[None], (neck + (neck - chest) * 0.5)[None], np.array([0.031 * girth]), np.array([0.029 * girth]))[0],
        collar, PART["neck"],
    )  # fmt: skip


def draw_hem(figure: Figure, look: Appearance, brush: Brush, h: float, at: Callable[..., np.ndarray]) -> None:
    """A skirt, a dress or the tail of a coat: cloth around both thighs."""
    colour = (
        look.bottom_colour
        if look.bottom == "skirt" and look.top != "dress" and look.top != "coat"
        else look.top_colour
    )
    length = 0.62 if look.top == "coat" else 0.92
    flare = 0.062 if look.top == "coat" else 0.085
    ends = []
    for s in "lr":
        hip, knee = figure.xy[POINT[f"{s}_hip"]], figure.xy[POINT[f"{s}_knee"]]
        end = hip + (knee - hip) * length
        seat, half = hip + (knee - hip) * 0.4, np.array([0.07 * h, 0.0])
        spread = np.array([flare * h, 0.0])
        ends += [np.subtract(end, spread), np.add(end, spread), np.subtract(seat, half), np.add(seat, half)]
    points = np.concatenate(
        [at(np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.12, 0.12, -0.1, -0.1])), np.array(ends)]
    )
    hull = cv2.convexHull(points.astype(np.float32))[:, 0].astype(float)
    brush.paint(hull, shade(colour, 0.82), PART["hem"])
    if h > 34:
        centre = hull.mean(axis=0)
        brush.paint(centre + (hull - centre) * (0.80, 0.97), shade(colour, 0.96), None)


def _pattern(
    look: Appearance,
    brush: Brush,
    at: Callable[..., np.ndarray],
    forward: np.ndarray,
    left: np.ndarray,
    lower: float,
    h: float,
) -> None:
    """Stripes, prints and openings, on the torso's surface: what is on the chest does not show from behind."""
    if h < 28:
        return
    facing = -float(forward[2])  # 1: towards the camera

    def u_of(angle: float) -> float:
        """Where the surface at this angle (0 front, positive to the person's left) lies across the width."""
        x = np.sin(angle) * left[0] + np.cos(angle) * forward[0] * 0.65
        return float(0.5 + 0.5 * x / max(np.hypot(left[0], 0.65 * forward[0]), 1e-6))

    def band(v0: float, v1: float, colour: Colour, u0: float = 0.03, u1: float = 0.97) -> None:
        brush.paint(at(np.array([u0, u1, u1, u0]), np.array([v0, v0, v1, v1])), colour, None)

    colour = look.second_colour
    if look.pattern == "stripes":
        step = 0.16 * look.pattern_scale
        for v in np.arange(lower + 0.05, 0.93, step):
            band(v, min(v + step * 0.45, 0.97), colour)
    elif look.pattern == "checks":
        step = 0.2 * look.pattern_scale
        for v in np.arange(lower + 0.05, 0.93, step):
            band(v, min(v + step * 0.3, 0.97), colour)
        for u in np.arange(0.12, 0.95, 0.2 * look.pattern_scale):
            band(lower, 0.95, look.third_colour, u, u + 0.06)
    elif look.pattern == "two_tone":
        band(lower, 0.45, colour)
    elif look.pattern == "band":
        band(0.45, 0.68, colour)
    elif look.pattern == "halves" and facing > 0.1:
        a, b = u_of(0.0), u_of(np.pi / 2)
        band(lower, 0.97, colour, *(sorted((a, 0.97)) if b > a else sorted((0.03, a))))
    elif look.pattern == "logo" and facing > 0.15:
        a, b = sorted((u_of(-0.45), u_of(0.45)))
        band(0.52, 0.80, colour, a, b)
        if h > 90:
            band(0.60, 0.72, look.third_colour, a + 0.25 * (b - a), b - 0.25 * (b - a))
    elif look.pattern == "open_front" and facing > 0.15:
        a, b = sorted((u_of(-0.3), u_of(0.3)))
        brush.paint(
            at(
                np.array([a, b, 0.65 * b + 0.35 * a, 0.65 * a + 0.35 * b]),
                np.array([lower, lower, 1.05, 1.05]),
            ),
            colour,
            None,
        )
