"""Saved detections beside the labels of their frames, COCO's or PoseTrack18's."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastpose_mtn.data.catalog import COCO, POSETRACK
from fastpose_mtn.data.coco.ground_truth import CocoLabels, read_coco_labels
from fastpose_mtn.data.json_fields import JsonObject
from fastpose_mtn.data.problems import Problems
from fastpose_mtn.errors import InputError
from fastpose_mtn.evaluation.coco.repeated import LabelledPeople
from fastpose_mtn.skeletons import Skeleton, skeleton_of
from fastpose_mtn.structures import PersonTargets
from fastpose_mtn.tracking.detections_file import ENDING, SavedDetections, SavedFrame

_INDEX = 0.5  # pixels that COCO's joints, which are indices, lie before ours
_VISIBLE_FROM = 1.5  # of v


def read_frames(saved: Sequence[SavedDetections], labels: Path) -> list[LabelledPeople]:
    """The labelled frames of saved detections, with their labels in the detections' skeleton.

    Frames go by their files' names; those of a video by their numbers, which labels' images are called by (``000017.jpg``)
    or have as their ``id``. Frames without labels are left out.

    Args:
        saved: of videos or of images.
        labels: a file of COCO's annotations, or a folder with PoseTrack18's, ``NAME.json`` for each NAME of ``saved``.

    Raises:
        InputError: the labels cannot be used, or are of other images.
    """
    posetrack = labels.is_dir()
    # COCO's one file may hold the labels of all of them
    read = functools.lru_cache(maxsize=1)(functools.partial(_read, posetrack=posetrack))
    people: list[LabelledPeople] = []
    for one in saved:
        file = labels / f"{one.source}.json" if posetrack else labels
        if not file.is_file():
            raise InputError(
                f"--gt {labels}: expected {file}, ground truth of {one.source}{ENDING}; it is not there"
            )
        people += _labelled(one, read(file), file)
    return people


def _read(file: Path, *, posetrack: bool) -> CocoLabels:
    try:
        labels = read_coco_labels(file, POSETRACK if posetrack else COCO, Problems())
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from error
    if not posetrack and any("vid_id" in image for image in labels.dataset["images"]):
        raise InputError(
            f"--gt {file}: is PoseTrack18's, whose joints are no pixel indices; give the folder that it is in"
        )
    if not labels.dataset["categories"][0]["keypoints"]:
        raise InputError(f"--gt {file}: categories: keypoints: expected the joints' names, got none")
    return labels


def _labelled(saved: SavedDetections, labels: CocoLabels, file: Path) -> list[LabelledPeople]:
    named = skeleton_of(labels.dataset["categories"][0]["keypoints"])
    if not named.shares_joints(saved.skeleton):
        raise InputError(
            f"--gt {file}: expected joints of {saved.skeleton.name}, the detections' skeleton, got "
            f"{', '.join(named.joints)}"
        )
    numbers = _images(labels.dataset["images"])
    annotations: dict[int, list[JsonObject]] = defaultdict(list)
    for annotation in labels.dataset["annotations"]:
        annotations[annotation["image_id"]].append(annotation)
    people = []
    for frame in saved:
        image = numbers.get(_key(frame))
        if image is not None:
            targets, areas = _targets(annotations[image], named, saved.skeleton)
            people.append(LabelledPeople(frame.detections, targets, areas, frame.image_size_hw))
    if not people:
        raise InputError(
            f"--gt {file}: none of its {len(labels.dataset['images'])} images is a frame of {saved.source}{ENDING}, such as "
            f"{_key(saved.frames[0]) if len(saved) else 'none'}"
        )
    return people


def _key(frame: SavedFrame) -> str | int:
    return frame.number if frame.file_name is None else frame.file_name


def _images(images: Sequence[Mapping[str, Any]]) -> dict[str | int, int]:
    """The labels' images by the names of their files, and by the numbers that these or their ids are."""
    numbers: dict[str | int, int] = {image["id"]: image["id"] for image in images}
    paths = {image["id"]: Path(str(image.get("file_name") or "")) for image in images}
    numbers |= {int(path.stem): image for image, path in paths.items() if path.stem.isdecimal()}
    return numbers | {path.name: image for image, path in paths.items()}


def _targets(
    annotations: Sequence[Mapping[str, Any]], named: Skeleton, skeleton: Skeleton
) -> tuple[PersonTargets, np.ndarray]:
    """The labelled people of an image and their areas, square pixels."""
    count = len(annotations)
    boxes = np.array([one["bbox"] for one in annotations], np.float64).reshape(count, 4)
    flat = [one.get("keypoints") or [0] * 3 * len(named) for one in annotations]
    joints = np.array(flat, np.float64).reshape(count, len(named), 3)
    labelled = joints[..., 2] > 0
    joints[..., :2] = np.where(labelled[..., None], joints[..., :2] + _INDEX, 0)
    joints[..., 2] = np.where(labelled, np.where(joints[..., 2] >= _VISIBLE_FROM, 2, 1), 0)
    targets = PersonTargets(
        boxes=np.concatenate((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), axis=1).astype(np.float32),
        keypoints=named.convert(joints, skeleton).astype(np.float32),
        identities=np.full(count, -1, np.int64),
        ignore=np.array([bool(one["iscrowd"]) for one in annotations], bool),
    )
    return targets, np.array([one["area"] for one in annotations], np.float64)
