"""MPII Human Pose's MATLAB file to COCO-style JSON: ``python datasets/convert_mpii.py``.

Read: ``RELEASE`` with ``annolist(i).image.name`` and ``annolist(i).annorect(k)``, whose fields are
``annopoints.point(j)`` with ``x``, ``y``, ``id`` and ``is_visible``; ``scale``, the person's height over 200 px;
``objpos``, roughly the middle; ``x1`` to ``y2``, the head. ``img_train(i)`` is 1 where an image's labels are
public; only those are written. MATLAB counts pixels from 1, the JSON from 0.

MPII has no boxes of people: see ``person_box``. A person without joints becomes an ignored box. Head joints have
no visibility in MPII and count as visible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastpose_mtn.data.coco.writing import CocoJsonWriter
from fastpose_mtn.data.conversion import parse_conversion
from fastpose_mtn.data.matlab import load_matlab, number, records
from fastpose_mtn.errors import InputError, exit_on_error
from fastpose_mtn.skeletons import MPII16

_MATLAB_FILE = "mpii_human_pose_v1_u12_1.mat"
_HEIGHT = 200  # pixels of a person of scale 1
# Joints lie inside a body: its outline is this share of the person's height further out. Feet and hands reach
# further than that from ankles and wrists, hips and shoulders less.
_MARGIN = 0.06


def convert_mpii(root: Path, *, skip_missing: bool = False) -> tuple[Path, str]:
    """Writes ``root/mpii_train.json``.

    Args:
        root: the folder with ``images/`` and, in it or in a folder below, the MATLAB file.

    Returns:
        The file, and what is in it in words.

    Raises:
        InputError: a file is missing or is not what MPII hands out; names the file and the record.
    """
    path = _find(root)
    release = records(load_matlab(path, "RELEASE"))
    if not release or not {"annolist", "img_train"} <= release[0].keys():
        raise InputError(f"{path}: expected RELEASE to have the fields annolist and img_train")
    images, is_train = records(release[0]["annolist"]), np.asarray(release[0]["img_train"]).ravel()
    if len(images) != len(is_train):
        raise InputError(
            f"{path}: expected img_train to have a number for each of {len(images)} images, got {len(is_train)}"
        )
    writer = CocoJsonWriter(root / "images", skeleton=MPII16, skip_missing=skip_missing)
    for index in np.flatnonzero(is_train == 1):
        where = f"{path}: annolist({index + 1})"
        try:
            _convert_image(images[index], writer, where)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise InputError(f"{where}: not as MPII documents it: {error}") from error
    target = root / "mpii_train.json"
    writer.write(target, {"description": "MPII Human Pose, images with public labels"})
    return target, writer.summary()


def _convert_image(record: Mapping[str, Any], writer: CocoJsonWriter, where: str) -> None:
    name = records(record["image"])[0]["name"]
    image_id = writer.image(name)
    if image_id is None:
        return
    for number_, person in enumerate(records(record["annorect"]), 1):
        place = f"{where} ({name}), annorect({number_})"
        joints = person_joints(person)
        head = _corners(person, ("x1", "y1", "x2", "y2"))
        height = _HEIGHT * (_value(person, "scale") or 0.0)
        fields: dict[str, Any] = {} if head is None else {"bbox_head": _xywh(head)}
        if (joints[:, 2] > 0).any():
            writer.person(
                image_id, _xywh(person_box(joints, head, height)), keypoints=joints.ravel().tolist(), **fields
            )
            continue
        middle = _middle(person)
        if middle is not None and height > 0:
            box = np.array([*(middle - height / 2), *(middle + height / 2)])
        elif head is not None:
            box = head
        else:
            writer.note("people left out who have neither joints nor a place", place)
            continue
        writer.note("people without joints, written as ignored boxes", place)
        writer.person(image_id, _xywh(box), crowd=True)


def person_joints(person: Mapping[str, Any]) -> np.ndarray:
    """(16, 3) x, y, v of an ``annorect``; pixel indices from 0, v as COCO's, zeros where not labelled."""
    joints = np.zeros((len(MPII16), 3))
    for points in records(person.get("annopoints", np.zeros(0))):
        for point in records(points["point"]):
            x, y, joint = (number(point[field]) for field in ("x", "y", "id"))
            if x is None or y is None or joint is None or not 0 <= joint < len(MPII16):
                raise ValueError(f"expected a point with x, y and an id of 0 to 15, got {x}, {y} and {joint}")
            hidden = number(point.get("is_visible", "")) == 0
            joints[int(joint)] = x - 1, y - 1, 1 if hidden else 2
    return joints


def person_box(joints: np.ndarray, head_xyxy: np.ndarray | None, height: float) -> np.ndarray:
    """A person's box (4,) xyxy: around the joints and the head, with a margin that the person's height gives.

    The extent of the joints alone would be too small for whom it shows from the side or in part.

    Args:
        joints: (16, 3) pixel indices.
        head_xyxy: (4,) pixels, or None.
        height: of the whole person in pixels, 0 where unknown: then the joints' own extent stands for it.
    """
    labelled = joints[joints[:, 2] > 0, :2] + 0.5
    low, high = labelled.min(axis=0), labelled.max(axis=0)
    margin = _MARGIN * (height or float((high - low).max()))
    low, high = low - margin, high + margin
    if head_xyxy is not None:
        low, high = np.minimum(low, head_xyxy[:2]), np.maximum(high, head_xyxy[2:])
    return np.concatenate([low, high])


def _middle(person: Mapping[str, Any]) -> np.ndarray | None:
    """(2,) pixels."""
    for place in records(person.get("objpos", np.zeros(0))):
        x, y = number(place["x"]), number(place["y"])
        if x is not None and y is not None:
            return np.array([x - 0.5, y - 0.5])
    return None


def _corners(person: Mapping[str, Any], fields: Sequence[str]) -> np.ndarray | None:
    """(4,) xyxy of a box whose corners are the first and the last pixel, counted from 1."""
    values = [_value(person, field) for field in fields]
    if None in values:
        return None
    x1, y1, x2, y2 = values
    box = np.array([min(x1, x2) - 1, min(y1, y2) - 1, max(x1, x2), max(y1, y2)], float)  # type: ignore[type-var,operator]
    return box


def _value(person: Mapping[str, Any], field: str) -> float | None:
    return number(person[field]) if field in person else None


def _xywh(box: np.ndarray) -> list[float]:
    return [*box[:2].tolist(), *(box[2:] - box[:2]).tolist()]


def _find(root: Path) -> Path:
    for path in (root / _MATLAB_FILE, *sorted(root.glob(f"*/{_MATLAB_FILE}"))):
        if path.is_file():
            return path
    raise InputError(
        f"{root}: expected {_MATLAB_FILE} here or in a folder below; datasets/README.md says where to get it"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with exit_on_error():
        asked = parse_conversion(arguments, name="mpii", description=__doc__)
        path, summary = convert_mpii(asked.root, skip_missing=asked.skip_missing)
        print(f"{path}: {summary}")


if __name__ == "__main__":
    main()
