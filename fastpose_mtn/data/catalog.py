"""Datasets by the names that ``DATASETS.TRAIN`` and ``DATASETS.TEST`` use.

* ``synthetic://LABEL?seeds=A-B&...``: drawn on the fly, see ``SyntheticSpec``.
* ``json://ANNOTATIONS?images=FOLDER&...``: COCO-style JSON of one's own, see ``_json``.
* the names in ``DATASETS``: public datasets under the folder that the environment variable
  FASTPOSE_DATASETS names (otherwise DETECTRON2_DATASETS, otherwise ``datasets``), as in Detectron2.
* what ``register_coco_json`` has added.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import parse_qsl

from fastpose_mtn.config import CfgNode
from fastpose_mtn.data.coco_json import CocoJsonDataset
from fastpose_mtn.data.coco_records import CocoJsonFormat
from fastpose_mtn.data.loader import PoseDataset
from fastpose_mtn.data.synthetic_images import SyntheticDataset, SyntheticSpec
from fastpose_mtn.skeletons import HALPE136, Skeleton, get_skeleton

# (name, skeleton of the network, for training, leave out images without people) -> the dataset
Builder = Callable[[str, Skeleton, bool, bool], PoseDataset]

DATASETS: dict[str, Builder] = {}

COCO = CocoJsonFormat()
POSETRACK = CocoJsonFormat(joint_offset=0.0, ignore_unlabelled=True)
HALPE = CocoJsonFormat(joints=HALPE136.joints)
_FORMATS = {"coco": COCO, "posetrack": POSETRACK, "halpe": HALPE}


def register_coco_json(
    name: str, annotations: str | Path, images: str | Path, form: CocoJsonFormat = COCO
) -> None:
    """Makes a dataset known under a name.

    Args:
        annotations: a COCO-style JSON file, or a folder of them.
        images: the folder that their ``file_name`` starts from.
        form: what differs between such datasets and is not in their files.

    Relative paths start at the datasets' folder, when the dataset is built.

    Raises:
        ValueError: the name is taken, or is not one.
    """
    if name in DATASETS or "://" in name:
        raise ValueError(f"dataset name {name!r} is taken or has the form of an address; choose another")

    def build(name: str, skeleton: Skeleton, training: bool, filter_empty: bool) -> PoseDataset:
        root = datasets_folder()
        return CocoJsonDataset(
            name, root / annotations, root / images, skeleton=skeleton, form=form, filter_empty=filter_empty
        )

    DATASETS[name] = build


def datasets_folder() -> Path:
    return Path(os.environ.get("FASTPOSE_DATASETS") or os.environ.get("DETECTRON2_DATASETS") or "datasets")


def _synthetic(name: str, skeleton: Skeleton, training: bool, filter_empty: bool) -> PoseDataset:
    return SyntheticDataset(name, SyntheticSpec.parse(name), skeleton=skeleton, training=training)


def _json(name: str, skeleton: Skeleton, training: bool, filter_empty: bool) -> PoseDataset:
    """``json://ANNOTATIONS?images=FOLDER[&format=coco|posetrack|halpe]``, paths as they are."""
    path, _, query = name.removeprefix("json://").partition("?")
    parts = dict(parse_qsl(query, keep_blank_values=True))
    form = parts.pop("format", "coco")
    images = parts.pop("images", "")
    if not path or not images or parts or form not in _FORMATS:
        raise ValueError(
            f"dataset {name}: expected json://ANNOTATIONS?images=FOLDER[&format={'|'.join(_FORMATS)}]"
        )
    return CocoJsonDataset(
        name, Path(path), Path(images), skeleton=skeleton, form=_FORMATS[form], filter_empty=filter_empty
    )


SCHEMES: dict[str, Builder] = {"synthetic": _synthetic, "json": _json}

for _split in ("train", "val"):
    register_coco_json(
        f"keypoints_coco_2017_{_split}",
        f"coco/annotations/person_keypoints_{_split}2017.json",
        f"coco/{_split}2017",
    )
    register_coco_json(f"posetrack18_{_split}", f"posetrack18/annotations/{_split}", "posetrack18", POSETRACK)
for _split in ("train", "val", "trainval", "test"):
    register_coco_json(f"crowdpose_{_split}", f"crowdpose/json/crowdpose_{_split}.json", "crowdpose/images")


def build_dataset(
    name: str, skeleton: Skeleton, *, training: bool, filter_empty: bool = False
) -> PoseDataset:
    """The dataset of this name, its joints in the order of ``skeleton``.

    Raises:
        ValueError: there is none, or its files cannot be used.
    """
    scheme, separator, _ = name.partition("://")
    builder = SCHEMES.get(scheme) if separator else DATASETS.get(name)
    if builder is None:
        known = [*(f"{scheme}://..." for scheme in SCHEMES), *DATASETS]
        raise ValueError(f"unknown dataset {name!r}; known: {', '.join(known)}")
    return builder(name, skeleton, training, filter_empty)


def build_datasets(cfg: CfgNode, names: Sequence[str], *, training: bool) -> list[PoseDataset]:
    """The datasets of these names in the network's skeleton."""
    skeleton = get_skeleton(cfg.MODEL.SKELETON)
    filter_empty = training and cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS
    return [build_dataset(name, skeleton, training=training, filter_empty=filter_empty) for name in names]
