"""From joints in a photograph to a body that can be drawn: what is near, what is far, and which way it faces.

A limb that is seen shorter than it is reaches towards the camera or away from it (Taylor, *Reconstruction of Articulated
Objects from Point Correspondences in a Single Uncalibrated Image*, 2000). How far follows from its length; whereto, from
how joints bend. What is seen stays exactly where the photograph has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from fastpose_mtn.data.synthetic import body
from fastpose_mtn.data.synthetic.body import POINTS
from fastpose_mtn.skeletons import COCO17

_TRUNK_LENGTH = body.TORSO - 0.012  # from hips to shoulders, as ``body.solve`` has it
_EARS_TO_NOSE, _HEAD_HALF = 0.052, 0.5 * body.HEAD
_FEW_STRETCHED = (
    0.85  # share of the bones that may not be longer than a person of the estimated height has them
)
_MOST_REACH = 1.25  # heights between two joints of somebody who stretches
_SHORTENED = 0.92  # a trunk seen longer than this share is upright: the rest is noise of the labels
_FOOT_TILT = 0.25  # the camera looks down a little: toes that point at it are seen lower


@dataclass(frozen=True, eq=False)
class LiftedPose:
    """A body in the pose of a photograph.

    Attributes:
        points: (len(body.POINTS), 3) right, up, away in shares of the person's height, from the pelvis; ``up`` is
            what is seen. From ``body.FIRST_AXIS`` on unit vectors; those of trunk and head are turned with them, so
            that "up" is along the trunk or the head.
        pelvis_xy: (2,) pixels.
        height: pixels that the person would have, standing upright.
        shoulders: how much broader the shoulders are than a body's of this height, 1 or more.
        hips: likewise.
    """

    points: np.ndarray
    pelvis_xy: np.ndarray
    height: float
    shoulders: float
    hips: float


def _joint(name: str) -> int:
    return COCO17.index(name)


_BONES = (
    *(
        (_joint(f"{side}_{a}"), _joint(f"{side}_{b}"), length)
        for a, b, length in (
            ("shoulder", "elbow", body.UPPER_ARM), ("elbow", "wrist", body.FOREARM),
            ("hip", "knee", body.THIGH), ("knee", "ankle", body.SHIN), ("shoulder", "hip", _TRUNK_LENGTH),
        )
        for side in ("left", "right")
    ),
    (_joint("left_shoulder"), _joint("right_shoulder"), 2 * body.SHOULDER_HALF),
)  # fmt: skip


def lift(keypoints: np.ndarray, labelled: np.ndarray) -> LiftedPose:
    """The body of one person.

    Args:
        keypoints: (17, 3) pixels and v in COCO17's order, with all joints of trunk and limbs.
        labelled: (17,) bool: which of them a label says, and no completion.
    """
    height = _height(keypoints, labelled)
    pelvis = 0.5 * (keypoints[_joint("left_hip"), :2] + keypoints[_joint("right_hip"), :2])
    seen = (keypoints[:, :2] - pelvis) * (1.0 / height, -1.0 / height)  # right, up
    face = {name: seen[_joint(name)] for name in COCO17.joints[:5] if keypoints[_joint(name), 2] > 0}
    trunk = _Trunk.of(seen, _turned(seen, face))
    p: dict[str, np.ndarray] = {"pelvis": np.zeros(3)}
    p["chest"] = trunk.up * trunk.length
    p["chest"][:2] += 0.012 * trunk.along
    for key, side, sign in (("l", "left", 1.0), ("r", "right", -1.0)):
        for name, centre, half in (
            ("shoulder", "chest", body.SHOULDER_HALF),
            ("hip", "pelvis", body.HIP_HALF),
        ):
            depth = p[centre][2] + sign * half * trunk.left[2]
            p[f"{key}_{name}"] = np.array([*seen[_joint(f"{side}_{name}")], depth])
        _add_limb(
            p, seen, key, side, ("shoulder", "elbow", "wrist"), (body.UPPER_ARM, body.FOREARM), trunk, sign
        )
        _add_limb(p, seen, key, side, ("hip", "knee", "ankle"), (body.THIGH, body.SHIN), trunk, sign)
        p[f"{key}_hand"] = p[f"{key}_wrist"] + body.HAND * _unit(p[f"{key}_wrist"] - p[f"{key}_elbow"])
        _add_foot(p, key, trunk)
    head_forward = _add_head(p, face, trunk)
    axes = {"torso_forward": trunk.own_forward, "torso_left": trunk.own_left, "head_forward": head_forward}
    points = np.array([p.get(name, axes.get(name, np.zeros(3))) for name in POINTS])
    return LiftedPose(
        points,
        pelvis,
        height,
        shoulders=max(1.0, _distance(seen, "shoulder") / (2 * body.SHOULDER_HALF)),
        hips=max(1.0, _distance(seen, "hip") / (2 * body.HIP_HALF)),
    )


def _height(keypoints: np.ndarray, labelled: np.ndarray) -> float:
    """Pixels of the person upright: a bone is seen at most as long as it is, some labels aside."""
    xy = keypoints[:, :2]
    bones = [bone for bone in _BONES if labelled[bone[0]] and labelled[bone[1]]] or _BONES
    heights = [float(np.hypot(*(xy[a] - xy[b]))) / length for a, b, length in bones]
    known = xy[labelled]
    reach = float(np.hypot(*np.ptp(known, axis=0)))
    return max(float(np.quantile(heights, _FEW_STRETCHED)), reach / _MOST_REACH, 1.0)


def _distance(seen: np.ndarray, joint: str) -> float:
    return float(np.hypot(*(seen[_joint(f"left_{joint}")] - seen[_joint(f"right_{joint}")])))


def _turned(seen: np.ndarray, face: dict[str, np.ndarray]) -> float:
    """1: the person faces rather to the right of the image, -1 to the left, 0: it cannot be told."""
    ears = [name for name in ("left_ear", "right_ear") if name in face]
    if len(ears) == 1:  # of somebody who faces right, the right side is the near one
        return 1.0 if ears == ["right_ear"] else -1.0
    if "nose" in face:
        middle = (
            0.5 * (face["left_ear"] + face["right_ear"])
            if ears
            else 0.5 * (seen[_joint("left_shoulder")] + seen[_joint("right_shoulder")])
        )
        return float(np.sign(face["nose"][0] - middle[0]))
    # Knees bend forward.
    offsets = [
        seen[_joint(f"{s}_knee")][0] - 0.5 * (seen[_joint(f"{s}_hip")] + seen[_joint(f"{s}_ankle")])[0]
        for s in ("left", "right")
    ]
    offset = float(np.mean(offsets))
    return float(np.sign(offset)) if abs(offset) > 0.01 else 0.0


@dataclass(frozen=True, eq=False)
class _Trunk:
    """Unit vectors (3,) right, up, away, of the trunk; ``along`` (2,) is it as it is seen.

    ``own_left`` and ``own_forward`` are in the image turned so that the trunk is upright.
    """

    length: float
    along: np.ndarray
    up: np.ndarray
    left: np.ndarray
    forward: np.ndarray
    own_left: np.ndarray
    own_forward: np.ndarray

    @classmethod
    def of(cls, seen: np.ndarray, turned: float) -> _Trunk:
        shoulders = seen[[_joint("left_shoulder"), _joint("right_shoulder")]]
        middle, width = shoulders.mean(axis=0), shoulders[0] - shoulders[1]
        length = float(np.hypot(*middle))
        along = middle / length if length > 0.03 else np.array([0.0, 1.0])
        across = np.array([along[1], -along[0]])
        breadth = 2 * body.SHOULDER_HALF
        side = np.array([width @ across, width @ along, 0.0])
        side[2] = turned * np.sqrt(max(breadth**2 - float(width @ width), 0.0))
        left = _unit(side)
        leans = 0.0 if length > _SHORTENED * _TRUNK_LENGTH else np.sqrt(_TRUNK_LENGTH**2 - length**2)
        # People lean forward; facing the camera, that is towards it.
        own_up = _unit(np.array([0.0, length, -leans if left[0] > 0 else leans]))
        left = _unit(left - (left @ own_up) * own_up)
        forward = np.cross(own_up, left)
        turn = np.array([[across[0], along[0], 0.0], [across[1], along[1], 0.0], [0.0, 0.0, 1.0]])
        size = float(np.hypot(length, leans))
        return cls(size, along, turn @ own_up, turn @ left, turn @ forward, left, forward)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def _add_limb(
    p: dict[str, np.ndarray], seen: np.ndarray, key: str, side: str, joints: tuple[str, str, str],
    lengths: tuple[float, float], trunk: _Trunk, outward: float,
) -> None:  # fmt: skip
    """Elbow and wrist, or knee and ankle, at the depths that bend the limb as it can bend."""
    root, middle, end = joints
    start = p[f"{key}_{root}"]
    first = seen[_joint(f"{side}_{middle}")] - start[:2]
    second = seen[_joint(f"{side}_{end}")] - seen[_joint(f"{side}_{middle}")]
    depths = [np.sqrt(max(n**2 - float(v @ v), 0.0)) for n, v in zip(lengths, (first, second), strict=True)]
    best, least = (depths[0], depths[1]), np.inf
    for signs in product((-1.0, 1.0), repeat=2):
        upper, lower = np.array([*first, signs[0] * depths[0]]), np.array([*second, signs[1] * depths[1]])
        u, w = _unit(upper), _unit(lower)
        cost = max(0.0, -float(u @ trunk.forward) - 0.4)  # neither arm nor thigh goes far back
        cost -= 0.15 * float(u @ trunk.forward)  # rather in front of the trunk
        cost -= 0.05 * outward * float(u @ trunk.left)  # rather away from it
        if root == "shoulder":  # the hand is rather in front of the upper arm
            cost += max(0.0, float((u - w) @ trunk.forward)) - 0.15 * float(w @ trunk.forward)
        else:  # knees bend one way; feet are rather below the body
            cost += max(0.0, float(np.cross(u, w) @ trunk.left)) + 0.1 * abs(float(upper[2] + lower[2]))
        if cost < least - 1e-9:
            best, least = (signs[0] * depths[0], signs[1] * depths[1]), cost
    p[f"{key}_{middle}"] = start + np.array([*first, best[0]])
    p[f"{key}_{end}"] = p[f"{key}_{middle}"] + np.array([*second, best[1]])


def _add_foot(p: dict[str, np.ndarray], key: str, trunk: _Trunk) -> None:
    """Heel and toe: square to the shin, towards where the person faces."""
    ankle = p[f"{key}_ankle"]
    shin = _unit(ankle - p[f"{key}_knee"])
    toe = _unit(trunk.forward - 0.9 * float(trunk.forward @ shin) * shin)
    p[f"{key}_heel"] = ankle - 0.035 * toe + 0.75 * body.FOOT_HEIGHT * shin
    p[f"{key}_toe"] = p[f"{key}_heel"] + body.FOOT_LENGTH * toe
    p[f"{key}_toe"][1] += _FOOT_TILT * (p[f"{key}_toe"][2] - ankle[2])


def _add_head(p: dict[str, np.ndarray], face: dict[str, np.ndarray], trunk: _Trunk) -> np.ndarray:
    """Neck, head, head_top and nose; and where the face looks, as it is seen with the head upright."""
    chest = p["chest"]
    straight = chest[:2] + (body.NECK + _HEAD_HALF) * trunk.along
    centre = _head_centre(face, straight)
    way = centre - chest[:2]
    up = way / np.hypot(*way) if np.hypot(*way) > 0.3 * (body.NECK + _HEAD_HALF) else trunk.along
    right = np.array([up[1], -up[0]])
    depth = chest[2] + (body.NECK + _HEAD_HALF) * trunk.up[2]
    p["neck"] = np.array(
        [*(chest[:2] + way * body.NECK / (body.NECK + _HEAD_HALF)), 0.5 * (chest[2] + depth)]
    )
    p["head"] = np.array([*centre, depth])
    p["head_top"] = np.array([*(centre + _HEAD_HALF * up), depth])
    if not {"nose", "left_eye", "right_eye"} & face.keys():  # seen from behind, or not at all
        forward = trunk.own_forward
        nose = centre + _EARS_TO_NOSE * (forward[0] * right + 0.2 * min(forward[1], 0.0) * up)
    else:
        nose = face.get("nose", centre)
        out = (nose - centre) / _EARS_TO_NOSE
        flat = np.array([out @ right, out @ up])
        flat = flat / max(1.0, float(np.hypot(*flat)))
        forward = np.array([*flat, -np.sqrt(max(0.0, 1.0 - float(flat @ flat)))])
    p["nose"] = np.array([*nose, depth + _EARS_TO_NOSE * forward[2]])
    return forward


def _head_centre(face: dict[str, np.ndarray], straight: np.ndarray) -> np.ndarray:
    """(2,) where the middle of the head is seen; ``straight``: where it is if neck and trunk are in one line."""
    ears = [face[name] for name in ("left_ear", "right_ear") if name in face]
    if len(ears) == 2 or (ears and "nose" not in face):
        return np.mean(ears, axis=0)
    if "nose" not in face:
        eyes = [face[name] for name in ("left_eye", "right_eye") if name in face]
        return np.mean(eyes, axis=0) if eyes else straight
    nose = face["nose"]
    if ears:  # of one side: the ear is in the middle of a head in profile, and nearer to its edge otherwise
        way = ears[0] - nose
        return nose + way * min(1.0, 0.9 * _EARS_TO_NOSE / max(float(np.hypot(*way)), 1e-6))
    return nose + np.array([0.0, 0.006])
