"""Draws what people carry: boxes and bags."""

from __future__ import annotations

import cv2
import numpy as np

from fastpose_mtn.data.synthetic.appearance import Appearance, Colour
from fastpose_mtn.data.synthetic.body import POINT
from fastpose_mtn.data.synthetic.brush import PART, Brush, capsules, shade
from fastpose_mtn.data.synthetic.figure import Figure, Jobs


def queue_belongings(
    jobs: Jobs,
    figure: Figure,
    look: Appearance,
    brush: Brush,
    h: float,
    torso_depth: float,
) -> None:
    """A box held in front, a backpack, a shoulder bag or a hand bag."""
    axes, xy, s = figure.axes, figure.xy, figure.scale
    forward, left = axes[POINT["torso_forward"]], axes[POINT["torso_left"]]
    pelvis, chest = xy[POINT["pelvis"]], xy[POINT["chest"]]

    def block(
        centre: np.ndarray,
        half_left: float,
        half_forward: float,
        half_up: float,
        colour: Colour,
        depth: float,
        part: str,
    ) -> None:
        """A box whose sides follow the body's axes; the side towards the camera is drawn over its hull."""

        def job() -> None:
            l2, f2 = (
                np.array([left[0], -0.12 * left[2]]) * half_left,
                np.array([forward[0], -0.12 * forward[2]]) * half_forward,
            )
            u2 = np.array([0.0, -1.0]) * half_up
            corners = np.array(
                [centre + a * l2 + b * f2 + c * u2 for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)]
            )
            hull = cv2.convexHull(corners.astype(np.float32))[:, 0].astype(float)
            brush.paint(hull, shade(colour, 0.72), PART[part])
            near = f2 * (1.0 if forward[2] < 0 else -1.0)
            face = np.array(
                [
                    centre + near - l2 - u2,
                    centre + near + l2 - u2,
                    centre + near + l2 + u2,
                    centre + near - l2 + u2,
                ]
            )
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
                    brush.paint(
                        capsules(line[:1], line[1:], np.array([0.009 * h]), np.array([0.009 * h]))[0],
                        shade(look.bag_colour, 0.8),
                        None,
                    )

            jobs.append((torso_depth - 0.003, straps))
    elif look.bag == "shoulder":

        def strap() -> None:
            a, b = xy[POINT["r_shoulder"]] * 0.7 + 0.3 * chest, xy[POINT["l_hip"]]
            brush.paint(
                capsules(a[None], b[None], np.array([0.008 * h]), np.array([0.008 * h]))[0],
                shade(look.bag_colour, 0.75),
                None,
            )

        jobs.append((torso_depth - 0.004, strap))
        hip = xy[POINT["l_hip"]] + np.array([left[0], -0.12 * left[2]]) * 0.05 * h
        block(
            hip,
            0.03 * h,
            0.07 * h,
            0.06 * h,
            look.bag_colour,
            torso_depth + 0.12 * float(left[2]) - 0.01,
            "carried",
        )
    elif look.bag == "hand" and not figure.box:
        hand = xy[POINT["r_hand"]] + np.array([0.0, 0.075 * h])
        block(
            hand,
            0.02 * h,
            0.065 * h,
            0.055 * h,
            look.bag_colour,
            float(figure.depth[POINT["r_hand"]]) + 0.01,
            "carried",
        )
