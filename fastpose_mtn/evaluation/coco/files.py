"""Reads COCO's annotation and result files, checked: what is wrong is named by file, record and field."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fastpose_mtn.data.coco.ground_truth import PERSON_CATEGORY_ID, CocoLabels, read_coco_labels
from fastpose_mtn.data.coco.records import CocoJsonFormat
from fastpose_mtn.data.json_fields import JsonObject, load_json, shown
from fastpose_mtn.data.labels.plausibility import are_shares, of_shares, refuse_corners, refuse_other_orders
from fastpose_mtn.data.labels.values import Identifier, identifier
from fastpose_mtn.data.problems import LEFT_OUT, Problems
from fastpose_mtn.errors import InputError
from fastpose_mtn.joint_names import common_name
from fastpose_mtn.skeletons import Skeleton

_LOG = logging.getLogger("fastpose_mtn")
_MISSING = object()


def read_coco_ground_truth(path: str | Path, skeleton: Skeleton) -> CocoLabels:
    """A COCO annotation file of people with this skeleton's joints, as training would read it.

    What is repaired and left out is told in the log, see ``data/labels``.

    Raises:
        InputError: the file is not such a file, or names other joints; names file, record, field and the remedy.
    """
    path, problems = Path(path), Problems()
    try:
        labels = read_coco_labels(path, CocoJsonFormat(joints=skeleton.joints), problems)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    for line in problems.lines():
        _LOG.warning("%s: %s", path, line)
    named = labels.dataset["categories"][0]["keypoints"]
    if named and [common_name(joint) for joint in named] != [common_name(joint) for joint in skeleton.joints]:
        raise InputError(
            f"{path}: categories: keypoints: expected the joints of {skeleton.name} in its order "
            f"({', '.join(skeleton.joints)}), got {', '.join(named)}"
        )
    return labels


def read_coco_results(
    results: str | Path | Sequence[JsonObject],
    skeleton: Skeleton,
    labels: CocoLabels,
    *,
    name: str = "results",
) -> list[JsonObject]:
    """A COCO results file, or its records, checked, with the ids of ``labels``.

    Results of other categories than people's are left out, and counted in the log.

    Args:
        results: the JSON file or the records themselves, which are not changed.
        skeleton: what the joints must be of.
        labels: a result of any other image is an error.
        name: of the records, for messages.

    Raises:
        ValueError: it is not such a file; names file, record, field and the remedy.
    """
    if isinstance(results, (str, Path)):
        name, records = str(results), _read_json(Path(results))
    else:
        records = list(results)
    if not isinstance(records, list):
        raise ValueError(f"{name}: expected COCO results, a list of records, got {_kind(records)}")
    people, problems = [], Problems()
    for number, record in enumerate(records):
        where = f"{name}[{number}]"
        if not isinstance(record, dict):
            raise ValueError(f"{where}: expected an object, got {_kind(record)}")
        image_id = identifier(record.get("image_id"))
        if image_id is None or image_id not in labels.image_numbers:
            raise ValueError(
                f"{where}: image_id: expected one of the ground truth's images, got {shown(record.get('image_id'))}"
            )
        _number(where, "score", record)
        for field, count in (("bbox", 4), ("keypoints", 3 * len(skeleton))):
            if (field in record) != (field in records[0]):
                raise ValueError(f"{where}: {field}: expected in all records or in none")
            if field in record:
                _numbers(where, field, record, count, skeleton if field == "keypoints" else None)
        if "bbox" not in record and "keypoints" not in record:
            raise ValueError(f"{where}: expected a bbox or keypoints, got neither")
        if "category_id" not in record:
            raise ValueError(f"{where}: category_id: missing; a person's is {PERSON_CATEGORY_ID} in COCO")
        if _is_person(identifier(record["category_id"]), labels):
            ids = {"image_id": labels.image_numbers[image_id], "category_id": PERSON_CATEGORY_ID}
            people.append({**record, **ids})
        else:
            problems.add(LEFT_OUT, "results of categories that are not people's", where)
    for line in problems.lines():
        _LOG.warning("%s: %s", name, line)
    _refuse_shares(people, name)
    _refuse_other_orders(people, labels, name)
    if not records:
        _LOG.warning("%s: nobody is found in it", name)
    if records and not people:
        expected = " or ".join(str(key) for key in sorted(labels.people, key=str))
        raise ValueError(
            f"{name}[0]: category_id: expected {expected}, a person's in the ground truth, got "
            f"{shown(records[0]['category_id'])} and no person's in any other record"
        )
    return people


def _refuse_shares(records: Sequence[JsonObject], name: str) -> None:
    """Raises ValueError where sizes of boxes, or joints, are shares of the image."""
    for field, first, step in (("bbox", 2, 1), ("keypoints", 0, 3)):
        values = [record[field][first:] for record in records if field in record]
        numbers = np.array(values, np.float64).reshape(-1, step)[:, :2]
        if are_shares(numbers):
            raise ValueError(f"{name}: {field}: {of_shares(numbers)}")


def _refuse_other_orders(records: Sequence[JsonObject], labels: CocoLabels, name: str) -> None:
    """Raises ValueError where boxes are corners or begin with their centre, or joints are y, x."""
    if not records or "bbox" not in records[0]:
        return
    sizes = {
        image["id"]: (image.get("width") or 0, image.get("height") or 0) for image in labels.dataset["images"]
    }
    boxes = np.array([record["bbox"] for record in records], np.float64)
    refuse_corners(boxes, np.array([sizes[record["image_id"]] for record in records], np.float64), name)
    if "keypoints" in records[0]:
        flat = np.array([record["keypoints"] for record in records], np.float64)
        joints = flat.reshape(len(records), -1, 3)
        # absent ones are at 0, 0; a confidence says nothing here
        joints[..., 2] = (joints[..., :2] != 0).any(axis=2)
        refuse_other_orders(boxes, joints, name)


def _is_person(category: Identifier | None, labels: CocoLabels) -> bool:
    """COCO's number of a person is one too, where the ground truth numbers nothing else so: we write it."""
    return category in labels.people or (category == PERSON_CATEGORY_ID and category not in labels.others)


def _read_json(path: Path) -> object:
    try:
        return load_json(path)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error


def _number(where: str, field: str, record: dict) -> float:
    value = record.get(field, _MISSING)
    if not _is_finite(value):
        raise ValueError(f"{where}: {field}: expected a finite number, got {_kind(value)}")
    return float(value)


def _numbers(
    where: str, field: str, record: dict, count: int | None, skeleton: Skeleton | None = None
) -> list[float]:
    values = record.get(field, _MISSING)
    if not isinstance(values, list):
        raise ValueError(f"{where}: {field}: expected a list of numbers, got {_kind(values)}")
    if count is not None and len(values) != count:
        what = f" (3 for each joint of {skeleton.name})" if skeleton else ""
        raise ValueError(f"{where}: {field}: expected {count} numbers{what}, got {len(values)}")
    bad = [v for v in values if not _is_finite(v)]
    if bad:
        raise ValueError(f"{where}: {field}: expected finite numbers, got {_kind(bad[0])}")
    return values


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _kind(value: object) -> str:
    if value is _MISSING:
        return "nothing"
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    return repr(value) if len(repr(value)) < 40 else type(value).__name__
