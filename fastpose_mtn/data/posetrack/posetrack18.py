"""PoseTrack18's JSON, COCO's layout: ``images``, ``annotations``, ``categories``.

A joint is absent where x, y and v are all 0, and only there: poseval takes a joint with v = 0 at another
place for a labelled one, and so does this.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastpose_mtn.data.json_fields import (
    expect_list,
    expect_object,
    integer_array,
    number_array,
    number_rows,
    placed,
    shown,
    size_hw,
    unlike_written,
    wrong,
)
from fastpose_mtn.data.posetrack.sequence import (
    NO_TRACK_ID,
    NUM_JOINTS,
    POSETRACK18_SLOTS,
    PoseTrackFrame,
    PoseTrackSequence,
    describe_frame,
)
from fastpose_mtn.errors import InputError
from fastpose_mtn.skeletons import POSETRACK15

Warn = Callable[[str], None]

_IMAGE_FIELDS = {"id", "file_name", "height", "width", "is_labeled", "ignore_regions_x", "ignore_regions_y"}
_PERSON_FIELDS = {"image_id", "track_id", "keypoints", "scores", "bbox", "bbox_head", "score", "is_visible"}
_FILE_FIELDS = {"images", "annotations"}


def parse_posetrack18(
    data: dict[str, Any], *, path: str, name: str, warn: Warn, keep_extra: bool = False
) -> PoseTrackSequence:
    """A sequence from the content of a PoseTrack18 file.

    Frames are in the order of ``images``; a frame's people in the order of ``annotations``.

    Args:
        data: the file's JSON value.
        path: of the file, for messages.
        name: of the sequence.
        warn: takes a line of text for each oddity that does not stop reading.
        keep_extra: also keep the fields that this class has no place for, to write them again.

    Raises:
        InputError: a field is missing or wrong; the text names file, sequence, frame and field.
    """
    where = f"{path}: sequence {name}"
    images = expect_list(data.get("images"), f"{where}, images")
    annotations = expect_list(data.get("annotations"), f"{where}, annotations")
    slots = _slots(data, where, warn) if annotations or "categories" in data else POSETRACK18_SLOTS
    images = _first_video(images, where, warn)
    rows_of_image = _group_by_image(annotations, where)
    ids = [_image_id(image, f"{where}, images[{i}]") for i, image in enumerate(images)]
    for image_id in set(rows_of_image) - set(ids):
        first = rows_of_image[image_id][0]
        warn(
            f"{where}, annotations[{first}].image_id: no image has the id {shown(image_id)}; "
            f"left out {len(rows_of_image[image_id])} people"
        )
    rows = [rows_of_image.get(image_id, []) for image_id in ids]
    order = [row for frame_rows in rows for row in frame_rows]
    frame_index = np.repeat(np.arange(len(images)), [len(r) for r in rows]).astype(np.int64)
    labeled = [len(r) > 0 for r in rows]
    frames = tuple(
        _frame(image, ids[i], labeled[i], describe_frame(path, name, i), warn, keep_extra)
        for i, image in enumerate(images)
    )

    def describe(field: str) -> Callable[[int], str]:
        def at(person: int) -> str:
            frame = int(frame_index[person])
            return f"{describe_frame(path, name, frame, frames[frame].name)}, annotations[{order[person]}].{field}"

        return at

    people = [annotations[row] for row in order]
    return PoseTrackSequence(
        name=name,
        path=path,
        frames=frames,
        frame_index=frame_index,
        **_people(people, slots, describe),
        person_extra=tuple(_extra(p, slots) for p in people) if keep_extra else (),
        extra=_file_extra(data, slots) if keep_extra else {},
    )


def _slots(data: dict[str, Any], where: str, warn: Warn) -> tuple[str, ...]:
    """The joint names of the file's slots: all 15 of PoseTrack, in any order, and two of any name."""
    place = f"{where}, categories"
    categories = expect_list(data.get("categories"), place)
    if len(categories) != 1 or not isinstance(categories[0], dict) or categories[0].get("name") != "person":
        wrong(place, 'exactly one category, named "person"', categories)
    place += "[0].keypoints"
    names = expect_list(categories[0].get("keypoints"), place)
    missing = [joint for joint in POSETRACK15.joints if joint not in names]
    others = [joint for joint in names if joint not in POSETRACK15.joints]
    if missing:
        unlike = f" but {', '.join(map(str, others))}" if others else ""
        raise InputError(
            f"{place}: expected the joints {', '.join(POSETRACK15.joints)} (two more may stand among them), "
            f"got none named {', '.join(missing)}{unlike}"
        )
    if len(names) not in (15, 17):
        wrong(place, "15 or 17 joint names", names)
    unknown = [joint for joint in others if joint not in POSETRACK18_SLOTS]
    if unknown:
        warn(f"{place}: unknown joints {', '.join(map(shown, unknown))} are left out")
    return tuple(str(joint) for joint in names)


def _first_video(images: list[Any], where: str, warn: Warn) -> list[dict[str, Any]]:
    """The images of the file's first video: poseval evaluates no other.

    It tells videos apart by the folder of the images, up to the folder's first underscore.
    """
    videos = []
    for i, image in enumerate(images):
        file_name = expect_object(image, f"{where}, images[{i}]").get("file_name", "")
        if not isinstance(file_name, str):
            wrong(f"{where}, frame {i}, images[{i}].file_name", "text", file_name)
        videos.append(os.path.basename(os.path.dirname(file_name)).split("_")[0])
    kept = [image for image, video in zip(images, videos, strict=True) if video == videos[0]]
    if len(kept) < len(images):
        warn(
            f"{where}, images: a file holds one sequence, this one images of {len(set(videos))} folders; "
            f"only the {len(kept)} of the first are read"
        )
    return kept


def _image_id(image: dict[str, Any], place: str) -> Any:
    image_id = image.get("id")
    if not isinstance(image_id, (int, float, str)):
        wrong(f"{place}.id", "a number or text", image_id)
    return image_id


def _group_by_image(annotations: list[Any], where: str) -> dict[Any, list[int]]:
    groups: dict[Any, list[int]] = {}
    for row, person in enumerate(annotations):
        place = f"{where}, annotations[{row}]"
        image_id = expect_object(person, place).get("image_id")
        if not isinstance(image_id, (int, float, str)):
            wrong(f"{place}.image_id", "a number or text", image_id)
        groups.setdefault(image_id, []).append(row)
    return groups


def _frame(
    image: dict[str, Any], image_id: Any, has_people: bool, where: str, warn: Warn, keep_extra: bool
) -> PoseTrackFrame:
    name = image.get("file_name", "")
    place = f"{where} ({name})" if name else where
    flag = image.get("is_labeled")
    flag = has_people if flag is None else flag
    if not isinstance(flag, (bool, int)):
        wrong(f"{place}, is_labeled", "true or false", flag)
    return PoseTrackFrame(
        name=name,
        image_id=image_id,
        size_hw=size_hw(image, place),
        is_labeled=bool(flag),
        ignore_regions=_regions(image, place, warn),
        extra={k: v for k, v in image.items() if k not in _IMAGE_FIELDS} if keep_extra else {},
    )


def _regions(image: dict[str, Any], place: str, warn: Warn) -> tuple[np.ndarray, ...]:
    fields = ("ignore_regions_x", "ignore_regions_y")
    if not all(image.get(field) for field in fields):
        if any(image.get(field) for field in fields):
            warn(f"{place}, ignore_regions: only one of x and y is there; left out")
        return ()
    xs, ys = (expect_list(image[field], f"{place}, {field}") for field in fields)
    regions = []
    for k, pair in enumerate(zip(xs, ys, strict=False)):
        x, y = (
            number_array(expect_list(values, f"{place}, {field}[{k}]"), placed(f"{place}, {field}[{k}]"))
            for field, values in zip(fields, pair, strict=True)
        )
        if len(x) != len(y):
            warn(
                f"{place}, ignore_regions_y[{k}]: expected {len(x)} numbers as in x, got {len(y)}; the rest is left out"
            )
        points = min(len(x), len(y))
        regions.append(np.stack([x[:points], y[:points]], 1))
    if len(xs) != len(ys):
        warn(
            f"{place}, ignore_regions_y: expected {len(xs)} polygons as in x, got {len(ys)}; the rest is left out"
        )
    return tuple(regions)


def _people(
    people: Sequence[dict[str, Any]], slots: tuple[str, ...], describe: Callable[[str], Callable[[int], str]]
) -> dict[str, np.ndarray]:
    """The arrays of the people; joints from the file's slots into POSETRACK15's order."""
    count = len(people)
    columns = [slots.index(joint) for joint in POSETRACK15.joints]
    keypoints = number_rows([p.get("keypoints") for p in people], 3 * len(slots), describe("keypoints"))
    joints = keypoints.reshape(count, len(slots), 3)[:, columns]
    has_joint = np.asarray(joints.any(axis=2))
    # An empty list is this package's word for "the file, once in PoseTrack17's format, did not say".
    says_visibility = np.array([p.get("is_visible") != [] for p in people], bool).reshape(-1, 1)
    return {
        "track_ids": _optional(people, "track_id", describe, integer_array, np.full(count, NO_TRACK_ID)),
        "keypoints": np.ascontiguousarray(joints[..., :2]),
        "has_joint": has_joint,
        "visibility": np.where(has_joint & says_visibility, joints[..., 2], np.nan),
        "joint_scores": np.where(has_joint, _joint_scores(people, columns, describe("scores")), np.nan),
        "head_boxes_xyxy": _boxes(people, "bbox_head", describe),
        "boxes_xyxy": _boxes(people, "bbox", describe),
        "scores": _optional(people, "score", describe, number_array, np.full(count, np.nan)),
        "has_points": np.ones(count, bool),
    }


def _joint_scores(
    people: Sequence[dict[str, Any]], columns: list[int], describe: Callable[[int], str]
) -> np.ndarray:
    """(P, 15); a person without the field, or with an empty list, has none."""
    out = np.full((len(people), NUM_JOINTS), np.nan)
    given = [i for i, person in enumerate(people) if person.get("scores")]
    needed = max(columns) + 1
    lists = [people[i]["scores"] for i in given]
    for i, scores in zip(given, lists, strict=True):
        if not isinstance(scores, list) or len(scores) < needed:
            wrong(describe(i), f"a list of {needed} numbers or more, one a joint", scores)
    picked = [[scores[column] for column in columns] for scores in lists]
    try:
        out[given] = number_rows(picked, NUM_JOINTS, lambda i: "")
    except ValueError:  # again, for a message that counts as the file does
        for i, scores in zip(given, lists, strict=True):
            number_array(scores, placed(describe(i)))
    return out


def _boxes(
    people: Sequence[dict[str, Any]], field: str, describe: Callable[[str], Callable[[int], str]]
) -> np.ndarray:
    given = [i for i, person in enumerate(people) if person.get(field)]
    at = describe(field)
    boxes = np.full((len(people), 4), np.nan)
    boxes[given] = number_rows([people[i][field] for i in given], 4, lambda k: at(given[k]))
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def _optional(
    people: Sequence[dict[str, Any]],
    field: str,
    describe: Callable[[str], Callable[[int], str]],
    convert: Callable[..., np.ndarray],
    default: np.ndarray,
) -> np.ndarray:
    given = [i for i, person in enumerate(people) if person.get(field) is not None]
    at = describe(field)
    default[given] = convert([people[i][field] for i in given], lambda k: at(given[k]))
    return default


def _extra(person: dict[str, Any], slots: tuple[str, ...]) -> dict[str, Any]:
    """Fields without a place in the arrays, and what stands in slots that PoseTrack17 cannot hold."""
    extra = {k: v for k, v in person.items() if k not in _PERSON_FIELDS}
    extra.update({k: person[k] for k in ("bbox", "bbox_head") if person.get(k) and unlike_written(person[k])})
    scores = person.get("scores") or [0.0] * len(slots)
    unused = [
        [name, *person["keypoints"][3 * i : 3 * i + 3], scores[i] if i < len(scores) else 0.0]
        for i, name in enumerate(slots)
    ]
    unused = [s for s in unused if any(s[1:]) and (s[0] not in POSETRACK15.joints or not any(s[1:4]))]
    if unused:
        extra["unused_slots"] = unused
    if person.get("scores") and not any(person["keypoints"]):
        extra["scores"] = person["scores"]
    return extra


def _file_extra(data: dict[str, Any], slots: tuple[str, ...]) -> dict[str, Any]:
    """Fields of the file; its category only if it has the slots that writing uses."""
    dropped = _FILE_FIELDS if slots == POSETRACK18_SLOTS else {*_FILE_FIELDS, "categories"}
    return {k: v for k, v in data.items() if k not in dropped}
