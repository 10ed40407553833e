"""PoseTrack18's JSON: ids, names and the records of images, which everything that writes it shares.

A file holds ``images``, ``annotations`` and ``categories``. A joint has 17 slots in COCO's order, with
head_bottom and head_top in place of the eyes; the two ears are never labelled. Coordinates are
continuous pixels; boxes are ``[x, y, width, height]``.
"""

from __future__ import annotations

import re

from fastpose_mtn.data.json_fields import JsonObject
from fastpose_mtn.data.posetrack.sequence import POSETRACK18_SLOTS, PoseTrackFrame
from fastpose_mtn.skeletons import POSETRACK15

SLOT_OF_JOINT = [POSETRACK18_SLOTS.index(joint) for joint in POSETRACK15.joints]

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


def posetrack18_category() -> JsonObject:
    """The one entry of ``categories``; its limbs count slots from 1."""
    limbs = [[POSETRACK18_SLOTS.index(a) + 1, POSETRACK18_SLOTS.index(b) + 1] for a, b in POSETRACK15.limbs]
    return {
        "supercategory": "person",
        "id": 1,
        "name": "person",
        "keypoints": list(POSETRACK18_SLOTS),
        "skeleton": limbs,
    }


def image_record(frame: PoseTrackFrame, *, video_id: str, frame_count: int | None = None) -> JsonObject:
    """One entry of ``images``.

    Args:
        frame: its size is known.
        video_id: see ``posetrack18_video_id``.
        frame_count: of the sequence, where it is known.
    """
    assert frame.size_hw is not None
    record: JsonObject = {
        "id": frame.image_id,
        "file_name": frame.name,
        "height": int(frame.size_hw[0]),
        "width": int(frame.size_hw[1]),
        "vid_id": video_id,
        "is_labeled": frame.is_labeled,
        "ignore_regions_x": [region[:, 0].tolist() for region in frame.ignore_regions],
        "ignore_regions_y": [region[:, 1].tolist() for region in frame.ignore_regions],
    }
    if frame_count is not None:
        record["nframes"] = frame_count
    return record


def sequence_frame(
    sequence: str, frame: int, size_hw: tuple[int, int], file_name: str | None = None
) -> PoseTrackFrame:
    """A frame of a sequence, with the id and the file name that poseval computes.

    Args:
        sequence: the sequence's name, from which the id and the file name are made.
        frame: counted from 0, or the number in the file name of a numbered image.
        size_hw: (height, width) of the frame, pixels.
        file_name: of the image file that it is, which it keeps: ``images/SEQUENCE/anna.png``; None: it is no file.
    """
    return PoseTrackFrame(
        name=f"images/{sequence}/{file_name}" if file_name else posetrack18_file_name(sequence, frame),
        image_id=posetrack18_image_id(sequence, frame),
        size_hw=size_hw,
    )
