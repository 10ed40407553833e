"""Our datasets in Detectron2's catalogs, and a mapper with our augmentations, SIFP among them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import BoxMode

from fastpose_mtn.data.dataset import PoseDataset
from fastpose_mtn.data.sample import LabelledImage
from fastpose_mtn.data.transforms.augment import Augmentation, augment, build_augmentations
from fastpose_mtn.data.transforms.joints import convert_people
from fastpose_mtn.detectron2.catalog_dataset import build_any_dataset, is_only_detectron2s, read_record
from fastpose_mtn.detectron2.targets import to_instances
from fastpose_mtn.estimators.frames import resize_to_test_size
from fastpose_mtn.skeletons import Skeleton, get_skeleton
from fastpose_mtn.structures import PersonTargets


def register_dataset(name: str, skeleton: Skeleton, *, training: bool = False) -> None:
    """Makes a dataset of our catalog known to ``DatasetCatalog`` and ``MetadataCatalog`` under its name.

    Records have Detectron2's fields (``file_name``, ``annotations`` ...) where the images are files, and in any
    case ``dataset`` and ``index``, by which ``FastPoseMapper`` finds the labelled image. A name that is
    registered already stays as it is.

    Args:
        name: see ``fastpose_mtn.data.catalog``.
        skeleton: the network's.
        training: refuse what is kept for acceptance.

    Raises:
        ValueError: there is no such dataset; that its files cannot be used is said when it is read.
    """
    if name in DatasetCatalog.list():
        return
    DatasetCatalog.register(name, functools.partial(dataset_records, name, skeleton.name, training))
    MetadataCatalog.get(name).set(
        thing_classes=["person"],
        keypoint_names=list(skeleton.joints),
        keypoint_flip_map=list(skeleton.flip_pairs),
        keypoint_connection_rules=[(a, b, (102, 204, 255)) for a, b in skeleton.limbs],
        keypoint_oks_sigmas=list(skeleton.sigmas),
        evaluator_type="fastpose",
    )


@functools.lru_cache(maxsize=16)
def dataset_of(name: str, skeleton: str, training: bool = False) -> PoseDataset:
    """The dataset of a name, of our catalog or else of Detectron2's, read once a process."""
    return build_any_dataset(name, get_skeleton(skeleton), training=training)


def dataset_records(name: str, skeleton: str, training: bool = False) -> list[dict[str, Any]]:
    """What ``register_dataset`` registers."""
    dataset = dataset_of(name, skeleton, training)
    registered = DatasetCatalog.get(name) if is_only_detectron2s(name) else None
    records = []
    for index in range(len(dataset)):
        width, height = dataset.image_size_wh(index)
        place = {"dataset": name, "index": index, "training": training, "width": width, "height": height}
        own = _labels(dataset, index, get_skeleton(skeleton)) if registered is None else registered[index]
        records.append({**own, **place})
    return records


def _labels(dataset: PoseDataset, index: int, skeleton: Skeleton) -> dict[str, Any]:
    """Detectron2's fields of an image, people in ``skeleton``; without its people where it is drawn when it is asked for."""
    path, image_id = dataset.image_file(index), dataset.image_id(index)
    if path is None:
        return {"file_name": f"{dataset.name}#{index}", "image_id": image_id}
    targets = dataset.targets(index)
    keypoints = dataset.skeleton.convert(targets.keypoints, skeleton)
    annotations = [
        {
            "bbox": box.tolist(),
            "bbox_mode": BoxMode.XYXY_ABS,
            "category_id": 0,
            "iscrowd": int(ignore),
            "keypoints": joints.flatten().tolist(),
            "identity": int(identity),
        }
        for box, joints, identity, ignore in zip(
            targets.boxes, keypoints, targets.identities, targets.ignore, strict=True
        )
    ]
    return {"file_name": str(path), "image_id": image_id, "annotations": annotations}


class FastPoseMapper:
    """A ``DatasetMapper`` with our augmentations (``INPUT.SIFP``, ``INPUT.AUG``) and our resizing.

    It takes records of ``register_dataset`` and any others with Detectron2's ``file_name`` and ``annotations``
    (where ``identity`` and ``iscrowd`` may be absent).

    Args:
        augmentations: in order.
        skeleton: the network's.
        image_format: RGB or BGR.
        is_train: change the image at random and give ``instances``; otherwise resize it as at test time
            and give ``targets``, the labelled people in the original image's pixels, and ``posetrack``, see
            ``LabelledImage``.
        min_size, max_size: pixels at test time, see ``INPUT.MIN_SIZE_TEST``.
        seed: of the random changes; None: a new one in each process.
    """

    def __init__(
        self,
        *,
        augmentations: Sequence[Augmentation],
        skeleton: Skeleton,
        image_format: str = "RGB",
        is_train: bool = True,
        min_size: int = 0,
        max_size: int = 0,
        seed: int | None = None,
    ) -> None:
        self.augmentations, self.skeleton, self.image_format = augmentations, skeleton, image_format
        self.is_train, self.min_size, self.max_size = is_train, min_size, max_size
        self._seed = seed
        self._rng: np.random.Generator | None = None

    @classmethod
    def from_config(cls, cfg: CfgNode, is_train: bool = True) -> FastPoseMapper:
        """The mapper that ``INPUT`` and ``MODEL.SKELETON`` describe, for training or for testing."""
        return cls(
            augmentations=build_augmentations(cfg) if is_train else (),
            skeleton=get_skeleton(cfg.MODEL.SKELETON),
            image_format=cfg.INPUT.FORMAT,
            is_train=is_train,
            min_size=cfg.INPUT.MIN_SIZE_TEST,
            max_size=cfg.INPUT.MAX_SIZE_TEST,
        )

    def __call__(self, dataset_dict: dict[str, Any]) -> dict[str, Any]:
        """What Detectron2's model takes: ``image``, and in training ``instances``, beside the record's own fields."""
        image = self._read(dataset_dict)
        record = {k: v for k, v in dataset_dict.items() if k != "annotations"}
        if self.is_train:
            if self._rng is None:  # here, not in __init__: each worker process needs its own
                worker = torch.utils.data.get_worker_info()
                self._rng = np.random.default_rng(
                    [worker.seed if worker else 0, self._seed or torch.initial_seed()]
                )
            sample = augment(image, self.augmentations, self._rng).ready()
            return {
                **record,
                **to_detectron2(sample.image, sample.targets, sample.tasks, self.image_format),
            }
        height, width = image.image.shape[:2]
        small = torch.from_numpy(resize_to_test_size(image.image, self.min_size, self.max_size))
        pixels = in_format(small.permute(2, 0, 1), self.image_format)
        return {
            **record,
            "image": pixels,
            "targets": image.targets,
            "posetrack": image.posetrack,
            "height": height,
            "width": width,
        }

    def _read(self, record: dict[str, Any]) -> LabelledImage:
        if "dataset" in record:
            dataset = dataset_of(record["dataset"], self.skeleton.name, record["training"])
            return convert_people(dataset[record["index"]], dataset.skeleton, self.skeleton)
        return read_record(record, self.skeleton, f"MODEL.SKELETON {self.skeleton.name}")


def to_detectron2(
    image: torch.Tensor, targets: PersonTargets, tasks: frozenset[str], image_format: str
) -> dict[str, Any]:
    """A training image (3, H, W) RGB with its people as Detectron2's models take it."""
    size = (image.shape[1], image.shape[2])
    return {
        "image": in_format(image, image_format),
        "height": size[0],
        "width": size[1],
        "instances": to_instances(targets, size, tasks),
    }


def in_format(rgb: torch.Tensor, image_format: str) -> torch.Tensor:
    """(3, H, W) RGB in the order of ``INPUT.FORMAT``."""
    return rgb.flip(0) if image_format == "BGR" else rgb
