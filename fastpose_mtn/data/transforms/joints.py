"""A dataset's people in the network's skeleton: the one place where joints are matched, when a sample is made ready."""

from __future__ import annotations

import logging
from dataclasses import replace

from fastpose_mtn.data.dataset import PoseDataset
from fastpose_mtn.data.sample import LabelledImage
from fastpose_mtn.skeletons import Skeleton

_LOG = logging.getLogger("fastpose_mtn")


def convert_people(image: LabelledImage, own: Skeleton, skeleton: Skeleton) -> LabelledImage:
    """The same image with its people's joints in ``skeleton``, matched by name.

    A joint that the dataset lacks is unlabelled; an image of a dataset that names none of them trains no joints.

    Args:
        image: with its people's joints in ``own``.
        own: of the image's people.
        skeleton: to convert to, the network's.
    """
    if own.joints == skeleton.joints:
        return image
    keypoints = own.convert(image.targets.keypoints, skeleton)
    targets = replace(image.targets, keypoints=keypoints)
    return replace(image, targets=targets, tasks=_trained(image.tasks, own, skeleton))


def tasks_in(dataset: PoseDataset, skeleton: Skeleton) -> frozenset[str]:
    """What a dataset's images train once their people are in ``skeleton``."""
    return _trained(dataset.tasks, dataset.skeleton, skeleton)


def warn_without_joints(dataset: PoseDataset, skeleton: Skeleton) -> None:
    """Tells of a dataset whose joints are wanted and of which the network has none: mostly they are named otherwise."""
    if "keypoints" in dataset.tasks and not dataset.skeleton.shares_joints(skeleton):
        _LOG.warning(
            "dataset %s: trains no joints: of its joints (%s) %s has none; name them as %s does, or choose "
            "another MODEL.SKELETON",
            dataset.name, ", ".join(dataset.skeleton.joints), skeleton.name, skeleton.name,
        )  # fmt: skip


def _trained(tasks: frozenset[str], own: Skeleton, skeleton: Skeleton) -> frozenset[str]:
    return tasks if own.shares_joints(skeleton) else tasks - {"keypoints"}
