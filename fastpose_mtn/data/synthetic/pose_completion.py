"""Completes poses of which joints are not labelled: a hidden limb is as that of somebody whose other joints lie alike."""

from __future__ import annotations

import numpy as np

from fastpose_mtn.data.synthetic import body
from fastpose_mtn.data.synthetic.appearance import draw_appearance
from fastpose_mtn.skeletons import COCO17

_SIDED = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_BODY = [COCO17.index(f"{side}_{joint}") for joint in _SIDED for side in ("left", "right")]


def _anchors(side: str, other: str) -> dict[str, tuple[str, ...]]:
    """From which joints a missing one is placed: the first that is there."""
    return {
        f"{side}_shoulder": (f"{other}_shoulder", f"{side}_hip", f"{other}_hip"),
        f"{side}_hip": (f"{other}_hip", f"{side}_shoulder", f"{other}_shoulder"),
        f"{side}_elbow": (f"{side}_shoulder",),
        f"{side}_wrist": (f"{side}_elbow",),
        f"{side}_knee": (f"{side}_hip",),
        f"{side}_ankle": (f"{side}_knee",),
    }


_ANCHORS = [
    (COCO17.index(joint), [COCO17.index(anchor) for anchor in anchors])
    for joint, anchors in (_anchors("left", "right") | _anchors("right", "left")).items()
]


def complete_poses(keypoints: np.ndarray, examples: np.ndarray) -> np.ndarray:
    """People with all joints of trunk, arms and legs.

    Of the examples, moved and scaled onto the labelled joints but not turned, the one that lies nearest gives the
    others, each from the joint that it hangs on.

    Args:
        keypoints: (N, 17, 3) in COCO17's order, x, y and v; two shoulders or hips of each are labelled.
        examples: (E, 17, 3) likewise, in which all of these joints are labelled.

    Returns:
        (N, 17, 3); added joints have v 1, the face is as it was.
    """
    return np.array([_complete(person, examples) for person in keypoints]).reshape(keypoints.shape)


def _complete(person: np.ndarray, examples: np.ndarray) -> np.ndarray:
    there = person[:, 2] > 0
    if there[_BODY].all():
        return person
    known = [joint for joint in _BODY if there[joint]]
    own = person[known, :2] - person[known, :2].mean(axis=0)
    other = examples[:, known, :2] - examples[:, known, :2].mean(axis=1, keepdims=True)
    fit = (own * other).sum(axis=(1, 2))
    spread = np.maximum((other**2).sum(axis=(1, 2)), 1e-9)
    # By so much |own - scale other|^2 is less than |own|^2 at the best scale; below 0 it would turn people over.
    gain = np.where(fit > 0, fit**2 / spread, -1.0)
    best = int(np.argmax(gain))
    scale = max(fit[best] / spread[best], 1e-6)
    out, example = person.copy(), examples[best]
    for joint, anchors in _ANCHORS:
        if not there[joint]:
            anchor = next(a for a in anchors if there[a])
            out[joint, :2] = out[anchor, :2] + scale * (example[joint, :2] - example[anchor, :2])
            out[joint, 2], there[joint] = 1.0, True
    return out


def drawn_poses() -> np.ndarray:
    """(E, 17, 3) people who stand and walk, seen from all sides, as our own drawings have them; without faces."""
    look = draw_appearance(np.random.default_rng(0))
    columns = [body.POINT[f"{side}_{joint}"] for joint in _SIDED for side in "lr"]
    phase = np.arange(4) * (np.pi / 2)
    poses = []
    for action in ("stand", "walk"):
        points = body.solve(body.action_angles(action, phase, np.zeros(4), left_handed=False), look)
        for heading in np.arange(16) * (np.pi / 8):
            seen = body.to_camera(points, np.full(4, heading))[:, columns]
            pose = np.zeros((4, len(COCO17), 3))
            pose[:, _BODY, 0], pose[:, _BODY, 1], pose[:, _BODY, 2] = seen[..., 0], -seen[..., 1], 1.0
            poses.append(pose)
    return np.concatenate(poses)
