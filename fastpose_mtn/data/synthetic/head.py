"""Draws the head: hair, face and hat, from wherever it is seen."""

from __future__ import annotations

import numpy as np

from fastpose_mtn.data.synthetic.appearance import Appearance
from fastpose_mtn.data.synthetic.body import POINT
from fastpose_mtn.data.synthetic.brush import PART, Brush, ellipse, shade
from fastpose_mtn.data.synthetic.figure import Figure


def draw_head(figure: Figure, look: Appearance, brush: Brush, h: float) -> None:
    """Paints the head with hair, face and hat as the camera sees it; ``h``: the person's height, pixels."""
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
        shape = np.array(
            [
                where - right * w,
                where + right * w,
                where + right * w * 0.95 - up * length,
                where - right * w * 0.95 - up * length,
            ]
        )
        brush.paint(shape, shade(hair, 0.86), PART["head"])

    if look.hair_style == "ponytail" and facing > -0.2:
        tail = centre - right * sideways * 1.25 * broad
        brush.paint(
            ellipse(tail - up * 0.55 * tall, right * 0.30 * broad, up * 0.9 * tall),
            shade(hair, 0.9),
            PART["head"],
        )
    if long_hair and facing > -0.35:
        curtain()
    lift = up * (0.28 * tall if look.hair_style == "afro" else 0.10 * tall)
    brush.paint(
        ellipse(back + lift, right * broad * puff, up * tall * (puff - 0.02)),
        shade(scalp, 0.9),
        PART["head"],
    )
    if long_hair and facing <= -0.35:
        curtain()
    if look.hair_style == "bun":
        brush.paint(
            ellipse(
                back + up * 0.95 * tall - right * sideways * 0.7 * broad,
                right * 0.38 * broad,
                up * 0.33 * tall,
            ),
            shade(hair, 0.8),
            PART["head"],
        )
    if look.hair_style == "ponytail" and facing <= -0.2:
        brush.paint(
            ellipse(
                centre - right * sideways * broad - up * 0.6 * tall, right * 0.32 * broad, up * 1.0 * tall
            ),
            shade(hair, 0.72),
            PART["head"],
        )
    # Seen from behind, only ears and nape are skin.
    if facing < -0.1 and look.hair_style in ("short", "bun", "ponytail", "bald"):
        for side in (-1.0, 1.0):
            if side * sideways > -0.4:
                brush.paint(
                    ellipse(
                        centre + right * side * broad * 0.98 - up * 0.12 * tall,
                        right * 0.14 * broad,
                        up * 0.2 * tall,
                    ),
                    shade(look.skin, 0.85),
                    PART["head"],
                )
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
    brush.paint(ellipse(middle, right * half, up * tall * (0.98 - low)), look.skin, PART["face"])
    if h > 60:  # the jaw's shaded side
        brush.paint(
            ellipse(middle - up * 0.52 * tall, right * half * 0.62, up * tall * 0.34),
            shade(look.skin, 0.93),
            None,
        )

    def on_face(yaw: float, v: float) -> tuple[np.ndarray, float]:
        """A point at this angle around the head; its second value is how much it faces the camera."""
        c, s = np.cos(yaw), np.sin(yaw)
        return centre + right * broad * 0.98 * (sideways * c + facing * s) + up * v * tall, float(
            facing * c - sideways * s
        )

    if look.beard and facing > -0.3:
        at, _ = on_face(0.0, -0.62)
        brush.paint(ellipse(at, right * half * 0.78, up * tall * 0.36), shade(look.hair, 0.95), PART["face"])
    size = max(0.10 * broad, 0.55)
    if h > 45:
        for yaw in (-0.42, 0.42):
            at, seen = on_face(yaw, 0.02)
            if seen > 0.12:
                w = size * max(seen, 0.4)
                if h > 110:
                    brush.paint(ellipse(at, right * w * 1.9, up * size * 1.05), (238, 236, 232), None)
                    brush.paint(
                        ellipse(at + up * size * 2.1, right * w * 2.1, up * size * 0.45),
                        shade(look.hair, 0.7),
                        None,
                    )
                brush.paint(ellipse(at, right * w, up * size), (30, 24, 24), None)
                if look.glasses:
                    brush.paint(ellipse(at, right * w * 2.4, up * size * 1.9), (40, 40, 46), None)
                    brush.paint(ellipse(at, right * w * 1.8, up * size * 1.3), (150, 160, 170), None)
        at, seen = on_face(0.0, -0.52)
        if seen > 0.1:
            brush.paint(
                ellipse(at, right * broad * 0.30 * max(seen, 0.4), up * max(0.05 * tall, 0.45)),
                shade(look.skin, 0.55),
                None,
            )
    if abs(sideways) > 0.35 and facing > -0.5:  # the nose stands out in profile
        at, _ = on_face(0.0, -0.12)
        out = right * np.sign(sideways) * broad * 0.24 * abs(sideways)
        brush.paint(
            np.array([at + up * 0.16 * tall, at + out - up * 0.14 * tall, at - up * 0.2 * tall]),
            look.skin,
            PART["face"],
        )
    elif h > 60:
        at, _ = on_face(0.0, -0.16)
        brush.paint(ellipse(at, right * broad * 0.11, up * tall * 0.13), shade(look.skin, 0.8), None)
    if abs(sideways) > 0.5 and look.hair_style in ("short", "bald", "bun", "ponytail"):
        at = centre - right * sideways * 0.12 * broad - up * 0.12 * tall
        brush.paint(ellipse(at, right * 0.17 * broad, up * 0.2 * tall), shade(look.skin, 0.84), PART["head"])


def _hat(
    look: Appearance, brush: Brush, centre: np.ndarray, right: np.ndarray, up: np.ndarray, tall: float, broad: float,
    facing: float, sideways: float,
) -> None:  # fmt: skip
    if look.hat == "none" or look.hair_style in ("afro", "scarf", "bun"):
        return
    arc = np.linspace(0, np.pi, 10)
    base = 0.34 if look.hat != "beanie" else 0.22
    dome = (
        centre
        + up * base * tall
        + right * (np.cos(arc) * broad * 1.08)[:, None]
        + up * (np.sin(arc) * (1.0 - base + 0.18) * tall)[:, None]
    )
    brush.paint(dome, look.hat_colour, PART["head"])
    if look.hat == "cap" and facing > -0.6:
        brim = centre + up * base * tall + right * sideways * broad * 0.95
        brush.paint(
            ellipse(
                brim,
                right * broad * (0.55 + 0.25 * max(facing, 0.0)),
                up * tall * (0.10 + 0.08 * max(facing, 0.0)),
            ),
            shade(look.hat_colour, 0.7),
            PART["head"],
        )
    elif look.hat == "brim":
        brush.paint(
            ellipse(centre + up * base * tall, right * broad * 1.7, up * tall * 0.16),
            shade(look.hat_colour, 0.8),
            PART["head"],
        )
    elif look.hat == "beanie":
        brush.paint(
            np.array(
                [
                    centre + up * base * tall + right * broad * x + up * tall * y
                    for x, y in ((-1.1, -0.08), (1.1, -0.08), (1.1, 0.18), (-1.1, 0.18))
                ]
            ),
            shade(look.hat_colour, 0.75),
            PART["head"],
        )
