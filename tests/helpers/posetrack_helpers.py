"""Small PoseTrack sequences whose figures can be worked out by hand.

A person is one point: all 15 joints lie at the same place. The head box is 60 x 80 pixels, so the head's
size is 0.6 x 100 = 60 pixels, and a joint is right within 30.
"""

from __future__ import annotations

from typing import Any

from fastpose_mtn.data.posetrack.posetrack18 import parse_posetrack18
from fastpose_mtn.data.posetrack.sequence import POSETRACK18_SLOTS, PoseTrackSequence

CATEGORY = {"id": 1, "name": "person", "keypoints": list(POSETRACK18_SLOTS), "skeleton": []}


def person(track_id: int, x: float, y: float = 100.0, **changes: Any) -> dict[str, Any]:
    """Somebody at (x, y), labelled; with ``scores`` or ``score``, predicted."""
    joints = [[0, 0, 0] if "ear" in slot else [x, y, 1] for slot in POSETRACK18_SLOTS]
    record = {
        "track_id": track_id,
        "category_id": 1,
        "keypoints": [value for joint in joints for value in joint],
        "bbox": [x - 20, y - 50, 40, 100],
        "bbox_head": [x, y, 60, 80],
        "scores": [],
    }
    return {**record, **changes}


def file_content(
    frames: list[list[dict[str, Any]]], regions: dict[int, list[Any]] | None = None
) -> dict[str, Any]:
    """A PoseTrack18 file from the people of each frame; ``regions`` are polygons by frame."""
    images, annotations = [], []
    for i, people in enumerate(frames):
        image: dict[str, Any] = {
            "id": 100 + i,
            "file_name": f"images/000001_mpii_test/{i:06d}.jpg",
            "is_labeled": True,
        }
        if regions and i in regions:
            image["ignore_regions_x"] = [[x for x, _ in polygon] for polygon in regions[i]]
            image["ignore_regions_y"] = [[y for _, y in polygon] for polygon in regions[i]]
        images.append(image)
        annotations += [{"image_id": 100 + i, "id": len(annotations) + k, **p} for k, p in enumerate(people)]
    return {"images": images, "annotations": annotations, "categories": [CATEGORY]}


def sequence(
    frames: list[list[dict[str, Any]]], regions: dict[int, list[Any]] | None = None
) -> PoseTrackSequence:
    return parse_posetrack18(
        file_content(frames, regions), path="", name="000001_mpii_test", warn=lambda text: None
    )
