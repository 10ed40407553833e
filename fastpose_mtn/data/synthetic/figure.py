"""Draws one person, far parts first, into the picture and into a mask of body parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from fastpose_mtn.data.synthetic.appearance import Appearance, Colour
from fastpose_mtn.data.synthetic.body import POINT

PARTS = (
    "none", "torso", "head", "face", "neck", "l_upper", "l_fore", "r_upper", "r_fore",
    "l_thigh", "l_shin", "r_thigh", "r_shin", "l_foot", "r_foot", "hem", "carried",
)  # fmt: skip
PART = {name: i for i, name in enumerate(PARTS)}

_SHIFT = 4
_ONE = 1 << _SHIFT
_ARC = np.linspace(-np.pi / 2, np.pi / 2, 6)
_CIRCLE = np.stack([np.cos(np.linspace(0, 2 * np.pi, 20, endpoint=False)), np.sin(np.linspace(0, 2 * np.pi, 20, endpoint=False))], -1)


def shade(colour: Colour, factor: float) -> Colour:
    """The colour, darker (below 1) or lighter (above 1)."""
    if factor <= 1.0:
        return int(colour[0] * factor), int(colour[1] * factor), int(colour[2] * factor)
    k = factor - 1.0
    return (int(colour[0] + (255 - colour[0]) * k), int(colour[1] + (255 - colour[1]) * k), int(colour[2] + (255 - colour[2]) * k))


def capsules(start: np.ndarray, end: np.ndarray, start_radius: np.ndarray, end_radius: np.ndarray) -> np.ndarray:
    """Outlines of tapered limbs.

    Args:
        start, end: (L, 2) pixels.
        start_radius, end_radius: (L,) pixels.

    Returns:
        (L, 12, 2) pixels, convex.
    """
    along = np.arctan2(end[:, 1] - start[:, 1], end[:, 0] - start[:, 0])[:, None]
    at_end, at_start = along + _ARC, along + _ARC + np.pi
    first = end[:, None] + end_radius[:, None, None] * np.stack([np.cos(at_end), np.sin(at_end)], -1)
    second = start[:, None] + start_radius[:, None, None] * np.stack([np.cos(at_start), np.sin(at_start)], -1)
    return np.concatenate([first, second], axis=1)


@dataclass
class Brush:
    """Paints polygons into a picture and, shifted by ``origin``, into a part mask.

    Attributes:
        picture: (H, W, 3) uint8, or None to paint the mask only.
        mask: (h, w) uint8 of ``PART`` numbers, or None.
        origin: (x, y) of the mask's first pixel in the picture.
    """

    picture: np.ndarray | None
    mask: np.ndarray | None
    origin: tuple[int, int]

    def paint(self, outline: np.ndarray, colour: Colour | None, part: int | None, convex: bool = True) -> None:
        """Fills an outline (P, 2) in continuous pixels; no colour or no part leaves that one out."""
        fill = cv2.fillConvexPoly if convex else _fill_any
        if colour is not None and self.picture is not None:
            fill(self.picture, np.rint((outline - 0.5) * _ONE).astype(np.int32), colour, cv2.LINE_AA, _SHIFT)
        if part is not None and self.mask is not None:
            at = np.rint((outline - (self.origin[0] + 0.5, self.origin[1] + 0.5)) * _ONE).astype(np.int32)
            fill(self.mask, at, part, cv2.LINE_8, _SHIFT)


def _fill_any(image: np.ndarray, points: np.ndarray, colour: Colour | int, line: int, shift: int) -> None:
    cv2.fillPoly(image, [points], colour, line, shift)


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
    """

    xy: np.ndarray
    depth: np.ndarray
    axes: np.ndarray
    scale: float
    light: float
    box: bool


def outline_reach(look: Appearance, scale: float) -> float:
    """Pixels by which a figure may reach beyond its points (width of limbs, hair, bags)."""
    return (0.20 + 0.05 * look.build) * look.height * scale + 3.0


def draw_figure(figure: Figure, look: Appearance, brush: Brush) -> None:
    """Draws all parts from far to near."""
    h = look.height * figure.scale  # pixels
    girth = h * (0.55 + 0.45 * look.build)
    jobs: list[tuple[float, Callable[[], None]]] = []
    _queue_limbs(jobs, figure, look, brush, h, girth)
    torso_depth = 0.5 * float(figure.depth[POINT["chest"]] + figure.depth[POINT["pelvis"]])
    at, heights = _torso_surface(figure, look, h, girth)
    jobs.append((torso_depth, lambda: _torso(figure, look, brush, h, girth, at, heights)))
    if _has_hem(look):  # around both thighs
        thighs = [0.5 * (figure.depth[POINT[f"{s}_hip"]] + figure.depth[POINT[f"{s}_knee"]]) for s in "lr"]
        jobs.append((float(min(thighs)) + 0.055, lambda: _hem(figure, look, brush, h, at)))
    head_depth = float(figure.depth[POINT["head"]])
    jobs.append((min(head_depth, torso_depth) - 0.02, lambda: _head(figure, look, brush, h)))
    _queue_belongings(jobs, figure, look, brush, h, torso_depth)
    for _, job in sorted(jobs, key=lambda item: -item[0]):
        job()


def _queue_limbs(
    jobs: list[tuple[float, Callable[[], None]]], figure: Figure, look: Appearance, brush: Brush, h: float, girth: float
) -> None:
    """Legs, feet and arms; what is farther than the trunk is a little darker."""
    loose = {"trousers": 1.14, "leggings": 1.0, "shorts": 1.0, "skirt": 1.0}[look.bottom]
    bare_legs = look.top == "dress" or look.bottom in ("skirt", "shorts")
    sleeve = {"tee": 0.55, "vest": 0.0, "dress": 0.35}.get(look.top, 1.0)
    long_sleeve = look.top in ("long", "coat", "hoodie")
    thick = {"coat": 1.18, "hoodie": 1.12}.get(look.top, 1.0)
    sleeve_colour = look.second_colour if look.contrast_sleeves else look.top_colour
    names, starts, ends, r0, r1, colours, parts, biases = [], [], [], [], [], [], [], []

    def limb(a: str, b: str, ra: float, rb: float, colour: Colour, part: str, bias: float, to: float = 1.0) -> None:
        start, end = figure.xy[POINT[a]], figure.xy[POINT[b]]
        names.append((a, b))
        starts.append(start)
        ends.append(start + (end - start) * to)
        r0.append(ra * girth)
        r1.append(rb * girth)
        colours.append(colour)
        parts.append(PART[part])
        biases.append(bias)

    for s in "lr":
        leg = look.skin if bare_legs else look.bottom_colour
        limb(f"{s}_heel", f"{s}_toe", 0.024, 0.017, look.shoes, f"{s}_foot", 0.075)
        limb(f"{s}_knee", f"{s}_ankle", 0.036 * loose, 0.022 * loose, leg, f"{s}_shin", 0.07)
        limb(f"{s}_hip", f"{s}_knee", 0.052 * loose, 0.037 * loose, leg, f"{s}_thigh", 0.06)
        if look.bottom == "shorts" and look.top != "dress":
            limb(f"{s}_hip", f"{s}_knee", 0.058, 0.050, look.bottom_colour, f"{s}_thigh", 0.059, 0.8)
        limb(f"{s}_wrist", f"{s}_hand", 0.017, 0.014, look.skin, f"{s}_fore", -0.012)
        limb(
            f"{s}_elbow", f"{s}_wrist", 0.023 * thick, 0.017 * thick,
            sleeve_colour if long_sleeve else look.skin, f"{s}_fore", -0.010,
        )  # fmt: skip
        upper = sleeve_colour if sleeve == 1.0 else look.skin
        limb(f"{s}_shoulder", f"{s}_elbow", 0.032 * thick, 0.025 * thick, upper, f"{s}_upper", -0.005)
        if 0.0 < sleeve < 1.0:
            limb(f"{s}_shoulder", f"{s}_elbow", 0.037, 0.035, sleeve_colour, f"{s}_upper", -0.0055, sleeve)
    a, b = np.array(starts), np.array(ends)
    ra, rb = np.maximum(np.array(r0), 0.6), np.maximum(np.array(r1), 0.6)
    base = capsules(a, b, ra, rb)
    shift = np.array([figure.light * 0.28, -0.10])
    core = capsules(a + shift * ra[:, None], b + shift * rb[:, None], 0.62 * ra, 0.62 * rb)
    detailed = h > 55
    for i, (name, colour) in enumerate(zip(names, colours, strict=True)):
        middle = 0.5 * float(figure.depth[POINT[name[0]]] + figure.depth[POINT[name[1]]])
        trunk = float(figure.depth[POINT["pelvis"]])
        tone = float(np.clip(1.0 - 1.1 * (middle - trunk), 0.72, 1.0))

        def job(i: int = i, colour: Colour = colour, tone: float = tone) -> None:
            brush.paint(base[i], shade(colour, (0.82 if detailed else 0.92) * tone), parts[i])
            if detailed:
                brush.paint(core[i], shade(colour, tone), None)
                if look.side_stripe and parts[i] in _LEGS and not bare_legs:
                    middle_line = capsules(a[i : i + 1], b[i : i + 1], 0.2 * ra[i : i + 1], 0.2 * rb[i : i + 1])[0]
                    brush.paint(middle_line, look.second_colour, None)

        jobs.append((middle + biases[i], job))
    if detailed:  # hide the seams at elbows and knees
        for i, (_, end) in enumerate(names):
            bend = next((j for j, (start, _) in enumerate(names) if start == end and colours[j] == colours[i]), None)
            if bend is None or end[2:] not in ("elbow", "knee"):
                continue
            depth = 0.5 * float(figure.depth[POINT[end]])
            nearer = min(depth + 0.5 * float(figure.depth[POINT[names[k][int(k == bend)]]]) + biases[k] for k in (i, bend))
            tone = float(np.clip(1.0 - 1.1 * (2 * depth - float(figure.depth[POINT["pelvis"]])), 0.72, 1.0))
            disc = _ellipse(a[bend] + shift * ra[bend], np.array([0.64 * ra[bend], 0.0]), np.array([0.0, 0.64 * ra[bend]]))
            seam = shade(colours[i], tone)
            jobs.append((nearer - 1e-4, partial(brush.paint, disc, seam, None)))


_LEGS = {PART[name] for name in ("l_thigh", "l_shin", "r_thigh", "r_shin")}


def _across(figure: Figure, centre: np.ndarray, left: np.ndarray, forward: np.ndarray, half: float, thick: float) -> tuple[np.ndarray, np.ndarray]:
    """The two silhouette points of an elliptic cross-section, image pixels."""
    reach = np.hypot(half * left[0], thick * forward[0])
    tilt = -(half * half * left[0] * left[1] + thick * thick * forward[0] * forward[1]) / max(reach, 1e-6)
    offset = np.array([reach, tilt])
    return centre - offset, centre + offset


def _has_hem(look: Appearance) -> bool:
    return look.top in ("dress", "coat") or look.bottom == "skirt"


def _torso_surface(figure: Figure, look: Appearance, h: float, girth: float) -> tuple[Callable[..., np.ndarray], np.ndarray]:
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
        u, v = np.broadcast_arrays(np.asarray(u, float), np.asarray(v, float))
        a = np.stack([np.interp(v, heights, one_side[:, i]) for i in (0, 1)], -1)
        b = np.stack([np.interp(v, heights, other[:, i]) for i in (0, 1)], -1)
        return a + (b - a) * u[..., None]

    return at, heights


def _torso(
    figure: Figure, look: Appearance, brush: Brush, h: float, girth: float, at: Callable[..., np.ndarray], heights: np.ndarray
) -> None:
    axes, xy = figure.axes, figure.xy
    left, forward = axes[POINT["torso_left"]], axes[POINT["torso_forward"]]
    chest = xy[POINT["chest"]]
    if not _has_hem(look):
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
        brush.paint(np.concatenate([at(inner[0], v_in), at(inner[1], v_in)[::-1]]), look.top_colour, None, convex=False)
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


def _hem(figure: Figure, look: Appearance, brush: Brush, h: float, at: Callable[..., np.ndarray]) -> None:
    """A skirt, a dress or the tail of a coat: cloth around both thighs."""
    colour = look.bottom_colour if look.bottom == "skirt" and look.top != "dress" and look.top != "coat" else look.top_colour
    length = 0.62 if look.top == "coat" else 0.92
    flare = 0.062 if look.top == "coat" else 0.085
    ends = []
    for s in "lr":
        hip, knee = figure.xy[POINT[f"{s}_hip"]], figure.xy[POINT[f"{s}_knee"]]
        end = hip + (knee - hip) * length
        ends += [end - (flare * h, 0), end + (flare * h, 0), hip + (knee - hip) * 0.4 - (0.07 * h, 0), hip + (knee - hip) * 0.4 + (0.07 * h, 0)]
    points = np.concatenate([at(np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.12, 0.12, -0.1, -0.1])), np.array(ends)])
    hull = cv2.convexHull(points.astype(np.float32))[:, 0].astype(float)
    brush.paint(hull, shade(colour, 0.82), PART["hem"])
    if h > 34:
        centre = hull.mean(axis=0)
        brush.paint(centre + (hull - centre) * (0.80, 0.97), shade(colour, 0.96), None)


def _pattern(
    look: Appearance, brush: Brush, at: Callable[..., np.ndarray], forward: np.ndarray, left: np.ndarray, lower: float, h: float
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
        brush.paint(at(np.array([a, b, 0.65 * b + 0.35 * a, 0.65 * a + 0.35 * b]), np.array([lower, lower, 1.05, 1.05])), colour, None)


def _ellipse(centre: np.ndarray, right: np.ndarray, down: np.ndarray) -> np.ndarray:
    return centre + _CIRCLE[:, :1] * right + _CIRCLE[:, 1:] * down


def _head(figure: Figure, look: Appearance, brush: Brush, h: float) -> None:
    axes, xy = figure.axes, figure.xy
    head, top, neck = xy[POINT["head"]], xy[POINT["head_top"]], xy[POINT["neck"]]
    forward = axes[POINT["head_forward"]]
    facing, sideways = -float(forward[2]), float(forward[0])
    up = top - neck
    up = up / max(float(np.hypot(*up)), 1e-6)
    right = np.array([-up[1], up[0]])
    tall = 0.073 * h
    broad = (0.054 + 0.008 * abs(sideways)) * h
    centre = head
    hair = look.hair if look.hair_style != "scarf" else look.hat_colour
    scalp = look.skin if look.hair_style == "bald" else hair
    puff = {"afro": 1.42, "scarf": 1.14, "bald": 1.0, "long": 1.12, "bob": 1.14}.get(look.hair_style, 1.07)
    long_hair = look.hair_style in ("long", "bob", "scarf")
    back = centre - right * sideways * 0.22 * broad

    def curtain() -> None:
        length = {"long": 0.165, "bob": 0.095, "scarf": 0.12}[look.hair_style] * h
        w = broad * puff
        where = back - right * sideways * 0.25 * broad
        shape = np.array([where - right * w, where + right * w, where + right * w * 0.95 - up * length, where - right * w * 0.95 - up * length])
        brush.paint(shape, shade(hair, 0.86), PART["head"])

    if look.hair_style == "ponytail" and facing > -0.2:
        tail = centre - right * sideways * 1.25 * broad
        brush.paint(_ellipse(tail - up * 0.55 * tall, right * 0.30 * broad, up * 0.9 * tall), shade(hair, 0.9), PART["head"])
    if long_hair and facing > -0.35:
        curtain()
    lift = up * (0.28 * tall if look.hair_style == "afro" else 0.10 * tall)
    brush.paint(_ellipse(back + lift, right * broad * puff, up * tall * (puff - 0.02)), shade(scalp, 0.9), PART["head"])
    if long_hair and facing <= -0.35:
        curtain()
    if look.hair_style == "bun":
        brush.paint(_ellipse(back + up * 0.95 * tall - right * sideways * 0.7 * broad, right * 0.38 * broad, up * 0.33 * tall), shade(hair, 0.8), PART["head"])
    if look.hair_style == "ponytail" and facing <= -0.2:
        brush.paint(_ellipse(centre - right * sideways * broad - up * 0.6 * tall, right * 0.32 * broad, up * 1.0 * tall), shade(hair, 0.72), PART["head"])
    # Seen from behind, only ears and nape are skin.
    if facing < -0.1 and look.hair_style in ("short", "bun", "ponytail", "bald"):
        for side in (-1.0, 1.0):
            if side * sideways > -0.4:
                brush.paint(_ellipse(centre + right * side * broad * 0.98 - up * 0.12 * tall, right * 0.14 * broad, up * 0.2 * tall), shade(look.skin, 0.85), PART["head"])
    if facing > -0.55:
        _face(look, brush, centre, right, up, tall, broad, facing, sideways, h)
    _hat(look, brush, back, right, up, tall, broad * max(1.0, puff * 0.94), facing, sideways)


def _face(
    look: Appearance, brush: Brush, centre: np.ndarray, right: np.ndarray, up: np.ndarray, tall: float, broad: float,
    facing: float, sideways: float, h: float,
) -> None:  # fmt: skip
    """The skin of the face, shifted towards where the head looks, and its features."""
    visible = float(np.clip((facing + 0.55) / 0.9, 0.0, 1.0))
    half = broad * (0.42 + 0.46 * visible)
    shift = right * sideways * (broad * 1.02 - half)
    low = 0.0 if look.hair_style == "bald" else 0.13
    middle = centre + shift - up * low * tall
    brush.paint(_ellipse(middle, right * half, up * tall * (0.98 - low)), look.skin, PART["face"])
    if h > 60:  # the jaw's shaded side
        brush.paint(_ellipse(middle - up * 0.52 * tall, right * half * 0.62, up * tall * 0.34), shade(look.skin, 0.93), None)

    def on_face(yaw: float, v: float) -> tuple[np.ndarray, float]:
        """A point at this angle around the head; its second value is how much it faces the camera."""
        c, s = np.cos(yaw), np.sin(yaw)
        return centre + right * broad * 0.98 * (sideways * c + facing * s) + up * v * tall, float(facing * c - sideways * s)

    if look.beard and facing > -0.3:
        at, _ = on_face(0.0, -0.62)
        brush.paint(_ellipse(at, right * half * 0.78, up * tall * 0.36), shade(look.hair, 0.95), PART["face"])
    size = max(0.10 * broad, 0.55)
    if h > 45:
        for yaw in (-0.42, 0.42):
            at, seen = on_face(yaw, 0.02)
            if seen > 0.12:
                w = size * max(seen, 0.4)
                if h > 110:
                    brush.paint(_ellipse(at, right * w * 1.9, up * size * 1.05), (238, 236, 232), None)
                    brush.paint(_ellipse(at + up * size * 2.1, right * w * 2.1, up * size * 0.45), shade(look.hair, 0.7), None)
                brush.paint(_ellipse(at, right * w, up * size), (30, 24, 24), None)
                if look.glasses:
                    brush.paint(_ellipse(at, right * w * 2.4, up * size * 1.9), (40, 40, 46), None)
                    brush.paint(_ellipse(at, right * w * 1.8, up * size * 1.3), (150, 160, 170), None)
        at, seen = on_face(0.0, -0.52)
        if seen > 0.1:
            brush.paint(_ellipse(at, right * broad * 0.30 * max(seen, 0.4), up * max(0.05 * tall, 0.45)), shade(look.skin, 0.55), None)
    if abs(sideways) > 0.35 and facing > -0.5:  # the nose stands out in profile
        at, _ = on_face(0.0, -0.12)
        out = right * np.sign(sideways) * broad * 0.24 * abs(sideways)
        brush.paint(np.array([at + up * 0.16 * tall, at + out - up * 0.14 * tall, at - up * 0.2 * tall]), look.skin, PART["face"])
    elif h > 60:
        at, _ = on_face(0.0, -0.16)
        brush.paint(_ellipse(at, right * broad * 0.11, up * tall * 0.13), shade(look.skin, 0.8), None)
    if abs(sideways) > 0.5 and look.hair_style in ("short", "bald", "bun", "ponytail"):
        at = centre - right * sideways * 0.12 * broad - up * 0.12 * tall
        brush.paint(_ellipse(at, right * 0.17 * broad, up * 0.2 * tall), shade(look.skin, 0.84), PART["head"])


def _hat(
    look: Appearance, brush: Brush, centre: np.ndarray, right: np.ndarray, up: np.ndarray, tall: float, broad: float,
    facing: float, sideways: float,
) -> None:  # fmt: skip
    if look.hat == "none" or look.hair_style in ("afro", "scarf", "bun"):
        return
    arc = np.linspace(0, np.pi, 10)
    base = 0.34 if look.hat != "beanie" else 0.22
    dome = centre + up * base * tall + right * (np.cos(arc) * broad * 1.08)[:, None] + up * (np.sin(arc) * (1.0 - base + 0.18) * tall)[:, None]
    brush.paint(dome, look.hat_colour, PART["head"])
    if look.hat == "cap" and facing > -0.6:
        brim = centre + up * base * tall + right * sideways * broad * 0.95
        brush.paint(_ellipse(brim, right * broad * (0.55 + 0.25 * max(facing, 0.0)), up * tall * (0.10 + 0.08 * max(facing, 0.0))), shade(look.hat_colour, 0.7), PART["head"])
    elif look.hat == "brim":
        brush.paint(_ellipse(centre + up * base * tall, right * broad * 1.7, up * tall * 0.16), shade(look.hat_colour, 0.8), PART["head"])
    elif look.hat == "beanie":
        brush.paint(np.array([centre + up * base * tall + right * broad * x + up * tall * y for x, y in ((-1.1, -0.08), (1.1, -0.08), (1.1, 0.18), (-1.1, 0.18))]), shade(look.hat_colour, 0.75), PART["head"])


def _queue_belongings(
    jobs: list[tuple[float, Callable[[], None]]], figure: Figure, look: Appearance, brush: Brush, h: float, torso_depth: float
) -> None:
    """A box held in front, a backpack, a shoulder bag or a hand bag."""
    axes, xy, s = figure.axes, figure.xy, figure.scale
    forward, left = axes[POINT["torso_forward"]], axes[POINT["torso_left"]]
    pelvis, chest = xy[POINT["pelvis"]], xy[POINT["chest"]]

    def block(centre: np.ndarray, half_left: float, half_forward: float, half_up: float, colour: Colour, depth: float, part: str) -> None:
        """A box whose sides follow the body's axes; the side towards the camera is drawn over its hull."""

        def job() -> None:
            l2, f2 = np.array([left[0], -0.12 * left[2]]) * half_left, np.array([forward[0], -0.12 * forward[2]]) * half_forward
            u2 = np.array([0.0, -1.0]) * half_up
            corners = np.array([centre + a * l2 + b * f2 + c * u2 for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
            hull = cv2.convexHull(corners.astype(np.float32))[:, 0].astype(float)
            brush.paint(hull, shade(colour, 0.72), PART[part])
            near = f2 * (1.0 if forward[2] < 0 else -1.0)
            face = np.array([centre + near - l2 - u2, centre + near + l2 - u2, centre + near + l2 + u2, centre + near - l2 + u2])
            brush.paint(face, colour, None)
            if part == "carried" and h > 60:
                brush.paint(centre + near + (face - centre - near) * (1.0, 0.16), shade(colour, 0.85), None)

        jobs.append((depth, job))

    if figure.box:
        hands = 0.5 * (xy[POINT["l_hand"]] + xy[POINT["r_hand"]])
        centre = hands - np.array([0.0, 0.10 * s])
        depth = 0.5 * float(figure.depth[POINT["l_hand"]] + figure.depth[POINT["r_hand"]])
        block(centre, 0.19 * s, 0.13 * s, 0.15 * s, look.box_colour, depth + 0.06, "carried")
    if look.bag == "backpack":
        centre = pelvis + (chest - pelvis) * 0.62 - np.array([forward[0], -0.12 * forward[2]]) * 0.105 * h
        depth = torso_depth - 0.17 * float(forward[2])
        block(centre, 0.075 * h, 0.045 * h, 0.115 * h, look.bag_colour, depth, "carried")
        if -forward[2] > 0.2:  # its straps

            def straps() -> None:
                for side in (-1.0, 1.0):
                    x = np.array([left[0], 0.0]) * side * 0.068 * h
                    line = np.array([chest + x, chest + x + (pelvis - chest) * 0.45])
                    brush.paint(capsules(line[:1], line[1:], np.array([0.009 * h]), np.array([0.009 * h]))[0], shade(look.bag_colour, 0.8), None)

            jobs.append((torso_depth - 0.003, straps))
    elif look.bag == "shoulder":

        def strap() -> None:
            a, b = xy[POINT["r_shoulder"]] * 0.7 + 0.3 * chest, xy[POINT["l_hip"]]
            brush.paint(capsules(a[None], b[None], np.array([0.008 * h]), np.array([0.008 * h]))[0], shade(look.bag_colour, 0.75), None)

        jobs.append((torso_depth - 0.004, strap))
        hip = xy[POINT["l_hip"]] + np.array([left[0], -0.12 * left[2]]) * 0.05 * h
        block(hip, 0.03 * h, 0.07 * h, 0.06 * h, look.bag_colour, torso_depth + 0.12 * float(left[2]) - 0.01, "carried")
    elif look.bag == "hand" and not figure.box:
        hand = xy[POINT["r_hand"]] + np.array([0.0, 0.075 * h])
        block(hand, 0.02 * h, 0.065 * h, 0.055 * h, look.bag_colour, float(figure.depth[POINT["r_hand"]]) + 0.01, "carried")
