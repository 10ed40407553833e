"""Where each person is, which way they face and what they do, for every frame of a scene.

The ground is a plane seen by a camera at some height: ``x`` metres to the right, ``z`` metres away.
A person walks from target to target, stops to do something, hides behind occluders, leaves the view
and comes back. The course is worked out once for all frames, so any frame can be asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastpose_mtn.data.synthetic import body
from fastpose_mtn.data.synthetic.appearance import Appearance
from fastpose_mtn.data.synthetic.config import SceneConfig


@dataclass(frozen=True)
class GroundView:
    """The camera at rest: image x = centre + focal * x / z, foot's y = horizon + focal * height / z."""

    focal: float
    horizon: float
    camera_height: float
    width: int
    height: int

    def half_width_at(self, z: float) -> float:
        """Metres from the middle of the view to its edge, at distance ``z``."""
        return 0.5 * self.width * z / self.focal

    def tilt_at(self, z: np.ndarray | float) -> np.ndarray:
        """By how much what is a metre nearer is seen lower, metres: the camera looks down a little."""
        return np.minimum(self.camera_height / z, 0.5)


@dataclass(frozen=True)
class Course:
    """One person's motion.

    Attributes:
        position: (T, 2) x, z metres.
        points: (T, len(body.POINTS), 3) right, up, away; metres from the point on the ground
            under the pelvis, unit vectors from ``body.FIRST_AXIS`` on.
        heading: (T,) radians.
        action: (T,) index into ``body.ACTIONS``.
        box: whether the person carries a box all the time.
        ground: metres up of what the person stands on.
    """

    position: np.ndarray
    points: np.ndarray
    heading: np.ndarray
    action: np.ndarray
    box: bool
    ground: float = 0.0


_DWELL_ACTIONS = ("stand", "stand", "wave", "crouch", "phone", "hips", "cheer", "bend", "point")
_WALK, _RUN, _STAND = (body.ACTIONS.index(name) for name in ("walk", "run", "stand"))


def plan_course(
    *,
    seed: int,
    person: int,
    look: Appearance,
    view: GroundView,
    base_z: float,
    hiding_places: list[tuple[float, float, float]],
    config: SceneConfig,
) -> Course:
    """Plans one person's walk through the scene: place, heading, action and pose in every frame.

    Args:
        seed: of the scene.
        person: number in the scene; with the seed it decides everything random.
        look: the person's height and proportions.
        view: the camera at rest.
        base_z: metres; the person stays within about a third of this distance.
        hiding_places: (x, z, half width) of each occluder, metres.
        config: the scene's settings.
    """
    rng = np.random.default_rng([seed, 2, person])
    box = bool(rng.random() < 0.12)
    left_handed = bool(rng.random() < 0.3)
    runner, idler = rng.random() < 0.2, rng.random() < 0.25
    walk_speed, run_speed = rng.uniform(1.0, 1.6), rng.uniform(2.4, 3.8)
    size = look.height / 1.71
    dt, count = 1.0 / config.fps, config.frame_count

    half = view.half_width_at(base_z)
    x, z = float(rng.uniform(-0.85, 0.85) * half), base_z
    heading = float(rng.uniform(-np.pi, np.pi))
    target, dwell = (x, z), float(rng.uniform(0.3, 1.5)) if idler else 0.0
    action = body.ACTIONS.index(str(rng.choice(_DWELL_ACTIONS)))
    speed, phase, facing = 0.0, float(rng.uniform(0, 2 * np.pi)), heading
    hurry, side = runner, 1.0 if rng.random() < 0.5 else -1.0
    if not idler:  # start in mid-stride
        target = (
            (side * half * 0.9, z)
            if rng.random() < 0.6
            else (0.5 * x, base_z * float(rng.choice([0.65, 1.45])))
        )
        heading = float(np.arctan2(target[0] - x, z - target[1]))
        speed = (run_speed if hurry else walk_speed) * size

    position, headings, phases = np.zeros((count, 2)), np.zeros(count), np.zeros(count)
    weights, actions = np.zeros((count, len(body.ACTIONS))), np.zeros(count, np.int64)
    weight = np.zeros(len(body.ACTIONS))
    weight[action if idler else (_RUN if hurry else _WALK)] = 1.0
    for t in range(count):
        if dwell > 0:
            dwell -= dt
            wanted, turn_to, current = 0.0, facing, action
            if dwell <= 0:
                target, hurry = (
                    _next_target(rng, view, base_z, x, hiding_places, config.occlusion),
                    runner and rng.random() < 0.7,
                )
        else:
            dx, dz = target[0] - x, target[1] - z
            turn_to = float(np.arctan2(dx, -dz))
            wanted, current = (run_speed if hurry else walk_speed) * size, (_RUN if hurry else _WALK)
            if np.hypot(dx, dz) < 0.25 + 0.3 * speed * (1 - abs(_wrap(turn_to - heading)) / np.pi):
                outside = abs(x) > view.half_width_at(z)
                if rng.random() < (0.75 if not outside else 0.5):
                    dwell = float(rng.uniform(0.3, 1.6) if outside else rng.uniform(0.6, 3.0))
                    action = body.ACTIONS.index(str(rng.choice(_DWELL_ACTIONS)))
                    facing = (
                        heading + float(rng.normal(0, 0.3))
                        if rng.random() < 0.4
                        else float(rng.uniform(-np.pi, np.pi))
                    )
                else:
                    target = _next_target(rng, view, base_z, x, hiding_places, config.occlusion)
        turn = _wrap(turn_to - heading)
        heading += float(np.clip(turn, -3.2 * dt, 3.2 * dt))
        if abs(turn) > 1.3:
            wanted *= 0.25  # slow down to turn
        speed += float(np.clip(wanted - speed, -4.5 * dt, 3.5 * dt))
        x, z = x + speed * dt * np.sin(heading), z - speed * dt * np.cos(heading)
        z = float(np.clip(z, 0.6 * base_z, 1.5 * base_z))
        phase += 2 * np.pi * speed * dt / ((2.3 if current == _RUN else 1.35) * size)
        moving = _RUN if current == _RUN else _WALK
        aim = np.zeros(len(body.ACTIONS))
        share = min(1.0, speed / (0.8 * size))
        aim[moving] = share
        aim[action if dwell > 0 else _STAND] += 1.0 - share
        weight += (aim - weight) * min(1.0, dt / 0.14)
        position[t], headings[t], phases[t] = (x, z), heading, phase
        weights[t], actions[t] = weight / weight.sum(), int(np.argmax(weight))
    time = np.arange(count) * dt + rng.uniform(0, 20)
    angles = sum(
        weights[:, i : i + 1] * body.action_angles(name, phases, time, left_handed)
        for i, name in enumerate(body.ACTIONS)
    )
    if box:
        angles = body.carry_box(np.asarray(angles))
    points = body.to_camera(body.solve(np.asarray(angles), look), headings)
    return Course(position=position, points=points, heading=headings, action=actions, box=box)


def _wrap(angle: float) -> float:
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


def _next_target(
    rng: np.random.Generator,
    view: GroundView,
    base_z: float,
    x: float,
    hiding_places: list[tuple[float, float, float]],
    occlusion: float,
) -> tuple[float, float]:
    """Behind an occluder, past it, out of the view, or anywhere in it."""
    z = float(base_z * np.clip(rng.normal(1.0, 0.2), 0.65, 1.45))
    half = view.half_width_at(z)
    nearer = [place for place in hiding_places if place[1] < 0.95 * base_z]
    if nearer and rng.random() < 0.25 + 0.6 * occlusion:
        hide_x, hide_z, hide_half = nearer[rng.integers(len(nearer))]
        behind = hide_x * z / hide_z  # on the line of sight through the occluder
        reach = hide_half * z / hide_z
        if rng.random() < 0.45:
            return behind + float(rng.uniform(-0.4, 0.4)) * reach, z
        return behind + (1.0 if x < behind else -1.0) * (reach + float(rng.uniform(0.4, 1.2))), z
    if rng.random() < 0.14:
        return float((1.0 if rng.random() < 0.5 else -1.0) * (half + 0.6)), z
    if rng.random() < 0.35:  # towards the camera or away from it
        z = base_z * float(rng.uniform(1.25, 1.5) if z < base_z else rng.uniform(0.62, 0.8))
        return float(np.clip(x + rng.normal(0, 0.15) * half, -0.9 * half, 0.9 * half)), z
    return float(rng.uniform(-0.9, 0.9) * half), z
