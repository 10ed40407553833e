"""Draws one person, far parts first, into the picture and into a mask of body parts."""

from __future__ import annotations

from fastpose_mtn.data.synthetic.appearance import Appearance
from fastpose_mtn.data.synthetic.belongings import queue_belongings
from fastpose_mtn.data.synthetic.body import POINT
from fastpose_mtn.data.synthetic.brush import Brush
from fastpose_mtn.data.synthetic.figure import Figure, Jobs
from fastpose_mtn.data.synthetic.head import draw_head
from fastpose_mtn.data.synthetic.limbs import queue_limbs
from fastpose_mtn.data.synthetic.torso import draw_hem, draw_torso, has_hem, torso_surface


def draw_figure(figure: Figure, look: Appearance, brush: Brush) -> None:
    """Draws all parts from far to near."""
    h = look.height * figure.scale  # pixels
    girth = h * (0.55 + 0.45 * look.build)
    jobs: Jobs = []
    queue_limbs(jobs, figure, look, brush, h, girth)
    torso_depth = 0.5 * float(figure.depth[POINT["chest"]] + figure.depth[POINT["pelvis"]])
    at, heights = torso_surface(figure, look, h, girth)
    jobs.append((torso_depth, lambda: draw_torso(figure, look, brush, h, girth, at, heights)))
    if has_hem(look):  # around both thighs
        thighs = [0.5 * (figure.depth[POINT[f"{s}_hip"]] + figure.depth[POINT[f"{s}_knee"]]) for s in "lr"]
        jobs.append((float(min(thighs)) + 0.055, lambda: draw_hem(figure, look, brush, h, at)))
    head_depth = float(figure.depth[POINT["head"]])
    jobs.append((min(head_depth, torso_depth) - 0.02, lambda: draw_head(figure, look, brush, h)))
    queue_belongings(jobs, figure, look, brush, h, torso_depth)
    for _, job in sorted(jobs, key=lambda item: -item[0]):
        job()
