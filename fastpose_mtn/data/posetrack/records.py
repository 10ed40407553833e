"""PoseTrack18's JSON: the records that everything which writes it shares.

A file holds ``images``, ``annotations`` and ``categories``. A joint has 17 slots in COCO's order, with
head_bottom and head_top in place of the eyes; the two ears are never labelled. Coordinates are
continuous pixels; boxes are ``[x, y, width, height]``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from fastpose_mtn.data.posetrack.sequence import POSETRACK18_SLOTS
from fastpose_mtn.skeletons import POSETRACK15, Skeleton

if TYPE_CHECKING:  # it imports torch, which reading and evaluating files does without
    from fastpose_mtn.structures import TrackedPersons

_SLOT_OF_JOINT = [POSETRACK18_SLOTS.index(joint) for joint in POSETRACK15.joints]

# A sequence's name as PoseTrack gives it, 003418_mpii_test, and the number of its source in an image's id.
_SEQUENCE_NAME = re.compile(r"(?P<number>\d{6})_(?P<source>mpii|bonn|mpiinew)(_|$)")
_SOURCE_NUMBERS = {"mpii": 1, "bonn": 2, "mpiinew": 3}
_FRAMES_OF_A_SEQUENCE = 10_000


def posetrack18_image_id(sequence: str, frame: int) -> int:
    """The id of a frame: what poseval computes from its file name, TSSSSSSFFFF.

    T is the sequence's source, SSSSSS its number and FFFF the frame's. A sequence that is not named as
    PoseTrack names its own (``000012_mpii_test``), or a frame past 9999, has no such id: there the id is
    the frame's number, unique within its sequence, which is one file.

    Args:
        sequence: its name, which is also the stem of its JSON file.
        frame: counted from 0, or the number in the file name of a numbered image.
    """
    name = _SEQUENCE_NAME.match(sequence)
    if not name or not 0 <= frame < _FRAMES_OF_A_SEQUENCE:
        return frame
    sequence_id = _SOURCE_NUMBERS[name["source"]] * 1_000_000 + int(name["number"])
    return sequence_id * _FRAMES_OF_A_SEQUENCE + frame


def posetrack18_file_name(sequence: str, frame: int) -> str:
    """``images/SEQUENCE/000000.jpg``; poseval reads the sequence and the frame off it."""
    return f"images/{sequence}/{frame:06d}.jpg"


def posetrack18_video_id(sequence: str) -> str:
    """``vid_id``: the six digits of a sequence that PoseTrack named, another's whole name."""
    name = _SEQUENCE_NAME.match(sequence)
    return name["number"] if name else sequence


def posetrack18_annotation_id(image_id: int, person: int) -> int:
    """Unique and never 0, which pycocotools takes for "no match"; ``person`` counts from 0 within the image."""
    return image_id * 1000 + person + 1


def predicted_frame_records(
    *, sequence: str, frame: int, size_hw: tuple[int, int], people: TrackedPersons, skeleton: Skeleton
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What one tracked frame adds to ``images`` and to ``annotations``.

    Args:
        frame: counted from 0, or the number in the file name of a numbered image.
        people: NumPy, joints in ``skeleton``'s order.
    """
    image_id = posetrack18_image_id(sequence, frame)
    image = image_record(
        image_id=image_id,
        file_name=posetrack18_file_name(sequence, frame),
        size_hw=size_hw,
        video_id=posetrack18_video_id(sequence),
    )
    annotations = [
        annotation_record(
            annotation_id=posetrack18_annotation_id(image_id, person),
            image_id=image_id,
            track_id=int(people.track_ids[person]),
            box_xyxy=people.boxes[person],
            keypoints=people.keypoints[person],
            skeleton=skeleton,
            score=float(people.scores[person]),
        )
        for person in range(len(people))
    ]
    return image, annotations


def posetrack18_text(images: Iterable[Any], annotations: Iterable[Any]) -> Iterator[str]:
    """A file's text in parts, one record a line, as ``fastpose_mtn.video.writers`` streams it."""

    def lines(records: Iterable[Any]) -> Iterator[str]:
        for i, record in enumerate(records):
            yield (",\n" if i else "\n") + json.dumps(record, separators=(",", ":"))

    yield '{"images": ['
    yield from lines(images)
    yield '\n], "annotations": ['
    yield from lines(annotations)
    category = json.dumps([posetrack18_category()], separators=(",", ":"))
    yield f'\n], "categories": {category}}}\n'


def posetrack18_category() -> dict[str, Any]:
    """The one entry of ``categories``; its limbs count slots from 1."""
    limbs = [[POSETRACK18_SLOTS.index(a) + 1, POSETRACK18_SLOTS.index(b) + 1] for a, b in POSETRACK15.limbs]
    return {
        "supercategory": "person",
        "id": 1,
        "name": "person",
        "keypoints": list(POSETRACK18_SLOTS),
        "skeleton": limbs,
    }


def image_record(
    *,
    image_id: int,
    file_name: str,
    size_hw: tuple[int, int],
    frame_count: int | None = None,
    video_id: str = "",
    is_labeled: bool = True,
    ignore_regions: Iterable[np.ndarray] = (),
) -> dict[str, Any]:
    """One entry of ``images``.

    Args:
        ignore_regions: polygons, each (M, 2) x, y in pixels.
    """
    regions = [np.asarray(region, float) for region in ignore_regions]
    record: dict[str, Any] = {
        "id": image_id,
        "file_name": file_name,
        "height": int(size_hw[0]),
        "width": int(size_hw[1]),
        "vid_id": video_id,
        "is_labeled": is_labeled,
        "ignore_regions_x": [region[:, 0].tolist() for region in regions],
        "ignore_regions_y": [region[:, 1].tolist() for region in regions],
    }
    if frame_count is not None:
        record["nframes"] = frame_count
    return record


def annotation_record(
    *,
    annotation_id: int,
    image_id: int,
    track_id: int,
    box_xyxy: np.ndarray,
    keypoints: np.ndarray,
    skeleton: Skeleton,
    head_box_xyxy: np.ndarray | None = None,
    score: float | None = None,
) -> dict[str, Any]:
    """One entry of ``annotations``: a labelled person, or a predicted one where ``score`` is given.

    Args:
        box_xyxy: (4,) pixels.
        keypoints: (K, 3) in ``skeleton``'s order: x, y and, for a label, the visibility 0, 1 or 2; for
            a prediction, the confidence, written to ``scores`` with a visibility of 1.
        head_box_xyxy: (4,) pixels, the box that PCKh's scale is measured on.
        score: of the person, in [0, 1]; None for a label.
    """
    joints = skeleton.convert(np.asarray(keypoints), POSETRACK15)
    slots = np.zeros((len(POSETRACK18_SLOTS), 3))
    slots[_SLOT_OF_JOINT] = joints
    confidences = slots[:, 2].copy()
    if score is not None:
        slots[_SLOT_OF_JOINT, 2] = 1.0
        slots[[i for i in _SLOT_OF_JOINT if not slots[i, :2].any()], 2] = 0.0  # joints the skeleton lacks
    record: dict[str, Any] = {
        "id": annotation_id,
        "image_id": image_id,
        "track_id": int(track_id),
        "category_id": 1,
        "bbox": _xywh(box_xyxy),
        "keypoints": [round(float(v), 3) for v in slots.ravel()],
        "iscrowd": 0,
        "num_keypoints": int((slots[:, 2] > 0).sum()),
    }
    if head_box_xyxy is not None:
        record["bbox_head"] = _xywh(head_box_xyxy)
    if score is not None:
        record["score"] = round(float(score), 5)
        record["scores"] = [round(float(c), 5) for c in confidences]
    else:
        record["scores"] = []
    return record


def _xywh(box_xyxy: np.ndarray) -> list[float]:
    x1, y1, x2, y2 = (float(v) for v in box_xyxy)
    return [round(x1, 3), round(y1, 3), round(x2 - x1, 3), round(y2 - y1, 3)]
