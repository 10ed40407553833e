"""PoseTrack17's JSON: ``annolist``, one entry a frame, every value in a list of its own.

A person is a head box (``x1`` to ``y2``), a ``track_id`` and ``annopoints[0].point``, a list of joints
with ``id`` (0 is right_ankle, 14 head_top), ``x``, ``y`` and optionally ``is_visible`` and ``score``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastpose_mtn.data.json_fields import (
    JsonObject,
    expect_list,
    expect_object,
    integer_array,
    number_array,
    placed,
    shown,
    size_hw,
    unlike_written,
    wrong,
)
from fastpose_mtn.data.posetrack.sequence import (
    NO_TRACK_ID,
    NUM_JOINTS,
    POSETRACK17_JOINTS,
    PoseTrackFrame,
    PoseTrackSequence,
    describe_frame,
)
from fastpose_mtn.skeletons import POSETRACK15

Warn = Callable[[str], None]

JOINT_OF_ID = np.array([POSETRACK15.index(joint) for joint in POSETRACK17_JOINTS])
CORNERS = ("x1", "y1", "x2", "y2")
_FRAME_FIELDS = {"annorect", "image", "is_labeled", "ignore_regions", "id", "height", "width"}
_PERSON_FIELDS = {*CORNERS, "track_id", "score", "annopoints", "bbox"}


def parse_posetrack17(
    data: JsonObject, *, path: str, name: str, warn: Warn, keep_extra: bool = False
) -> PoseTrackSequence:
    """A sequence from the content of a PoseTrack17 file.

    Args:
        data: the file's JSON value.
        path: of the file, for messages.
        name: of the sequence.
        warn: takes a line of text for each oddity that does not stop reading.
        keep_extra: also keep the fields that this class has no place for, to write them again.

    Raises:
        InputError: a field is missing or wrong; the text names file, sequence, frame and field.
    """
    entries = expect_list(data.get("annolist"), f"{path}: sequence {name}, annolist")
    frames: list[PoseTrackFrame] = []
    people: list[JsonObject] = []
    frame_index: list[int] = []
    places: list[str] = []
    for i, value in enumerate(entries):
        entry = expect_object(value, describe_frame(path, name, i))
        image = _image_name(entry, describe_frame(path, name, i))
        place = describe_frame(path, name, i, image)
        persons = expect_list(entry.get("annorect"), f"{place}, annorect")
        for k, person in enumerate(persons):
            people.append(expect_object(person, f"{place}, annorect[{k}]"))
            frame_index.append(i)
            places.append(f"{place}, annorect[{k}]")
        frames.append(_frame(entry, image, place, has_people=bool(persons), keep_extra=keep_extra))

    def first(field: str) -> tuple[list[int], list[Any], Callable[[int], str]]:
        """The people who have a field, its first value for each, and where it is."""
        given = [i for i, person in enumerate(people) if person.get(field) not in (None, [], [None])]
        values = [_first(people[i][field], f"{places[i]}.{field}") for i in given]
        return given, values, lambda k: f"{places[given[k]]}.{field}"

    count = len(people)
    track_ids, scores = np.full(count, NO_TRACK_ID), np.full(count, np.nan)
    head_boxes, boxes = np.full((count, 4), np.nan), np.full((count, 4), np.nan)
    given, values, describe = first("track_id")
    track_ids[given] = integer_array(values, describe)
    given, values, describe = first("score")
    scores[given] = number_array(values, describe)
    for column, corner in enumerate(CORNERS):
        given, values, describe = first(corner)
        head_boxes[given, column] = number_array(values, describe)
    for i, person in enumerate(people):
        if "bbox" in person:  # not the format's own: a file that was converted from PoseTrack18
            box = expect_list(person["bbox"], f"{places[i]}.bbox")
            if len(box) != 4:
                wrong(f"{places[i]}.bbox", "a list of 4 numbers", box)
            boxes[i] = number_array(box, placed(f"{places[i]}.bbox"))
            boxes[i, 2:] += boxes[i, :2]
    return PoseTrackSequence(
        name=name,
        path=path,
        frames=tuple(frames),
        frame_index=np.array(frame_index, np.int64),
        track_ids=track_ids,
        head_boxes_xyxy=head_boxes,
        boxes_xyxy=boxes,
        scores=scores,
        **_joints(people, places, warn),
        person_extra=tuple(_extra(person) for person in people) if keep_extra else (),
        extra={k: v for k, v in data.items() if k != "annolist"} if keep_extra else {},
    )


def _first(value: Any, place: str) -> Any:
    """The value that PoseTrack17 wraps in a list."""
    if not isinstance(value, list) or not value:
        wrong(place, "a list with one value", value)
    return value[0]


def _image_name(entry: JsonObject, place: str) -> str:
    images = expect_list(entry.get("image", []), f"{place}, image")
    if not images:
        return ""
    name = expect_object(images[0], f"{place}, image[0]").get("name", "")
    if not isinstance(name, str):
        wrong(f"{place}, image[0].name", "text", name)
    return name


def _frame(
    entry: JsonObject, image: str, place: str, *, has_people: bool, keep_extra: bool
) -> PoseTrackFrame:
    flag = entry.get("is_labeled")
    if isinstance(flag, list):
        flag = flag[0] if flag else None
    flag = has_people if flag is None else flag
    if not isinstance(flag, (bool, int, float)):
        wrong(f"{place}, is_labeled", "[0] or [1]", flag)
    regions = []
    for r, region in enumerate(expect_list(entry.get("ignore_regions", []), f"{place}, ignore_regions")):
        where = f"{place}, ignore_regions[{r}]"
        points = expect_list(expect_object(region, where).get("point"), f"{where}.point")
        columns = [
            number_array(
                [_first(_field(p, axis, f"{where}.point[{i}]"), f"{where}.point[{i}].{axis}") for i, p in enumerate(points)],
                placed(f"{where}.point", f".{axis}"),
            )
            for axis in "xy"
        ]  # fmt: skip
        regions.append(np.stack(columns, 1))
    return PoseTrackFrame(
        name=image,
        image_id=entry.get("id"),
        size_hw=size_hw(entry, place),
        is_labeled=bool(flag),
        ignore_regions=tuple(regions),
        extra={k: v for k, v in entry.items() if k not in _FRAME_FIELDS} if keep_extra else {},
    )


def _field(value: Any, field: str, place: str) -> Any:
    return expect_object(value, place).get(field)


def _joints(people: list[JsonObject], places: list[str], warn: Warn) -> dict[str, np.ndarray]:
    """The arrays of joints; of a joint listed twice the first counts, as in poseval."""
    shape = (len(people), NUM_JOINTS)
    has_points = np.zeros(len(people), bool)
    has_joint = np.zeros(shape, bool)
    rows: list[tuple[int, int, int]] = []  # person, joint id, position in the list of points
    x, y, scores, visibility = [], [], [], []
    unknown: set[str] = set()
    for i, person in enumerate(people):
        points = _points(person, places[i])
        if points is None:
            continue
        has_points[i] = True
        for k, point in enumerate(points):
            place = f"{places[i]}.annopoints[0].point[{k}]"
            if not isinstance(point, dict):
                wrong(place, "an object", point)
            try:
                joint, px, py = point["id"][0], point["x"][0], point["y"][0]
                score = point["score"][0] if "score" in point else np.nan
            except (KeyError, IndexError, TypeError):
                if "id" in point and point["id"] is None:  # poseval's: a point of no joint
                    continue
                field = next(f for f in ("id", "x", "y", "score") if not _is_wrapped(point.get(f)))
                wrong(f"{place}.{field}", "a list with one value", point.get(field))
            if (
                isinstance(joint, bool)
                or not isinstance(joint, (int, float))
                or joint not in range(NUM_JOINTS)
            ):
                unknown.add(
                    f"{place}.id: expected 0 to {NUM_JOINTS - 1}, got {shown(joint)}; the joint is left out"
                )
                continue
            joint = int(JOINT_OF_ID[int(joint)])
            if has_joint[i, joint]:
                warn(f"{place}.id: expected each joint once, got {POSETRACK15.joints[joint]} again; left out")
                continue
            has_joint[i, joint] = True
            rows.append((i, joint, k))
            x.append(px)
            y.append(py)
            scores.append(score)
            visible = point.get("is_visible")
            visible = visible[0] if isinstance(visible, list) and visible else np.nan
            visibility.append(float(visible) if isinstance(visible, (bool, int, float)) else np.nan)
    for text in sorted(unknown)[:3]:
        warn(text)

    def describe(field: str) -> Callable[[int], str]:
        return lambda n: f"{places[rows[n][0]]}.annopoints[0].point[{rows[n][2]}].{field}"

    index = tuple(np.array([row[:2] for row in rows], np.int64).reshape(-1, 2).T)
    out = {
        "keypoints": np.zeros((*shape, 2)),
        "joint_scores": np.full(shape, np.nan),
        "visibility": np.full(shape, np.nan),
    }
    out["keypoints"][index] = np.stack([number_array(x, describe("x")), number_array(y, describe("y"))], 1)
    given = [n for n, score in enumerate(scores) if score is not np.nan]
    chosen = tuple(axis[given] for axis in index)
    out["joint_scores"][chosen] = number_array(
        [scores[n] for n in given], lambda k: describe("score")(given[k])
    )
    out["visibility"][index] = visibility
    return {**out, "has_joint": has_joint, "has_points": has_points}


def _points(person: JsonObject, place: str) -> list[Any] | None:
    """The list of points, None where the person has no such list."""
    annopoints = expect_list(person.get("annopoints", []), f"{place}.annopoints")
    if not annopoints:
        return None
    first = expect_object(annopoints[0], f"{place}.annopoints[0]")
    return expect_list(first["point"], f"{place}.annopoints[0].point") if "point" in first else None


def _is_wrapped(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0


def _extra(person: JsonObject) -> JsonObject:
    extra = {k: v for k, v in person.items() if k not in _PERSON_FIELDS}
    if "bbox" in person and unlike_written(person["bbox"]):
        extra["bbox"] = person["bbox"]
    if _points(person, "") is None:
        extra["annopoints"] = person.get("annopoints")
    return extra
