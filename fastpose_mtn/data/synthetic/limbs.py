"""Draws legs, feet, arms and hands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from fastpose_mtn.data.synthetic.appearance import Appearance, Colour
from fastpose_mtn.data.synthetic.body import POINT
from fastpose_mtn.data.synthetic.brush import PART, Brush, capsules, ellipse, shade
from fastpose_mtn.data.synthetic.figure import Figure, Jobs

_LEGS = {PART[name] for name in ("l_thigh", "l_shin", "r_thigh", "r_shin")}
_BENDS = {POINT[f"{side}_{joint}"] for side in "lr" for joint in ("elbow", "knee")}
_DETAILED = 55  # pixels of height from which limbs are modelled with a lighter core
_THINNEST = 0.6  # pixels of radius; thinner limbs would vanish between pixels


@dataclass(frozen=True, eq=False)
class _Limb:
    """A tapered piece of body or cloth between two points.

    Attributes:
        start, end: ``POINT`` numbers.
        start_radius, end_radius: shares of the girth.
        bias: metres added to its distance, so that cloth lies on skin and arms on the trunk.
        reach: share of the way from start to end that it covers.
    """

    start: int
    end: int
    start_radius: float
    end_radius: float
    colour: Colour
    part: int
    bias: float
    reach: float = 1.0


@lru_cache(maxsize=256)
def _limbs_of(look: Appearance) -> tuple[list[_Limb], list[tuple[int, int]]]:
    """All limbs as dressed; and (upper, lower) numbers of those whose seam at the bend is painted over."""
    loose = 1.14 if look.bottom == "trousers" else 1.0
    bare_legs = _has_bare_legs(look)
    sleeve = {"tee": 0.55, "vest": 0.0, "dress": 0.35}.get(look.top, 1.0)
    long_sleeve = look.top in ("long", "coat", "hoodie")
    thick = {"coat": 1.18, "hoodie": 1.12}.get(look.top, 1.0)
    sleeve_colour = look.second_colour if look.contrast_sleeves else look.top_colour
    limbs: list[_Limb] = []

    def add(
        a: str, b: str, ra: float, rb: float, colour: Colour, part: str, bias: float, reach: float = 1.0
    ) -> None:
        limbs.append(_Limb(POINT[a], POINT[b], ra, rb, colour, PART[part], bias, reach))

    for s in "lr":
        leg = look.skin if bare_legs else look.bottom_colour
        add(f"{s}_heel", f"{s}_toe", 0.024, 0.017, look.shoes, f"{s}_foot", 0.075)
        add(f"{s}_knee", f"{s}_ankle", 0.036 * loose, 0.022 * loose, leg, f"{s}_shin", 0.07)
        add(f"{s}_hip", f"{s}_knee", 0.052 * loose, 0.037 * loose, leg, f"{s}_thigh", 0.06)
        if look.bottom == "shorts" and look.top != "dress":
            add(f"{s}_hip", f"{s}_knee", 0.058, 0.050, look.bottom_colour, f"{s}_thigh", 0.059, 0.8)
        add(f"{s}_wrist", f"{s}_hand", 0.017, 0.014, look.skin, f"{s}_fore", -0.012)
        fore = sleeve_colour if long_sleeve else look.skin
        add(f"{s}_elbow", f"{s}_wrist", 0.023 * thick, 0.017 * thick, fore, f"{s}_fore", -0.010)
        upper = sleeve_colour if sleeve == 1.0 else look.skin
        add(f"{s}_shoulder", f"{s}_elbow", 0.032 * thick, 0.025 * thick, upper, f"{s}_upper", -0.005)
        if 0.0 < sleeve < 1.0:
            add(f"{s}_shoulder", f"{s}_elbow", 0.037, 0.035, sleeve_colour, f"{s}_upper", -0.0055, sleeve)
    seams = [
        (i, j)
        for i, above in enumerate(limbs)
        for j, below in enumerate(limbs)
        if above.end == below.start and above.end in _BENDS and above.colour == below.colour
    ]
    return limbs, seams


def _has_bare_legs(look: Appearance) -> bool:
    return look.top == "dress" or look.bottom in ("skirt", "shorts")


def queue_limbs(
    jobs: Jobs, figure: Figure, look: Appearance, brush: Brush, h: float, girth: float
) -> None:  # fmt: skip
    """Queues what draws legs, feet and arms; what is farther than the trunk is a little darker.

    Args:
        jobs: gets a job for each limb, with its distance.
        figure: the person as seen in this frame.
        look: the person's clothes and colours.
        brush: paints the limbs.
        h: the person's height, pixels.
        girth: the same, wider for a stout person: what limbs' radii are shares of.
    """
    limbs, seams = _limbs_of(look)
    first, last = [limb.start for limb in limbs], [limb.end for limb in limbs]
    start = figure.xy[first]
    end = start + (figure.xy[last] - start) * np.array([limb.reach for limb in limbs])[:, None]
    start_radius = np.maximum(np.array([limb.start_radius for limb in limbs]) * girth, _THINNEST)
    end_radius = np.maximum(np.array([limb.end_radius for limb in limbs]) * girth, _THINNEST)
    base = capsules(start, end, start_radius, end_radius)
    towards_light = np.array([figure.light * 0.28, -0.10])
    detailed = h > _DETAILED
    striped = look.side_stripe and not _has_bare_legs(look)
    if detailed:
        core = capsules(
            start + towards_light * start_radius[:, None], end + towards_light * end_radius[:, None],
            0.62 * start_radius, 0.62 * end_radius,
        )  # fmt: skip
        stripe = capsules(start, end, 0.2 * start_radius, 0.2 * end_radius) if striped else core
    trunk = float(figure.depth[POINT["pelvis"]])
    middles = (0.5 * (figure.depth[first] + figure.depth[last])).tolist()

    def paint_limb(i: int, tone: float) -> None:
        limb = limbs[i]
        brush.paint(base[i], shade(limb.colour, (0.82 if detailed else 0.92) * tone), limb.part)
        if detailed:
            brush.paint(core[i], shade(limb.colour, tone), None)
            if striped and limb.part in _LEGS:
                brush.paint(stripe[i], look.second_colour, None)

    for i, (limb, middle) in enumerate(zip(limbs, middles, strict=True)):
        jobs.append((middle + limb.bias, partial(paint_limb, i, _tone(middle - trunk))))
    if not detailed:
        return
    for i, j in seams:
        bend = float(figure.depth[limbs[i].end])
        nearer = min(middles[i] + limbs[i].bias, middles[j] + limbs[j].bias)
        radius = 0.64 * start_radius[j]
        disc = ellipse(
            start[j] + towards_light * start_radius[j], np.array([radius, 0.0]), np.array([0.0, radius])
        )
        colour = shade(limbs[i].colour, _tone(bend - trunk))
        jobs.append((nearer - 1e-4, partial(brush.paint, disc, colour, None)))


def _tone(behind: float) -> float:
    """How bright a limb is that lies this many metres behind the trunk."""
    return min(max(1.0 - 1.1 * behind, 0.72), 1.0)
