"""Small label files of people whose poses are known, as people's photographs have them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from fastpose_mtn.data.synthetic import body
from fastpose_mtn.data.synthetic.appearance import draw_appearance
from fastpose_mtn.data.synthetic.body import POINT
from fastpose_mtn.skeletons import COCO17

LOOK = draw_appearance(np.random.default_rng(0))


def body_points(action: str, heading: float, phase: float = 0.9) -> np.ndarray:
    """(len(POINTS), 3) right, up, away in metres, of a person 1.7 m tall or so."""
    angles = body.action_angles(action, np.array([phase]), np.zeros(1), left_handed=False)
    return body.to_camera(body.solve(angles, LOOK), np.array([heading]))[0]


def photographed(points: np.ndarray, feet_xy: tuple[float, float], height: float) -> np.ndarray:
    """(17, 3) whole pixels in COCO's order, v 2, of a body that stands there this many pixels tall."""
    scale = height / LOOK.height
    out = np.zeros((17, 3))
    head, left, forward = (points[POINT[name]] for name in ("head", "head_left", "head_forward"))
    half = 0.054 * LOOK.height
    face = {
        "nose": points[POINT["nose"]],
        "left_eye": head + 0.4 * half * left + 0.9 * half * forward,
        "right_eye": head - 0.4 * half * left + 0.9 * half * forward,
        "left_ear": head + half * left,
        "right_ear": head - half * left,
    }
    for i, joint in enumerate(COCO17.joints):
        side, _, name = joint.partition("_")
        place = face[joint] if joint in face else points[POINT[f"{side[0]}_{name}"]]
        out[i] = (*np.rint([feet_xy[0] + scale * place[0], feet_xy[1] - scale * place[1]]), 2)
    return out


def standing(x: float, y: float, height: float, action: str = "stand", heading: float = 0.3) -> np.ndarray:
    """(17, 3) likewise, of somebody who does this, turned so."""
    return photographed(body_points(action, heading), (x, y), height)


def write_npz(path: Path, images: list[list[np.ndarray]], sizes_wh: list[tuple[int, int]]) -> Path:
    """The people of each image as 65535ths of its sides."""
    ids, joints = [], []
    for number, (people, size) in enumerate(zip(images, sizes_wh, strict=True)):
        for person in people:
            ids.append(1000 - number)  # not in order
            shares = np.rint(person[:, :2] / size * 65535)
            joints.append(np.where(person[:, 2:] > 0, np.concatenate([shares, person[:, 2:]], 1), 0))
    np.savez(path, image_id=np.array(ids, np.int32), keypoints_xyv=np.array(joints, np.uint16))
    return path


def write_json(path: Path, images: list[list[np.ndarray]], sizes_wh: list[tuple[int, int]]) -> Path:
    """The same people as COCO-style JSON."""
    annotations = []
    for number, people in enumerate(images):
        for person in people:
            xy = person[person[:, 2] > 0, :2]
            low, high = xy.min(axis=0), xy.max(axis=0)
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": number + 1, "category_id": 1, "iscrowd": 0,
                    "bbox": [*low.tolist(), *(high - low).tolist()],
                    "keypoints": np.where(person[:, 2:] > 0, person, 0).ravel().tolist(),
                }
            )  # fmt: skip
    record = {
        "images": [
            {"id": i + 1, "file_name": f"{i}.jpg", "width": w, "height": h}
            for i, (w, h) in enumerate(sizes_wh)
        ],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joints)}],
    }
    path.write_text(json.dumps(record))
    return path
