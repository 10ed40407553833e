"""COCO's labels as pycocotools takes them: the same people that train, with the file's own digits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fastpose_mtn.data.coco.records import CocoJsonFormat
from fastpose_mtn.data.json_fields import JsonObject, collection_paused
from fastpose_mtn.data.labels.boxes import usable_area
from fastpose_mtn.data.labels.file import LabelFile, read_label_file
from fastpose_mtn.data.labels.images import ImageEntry
from fastpose_mtn.data.labels.values import Identifier
from fastpose_mtn.data.problems import Problems
from fastpose_mtn.errors import InputError
from fastpose_mtn.ops.oks import AREA_PER_BOX

PERSON_CATEGORY_ID = 1  # COCO's, and of everybody in ``CocoLabels.dataset``
_COCO_OFFSET = 0.5  # COCO's joints are pixel indices


@dataclass(frozen=True, eq=False)
class CocoLabels:
    """A file's labels.

    Attributes:
        dataset: ``images``, ``annotations`` with every field that pycocotools needs, and one category, with the joints
            as the file names them.
        image_numbers: of each id that the file gives an image, the ``id`` of the image in ``dataset``.
        people: ids of the file's categories that are people's.
        others: and of those that are not.
    """

    dataset: JsonObject
    image_numbers: Mapping[Identifier, int]
    people: frozenset[Identifier]
    others: frozenset[Identifier]


def read_coco_labels(path: Path, form: CocoJsonFormat, problems: Problems) -> CocoLabels:
    """The labels of a file.

    What some datasets leave out is filled in: ``iscrowd`` (0), ``num_keypoints`` (counted) and ``area``
    (``AREA_PER_BOX`` of the box, as CrowdPose's API takes it). Annotations are numbered from 1: pycocotools takes an
    id of 0 for "no match". A box may reach over the border of its image, as it does in COCO.

    Args:
        path: the JSON file.
        form: what is not in it.
        problems: what is wrong is counted there.

    Raises:
        InputError: the file cannot be meant; names file, record, field and the remedy.
        OSError: it cannot be read.
    """
    # Evaluations take every v above 0 as labelled.
    labelled_from = None if form.labelled_from is None else 0.0
    rules = replace(form.rules, wants_files=False, labelled_from=labelled_from)
    file = read_label_file(path, rules, problems)
    entries, annotations = file.images.entries, file.people.annotations
    if file.num_lost and not annotations:
        lost = "; ".join(problems.lines())
        raise InputError(
            f"{path}: expected people, but none of its {file.num_lost} annotations can be used: {lost}"
        )
    images = [
        {**entry.fields, "id": entry.number, "file_name": entry.file_name}
        for entry in entries
        if entry.is_labeled is not False
    ]
    with collection_paused():
        labels = _people(file, form)
    labels += [label for entry in entries if entry.is_labeled is not False for label in _regions(entry, file)]
    for number, label in enumerate(labels, 1):
        label["id"] = number
    named = next((list(category.named) for category in file.categories.people.values()), [])
    category = {"id": PERSON_CATEGORY_ID, "name": "person", "keypoints": named}
    return CocoLabels(
        dataset={"images": images, "annotations": labels, "categories": [category]},
        image_numbers={
            key: entries[position].number
            for key, position in file.images.position.items()
            if entries[position].is_labeled is not False
        },
        people=frozenset(file.categories.people),
        others=frozenset(file.categories.others),
    )


def _people(file: LabelFile, form: CocoJsonFormat) -> list[JsonObject]:
    joints = file.people.joints.copy()
    labelled = joints[..., 2] > 0
    joints[labelled, :2] += form.joint_offset - _COCO_OFFSET
    counts = labelled.sum(axis=1).tolist()
    flat = joints.reshape(len(joints), joints.shape[1] * 3).tolist()
    boxes, have_joints = file.people.boxes_xywh.tolist(), file.people.have_joints
    labels = []
    for row, annotation in enumerate(file.people.annotations):
        entry = file.images.entries[annotation.image]
        if entry.is_labeled is False:
            continue
        box, count = boxes[row], counts[row]
        label: JsonObject = {
            "image_id": entry.number,
            "category_id": PERSON_CATEGORY_ID,
            "bbox": box,
            "area": usable_area(annotation.fields) or AREA_PER_BOX * box[2] * box[3],
            "iscrowd": int(annotation.crowd or (form.ignore_unlabelled and not count)),
        }
        if have_joints:
            label |= {"keypoints": flat[row], "num_keypoints": count}
        labels.append(label)
    return labels


def _regions(entry: ImageEntry, file: LabelFile) -> list[JsonObject]:
    """What nobody labelled, as crowds: neither found nor missed, as in training."""
    labels = []
    for polygon in entry.regions:
        low, high = polygon.min(axis=0), polygon.max(axis=0)
        box = np.concatenate([low, high - low]).tolist()
        label: JsonObject = {
            "image_id": entry.number,
            "category_id": PERSON_CATEGORY_ID,
            "bbox": box,
            "area": box[2] * box[3],
            "iscrowd": 1,
        }
        if file.people.have_joints:
            label |= {"keypoints": [0.0] * (3 * len(file.categories.joints)), "num_keypoints": 0}
        labels.append(label)
    return labels
