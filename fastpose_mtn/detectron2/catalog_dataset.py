"""A dataset that only Detectron2's catalog knows, as one of ours: one's own, registered with ``DatasetCatalog``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import BoxMode

from fastpose_mtn.data.catalog import DATASETS, build_dataset
from fastpose_mtn.data.dataset import PoseDataset
from fastpose_mtn.data.image_file import read_image
from fastpose_mtn.data.sample import LabelledImage
from fastpose_mtn.errors import InputError
from fastpose_mtn.skeletons import Skeleton, skeleton_of
from fastpose_mtn.structures import PersonTargets, has_area


class CatalogDataset(PoseDataset):
    """Records with Detectron2's ``file_name``, ``image_id`` and ``annotations``, each person's ``identity`` among them.

    Its joints have the names in the metadata; without names they are the network's.

    Args:
        name: as it is registered.
        skeleton: the network's, of joints without names.
        filter_empty: leave out images without anybody to learn from.

    Raises:
        InputError: there is no image in it.
    """

    def __init__(self, name: str, skeleton: Skeleton, *, filter_empty: bool = False) -> None:
        self.name = name
        records = DatasetCatalog.get(name)
        if filter_empty:
            records = [r for r in records if any(not p.get("iscrowd", 0) for p in r.get("annotations", []))]
        if not records:
            raise InputError(f"dataset {name}: no labelled image in it")
        self._records = records
        names = MetadataCatalog.get(name).get("keypoint_names")
        self.skeleton = skeleton if names is None else skeleton_of(names)
        self._said_by = f"MODEL.SKELETON {skeleton.name}" if names is None else "keypoint_names"
        people = [person for record in records for person in record.get("annotations", [])]
        self._num_identities = 1 + max((int(p.get("identity", -1)) for p in people), default=-1)
        tasks = {"boxes"} | ({"keypoints"} if any("keypoints" in p for p in people) else set())
        self.tasks = frozenset(tasks | ({"identities"} if self._num_identities else set()))

    @property
    def num_identities(self) -> int:
        """One more than the greatest ``identity`` of a record's people; 0 where nobody has one."""
        return self._num_identities

    def __len__(self) -> int:
        return len(self._records)

    def image_size_wh(self, index: int) -> tuple[int, int]:
        """The record's (width, height), pixels; 1 for what it does not say."""
        record = self._records[index]
        return record.get("width", 1), record.get("height", 1)

    def image_id(self, index: int) -> int:
        """The record's ``image_id``."""
        return self._records[index]["image_id"]

    def image_file(self, index: int) -> Path:
        """The record's ``file_name``."""
        return Path(self._records[index]["file_name"])

    def targets(self, index: int) -> PersonTargets:
        """The people of the image's record; the image itself is not read.

        Raises:
            InputError: a person has another number of joints than ``skeleton``.
        """
        return read_people(self._records[index], self.skeleton, self._said_by)

    def __getitem__(self, index: int) -> LabelledImage:
        return read_record(self._records[index], self.skeleton, self._said_by, self.tasks)


def read_record(
    record: dict[str, Any], skeleton: Skeleton, said_by: str, tasks: frozenset[str] | None = None
) -> LabelledImage:
    """Reads the image of one of Detectron2's records, with its people.

    Args:
        record: with ``file_name``, ``image_id`` and, where there are people, ``annotations``.
        skeleton: of its joints.
        said_by: what names that skeleton, for a message.
        tasks: what it trains; None: whatever it has labels for.

    Raises:
        InputError: a person has another number of joints, or the image cannot be read.
    """
    targets = read_people(record, skeleton, said_by)
    if tasks is None:
        labelled = {
            "boxes": True,
            "keypoints": any("keypoints" in p for p in record.get("annotations", [])),
            "identities": bool((targets.identities >= 0).any()),
        }
        tasks = frozenset(task for task, there in labelled.items() if there)
    return LabelledImage(
        image=read_image(Path(record["file_name"])),
        targets=targets,
        tasks=tasks,
        image_id=record["image_id"],
        file_name=record["file_name"],
    )


def read_people(record: dict[str, Any], skeleton: Skeleton, said_by: str) -> PersonTargets:
    """The people of one of Detectron2's records, as NumPy arrays.

    Args:
        record: with ``annotations``, of which ``keypoints``, ``identity`` and ``iscrowd`` may be absent.
        skeleton: of its joints.
        said_by: what names that skeleton, for a message.

    Raises:
        InputError: a person has another number of joints.
    """
    people = record.get("annotations", [])
    keypoints = np.zeros((len(people), len(skeleton), 3), np.float32)
    for row, person in zip(keypoints, people, strict=True):
        flat = person.get("keypoints", [0.0] * row.size)
        if len(flat) != row.size:
            raise InputError(
                f"{record['file_name']}: a person has {len(flat) // 3} joints, but {said_by} has {len(skeleton)}"
            )
        row[:] = np.asarray(flat, np.float32).reshape(-1, 3)
    boxes = [BoxMode.convert(p["bbox"], p["bbox_mode"], BoxMode.XYXY_ABS) for p in people]
    corners = np.array(boxes, np.float32).reshape(-1, 4)
    ignore = np.array([bool(p.get("iscrowd", 0)) for p in people], bool)
    return PersonTargets(
        boxes=corners,
        keypoints=keypoints,
        identities=np.array([int(p.get("identity", -1)) for p in people], np.int64),
        ignore=ignore | ~has_area(corners),  # Detectron2 leaves such people out
    )


def is_only_detectron2s(name: str) -> bool:
    """Whether a name is in Detectron2's catalog and none of ours."""
    base = name.partition("?")[0]
    return "://" not in name and base not in DATASETS and name in DatasetCatalog.list()


def build_any_dataset(
    name: str, skeleton: Skeleton, *, training: bool, filter_empty: bool = False, skip_missing: bool = False
) -> PoseDataset:
    """The dataset of this name: of our catalog (see ``fastpose_mtn.data.catalog``), or else of Detectron2's.

    Args:
        name: as in ``DATASETS``.
        skeleton: the network's, of joints without names.
        training: refuse what is kept for acceptance.
        filter_empty: leave out images without anybody to learn from.
        skip_missing: leave out images that are missing; has no effect on Detectron2's datasets.

    Raises:
        ValueError: neither has it, or its files cannot be used.
    """
    if is_only_detectron2s(name):
        return CatalogDataset(name, skeleton, filter_empty=filter_empty)
    return build_dataset(name, training=training, filter_empty=filter_empty, skip_missing=skip_missing)
