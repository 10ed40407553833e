"""Ways of labelling people: which joints are labelled, where exactly, and how carefully.

Datasets label what is called the same joint at different places, and so does whoever trains on one and is tested on
another (Guo et al., *Multi-Domain Pose Network*, 2018). Drawn people are labelled exactly; a standard labels them anew as
another dataset would. Its numbers are ours: large enough to matter, not measured on any dataset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from fastpose_mtn.joint_names import mirrored_name
from fastpose_mtn.skeletons import COCO17, MPII16, POSETRACK15, Skeleton
from fastpose_mtn.structures import PersonTargets


@dataclass(frozen=True)
class Standard:
    """One way of labelling.

    Attributes:
        skeleton: its joints; those that the labels lack stay unlabelled.
        moved: of a joint, the one that it lies nearer to, and by how much, in shares of the box's height.
        midpoints: joints that lie half way between two others.
        careless: share of the visible labels that are off.
        spread: standard deviation of those, along each axis, in shares of the box's height.
    """

    skeleton: Skeleton
    moved: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    midpoints: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    careless: float = 0.0
    spread: float = 0.0


def _both(pairs: Mapping[str, tuple[str, float]]) -> dict[str, tuple[str, float]]:
    """The left side's joints, and their mirror images."""
    return {**pairs, **{mirrored_name(a): (mirrored_name(b), share) for a, (b, share) in pairs.items()}}


STANDARDS = {
    "coco": Standard(COCO17, careless=0.06, spread=0.02),
    "mpii": Standard(
        MPII16,
        moved=_both(
            {
                "left_shoulder": ("right_shoulder", 0.03),
                "left_hip": ("left_knee", 0.04),
                "left_ankle": ("left_knee", 0.02),
            }
        ),
        midpoints={"pelvis": ("left_hip", "right_hip"), "thorax": ("left_shoulder", "right_shoulder")},
    ),
    "posetrack": Standard(POSETRACK15),
}


def parse_standard(text: str) -> str:
    """A name of ``STANDARDS``.

    Raises:
        ValueError: there is none.
    """
    if text not in STANDARDS:
        raise ValueError(f"expected one of {', '.join(STANDARDS)}, got {text!r}")
    return text


def relabel(
    people: PersonTargets, own: Skeleton, standard: Standard, rng: np.random.Generator
) -> PersonTargets:
    """The people as a standard labels them.

    A joint that is to be moved towards one that is not labelled, or that lies between such, is not labelled either: its
    place would not be the standard's.

    Args:
        people: NumPy, labelled exactly.
        own: their joints.
        standard: whose joints the result has.
        rng: which labels are off, and whereto.
    """
    exact = own.convert(people.keypoints, standard.skeleton)
    for joint, ends in standard.midpoints.items():
        pair = people.keypoints[:, [own.index(end) for end in ends]]
        exact[:, standard.skeleton.index(joint), :2] = pair[..., :2].mean(axis=1)
        exact[:, standard.skeleton.index(joint), 2] = pair[..., 2].min(axis=1)
    height = people.boxes[:, 3] - people.boxes[:, 1]
    keypoints = exact.copy()
    for joint, (towards, share) in standard.moved.items():
        place, end = (exact[:, standard.skeleton.index(name)] for name in (joint, towards))
        way = end[:, :2] - place[:, :2]
        length = np.maximum(np.linalg.norm(way, axis=1), 1e-6)
        step = np.minimum(share * height / length, 1.0)  # not beyond it
        moved = keypoints[:, standard.skeleton.index(joint)]
        moved[:, :2] += step[:, None] * way
        moved[end[:, 2] == 0, 2] = 0
    off = (rng.random(keypoints.shape[:2]) < standard.careless) & (keypoints[..., 2] == 2)
    wander = rng.normal(0, standard.spread, (*keypoints.shape[:2], 2)) * height[:, None, None]
    keypoints[..., :2] += np.where(off[..., None], wander, 0)
    keypoints[keypoints[..., 2] == 0] = 0
    return replace(people, keypoints=keypoints.astype(np.float32))
