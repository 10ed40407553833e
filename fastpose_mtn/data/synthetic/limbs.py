"""Draws legs, feet, arms and hands."""

from __future__ import annotations

from functools import partial

import numpy as np

from fastpose_mtn.data.synthetic.appearance import Appearance, Colour
from fastpose_mtn.data.synthetic.body import POINT
from fastpose_mtn.data.synthetic.brush import PART, Brush, capsules, ellipse, shade
from fastpose_mtn.data.synthetic.figure import Figure, Jobs

_LEGS = {PART[name] for name in ("l_thigh", "l_shin", "r_thigh", "r_shin")}


def queue_limbs(
    jobs: Jobs,
    figure: Figure,
    look: Appearance,
    brush: Brush,
    h: float,
    girth: float,
) -> None:
    """Legs, feet and arms; what is farther than the trunk is a little darker."""
    loose = {"trousers": 1.14, "leggings": 1.0, "shorts": 1.0, "skirt": 1.0}[look.bottom]
    bare_legs = look.top == "dress" or look.bottom in ("skirt", "shorts")
    sleeve = {"tee": 0.55, "vest": 0.0, "dress": 0.35}.get(look.top, 1.0)
    long_sleeve = look.top in ("long", "coat", "hoodie")
    thick = {"coat": 1.18, "hoodie": 1.12}.get(look.top, 1.0)
    sleeve_colour = look.second_colour if look.contrast_sleeves else look.top_colour
    names, starts, ends, r0, r1, colours, parts, biases = [], [], [], [], [], [], [], []

    def limb(
        a: str, b: str, ra: float, rb: float, colour: Colour, part: str, bias: float, to: float = 1.0
    ) -> None:
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
                    middle_line = capsules(
                        a[i : i + 1], b[i : i + 1], 0.2 * ra[i : i + 1], 0.2 * rb[i : i + 1]
                    )[0]
                    brush.paint(middle_line, look.second_colour, None)

        jobs.append((middle + biases[i], job))
    if detailed:  # hide the seams at elbows and knees
        for i, (_, end) in enumerate(names):
            bend = next(
                (j for j, (start, _) in enumerate(names) if start == end and colours[j] == colours[i]), None
            )
            if bend is None or end[2:] not in ("elbow", "knee"):
                continue
            depth = 0.5 * float(figure.depth[POINT[end]])
            nearer = min(
                depth + 0.5 * float(figure.depth[POINT[names[k][int(k == bend)]]]) + biases[k]
                for k in (i, bend)
            )
            tone = float(np.clip(1.0 - 1.1 * (2 * depth - float(figure.depth[POINT["pelvis"]])), 0.72, 1.0))
            disc = ellipse(
                a[bend] + shift * ra[bend], np.array([0.64 * ra[bend], 0.0]), np.array([0.0, 0.64 * ra[bend]])
            )
            seam = shade(colours[i], tone)
            jobs.append((nearer - 1e-4, partial(brush.paint, disc, seam, None)))
