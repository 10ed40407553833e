"""InterHand2.6M's hands to COCO-style JSON: ``python datasets/convert_interhand.py``.

Read of each split: ``annotations/SPLIT/InterHand2.6M_SPLIT_data.json``, the images and which joints are valid in each,
``..._joint_3d.json``, 42 points of every moment in millimetres of the world, ``..._camera.json``, the cameras, and
``images/SPLIT/CAPTURE/SEQUENCE/CAMERA/*.jpg``.

Joints have HALPE136's names (``right_hand_root``, ``right_thumb1`` ...). A hand is somebody of whom the hand alone is
labelled, of two hands in an image each is; its box is drawn around its points.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastpose_mtn.data.coco.writing import CocoJsonWriter
from fastpose_mtn.data.conversion import parse_conversion
from fastpose_mtn.data.json_fields import JsonObject, expect_list, load_json
from fastpose_mtn.errors import InputError, exit_on_error
from fastpose_mtn.skeletons import HALPE136, skeleton_of

SPLITS = ("train", "val", "test")
_FINGERS = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")
# of each finger the tip first, and the wrist last
_HANDS = [
    [*(f"{side}_{finger}{joint}" for finger in _FINGERS for joint in (4, 3, 2, 1)), f"{side}_hand_root"]
    for side in ("right", "left")
]
_SKELETON = skeleton_of([HALPE136.joints[i] for i in HALPE136.parts["hands"]])
_ORDER = [[_SKELETON.joints.index(joint) for joint in hand] for hand in _HANDS]
_POINTS = sum(map(len, _HANDS))
_LEAST_POINTS = 3  # of a hand; of two, one side of its box may be any


def convert_interhand(root: Path, *, skip_missing: bool = False) -> list[tuple[Path, str]]:
    """Writes ``root/interhand_SPLIT.json`` for every split whose labels are there.

    Returns:
        The files, and what is in each in words.

    Raises:
        InputError: there is no split, or a file is missing or is not what InterHand2.6M hands out; names file and field.
    """
    out = []
    for split in SPLITS:
        if not _file(root, split, "data").is_file():
            continue
        writer = CocoJsonWriter(root / "images" / split, skeleton=_SKELETON, skip_missing=skip_missing)
        _convert(root, split, writer)
        path = root / f"interhand_{split}.json"
        writer.write(path, {"description": f"InterHand2.6M, {split}"})
        out.append((path, writer.summary()))
    if not out:
        raise InputError(f"{_file(root, SPLITS[0], 'data')}: no such file, nor that of another split")
    return out


def _file(root: Path, split: str, kind: str) -> Path:
    return root / "annotations" / split / f"InterHand2.6M_{split}_{kind}.json"


def _convert(root: Path, split: str, writer: CocoJsonWriter) -> None:
    """Adds a split's images and hands."""
    files = {kind: _file(root, split, kind) for kind in ("data", "joint_3d", "camera")}
    data, moments, cameras = (_object(load_json(path), str(path)) for path in files.values())
    labels: dict[Any, JsonObject] = {}
    for number, label in enumerate(expect_list(data.get("annotations"), f"{files['data']}: annotations")):
        labels[_object(label, f"{files['data']}: annotations[{number}]").get("image_id")] = label
    for number, image in enumerate(expect_list(data.get("images"), f"{files['data']}: images")):
        place = f"{files['data']}: images[{number}]"
        record = _object(image, place)
        name = record.get("file_name")
        if not isinstance(name, str):
            raise InputError(f"{place}: file_name: expected text, got {name!r}")
        if record.get("id") not in labels:
            writer.note("images without labels left out", name)
            continue
        valid = _numbers(labels[record["id"]], "joint_valid", (_POINTS,), f"{files['data']}: {name}") > 0
        points = _seen(record, moments, cameras, files, place)
        image_id = writer.image(name)
        if image_id is None:
            continue
        for order, first in zip(_ORDER, (0, len(_HANDS[0])), strict=True):
            rows = slice(first, first + len(order))
            _add_hand(writer, image_id, name, order, points[rows], valid[rows])


def _add_hand(
    writer: CocoJsonWriter,
    image_id: int,
    name: str,
    order: Sequence[int],
    seen: np.ndarray,
    valid: np.ndarray,
) -> None:
    """Adds a hand, of 21 points (21, 3) before the camera as pixels and depth, at the places ``order`` of the skeleton."""
    valid = valid & (seen[:, 2] > 0)
    if valid.sum() < _LEAST_POINTS:
        if valid.any():
            writer.note(f"hands of fewer than {_LEAST_POINTS} joints left out", name)
        return
    keypoints = np.zeros((len(_SKELETON), 3))
    keypoints[order, :2], keypoints[order, 2] = seen[:, :2], 2.0 * valid
    writer.person_of_joints(image_id, keypoints)


def _seen(
    image: JsonObject, moments: JsonObject, cameras: JsonObject, files: dict[str, Path], place: str
) -> np.ndarray:
    """(42, 3) pixel indices and the depth of all points of an image's moment, as its camera sees them."""
    capture, moment, camera = (str(image.get(key)) for key in ("capture", "frame_idx", "camera"))
    where = f"{files['joint_3d']}: {capture}: {moment}"
    world = _numbers(
        _inner(_inner(moments, capture, str(files["joint_3d"]), place), moment, where, place),
        "world_coord", (_POINTS, 3), where,
    )  # fmt: skip
    own, where = _inner(cameras, capture, str(files["camera"]), place), f"{files['camera']}: {capture}"
    shapes = {"campos": (3,), "camrot": (3, 3), "focal": (2,), "princpt": (2,)}
    position, rotation, focal, middle = (
        _numbers(_inner(own, key, where, place), camera, shape, f"{where}: {key}") for key, shape in shapes.items()
    )  # fmt: skip
    before = (world - position) @ rotation.T
    depth = before[:, 2:]
    pixels = before[:, :2] / np.where(depth > 0, depth, 1.0) * focal + middle
    return np.concatenate((pixels, depth), axis=1)


def _object(value: Any, place: str) -> JsonObject:
    if not isinstance(value, dict):
        raise InputError(f"{place}: expected an object, got {type(value).__name__}")
    return value


def _inner(values: JsonObject, key: str, where: str, wanted_by: str) -> JsonObject:
    if key not in values:
        raise InputError(f"{where}: no {key}, which {wanted_by} names")
    return _object(values[key], f"{where}: {key}")


def _numbers(values: JsonObject, key: str, shape: tuple[int, ...], where: str) -> np.ndarray:
    """An entry's finite numbers, of as many as the shape says."""
    try:
        found = np.array(values.get(key), np.float64).reshape(shape)
    except (ValueError, TypeError):
        found = np.full(shape, np.nan)
    if not np.isfinite(found).all():
        raise InputError(
            f"{where}: {key}: expected {' x '.join(map(str, shape))} numbers, got {str(values.get(key))[:60]}"
        )
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with exit_on_error():
        asked = parse_conversion(arguments, name="interhand", description=__doc__)
        for path, summary in convert_interhand(asked.root, skip_missing=asked.skip_missing):
            print(f"{path}: {summary}")


if __name__ == "__main__":
    main()
