"""People in the poses, sizes and places of real ones, and how they move there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fastpose_mtn.data.synthetic import body
from fastpose_mtn.data.synthetic.appearance import Appearance
from fastpose_mtn.data.synthetic.camera import REST_ZOOM
from fastpose_mtn.data.synthetic.config import SceneConfig
from fastpose_mtn.data.synthetic.lifting import LiftedPose, lift
from fastpose_mtn.data.synthetic.motion import Course, GroundView
from fastpose_mtn.data.synthetic.pose_prior import Arrangement, PosePrior

_ADULT = 1.71  # metres: what tells near people from small ones
_BEHIND = 1.04  # somebody of whom another hides joints stands at least so many times as far away
_BROADEST = 1.3  # shoulders and hips; labels that are farther apart are off
_UPRIGHT = 0.7  # cosine of the trunk's tilt up to which bags hang as on somebody who stands
_STAND = body.ACTIONS.index("stand")


def trunk_across(xy: np.ndarray) -> tuple[float, float]:
    """The direction in the image across the trunk, see ``Figure.across``; of ``Figure.xy``."""
    trunk = xy[body.POINT["chest"]] - xy[body.POINT["pelvis"]]
    length = float(np.hypot(*trunk))
    return (-float(trunk[1]) / length, float(trunk[0]) / length) if length > 1.0 else (1.0, 0.0)


@dataclass(frozen=True, eq=False)
class PosedPeople:
    """A scene's people.

    Attributes:
        cast: their looks, with the heights that they have where they stand.
        courses: their motion.
        distances: (N,) metres.
    """

    cast: list[Appearance]
    courses: list[Course]
    distances: np.ndarray


def place_people(
    prior: PosePrior, *, seed: int, cast: list[Appearance], view: GroundView, config: SceneConfig
) -> PosedPeople:
    """Draws images from the prior and places their people as they stand there.

    An image keeps its proportions: it is scaled to lie wholly in the frame, so that sizes are the shares that they
    were of its longer side, and lies anywhere along the other. Where the frame's first picture shows the camera at
    rest, joints are exactly where the labels have them.

    Args:
        prior: the poses.
        seed: of the scene; it decides which images and how people move.
        cast: looks of everybody.
        view: the camera at rest.
        config: the scene's settings.
    """
    rng = np.random.default_rng([seed, 5])
    poses: list[LiftedPose] = []
    distances: list[np.ndarray] = []
    for arrangement in prior.arrangements(rng, len(cast)):
        shown = _fitted(arrangement, view, rng)
        whole = prior.completed(shown)
        own = [
            lift(person, labelled)
            for person, labelled in zip(whole, shown.keypoints[..., 2] > 0, strict=True)
        ]
        near = view.focal * _ADULT / np.array([pose.height for pose in own])
        distances.append(_in_order(near, shown.keypoints))
        poses += own
    away = np.concatenate(distances) if distances else np.zeros(0)
    looks, courses = [], []
    for person, (look, pose, z) in enumerate(zip(cast, poses, away.tolist(), strict=True)):
        looks.append(_dressed(look, pose, z / view.focal))
        courses.append(_course(np.random.default_rng([seed, 6, person]), looks[-1], pose, z, view, config))
    return PosedPeople(looks, courses, away)


def _fitted(arrangement: Arrangement, view: GroundView, rng: np.random.Generator) -> Arrangement:
    """The arrangement in pixels of the view at rest."""
    frame, size = np.array([view.width, view.height], float), np.array(arrangement.size_wh, float)
    scale = float((frame / size).min())
    corner = (frame - scale * size) * rng.random(2)
    middle = 0.5 * frame
    keypoints = arrangement.keypoints.copy()
    keypoints[..., :2] = (keypoints[..., :2] * scale + corner - middle) / REST_ZOOM + middle
    return Arrangement(keypoints, (view.width, view.height))


def _in_order(distances: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """(N,) metres: whose joints are hidden where another stands is the farther one, whatever their sizes say."""
    out = distances.copy()
    labelled, hidden = keypoints[..., 2] > 0, keypoints[..., 2] == 1
    xy = keypoints[..., :2]
    low = np.where(labelled[..., None], xy, np.inf).min(axis=1)
    high = np.where(labelled[..., None], xy, -np.inf).max(axis=1)
    within = ((xy[:, None] >= low[None, :, None]) & (xy[:, None] <= high[None, :, None])).all(axis=-1)
    count = (within & hidden[:, None]).sum(axis=-1)  # [i, j]: hidden joints of i where j stands
    for i in np.argsort(distances):
        for j in np.argsort(distances):
            if count[i, j] > count[j, i] and i != j:
                out[i] = max(out[i], _BEHIND * out[j])
    return np.clip(out, 0.6 * distances, 1.8 * distances)


def _dressed(look: Appearance, pose: LiftedPose, metres_a_pixel: float) -> Appearance:
    """The same clothes on this body."""
    chest = pose.points[body.POINT["chest"], :2]
    upright = float(chest[1]) > _UPRIGHT * float(np.hypot(*chest))
    return replace(
        look,
        height=pose.height * metres_a_pixel,
        shoulders=float(np.clip(look.shoulders * pose.shoulders, 0.9, _BROADEST)),
        hips=float(np.clip(pose.hips, 0.9, _BROADEST)),
        bag=look.bag if upright else "none",
    )


def _side(s: str) -> tuple[tuple[str, str, str], ...]:
    return (
        (f"{s}_hip", "pelvis", "root"), (f"{s}_knee", f"{s}_hip", f"{s}_thigh"),
        (f"{s}_ankle", f"{s}_knee", f"{s}_shin"), (f"{s}_heel", f"{s}_ankle", f"{s}_shin"),
        (f"{s}_toe", f"{s}_ankle", f"{s}_shin"), (f"{s}_shoulder", "chest", "trunk"),
        (f"{s}_elbow", f"{s}_shoulder", f"{s}_upper"), (f"{s}_wrist", f"{s}_elbow", f"{s}_fore"),
        (f"{s}_hand", f"{s}_wrist", f"{s}_fore"),
    )  # fmt: skip


# A point, the one that it hangs on, and the part that carries it.
_CHAIN = (
    ("chest", "pelvis", "trunk"), ("neck", "chest", "trunk"), ("head", "neck", "head"),
    ("head_top", "neck", "head"), ("nose", "neck", "head"), *_side("l"), *_side("r"),
)  # fmt: skip
_CHILDREN, _PARENTS = ([body.POINT[bone[end]] for bone in _CHAIN] for end in (0, 1))
# Radians, the largest swing of a part on the one that carries it.
_SWINGS = {
    "trunk": (0.05, "root"), "head": (0.10, "trunk"),
    **{f"{s}_upper": (0.22, "trunk") for s in "lr"}, **{f"{s}_fore": (0.28, f"{s}_upper") for s in "lr"},
    **{f"{s}_thigh": (0.10, "root") for s in "lr"}, **{f"{s}_shin": (0.12, f"{s}_thigh") for s in "lr"},
}  # fmt: skip
_DRIFT, _APPROACH = 0.10, 0.05  # heights to the side, and share of the distance


def _course(
    rng: np.random.Generator, look: Appearance, pose: LiftedPose, z: float, view: GroundView, config: SceneConfig
) -> Course:  # fmt: skip
    """The person moves about the pose, which is that of the first frame."""
    time = np.arange(config.frame_count) / config.fps

    def swing(amount: float) -> np.ndarray:
        """(T,) from 0 at the start, there and back."""
        rate, start = rng.uniform(0.2, 0.8), rng.uniform(0, 2 * np.pi)
        return amount * rng.uniform(0.3, 1.0) * (np.sin(2 * np.pi * rate * time + start) - np.sin(start))

    points = np.repeat(pose.points[None], len(time), axis=0)
    turns = {"root": np.zeros(len(time))}
    for part, (amount, carrier) in _SWINGS.items():
        turns[part] = turns[carrier] + swing(amount)
    hip = pose.points[body.POINT["l_hip"]] - pose.points[body.POINT["r_hip"]]
    axis = hip / max(float(np.linalg.norm(hip)), 1e-9)
    bones = pose.points[_CHILDREN] - pose.points[_PARENTS]
    turned = _turned(bones, axis, np.stack([turns[part] for _, _, part in _CHAIN], axis=-1))
    for bone, (child, parent) in enumerate(zip(_CHILDREN, _PARENTS, strict=True)):
        points[:, child] = points[:, parent] + turned[:, bone]
    points[:, : body.FIRST_AXIS] *= look.height
    distance = z * (1.0 + swing(_APPROACH))
    scale = view.focal / z
    x = (pose.pelvis_xy[0] - 0.5 * view.width) / scale + swing(_DRIFT * look.height)
    pelvis = view.camera_height - (pose.pelvis_xy[1] - view.horizon) / scale
    points[:, : body.FIRST_AXIS, 1] += pelvis
    feet = [body.POINT[f"{s}_{p}"] for s in "lr" for p in ("heel", "toe")]
    ground = float(points[0, feet, 1].min())
    # Whoever draws lowers what is near, as the camera looks down; here it was seen from there already.
    tilt = view.tilt_at(distance)
    points[:, : body.FIRST_AXIS, 1] -= tilt[:, None] * points[:, : body.FIRST_AXIS, 2]
    forward = pose.points[body.POINT["torso_forward"]]
    heading = float(np.arctan2(forward[0], -forward[2]))
    return Course(
        position=np.stack([x, distance], axis=-1),
        points=points,
        heading=np.full(len(time), heading),
        action=np.full(len(time), _STAND),
        box=False,
        ground=ground,
    )


def _turned(bones: np.ndarray, axis: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """(T, B, 3) each of the bones (B, 3) turned about a unit axis by its angles (T, B) (Rodrigues' formula)."""
    along = (bones @ axis)[:, None] * axis
    cos, sin = np.cos(angles)[..., None], np.sin(angles)[..., None]
    return along + (bones - along) * cos + np.cross(axis, bones) * sin
