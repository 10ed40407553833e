"""The articulated body: joint angles of each action, and the 3-D joints they give.

A pose is a vector of angles (radians). A segment's pitch swings it forward from hanging straight
down, its spread lifts it sideways, away from the body. The body's own frame is (forward, left, up),
metres, with the origin on the ground under the pelvis.
"""

from __future__ import annotations

import numpy as np

from fastpose_mtn.data.synthetic.appearance import Appearance

ANGLES = (
    "lean", "roll", "twist", "head_yaw", "head_pitch",
    "l_thigh", "l_thigh_out", "l_shin", "l_shin_out", "r_thigh", "r_thigh_out", "r_shin", "r_shin_out",
    "l_upper", "l_upper_out", "l_fore", "l_fore_out", "r_upper", "r_upper_out", "r_fore", "r_fore_out",
    "hop",
)  # fmt: skip
POINTS = (
    "pelvis", "chest", "neck", "head", "head_top", "nose",
    "l_shoulder", "r_shoulder", "l_elbow", "r_elbow", "l_wrist", "r_wrist", "l_hand", "r_hand",
    "l_hip", "r_hip", "l_knee", "r_knee", "l_ankle", "r_ankle", "l_toe", "r_toe", "l_heel", "r_heel",
    "torso_forward", "torso_left", "torso_up", "hip_forward", "hip_left", "head_forward", "head_left", "head_up",
)  # fmt: skip
POINT = {name: i for i, name in enumerate(POINTS)}
FIRST_AXIS = POINT["torso_forward"]  # from here on: unit vectors, not places
ACTIONS = ("stand", "walk", "run", "wave", "crouch", "phone", "hips", "cheer", "bend", "point")
_ARM_ANGLES = [i for i, name in enumerate(ANGLES) if "upper" in name or "fore" in name]

# Lengths as shares of the body's height (Drillis and Contini's anthropometric table, rounded).
THIGH, SHIN, FOOT_HEIGHT, TORSO = 0.245, 0.240, 0.042, 0.292
NECK, HEAD, UPPER_ARM, FOREARM, HAND = 0.040, 0.142, 0.176, 0.150, 0.055
SHOULDER_HALF, HIP_HALF, FOOT_LENGTH = 0.112, 0.052, 0.140


def action_angles(action: str, phase: np.ndarray, time: np.ndarray, left_handed: bool) -> np.ndarray:
    """The pose of an action.

    Args:
        action: one of ``ACTIONS``.
        phase: (T,) of the gait, radians; one cycle is two steps.
        time: (T,) seconds.
        left_handed: whether the left arm does what one arm does, such as waving.

    Returns:
        (T, len(ANGLES)) radians (``hop``: metres).
    """
    zero = np.zeros_like(phase)
    pose = dict.fromkeys(ANGLES, zero)
    sway = 0.03 * np.sin(1.7 * time)
    for side in "lr":
        pose |= {f"{side}_thigh_out": zero + 0.05, f"{side}_shin_out": zero + 0.03}
        pose |= {
            f"{side}_upper_out": zero + 0.16,
            f"{side}_fore_out": zero + 0.10,
            f"{side}_fore": zero + 0.18,
        }
    if action in ("walk", "run"):
        run = action == "run"
        swing, knee, arm = (0.72, 1.45, 0.75) if run else (0.44, 0.85, 0.48)
        for side, shift in (("l", 0.0), ("r", np.pi)):
            sine = np.sin(phase + shift)
            bend = np.maximum(0.0, np.cos(phase + shift + 0.45))
            thigh = swing * sine + (0.18 if run else 0.03)
            pose[f"{side}_thigh"] = thigh
            pose[f"{side}_shin"] = thigh - (0.35 if run else 0.10) - knee * bend
            pose[f"{side}_thigh_out"] = pose[f"{side}_shin_out"] = zero + 0.02
            pose[f"{side}_upper"] = -arm * sine - (0.15 if run else 0.0)
            pose[f"{side}_fore"] = -arm * sine + (1.35 if run else 0.28) - 0.18 * sine
            pose[f"{side}_fore_out"] = zero + (-0.15 if run else 0.08)
        pose["lean"] = zero + (0.22 if run else 0.06)
        pose["twist"] = (0.22 if run else 0.10) * np.sin(phase)
        pose["hop"] = 0.06 * np.abs(np.sin(phase)) if run else zero
        return np.stack([pose[name] for name in ANGLES], axis=-1)
    main, rest = ("l", "r") if left_handed else ("r", "l")
    pose["roll"], pose["head_yaw"] = sway, 0.25 * np.sin(0.9 * time)
    if action == "wave":
        pose[f"{main}_upper_out"] = zero + 1.75
        pose[f"{main}_fore_out"] = 2.75 + 0.5 * np.sin(9.0 * time)
        pose[f"{main}_upper"] = pose[f"{main}_fore"] = zero + 0.12
    elif action == "crouch":
        # Both feet reach the same depth: 0.245 cos(thigh) + 0.24 cos(shin) agrees within 1 % of the height.
        for side, thigh_at, shin_at in ((main, 1.75, -0.75), (rest, 1.45, -1.15)):
            pose[f"{side}_thigh"], pose[f"{side}_shin"] = zero + thigh_at, zero + shin_at
            pose[f"{side}_thigh_out"], pose[f"{side}_shin_out"] = zero + 0.28, zero + 0.10
            pose[f"{side}_upper"], pose[f"{side}_fore"] = 0.75 + sway, zero + 1.15
        pose["lean"], pose["head_pitch"] = zero + 0.45, zero - 0.3
    elif action == "phone":
        pose[f"{main}_upper"], pose[f"{main}_upper_out"] = zero + 0.75, zero + 0.35
        pose[f"{main}_fore"], pose[f"{main}_fore_out"] = zero + 2.95, zero - 0.30
    elif action == "hips":
        for side in "lr":
            pose[f"{side}_upper"], pose[f"{side}_upper_out"] = zero - 0.35, zero + 0.75
            pose[f"{side}_fore"], pose[f"{side}_fore_out"] = zero + 0.35, zero - 0.75
            pose[f"{side}_thigh_out"] = pose[f"{side}_shin_out"] = zero + 0.14
    elif action == "cheer":
        for side in "lr":
            pose[f"{side}_upper_out"] = 2.45 + 0.12 * np.sin(6.0 * time)
            pose[f"{side}_fore_out"] = 2.85 + 0.15 * np.sin(6.0 * time)
            pose[f"{side}_thigh_out"] = pose[f"{side}_shin_out"] = zero + 0.12
    elif action == "bend":
        pose["lean"], pose["head_pitch"] = 1.15 + sway, zero - 0.2
        for side in "lr":
            pose[f"{side}_thigh"], pose[f"{side}_shin"] = zero + 0.35, zero - 0.22
            pose[f"{side}_upper"], pose[f"{side}_fore"] = zero + 0.25, zero + 0.45
    elif action == "point":
        pose[f"{main}_upper"], pose[f"{main}_fore"] = zero + 1.45, zero + 1.55
        pose[f"{main}_upper_out"] = pose[f"{main}_fore_out"] = zero + 0.25
    return np.stack([pose[name] for name in ANGLES], axis=-1)


def carry_box(angles: np.ndarray) -> np.ndarray:
    """The same poses with both arms holding a box in front of the belly."""
    held = dict(l_upper=0.30, l_fore=1.50, r_upper=0.30, r_fore=1.50)
    held |= dict(l_upper_out=0.15, l_fore_out=-0.08, r_upper_out=0.15, r_fore_out=-0.08)
    out = angles.copy()
    for i in _ARM_ANGLES:
        out[:, i] = held[ANGLES[i]]
    return out


def _down(pitch: np.ndarray, out: np.ndarray, side: float) -> np.ndarray:
    """Unit direction (T, 3) of a hanging segment; ``side`` is +1 for the left, -1 for the right."""
    return np.stack([np.sin(pitch) * np.cos(out), side * np.sin(out), -np.cos(pitch) * np.cos(out)], axis=-1)


def solve(angles: np.ndarray, look: Appearance) -> np.ndarray:
    """The body's points of each pose.

    Args:
        angles: (T, len(ANGLES)).
        look: the person's height and proportions.

    Returns:
        (T, len(POINTS), 3) forward, left, up, metres; unit vectors from ``FIRST_AXIS`` on. The lowest
        foot stands on the ground, but for a runner's hop.
    """
    a = {name: angles[:, i] for i, name in enumerate(ANGLES)}
    h = look.height
    zero, one = np.zeros(len(angles)), np.ones(len(angles))
    up = np.stack(
        [np.sin(a["lean"]) * np.cos(a["roll"]), np.sin(a["roll"]), np.cos(a["lean"]) * np.cos(a["roll"])], -1
    )
    forward = np.stack([np.cos(a["lean"]), zero, -np.sin(a["lean"])], -1)
    left = np.cross(up, forward)
    cos, sin = np.cos(a["twist"])[:, None], np.sin(a["twist"])[:, None]
    hip_left, hip_forward = np.stack([zero, one, zero], -1), np.stack([one, zero, zero], -1)
    torso_left, torso_forward = cos * left - sin * forward, cos * forward + sin * left
    cos, sin = np.cos(a["head_yaw"])[:, None], np.sin(a["head_yaw"])[:, None]
    head_left, level = cos * torso_left - sin * torso_forward, cos * torso_forward + sin * torso_left
    # People hold their heads up: half of the lean is undone at the neck.
    tilt = (0.5 * a["lean"] + a["head_pitch"])[:, None]
    head_forward = np.cos(tilt) * level + np.sin(tilt) * up
    head_up = np.cross(head_forward, head_left)

    p: dict[str, np.ndarray] = {"pelvis": np.zeros((len(angles), 3))}
    p["chest"] = TORSO * h * up
    p["neck"] = p["chest"] + NECK * h * up
    p["head"] = p["neck"] + HEAD * h * (0.50 * head_up) + 0.008 * h * head_forward
    p["head_top"] = p["neck"] + HEAD * h * head_up
    p["nose"] = p["head"] + 0.052 * h * head_forward - 0.006 * h * head_up
    wide = look.shoulders * (0.6 + 0.4 * look.build)
    for key, side in (("l", 1.0), ("r", -1.0)):
        p[f"{key}_shoulder"] = p["chest"] + side * SHOULDER_HALF * h * wide * torso_left - 0.012 * h * up
        # An arm hangs from gravity, not from the torso: its angles are in the twisted, upright frame.
        upper = _down(a[f"{key}_upper"], a[f"{key}_upper_out"], side)
        fore = _down(a[f"{key}_fore"], a[f"{key}_fore_out"], side)
        p[f"{key}_elbow"] = p[f"{key}_shoulder"] + UPPER_ARM * h * upper
        p[f"{key}_wrist"] = p[f"{key}_elbow"] + FOREARM * h * fore
        p[f"{key}_hand"] = p[f"{key}_wrist"] + HAND * h * fore
        p[f"{key}_hip"] = side * HIP_HALF * h * look.hips * hip_left
        thigh = _down(a[f"{key}_thigh"], a[f"{key}_thigh_out"], side)
        shin = _down(a[f"{key}_shin"], a[f"{key}_shin_out"], side)
        p[f"{key}_knee"] = p[f"{key}_hip"] + THIGH * h * thigh
        p[f"{key}_ankle"] = p[f"{key}_knee"] + SHIN * h * shin
        pitch = np.clip(0.8 * np.minimum(a[f"{key}_shin"] + 0.25, 0.0), -1.0, 0.0)
        toe = _down(pitch + np.pi / 2, 0.12 * one, side)
        sole = np.cross(toe, hip_left) * 1.0
        sole *= np.where(sole[:, 2:] > 0, -1.0, 1.0)
        p[f"{key}_heel"] = p[f"{key}_ankle"] - 0.035 * h * toe + FOOT_HEIGHT * 0.75 * h * sole
        p[f"{key}_toe"] = p[f"{key}_heel"] + FOOT_LENGTH * h * toe
    lowest = np.minimum.reduce([p[k][:, 2] for k in ("l_heel", "r_heel", "l_toe", "r_toe")])
    lift = -lowest + 0.012 * h + a["hop"]
    points = np.stack([p[name] for name in POINTS[:FIRST_AXIS]], axis=1)
    points[:, :, 2] += lift[:, None]
    axes = np.stack(
        [torso_forward, torso_left, up, hip_forward, hip_left, head_forward, head_left, head_up], axis=1
    )
    return np.concatenate([points, axes], axis=1)


def to_camera(points: np.ndarray, heading: np.ndarray) -> np.ndarray:
    """Body frame to camera axes (right, up, away from the camera).

    Args:
        points: (T, P, 3) forward, left, up.
        heading: (T,) radians: 0 faces the camera, pi/2 faces right in the image.
    """
    sin, cos = np.sin(heading)[:, None], np.cos(heading)[:, None]
    forward, left, up = points[..., 0], points[..., 1], points[..., 2]
    return np.stack([sin * forward + cos * left, up, -cos * forward + sin * left], axis=-1)
