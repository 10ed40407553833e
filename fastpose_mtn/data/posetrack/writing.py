"""A sequence as the content of a PoseTrack17 or a PoseTrack18 file."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from fastpose_mtn.data.json_fields import JsonObject, box_xywh, json_number
from fastpose_mtn.data.posetrack.posetrack17 import CORNERS, JOINT_OF_ID
from fastpose_mtn.data.posetrack.records import (
    SLOT_OF_JOINT,
    posetrack18_annotation_id,
    posetrack18_category,
    posetrack18_image_id,
    posetrack18_video_id,
)
from fastpose_mtn.data.posetrack.sequence import (
    NO_TRACK_ID,
    POSETRACK18_SLOTS,
    PoseTrackFrame,
    PoseTrackSequence,
)

# poseval gives a joint without a score this one; written where other joints of the person have scores.
_NO_SCORE = -9999
# Fields that hold what only the other format can say; they are left out where that format is written.
_ONLY_18 = {"unused_slots"}


def posetrack17_records(sequence: PoseTrackSequence) -> JsonObject:
    """The content of a PoseTrack17 file."""
    entries = []
    for i, frame in enumerate(sequence.frames):
        entry: JsonObject = {
            "image": [{"name": frame.name}],
            "is_labeled": [int(frame.is_labeled)],
            "annorect": [_person17(sequence, p) for p in range(*_rows(sequence, i))],
        }
        if frame.ignore_regions:
            entry["ignore_regions"] = [
                {"point": [{"x": [json_number(x)], "y": [json_number(y)]} for x, y in region]}
                for region in frame.ignore_regions
            ]
        entry.update(_image_fields(frame))
        entry.update(frame.extra)
        entry.setdefault("imgnum", [i + 1])
        entries.append(entry)
    return {"annolist": entries, **sequence.extra}


def posetrack18_fields(sequence: PoseTrackSequence) -> JsonObject:
    """What a PoseTrack18 file says besides its images and people."""
    return {"categories": [posetrack18_category()], **sequence.extra}


def posetrack18_frames(
    sequence: PoseTrackSequence,
) -> Iterator[tuple[JsonObject, list[JsonObject]]]:
    """Of each frame its entry of ``images`` and its entries of ``annotations``, with all digits.

    Missing ids are made as poseval makes them.
    """
    for i, frame in enumerate(sequence.frames):
        image_id = frame.image_id
        if image_id is None:
            image_id = posetrack18_image_id(sequence.name, _frame_number(frame, i))
        image: JsonObject = {
            "file_name": frame.name,
            "is_labeled": frame.is_labeled,
            "ignore_regions_x": [[json_number(x) for x in region[:, 0]] for region in frame.ignore_regions],
            "ignore_regions_y": [[json_number(y) for y in region[:, 1]] for region in frame.ignore_regions],
        }
        image.update({**_image_fields(frame), "id": image_id})
        image.update(frame.extra)
        image.setdefault("nframes", len(sequence))
        image.setdefault("vid_id", posetrack18_video_id(sequence.name))
        people = []
        first, end = _rows(sequence, i)
        for p in range(first, end):
            record = {"image_id": image_id, **_person18(sequence, p)}
            if isinstance(image_id, int):
                record.setdefault("id", posetrack18_annotation_id(image_id, p - first))
            people.append(record)
        yield image, people


def _rows(sequence: PoseTrackSequence, frame: int) -> tuple[int, int]:
    rows = sequence.people_of(frame)
    return rows.start, rows.stop


def _frame_number(frame: PoseTrackFrame, index: int) -> int:
    stem = os.path.basename(frame.name).split(".")[0].split("_")[0]
    return int(stem) if stem.isascii() and stem.isdigit() else index


def _image_fields(frame: PoseTrackFrame) -> JsonObject:
    fields: JsonObject = {}
    if frame.image_id is not None:
        fields["id"] = frame.image_id
    if frame.size_hw is not None:
        fields["height"], fields["width"] = (json_number(v) for v in frame.size_hw)
    return fields


def _person17(sequence: PoseTrackSequence, person: int) -> JsonObject:
    record = _common_fields(sequence, person)
    if "track_id" in record:
        record["track_id"] = [record["track_id"]]
    if "score" in record:
        record["score"] = [record["score"]]
    for corner, value in zip(CORNERS, sequence.head_boxes_xyxy[person], strict=True):
        if not np.isnan(value):
            record[corner] = [json_number(value)]
    points = []
    for joint_id, joint in enumerate(JOINT_OF_ID):
        if not sequence.has_joint[person, joint]:
            continue
        x, y = sequence.keypoints[person, joint]
        point = {"id": [joint_id], "x": [json_number(x)], "y": [json_number(y)]}
        for field, array in (("is_visible", sequence.visibility), ("score", sequence.joint_scores)):
            if not np.isnan(array[person, joint]):
                point[field] = [json_number(array[person, joint])]
        points.append(point)
    record["annopoints"] = [{"point": points}]
    extra = _person_extra(sequence, person)
    if "annopoints" in extra and extra["annopoints"] is None:  # a person who had no such field
        del record["annopoints"], extra["annopoints"]
    elif not sequence.has_points[person]:
        record["annopoints"] = []
    return {**record, **extra}


def _person18(sequence: PoseTrackSequence, person: int) -> JsonObject:
    record = _common_fields(sequence, person)
    has_joint, joint_scores = sequence.has_joint[person], sequence.joint_scores[person]
    slots = np.zeros((len(POSETRACK18_SLOTS), 3))
    slots[SLOT_OF_JOINT, :2] = sequence.keypoints[person]
    visibility = sequence.visibility[person]
    if has_joint.any() and np.isnan(visibility).all():
        record["is_visible"] = []
    slots[SLOT_OF_JOINT, 2] = np.where(np.isnan(visibility), has_joint, visibility)
    slots[[SLOT_OF_JOINT[k] for k in np.flatnonzero(~has_joint)]] = 0
    scores = np.zeros(len(POSETRACK18_SLOTS))
    scores[SLOT_OF_JOINT] = np.where(has_joint, np.where(np.isnan(joint_scores), _NO_SCORE, joint_scores), 0)
    extra = _person_extra(sequence, person)
    for name, *values in extra.get("unused_slots", []):
        if name in POSETRACK18_SLOTS and not slots[POSETRACK18_SLOTS.index(name)].any():
            slots[POSETRACK18_SLOTS.index(name)] = values[:3]
            scores[POSETRACK18_SLOTS.index(name)] = values[3]
    record["keypoints"] = [json_number(v) for v in slots.ravel()]
    record["scores"] = [] if np.isnan(joint_scores).all() else [json_number(v) for v in scores]
    head = sequence.head_boxes_xyxy[person]
    if not np.isnan(head).any():
        record["bbox_head"] = box_xywh(head)
    extra = {k: v for k, v in extra.items() if k not in _ONLY_18}
    return {"category_id": 1, **record, **extra}


def _common_fields(sequence: PoseTrackSequence, person: int) -> JsonObject:
    record: JsonObject = {}
    if sequence.track_ids[person] != NO_TRACK_ID:
        record["track_id"] = int(sequence.track_ids[person])
    if not np.isnan(sequence.scores[person]):
        record["score"] = json_number(sequence.scores[person])
    if not np.isnan(sequence.boxes_xyxy[person]).any():
        record["bbox"] = box_xywh(sequence.boxes_xyxy[person])
    return record


def _person_extra(sequence: PoseTrackSequence, person: int) -> JsonObject:
    return dict(sequence.person_extra[person]) if sequence.person_extra else {}
