"""Writes COCO-style JSON: what the converters of other formats produce and ``CocoJsonDataset`` reads."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastpose_mtn.data.image_file import image_size_wh
from fastpose_mtn.data.json_fields import JsonObject, json_number
from fastpose_mtn.errors import InputError
from fastpose_mtn.files import write_text
from fastpose_mtn.skeletons import Skeleton


class CocoJsonWriter:
    """Collects images and people; ids are numbered from 1 as they come.

    Args:
        images: the folder that file names start from; each image's size is read from its file.
        skeleton: of the people's joints; None: they have none.
        skip_missing: leave out images that are missing or broken, and count them. Otherwise ``write``
            refuses.
    """

    def __init__(self, images: Path, *, skeleton: Skeleton | None = None, skip_missing: bool = False) -> None:
        self._folder, self._skeleton, self._skip_missing = images, skeleton, skip_missing
        self._images: list[JsonObject] = []
        self._people: list[JsonObject] = []
        self._unreadable: list[str] = []
        self._oddities: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def image(self, file_name: str, **fields: Any) -> int | None:
        """Adds an image; its id, or None where its file cannot be read."""
        try:
            width, height = image_size_wh(self._folder / file_name)
        except InputError as error:
            self._unreadable.append(str(error))
            return None
        image_id = len(self._images) + 1
        record = {"id": image_id, "file_name": file_name, "width": width, "height": height, **fields}
        self._images.append(record)
        return image_id

    def person(
        self,
        image_id: int,
        box_xywh: Sequence[float],
        *,
        keypoints: Sequence[float] = (),
        crowd: bool = False,
        **fields: Any,
    ) -> None:
        """Adds a person.

        Args:
            image_id: what ``image`` gave for the image that shows the person.
            box_xywh: x, y, width, height, pixels; 0, 0 is the corner of the first pixel.
            keypoints: x, y, v of each of the skeleton's joints, pixel indices from 0 as COCO's.
            crowd: neither a positive nor a negative example.
            fields: ``person_id`` and the like.
        """
        record: JsonObject = {
            "id": len(self._people) + 1,
            "image_id": image_id,
            "category_id": 1,
            "bbox": [json_number(round(v, 3)) for v in box_xywh],
            "area": json_number(round(box_xywh[2] * box_xywh[3], 3)),
            "iscrowd": int(crowd),
        }
        if len(keypoints):
            record["keypoints"] = [json_number(round(v, 3)) for v in keypoints]
            record["num_keypoints"] = sum(bool(v > 0) for v in keypoints[2::3])
        self._people.append({**record, **fields})

    def person_of_points(self, image_id: int, points: np.ndarray) -> None:
        """Adds a person all of whose joints are labelled and visible: (K, 2) pixel indices from 0; the box is around them."""
        self.person_of_joints(image_id, np.column_stack((points, np.full(len(points), 2.0))))

    def person_of_joints(self, image_id: int, keypoints: np.ndarray) -> None:
        """Adds a person of (K, 3) pixel indices from 0 and v, one labelled or more; the box is around these."""
        points = keypoints[keypoints[:, 2] > 0, :2]
        low, high = points.min(axis=0) + 0.5, points.max(axis=0) + 0.5
        labelled = keypoints * (keypoints[:, 2:] > 0)
        self.person(image_id, [*low, *(high - low)], keypoints=labelled.ravel().tolist())

    def note(self, oddity: str, where: str) -> None:
        """Counts something that was put right or left out; ``summary`` tells the first place of each kind."""
        self._oddities[oddity] += 1
        self._first.setdefault(oddity, where)

    def write(self, path: Path, info: Mapping[str, Any] | None = None) -> None:
        """Writes the file, whole or not at all.

        Raises:
            InputError: there is no image, or some are missing and ``skip_missing`` is not set.
        """
        if self._unreadable and not self._skip_missing:
            raise InputError(
                f"{len(self._unreadable)} of {len(self._unreadable) + len(self._images)} images cannot be "
                f"read, the first: {self._unreadable[0]}; --skip-missing leaves them out"
            )
        if not self._images:
            raise InputError(f"{path}: there is no image to write")
        category: JsonObject = {"id": 1, "name": "person", "supercategory": "person"}
        if self._skeleton is not None:
            category["keypoints"] = list(self._skeleton.joints)
            category["skeleton"] = [[a + 1, b + 1] for a, b in self._skeleton.limb_indices]
        content = {
            "info": dict(info or {}),
            "images": self._images,
            "annotations": self._people,
            "categories": [category],
        }
        write_text(path, json.dumps(content))

    def summary(self) -> str:
        """What was collected, in lines: numbers of images and people, then each oddity with its first place."""
        ignored = sum(person["iscrowd"] for person in self._people)
        lines = [f"{len(self._images)} images, {len(self._people) - ignored} people, {ignored} ignored boxes"]
        known = {person["person_id"] for person in self._people if person.get("person_id", -1) >= 0}
        if known:
            lines[0] += f", {len(known)} identities"
        if self._unreadable:
            lines.append(f"  {len(self._unreadable)} images that cannot be read, first {self._unreadable[0]}")
        lines += [
            f"  {count} {oddity}, first {self._first[oddity]}" for oddity, count in self._oddities.items()
        ]
        return "\n".join(lines)
