"""AlphaPose's results, a JSON list of people, as detections: of our ``--formats alphapose`` or of its own program.

Its file says less than saved detections do. Frames are known by the people in them; of a video (``17.jpg`` is frame 17)
those between are empty. Times follow from a frame rate. Frames are as large as what is found in them needs at least, and
who was interpolated is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastpose_mtn.data.dataset import FRAME_RATE
from fastpose_mtn.data.json_fields import (
    Describe,
    JsonObject,
    expect_list,
    expect_object,
    load_json,
    number_array,
    number_rows,
    wrong,
)
from fastpose_mtn.data.labels.plausibility import (
    are_shares,
    of_shares,
    refuse_corners_of_joints,
    refuse_other_orders,
)
from fastpose_mtn.errors import InputError
from fastpose_mtn.files import natural_order
from fastpose_mtn.skeletons import SKELETONS, Skeleton
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.tracking.detections_file import SavedDetections, SavedFrame

ENDING = ".alphapose.json"
_INDEX = 0.5  # pixels that its joints, which are indices, lie before ours, which are places
_MOST_FRAMES = 10_000_000  # of a video, ours: almost four days; greater numbers are names
_BY_LENGTH = {len(skeleton): skeleton for skeleton in SKELETONS.values()}


def is_alphapose_file(path: Path) -> bool:
    """Whether a file of detections is AlphaPose's results, as its name tells: they alone are JSON."""
    return path.suffix == ".json"


def is_alphapose(content: object) -> bool:
    """Whether a JSON file's content is AlphaPose's results, and not COCO's: people have a ``box`` instead of a ``bbox``."""
    first = content[0] if isinstance(content, list) and content else None
    return isinstance(first, dict) and "keypoints" in first and "bbox" not in first


def read_alphapose(path: Path, frame_rate: float = FRAME_RATE) -> SavedDetections:
    """Reads the people of a file; their track ids (``idx``) do not count.

    Joints are told by how many there are. Scores are the person's own: AlphaPose adds the joints' mean confidence and 1.25
    times the greatest one.

    Args:
        path: the JSON file.
        frame_rate: frames a second.

    Raises:
        InputError: it is missing or is no such file; names file, person and field.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    content = load_json(path)
    if isinstance(content, dict) and "annotations" in content:
        raise InputError(
            f"{path}: expected what was found before tracking, got labels or results that were tracked; give AlphaPose's "
            "list of people, or NAME.detections.npz, which track_video.py --save-detections writes"
        )
    return parse_alphapose(expect_list(content, str(path)), path, frame_rate)


def parse_alphapose(content: Sequence[object], path: Path, frame_rate: float = FRAME_RATE) -> SavedDetections:
    """``read_alphapose`` of a file's content, which was read already."""
    entries = [expect_object(value, f"{path}: [{index}]") for index, value in enumerate(content)]
    if not entries:
        raise InputError(f"{path}: nobody is in it, so it does not tell which joints people have")
    if not is_alphapose(entries):
        raise InputError(
            f"{path}: [0]: expected a person as AlphaPose writes them, with image_id, keypoints, score and box; got "
            f"{', '.join(map(str, entries[0])) or 'nothing'}"
        )
    numbered = [
        (f"{path}: [{index}]", entry)
        for index, entry in enumerate(entries)
        if entry.get("category_id", 1) == 1 and entry.get("interpolated") is not True
    ]
    if not numbered:
        raise InputError(
            f"{path}: none of its {len(entries)} entries is a person who was found: expected category_id 1, got "
            f"{entries[0].get('category_id', 1)}{', interpolated' if entries[0].get('interpolated') is True else ''}"
        )
    skeleton = _skeleton(entries[0], path)
    people = _people(numbered, skeleton)
    written = people.boxes - np.pad(people.boxes[:, :2], ((0, 0), (2, 0)))
    refuse_corners_of_joints(written, people.keypoints, str(path))
    refuse_other_orders(written, people.keypoints, str(path))
    for field, values in (("box", people.boxes), ("keypoints", people.keypoints[..., :2] - _INDEX)):
        if are_shares(values[values > 0]):
            raise InputError(f"{path}: {field}: {of_shares(values)}")
    rows: dict[str, list[int]] = {}
    folders: dict[str, str] = {}
    for row, (place, entry) in enumerate(numbered):
        folder, name = _image(entry, place)
        if folders.setdefault(name, folder) != folder:
            wrong(
                f"{place}.image_id",
                f"{name} of one folder, {folders[name]!r} (a file for each video)",
                folder,
            )
        rows.setdefault(name, []).append(row)
    corners = np.concatenate((people.boxes[:, 2:], people.keypoints[..., :2].reshape(-1, 2), np.ones((1, 2))))
    width, height = np.ceil(corners.max(axis=0)).astype(int).tolist()
    saved = tuple(
        SavedFrame(number, number / frame_rate, (height, width), people[np.array(own, np.int64)], name)
        for number, name, own in _frames(rows)
    )
    return SavedDetections(source_name(path), skeleton, saved)


def _frames(rows: Mapping[str, list[int]]) -> Iterator[tuple[int, str | None, list[int]]]:
    """The number and the file's name of each frame, and whose rows are in it."""
    numbers = {_frame_number(name): own for name, own in rows.items()}
    if None in numbers:  # images; files that were sorted by score or shuffled have them in any order
        for number, name in enumerate(sorted(rows, key=natural_order)):
            yield number, name, rows[name]
    else:
        last = max((number for number in numbers if number is not None), default=-1)
        yield from ((number, None, numbers.get(number, [])) for number in range(last + 1))


def source_name(path: Path) -> str:
    """The name of the video that a file's people were found in."""
    return path.name.removesuffix(ENDING).removesuffix(".json")


def _skeleton(entry: JsonObject, path: Path) -> Skeleton:
    """Which joints the people have, by how many there are."""
    values = entry["keypoints"]
    joints = len(values) // 3 if isinstance(values, list) and len(values) % 3 == 0 else 0
    if joints not in _BY_LENGTH:
        known = ", ".join(f"{count} ({_BY_LENGTH[count].name})" for count in sorted(_BY_LENGTH))
        wrong(f"{path}: [0].keypoints", f"x, y and confidence of {known} joints", values)
    return _BY_LENGTH[joints]


def _image(entry: JsonObject, place: str) -> tuple[str, str]:
    """The folder and the name of the image that somebody is in."""
    image = entry.get("image_id")
    if isinstance(image, bool) or not isinstance(image, (int, str)) or image == "":
        wrong(f"{place}.image_id", "a file's name", image)
    path = Path(str(image))
    return str(path.parent), path.name


def _frame_number(name: str) -> int | None:
    """Of a video's frame, which is called by its count alone; None: of an image."""
    stem = Path(name).stem
    if not stem.isdecimal() or str(int(stem)) != stem or int(stem) >= _MOST_FRAMES:
        return None
    return int(stem)


def _people(numbered: Sequence[tuple[str, JsonObject]], skeleton: Skeleton) -> PersonDetections:
    """Everybody, in the order of the file; each with the place in it."""

    def values(field: str) -> tuple[list[Any], Describe]:
        return [entry.get(field) for _, entry in numbered], lambda row: f"{numbered[row][0]}.{field}"

    flat, describe = values("keypoints")
    joints = number_rows(flat, 3 * len(skeleton), describe).reshape(len(numbered), len(skeleton), 3)
    there = joints.any(axis=2, keepdims=True)  # one that is left out is all zeros
    joints = np.where(there, joints + np.array([_INDEX, _INDEX, 0]), 0)
    joints[..., 2] = joints[..., 2].clip(0, 1)  # a heatmap's peak can be a little above
    confidences = joints[..., 2]
    given, describe = values("box")
    extents = np.concatenate((joints[..., :2].min(axis=1), np.ptp(joints[..., :2], axis=1)), axis=1).tolist()
    # some versions write no boxes: those around the joints
    boxes = number_rows(
        [own if box is None else box for box, own in zip(given, extents, strict=True)], 4, describe
    )
    if len(negative := np.flatnonzero((boxes[:, 2:] < 0).any(axis=1))):
        row = int(negative[0])
        wrong(describe(row), "[x, y, width, height], sizes of 0 or more", given[row])
    scores = number_array(*values("score")) - confidences.mean(axis=1)
    scores -= 1.25 * confidences.max(axis=1, initial=0)
    corners = np.concatenate((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), axis=1)
    return PersonDetections(
        boxes=corners.astype(np.float32),
        scores=scores.clip(0, 1).astype(np.float32),
        keypoints=joints.astype(np.float32),
    )
