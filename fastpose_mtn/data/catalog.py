"""Datasets by the names that ``DATASETS.TRAIN`` and ``DATASETS.TEST`` use.

* ``synthetic://LABEL?seeds=A-B&...``: drawn on the fly, see ``SyntheticSpec``.
* ``json://ANNOTATIONS?images=FOLDER[&format=coco|posetrack|halpe|wholebody][&tasks=T+T][&domain=D][&category=NAME,NAME]``:
  COCO-style JSON of one's own; ``category`` names the categories that are people's, where it cannot be told.
* ``crops://FOLDER?split=A-B&...``: collages of person crops, one folder a person, see ``CropsSpec``.
* the names in ``DATASETS``: public datasets under the folder that the environment variable
  FASTPOSE_DATASETS names (otherwise DETECTRON2_DATASETS, otherwise ``datasets``), as in Detectron2;
  ``NAME?tasks=T+T`` trains only these tasks with it, ``NAME?domain=D`` says whose way of labelling it is,
  ``NAME?category=C`` which categories are people's.
  ``datasets/README.md`` lists them.
* what ``register_coco_json`` has added.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl

from fastpose_mtn.config import CfgNode
from fastpose_mtn.data.coco.dataset import CocoJsonDataset
from fastpose_mtn.data.coco.records import CocoJsonFormat
from fastpose_mtn.data.coco.wholebody import HALPE, WHOLEBODY
from fastpose_mtn.data.crops.dataset import CropsDataset, CropsSpec
from fastpose_mtn.data.dataset import PoseDataset
from fastpose_mtn.data.person_search import cuhk_sysu_queries_of, prw_queries_of
from fastpose_mtn.data.sample import parse_tasks
from fastpose_mtn.data.synthetic.images import SyntheticDataset, SyntheticSpec


@dataclass(frozen=True)
class CocoFiles:
    """Where a COCO-style dataset lies.

    Attributes:
        annotations: a JSON file, or a folder of them.
        images: the folder that their ``file_name`` starts from.
        form: what differs between such datasets and is not in their files.
    """

    annotations: Path
    images: Path
    form: CocoJsonFormat


DATASETS: dict[str, CocoFiles] = {}  # paths start at the datasets' folder

COCO = CocoJsonFormat()
POSETRACK = CocoJsonFormat(joint_offset=0.0, ignore_unlabelled=True, sequences=True)
_FORMATS = {"coco": COCO, "posetrack": POSETRACK, "halpe": HALPE, "wholebody": WHOLEBODY}


def register_coco_json(
    name: str, annotations: str | Path, images: str | Path, form: CocoJsonFormat = COCO
) -> None:
    """Makes a dataset known under a name.

    Args:
        name: that ``DATASETS.TRAIN`` and ``DATASETS.TEST`` will use; no address.
        annotations: a COCO-style JSON file, or a folder of them.
        images: the folder that their ``file_name`` starts from.
        form: what differs between such datasets and is not in their files.

    Relative paths start at the datasets' folder, when the dataset is built.

    Raises:
        ValueError: the name is taken, or is not one.
    """
    if name in DATASETS or "://" in name or "?" in name:
        raise ValueError(f"dataset name {name!r} is taken or has the form of an address; choose another")

    DATASETS[name] = CocoFiles(Path(annotations), Path(images), form)


def datasets_folder() -> Path:
    """Where relative paths start: ``FASTPOSE_DATASETS``, or ``DETECTRON2_DATASETS``, or the folder ``datasets``."""
    return Path(os.environ.get("FASTPOSE_DATASETS") or os.environ.get("DETECTRON2_DATASETS") or "datasets")


_JSON_FORM = (
    f"json://ANNOTATIONS?images=FOLDER[&format={'|'.join(_FORMATS)}][&tasks=T+T][&domain=D][&category=C,C]"
)


def coco_files(name: str) -> CocoFiles:
    """Where the dataset of this name lies; a path in ``json://`` is as it is.

    Raises:
        ValueError: there is no such name, or it asks for something that cannot be.
    """
    if name.startswith("json://"):
        known = {"images", "format", "tasks", "domain", "category"}
        path, parts = _parts(name.removeprefix("json://"), known, name, _JSON_FORM)
        form = parts.get("format", "coco")
        if not path or not parts.get("images") or form not in _FORMATS:
            raise ValueError(f"dataset {name}: expected {_JSON_FORM}")
        return CocoFiles(Path(path), Path(parts["images"]), _as_asked(_FORMATS[form], parts, name))
    base, parts = _parts(
        name, {"tasks", "domain", "category"}, name, "NAME[?tasks=T+T][&domain=D][&category=C,C]"
    )
    if base not in DATASETS:
        names = ", ".join(["synthetic://...", "json://...", "crops://...", *DATASETS])
        raise ValueError(f"unknown dataset {name!r}; known: {names}")
    files, root = DATASETS[base], datasets_folder()
    return CocoFiles(root / files.annotations, root / files.images, _as_asked(files.form, parts, name))


def _parts(text: str, known: set[str], name: str, form: str) -> tuple[str, dict[str, str]]:
    """What stands before the question mark, and the parts after it."""
    head, _, query = text.partition("?")
    pairs = parse_qsl(query.replace("+", "%2B"), keep_blank_values=True)  # a folder may be called a+b
    parts = dict(pairs)
    twice = next((key for key, _ in pairs if sum(other == key for other, _ in pairs) > 1), None)
    if twice is not None:
        raise ValueError(f"dataset {name}: {twice} stands there twice; expected {form}")
    if query and (not parts or not parts.keys() <= known):
        raise ValueError(f"dataset {name}: expected {form}")
    return head, parts


def _as_asked(form: CocoJsonFormat, parts: dict[str, str], name: str) -> CocoJsonFormat:
    people = tuple(part for part in parts.get("category", "").split(",") if part.strip())
    form = replace(form, domain=parts.get("domain", form.domain), people=people or form.people)
    if "tasks" not in parts:
        return form
    try:
        return replace(form, tasks=parse_tasks(parts["tasks"]))
    except ValueError as error:
        raise ValueError(f"dataset {name}: {error}") from None


# Pictures of faces or of hands alone say nothing about people's boxes.
PART = CocoJsonFormat(tasks=frozenset({"keypoints"}))
# Nor do MPII's, in which not everybody has a label (paper, section 4.1).
MPII = replace(PART, domain="mpii")

for _split in ("train", "val"):
    register_coco_json(
        f"keypoints_coco_2017_{_split}",
        f"coco/annotations/person_keypoints_{_split}2017.json",
        f"coco/{_split}2017",
        replace(COCO, domain="coco"),
    )
    for _year, _folder in ((18, "annotations"), (17, "posetrack18_annotations")):
        register_coco_json(
            f"posetrack{_year}_{_split}",
            f"posetrack{_year}/{_folder}/{_split}",
            f"posetrack{_year}",
            replace(POSETRACK, domain="posetrack"),
        )
for _split, _images in (("train", "train2015"), ("val", "val2017")):
    register_coco_json(
        f"halpe_{_split}",
        f"halpe/annotations/halpe_{_split}_v1.json",
        f"halpe/images/{_images}",
        replace(HALPE, domain="halpe"),
    )
for _split in ("train", "test"):
    register_coco_json(f"300w_{_split}", f"300w/300w_{_split}.json", "300w", PART)
register_coco_json("freihand_train", "freihand/freihand_train.json", "freihand/training/rgb", PART)
for _split in ("train", "val", "test"):
    register_coco_json(
        f"interhand_{_split}", f"interhand/interhand_{_split}.json", f"interhand/images/{_split}", PART
    )
register_coco_json("mpii_train", "mpii/mpii_train.json", "mpii/images", MPII)
for _split in ("train", "val"):
    register_coco_json(
        f"coco_wholebody_{_split}",
        f"coco/annotations/coco_wholebody_{_split}_v1.0.json",
        f"coco/{_split}2017",
        replace(WHOLEBODY, domain="coco"),
    )
for _split in ("train", "val", "trainval", "test"):
    register_coco_json(
        f"crowdpose_{_split}",
        f"crowdpose/json/crowdpose_{_split}.json",
        "crowdpose/images",
        replace(COCO, domain="crowdpose"),
    )
for _name, _images, _queries in (
    ("cuhk_sysu", "cuhk_sysu/Image/SSM", cuhk_sysu_queries_of),
    ("prw", "prw/frames", prw_queries_of),
):
    register_coco_json(f"{_name}_train", f"{_name}/{_name}_train.json", _images)
    register_coco_json(
        f"{_name}_test", f"{_name}/{_name}_test.json", _images, CocoJsonFormat(queries=_queries)
    )


def build_dataset(
    name: str, *, training: bool, filter_empty: bool = False, skip_missing: bool = False
) -> PoseDataset:
    """The dataset of this name.

    Args:
        name: a registered one, or an address such as ``synthetic://...``, ``crops://...`` and ``json://...``.
        training: refuse what is kept for acceptance.
        filter_empty: leave out images without anybody to learn from.
        skip_missing: leave out images that are missing, and say how many.

    Raises:
        ValueError: there is none, or its files cannot be used.
    """
    if name.startswith("synthetic://"):
        return SyntheticDataset(name, SyntheticSpec.parse(name), training=training)
    if name.startswith("crops://"):
        return CropsDataset(name, CropsSpec.parse(name), training=training)
    files = coco_files(name)
    return CocoJsonDataset(
        name,
        files.annotations,
        files.images,
        form=files.form,
        filter_empty=filter_empty,
        skip_missing=skip_missing,
    )


def build_datasets(cfg: CfgNode, names: Sequence[str], *, training: bool) -> list[PoseDataset]:
    """The datasets of these names, as the configuration has them read."""
    return [
        build_dataset(
            name,
            training=training,
            filter_empty=training and cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS,
            skip_missing=training and cfg.DATALOADER.SKIP_BAD_IMAGES,
        )
        for name in names
    ]
