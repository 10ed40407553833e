"""Reads COCO's annotation and result files, checked: what is wrong is named by file, record and field."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastpose_mtn.ops.oks import AREA_PER_BOX
from fastpose_mtn.skeletons import Skeleton

PERSON_CATEGORY_ID = 1  # COCO's

_MISSING = object()


def read_coco_ground_truth(path: str | Path, skeleton: Skeleton | None = None) -> dict[str, Any]:
    """A COCO annotation file with every field that pycocotools needs.

    What some datasets leave out is filled in: ``iscrowd`` (0), ``num_keypoints`` (counted) and
    ``area`` (``AREA_PER_BOX`` of the box, as CrowdPose's API takes it).

    Args:
        path: the JSON file.
        skeleton: where given, joints must be of this skeleton.

    Raises:
        ValueError: the file is not such a file; names file, record, field and the remedy.
    """
    path = Path(path)
    dataset = _read_json(path)
    if not isinstance(dataset, dict):
        raise ValueError(
            f"{path}: expected COCO annotations, an object with images and annotations, got {_kind(dataset)}"
        )
    for field in ("images", "annotations", "categories"):
        if not isinstance(dataset.get(field), list):
            raise ValueError(f"{path}: {field}: expected a list, got {_kind(dataset.get(field, _MISSING))}")
    image_ids = _unique_ids(path, "images", dataset["images"])
    category_ids = _unique_ids(path, "categories", dataset["categories"])
    if 0 in _unique_ids(path, "annotations", dataset["annotations"]):
        warnings.warn(
            f"{path}: an annotation has the id 0, which pycocotools takes for 'no match': its person "
            "counts as missed; number annotations from 1",
            stacklevel=2,
        )
    labels = []
    for number, raw in enumerate(dataset["annotations"]):
        where, label = f"{path}: annotations[{number}]", dict(raw)
        _check_member(where, "image_id", label, image_ids, "of the file's images")
        _check_member(where, "category_id", label, category_ids, "of the file's categories")
        box = _numbers(where, "bbox", label, 4)
        label.setdefault("iscrowd", 0)
        if "area" not in label:
            label["area"] = AREA_PER_BOX * box[2] * box[3]
        _number(where, "area", label)
        if "keypoints" in label:
            joints = _numbers(where, "keypoints", label, 3 * len(skeleton) if skeleton else None, skeleton)
            label.setdefault("num_keypoints", sum(v > 0 for v in joints[2::3]))
            _number(where, "num_keypoints", label)
        labels.append(label)
    return {**dataset, "annotations": labels}


def read_coco_results(
    results: str | Path | Sequence[dict[str, Any]], skeleton: Skeleton, image_ids: set
) -> list[dict[str, Any]]:
    """A COCO results file, or its records, checked.

    Args:
        results: the JSON file or the records themselves.
        skeleton: what the joints must be of.
        image_ids: the ground truth's images; a result of any other is an error.

    Raises:
        ValueError: it is not such a file; names file, record, field and the remedy.
    """
    if isinstance(results, (str, Path)):
        name, records = str(results), _read_json(Path(results))
    else:
        name, records = "results", list(results)
    if not isinstance(records, list):
        raise ValueError(f"{name}: expected COCO results, a list of records, got {_kind(records)}")
    for number, record in enumerate(records):
        where = f"{name}[{number}]"
        if not isinstance(record, dict):
            raise ValueError(f"{where}: expected an object, got {_kind(record)}")
        _check_member(where, "image_id", record, image_ids, "of the ground truth's images")
        _number(where, "score", record)
        if "category_id" not in record:
            raise ValueError(f"{where}: category_id: missing; a person's is {PERSON_CATEGORY_ID} in COCO")
        for field, count in (("bbox", 4), ("keypoints", 3 * len(skeleton))):
            if (field in record) != (field in records[0]):
                raise ValueError(f"{where}: {field}: expected in all records or in none")
            if field in record:
                _numbers(where, field, record, count, skeleton if field == "keypoints" else None)
        if "bbox" not in record and "keypoints" not in record:
            raise ValueError(f"{where}: expected a bbox or keypoints, got neither")
    return records


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: not a JSON file, or a truncated one: {error}") from error


def _unique_ids(path: Path, field: str, records: list) -> set:
    seen: set = set()
    for number, record in enumerate(records):
        if not isinstance(record, dict) or not isinstance(record.get("id"), (int, str)):
            raise ValueError(f"{path}: {field}[{number}]: expected an object with an id")
        if record["id"] in seen:
            raise ValueError(f"{path}: {field}[{number}]: id {record['id']!r} appears twice")
        seen.add(record["id"])
    return seen


def _check_member(where: str, field: str, record: dict, known: set, of: str) -> None:
    value = record.get(field)
    if not isinstance(value, (int, str)) or value not in known:
        raise ValueError(f"{where}: {field}: expected one {of}, got {value!r}")


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
