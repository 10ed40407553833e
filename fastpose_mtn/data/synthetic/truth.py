"""The truth about a drawn frame, read off what was drawn: boxes, joints and what can be seen of them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from fastpose_mtn.data.synthetic.appearance import Appearance
from fastpose_mtn.data.synthetic.body import HIP_HALF, POINT, SHOULDER_HALF
from fastpose_mtn.data.synthetic.brush import PART, PARTS
from fastpose_mtn.data.synthetic.figure import Figure
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonTargets

MIN_VISIBLE_SHARE = 0.15  # below it no annotator would label the person
MIN_HEIGHT = 20.0  # pixels of the box, likewise


@dataclass(frozen=True, eq=False)
class SyntheticFrame:
    """A drawn frame and the truth about it (N people).

    Attributes:
        image: (H, W, 3) uint8 RGB.
        targets: NumPy arrays. Boxes are amodal: the tight box of the whole silhouette (body, hair
            and clothes, without bags), hidden parts included, clipped to the image. Keypoints are in
            POSETRACK15's order, v 2 visible, 1 hidden (by an occluder, another person or the own
            body), 0 outside the image, with zero coordinates. Identities are the person's number in
            the scene. Ignored are people that no annotator would label: less than 15 % of the
            silhouette visible, or a box less than 20 px high. Wholly hidden people are not listed.
        head_boxes: (N, 4) float32 xyxy, from the head's bottom to its top; not clipped, so that its
            size stays that of the head.
        visible_share: (N,) float32, visible pixels over those of the whole silhouette, outside the
            image included.
    """

    image: np.ndarray
    targets: PersonTargets
    head_boxes: np.ndarray
    visible_share: np.ndarray


@dataclass(frozen=True)
class BodyTruth:
    """One drawn person.

    Attributes:
        person: number in the scene.
        figure: where the body is.
        mask: (h, w) uint8 of part numbers, as if nothing stood in front.
        origin: (x, y) of the mask's first pixel in the image.
    """

    person: int
    figure: Figure
    mask: np.ndarray
    origin: tuple[int, int]


def _point_of(joint: str) -> int:
    plain = {"nose": "nose", "head_bottom": "neck", "head_top": "head_top"}
    return POINT[plain.get(joint) or f"{joint[0]}_{joint.split('_')[1]}"]


def _parts_of(joint: str) -> list[str]:
    side, _, name = joint.partition("_")
    s = side[0]
    return {
        "nose": ["face"],
        "head_bottom": ["neck", "face", "head", "torso"],
        "head_top": ["head", "face"],
        "shoulder": ["torso", "neck", f"{s}_upper"],
        "elbow": [f"{s}_upper", f"{s}_fore"],
        "wrist": [f"{s}_fore"],
        "hip": ["torso", "hem", f"{s}_thigh"],
        "knee": [f"{s}_thigh", f"{s}_shin", "hem"],
        "ankle": [f"{s}_shin", f"{s}_foot"],
    }[joint if joint in ("nose", "head_bottom", "head_top") else name]


JOINT_POINTS = [_point_of(joint) for joint in POSETRACK15.joints]
_SHOWS = np.zeros((len(POSETRACK15), len(PARTS)), bool)  # [joint, part]: seeing the part is seeing the joint
for _row, _joint in enumerate(POSETRACK15.joints):
    _SHOWS[_row, [PART[name] for name in _parts_of(_joint)]] = True
_PROBE = np.stack(np.meshgrid([-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]), -1).reshape(9, 2)


def label_people(
    truths: list[BodyTruth], cast: list[Appearance], owner: np.ndarray, part: np.ndarray
) -> tuple[PersonTargets, np.ndarray, np.ndarray]:
    """Labels whoever can be seen.

    Args:
        truths: the drawn people.
        cast: the looks of all the scene's people.
        owner: (H, W) uint8: who is seen at a pixel, number + 1; others for scenery.
        part: (H, W) uint8: which part of them.

    Returns:
        The targets, head boxes (N, 4) and visible shares (N,).
    """
    seen_pixels = cv2.calcHist([owner], [0], None, [256], [0, 256]).ravel()
    height, width = owner.shape
    seen = [(t, _box(t, width, height)) for t in truths if seen_pixels[t.person + 1] > 0]
    # Of somebody just beyond the edge a bag may show and nothing of the body: that is nobody.
    listed = [(t, box) for t, box in seen if box[2] > box[0] and box[3] > box[1]]
    n = len(listed)
    boxes, heads = np.zeros((n, 4), np.float32), np.zeros((n, 4), np.float32)
    keypoints, shares = np.zeros((n, len(POSETRACK15), 3), np.float32), np.zeros(n, np.float32)
    for i, (truth, box) in enumerate(listed):
        look = cast[truth.person]
        boxes[i] = box
        heads[i] = head_box(truth.figure, look)
        shares[i] = seen_pixels[truth.person + 1] / max(cv2.countNonZero(truth.mask), 1)
        keypoints[i] = _joints(truth, look, owner, part)
    shares = np.minimum(shares, 1.0)
    targets = PersonTargets(
        boxes=boxes,
        keypoints=keypoints,
        identities=np.array([t.person for t, _ in listed], np.int64),
        ignore=(shares < MIN_VISIBLE_SHARE) | (boxes[:, 3] - boxes[:, 1] < MIN_HEIGHT),
    )
    return targets, heads, shares


def _box(truth: BodyTruth, width: int, height: int) -> np.ndarray:
    # PARTS ends with what is carried; everything before it is the person.
    _, body = cv2.threshold(truth.mask, PART["carried"] - 1, 0, cv2.THRESH_TOZERO_INV)
    x, y, w, h = cv2.boundingRect(body)
    x, y = x + truth.origin[0], y + truth.origin[1]
    return np.clip(np.array([x, y, x + w, y + h], np.float32), 0, [width, height, width, height])


def head_box(figure: Figure, look: Appearance) -> np.ndarray:
    """(4,) the box around skull and face, with the head's three joints inside."""
    broad = 0.056 * look.height * figure.scale
    head = figure.xy[POINT["head"]]
    joints = figure.xy[[POINT["nose"], POINT["neck"], POINT["head_top"]]]
    points = np.concatenate([joints, [head - broad, head + broad]])
    return np.concatenate([points.min(axis=0), points.max(axis=0)]).astype(np.float32)


def _joints(truth: BodyTruth, look: Appearance, owner: np.ndarray, part: np.ndarray) -> np.ndarray:
    """(15, 3) joints; one is visible where what is seen around it belongs to its part of this body."""
    height, width = owner.shape
    figure = truth.figure
    xy = figure.xy[JOINT_POINTS]
    inside = (xy[:, 0] >= 0) & (xy[:, 0] < width) & (xy[:, 1] >= 0) & (xy[:, 1] < height)
    spread = max(1.0, 0.009 * look.height * figure.scale)
    probes = np.floor(xy[:, None] + spread * _PROBE).astype(np.int64)
    valid = (probes >= 0).all(-1) & (probes[..., 0] < width) & (probes[..., 1] < height)
    px, py = np.clip(probes[..., 0], 0, width - 1), np.clip(probes[..., 1], 0, height - 1)
    own = valid & (owner[py, px] == truth.person + 1)
    shown = own & np.take_along_axis(_SHOWS, part[py, px].astype(np.int64), axis=1)
    visible = shown.sum(axis=1) >= np.maximum(1, 0.33 * valid.sum(axis=1))
    visible &= ~_behind_trunk(figure, look)
    out = np.zeros((len(xy), 3), np.float32)
    out[inside, :2] = xy[inside]
    out[inside, 2] = np.where(visible[inside], 2.0, 1.0)
    return out


def _behind_trunk(figure: Figure, look: Appearance) -> np.ndarray:
    """(15,) true for the far shoulder and hip of a person seen from the side."""
    far = np.zeros(len(POSETRACK15), bool)
    for name, half, middle in (("shoulder", SHOULDER_HALF, "chest"), ("hip", HIP_HALF, "pelvis")):
        for side in ("left", "right"):
            at = figure.depth[POINT[f"{side[0]}_{name}"]] - figure.depth[POINT[middle]]
            far[POSETRACK15.index(f"{side}_{name}")] = at > 0.88 * half * look.height
    return far
