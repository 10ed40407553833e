"""PoseTrack18's JSON, COCO's layout: ``images``, ``annotations``, ``categories``.

A joint is absent where x, y and v are all 0, and only there: poseval takes a joint with v = 0 at another
place for a labelled one, and so does this.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from fastpose_mtn.data.json_fields import (
    JsonObject,
    json_number,
    number_array,
    number_rows,
    placed,
    plain_rows,
    shown,
    unlike_written,
    wrong,
)
from fastpose_mtn.data.labels.annotations import Annotation
from fastpose_mtn.data.labels.file import LabelFile, read_labels
from fastpose_mtn.data.labels.images import ImageEntry
from fastpose_mtn.data.labels.rules import LabelRules
from fastpose_mtn.data.labels.values import Identifier
from fastpose_mtn.data.posetrack.sequence import (
    NO_TRACK_ID,
    NUM_JOINTS,
    POSETRACK18_SLOTS,
    PoseTrackFrame,
    PoseTrackSequence,
    describe_frame,
)
from fastpose_mtn.data.problems import Problems
from fastpose_mtn.errors import InputError
from fastpose_mtn.skeletons import POSETRACK15

Warn = Callable[[str], None]

_RULES = LabelRules(wants_files=False, poseval=True, joint_offset=0.0)
_LARGEST_ID = 2**53  # of a track that keeps its number
_IMAGE_FIELDS = {"id", "file_name", "height", "width", "is_labeled", "ignore_regions_x", "ignore_regions_y"}
_PERSON_FIELDS = {"image_id", "track_id", "keypoints", "scores", "bbox", "bbox_head", "score", "is_visible"}
_FILE_FIELDS = {"images", "annotations"}


def parse_posetrack18(
    data: JsonObject,
    *,
    path: str,
    name: str,
    warn: Warn,
    keep_extra: bool = False,
    people: tuple[str, ...] = (),
) -> PoseTrackSequence:
    """A sequence from the content of a PoseTrack18 file.

    Frames are in the order of ``images``; a frame's people in the order of ``annotations``.

    Args:
        data: the file's JSON value.
        path: of the file, for messages.
        name: of the sequence.
        warn: takes a line of text for each oddity that does not stop reading.
        keep_extra: also keep the fields that this class has no place for, to write them again.
        people: see ``LabelRules``.

    Raises:
        InputError: a field is missing or wrong; the text names file, sequence, frame and field.
    """
    where = f"{path}: sequence {name}"
    problems = Problems()
    file = read_labels(data, path or where, replace(_RULES, people=people), problems)
    for line in problems.lines():
        warn(f"{path or where}: {line}")
    slots = _slots(file, where, warn) if data["annotations"] or "categories" in data else POSETRACK18_SLOTS
    entries = _first_video(file.images.entries, where, warn)
    rows_of_entry: dict[int, list[int]] = {}
    for row, annotation in enumerate(file.people.annotations):
        rows_of_entry.setdefault(annotation.image, []).append(row)
    rows = [rows_of_entry.get(file.images.position[entry.key], []) for entry in entries]
    order = np.array([row for frame_rows in rows for row in frame_rows], np.int64)
    frame_index = np.repeat(np.arange(len(entries)), [len(r) for r in rows]).astype(np.int64)
    frames = tuple(
        _frame(entry, len(own) > 0, keep_extra=keep_extra) for entry, own in zip(entries, rows, strict=True)
    )

    def describe(field: str) -> Callable[[int], str]:
        def at(person: int) -> str:
            frame = int(frame_index[person])
            position = file.people.annotations[order[person]].position
            return f"{describe_frame(path, name, frame, frames[frame].name)}, annotations[{position}].{field}"

        return at

    persons = [file.people.annotations[row] for row in order.tolist()]
    boxes = file.people.boxes_xywh[order]
    return PoseTrackSequence(
        name=name,
        path=path,
        frames=frames,
        frame_index=frame_index,
        **_people(persons, boxes, file.people.joints[order], slots, describe),
        person_extra=tuple(
            _extra(person.fields, joints, slots, has_box=not np.isnan(box).any())
            for person, joints, box in zip(persons, file.people.joints[order], boxes, strict=True)
        )
        if keep_extra
        else (),
        extra=_file_extra(data, slots) if keep_extra else {},
    )


def _slots(file: LabelFile, where: str, warn: Warn) -> tuple[str, ...]:
    """The joint names of the file's slots: all 15 of PoseTrack, in any order, and two of any name."""
    names = file.categories.joints
    place = f"{where}, categories: keypoints"
    missing = [joint for joint in POSETRACK15.joints if joint not in names]
    others = [joint for joint in names if joint not in POSETRACK15.joints]
    if missing:
        unlike = f" but {', '.join(others)}" if others else ""
        raise InputError(
            f"{place}: expected the joints {', '.join(POSETRACK15.joints)} (two more may stand among them), "
            f"got none named {', '.join(missing)}{unlike}"
        )
    if len(names) not in (15, 17):
        wrong(place, "15 or 17 joint names", list(names))
    unknown = [joint for joint in others if joint not in POSETRACK18_SLOTS]
    if unknown:
        warn(f"{place}: unknown joints {', '.join(map(shown, unknown))} are left out")
    return names


def _first_video(entries: list[ImageEntry], where: str, warn: Warn) -> list[ImageEntry]:
    """The images of the file's first video: poseval evaluates no other.

    It tells videos apart by the folder of the images, up to the folder's first underscore.
    """
    videos = [os.path.basename(os.path.dirname(entry.file_name)).split("_")[0] for entry in entries]
    kept = [entry for entry, video in zip(entries, videos, strict=True) if video == videos[0]]
    if len(kept) < len(entries):
        warn(
            f"{where}, images: a file holds one sequence, this one images of {len(set(videos))} folders; "
            f"only the {len(kept)} of the first are read"
        )
    return kept


def _frame(entry: ImageEntry, has_people: bool, *, keep_extra: bool) -> PoseTrackFrame:
    width, height = entry.size_wh
    return PoseTrackFrame(
        name=entry.file_name,
        image_id=entry.key,
        size_hw=(float(height), float(width)) if width else None,
        is_labeled=has_people if entry.is_labeled is None else entry.is_labeled,
        ignore_regions=tuple(entry.regions),
        extra={k: v for k, v in entry.fields.items() if k not in _IMAGE_FIELDS} if keep_extra else {},
    )


def _people(
    people: Sequence[Annotation],
    boxes_xywh: np.ndarray,
    joints: np.ndarray,
    slots: tuple[str, ...],
    describe: Callable[[str], Callable[[int], str]],
) -> dict[str, np.ndarray]:
    """The arrays of the people; joints (P, slots, 3) from the file's slots into POSETRACK15's order."""
    count, fields = len(people), [person.fields for person in people]
    columns = [slots.index(joint) for joint in POSETRACK15.joints]
    joints = joints[:, columns]
    has_joint = (joints[..., 0] != 0) | (joints[..., 1] != 0) | (joints[..., 2] != 0)
    # An empty list is this package's word for "the file, once in PoseTrack17's format, did not say".
    says_visibility = np.array([p.get("is_visible") != [] for p in fields], bool).reshape(-1, 1)
    boxes = boxes_xywh.copy()
    boxes[:, 2:] += boxes[:, :2]
    return {
        "track_ids": _track_ids(people),
        "keypoints": np.ascontiguousarray(joints[..., :2]),
        "has_joint": has_joint,
        "visibility": np.where(has_joint & says_visibility, joints[..., 2], np.nan),
        "joint_scores": np.where(has_joint, _joint_scores(fields, columns, describe("scores")), np.nan),
        "head_boxes_xyxy": _boxes(fields, "bbox_head", describe),
        "boxes_xyxy": boxes,
        "scores": _optional(fields, "score", describe, number_array, np.full(count, np.nan)),
        "has_points": np.ones(count, bool),
    }


def _track_ids(people: Sequence[Annotation]) -> np.ndarray:
    """(P,) int64; text, and what 64 bits do not hold, is numbered on from the greatest."""
    fitting = [p.track_id for p in people if isinstance(p.track_id, int) and abs(p.track_id) < _LARGEST_ID]
    numbers: dict[Identifier, int] = {track_id: track_id for track_id in fitting}
    after = max(fitting, default=0) + 1
    ids = [
        NO_TRACK_ID if p.track_id is None else numbers.setdefault(p.track_id, after + len(numbers))
        for p in people
    ]
    return np.array(ids, np.int64)


def _joint_scores(
    people: Sequence[JsonObject], columns: list[int], describe: Callable[[int], str]
) -> np.ndarray:
    """(P, 15); a person without the field, or with an empty list, has none."""
    out = np.full((len(people), NUM_JOINTS), np.nan)
    given = [i for i, person in enumerate(people) if person.get("scores")]
    needed = max(columns) + 1
    lists = [people[i]["scores"] for i in given]
    for i, scores in zip(given, lists, strict=True):
        if not isinstance(scores, list) or len(scores) < needed:
            wrong(describe(i), f"a list of {needed} numbers or more, one a joint", scores)
    plain = plain_rows(lists, len(lists[0])) if lists else None
    if plain is not None and np.isfinite(plain[:, columns]).all():
        out[given] = plain[:, columns]
        return out
    picked = [[scores[column] for column in columns] for scores in lists]
    try:
        out[given] = number_rows(picked, NUM_JOINTS, lambda i: "")
    except ValueError:  # again, for a message that counts as the file does
        for i, scores in zip(given, lists, strict=True):
            number_array(scores, placed(describe(i)))
    return out


def _boxes(
    people: Sequence[JsonObject], field: str, describe: Callable[[str], Callable[[int], str]]
) -> np.ndarray:
    given = [i for i, person in enumerate(people) if person.get(field)]
    at = describe(field)
    boxes = np.full((len(people), 4), np.nan)
    boxes[given] = number_rows([people[i][field] for i in given], 4, lambda k: at(given[k]))
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def _optional(
    people: Sequence[JsonObject],
    field: str,
    describe: Callable[[str], Callable[[int], str]],
    convert: Callable[..., np.ndarray],
    default: np.ndarray,
) -> np.ndarray:
    given = [i for i, person in enumerate(people) if person.get(field) is not None]
    at = describe(field)
    default[given] = convert([people[i][field] for i in given], lambda k: at(given[k]))
    return default


def _extra(person: JsonObject, joints: np.ndarray, slots: tuple[str, ...], *, has_box: bool) -> JsonObject:
    """Fields without a place in the arrays, and what stands in slots that PoseTrack17 cannot hold."""
    extra = {k: v for k, v in person.items() if k not in _PERSON_FIELDS}
    boxes = [k for k in ("bbox", "bbox_head") if person.get(k)]
    extra.update({k: person[k] for k in boxes if (k == "bbox" and not has_box) or unlike_written(person[k])})
    scores = person.get("scores") or [0.0] * len(slots)
    unused = [
        [name, *map(json_number, joints[i]), scores[i] if i < len(scores) else 0.0]
        for i, name in enumerate(slots)
    ]
    unused = [s for s in unused if any(s[1:]) and (s[0] not in POSETRACK15.joints or not any(s[1:4]))]
    if unused:
        extra["unused_slots"] = unused
    if person.get("scores") and not joints.any():
        extra["scores"] = person["scores"]
    return extra


def _file_extra(data: JsonObject, slots: tuple[str, ...]) -> JsonObject:
    """Fields of the file; its category only if it has the slots that writing uses."""
    dropped = _FILE_FIELDS if slots == POSETRACK18_SLOTS else {*_FILE_FIELDS, "categories"}
    return {k: v for k, v in data.items() if k not in dropped}
