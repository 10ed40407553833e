"""Drawn scenes for experiments: written to disk once for training, and the labelled poses themselves as people found."""

from __future__ import annotations

import functools
import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from experiment_figures import SeenImage

from fastpose_mtn.config import CfgNode
from fastpose_mtn.data.catalog import build_dataset
from fastpose_mtn.data.coco.writing import CocoJsonWriter
from fastpose_mtn.data.dataset import PoseDataset
from fastpose_mtn.data.json_fields import box_xywh
from fastpose_mtn.data.sample import LabelledImage
from fastpose_mtn.data.transforms.joints import convert_people
from fastpose_mtn.skeletons import get_skeleton
from fastpose_mtn.structures import PersonDetections, PersonTargets
from fastpose_mtn.systems.posedet.selection import Suppression, joint_constants

_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 92]
_KEPT = 600  # test images in memory, 0.7 MB each
_COCO_OFFSET = 0.5  # COCO's joints are pixel indices


def drawn_dataset(address: str, folder: Path) -> str:
    """The address of the same images in files, which are drawn where they are not there: drawing takes longer than training.

    Args:
        address: ``synthetic://...``.
        folder: of all that is drawn.
    """
    place = folder / hashlib.sha256(address.encode()).hexdigest()[:16]
    dataset = build_dataset(address, training=True)
    if not place.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix="partial-", dir=folder))
        _write(dataset, partial)
        try:
            partial.rename(place)
        except OSError:  # another run was faster
            shutil.rmtree(partial)
            if not place.is_dir():
                raise
    tasks = "+".join(sorted(dataset.tasks))
    return f"json://{place / 'annotations.json'}?images={place}&tasks={tasks}&domain={dataset.domain}"


def _write(dataset: PoseDataset, folder: Path) -> None:
    writer = CocoJsonWriter(folder, skeleton=dataset.skeleton)
    for index in range(len(dataset)):
        sample = dataset[index]
        name = f"{index:06d}.jpg"
        pixels = cv2.imencode(".jpg", cv2.cvtColor(sample.image, cv2.COLOR_RGB2BGR), _JPEG)[1]
        (folder / name).write_bytes(pixels.tobytes())
        image_id = writer.image(name)
        assert image_id is not None
        people = sample.targets
        joints = people.keypoints.astype(np.float64)
        joints[..., :2] = np.where(joints[..., 2:] > 0, joints[..., :2] - _COCO_OFFSET, 0.0)
        for number in range(len(people)):
            box, own = box_xywh(people.boxes[number]), joints[number].ravel().tolist()
            who = {"person_id": int(people.identities[number])} if "identities" in dataset.tasks else {}
            writer.person(image_id, box, keypoints=own, crowd=bool(people.ignore[number]), **who)
    writer.write(folder / "annotations.json")


def true_poses(address: str, cfg: CfgNode) -> list[SeenImage]:
    """The labelled people as people found, each with a score of 1, after the suppression of ``MODEL.POSEDET``.

    Joints outside the image, which are not labelled, are taken to be where the person's others are in the mean: so they
    widen no extent.
    """
    suppression, skeleton = (
        Suppression.from_config(cfg, joint_constants(cfg)),
        get_skeleton(cfg.MODEL.SKELETON),
    )
    dataset = test_images(address)
    out = []
    for index, scene in enumerate(dataset.scenes()):
        image = convert_people(dataset[index], dataset.skeleton, skeleton)
        people = image.targets
        out.append(SeenImage(scene, image.image.shape[:2], people, suppression(_found(people))))
    return out


class KeptImages:
    """A dataset whose first images are read once; see ``data.dataset.PoseDataset``."""

    def __init__(self, dataset: PoseDataset) -> None:
        self._dataset = dataset
        self._kept: dict[int, LabelledImage] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> LabelledImage:
        if index in self._kept:
            return self._kept[index]
        image = self._dataset[index]
        if index < _KEPT:
            self._kept[index] = image
        return image

    def scenes(self) -> list[int]:
        """The number of each image's scene."""
        sizes = self._dataset.group_sizes
        return np.repeat(np.arange(len(sizes)), sizes).tolist()


@functools.lru_cache(maxsize=2)  # all arms of an experiment look at the same images
def test_images(address: str) -> KeptImages:
    return KeptImages(build_dataset(address, training=False))


def _found(people: PersonTargets) -> PersonDetections:
    labelled = people.keypoints[..., 2] > 0
    people = people[~people.ignore & labelled.any(axis=1)]
    labelled = people.keypoints[..., 2:] > 0
    middle = (people.keypoints[..., :2] * labelled).sum(axis=1) / labelled.sum(axis=1)
    xy = np.where(labelled, people.keypoints[..., :2], middle[:, None])
    keypoints = np.concatenate((xy, labelled), axis=-1).astype(np.float32)
    return PersonDetections(people.boxes, np.ones(len(people), np.float32), keypoints)
