"""A dataset of labelled images as one of people: what a network learns from that looks at one person at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fastpose_mtn.data.dataset import PoseDataset
from fastpose_mtn.data.sample import LabelledImage
from fastpose_mtn.errors import InputError
from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import PersonTargets, has_area


class PersonCrops(PoseDataset):
    """The people of another dataset, each a sample: its image with ``focus`` on one of them.

    The image is whole: ``transforms.crop_person.CropPerson`` cuts it, in one step with all its random changes. The people
    of an image are a group, drawn together, and their image is decoded once for them.

    Images that are drawn when they are asked for, whose labels would have to be drawn too, stay one sample each, and
    whom it is about is chosen when it is cropped.

    Args:
        images: of labelled people.
        skeleton: the network's; people without any of its joints are left out, but for those whose identities train.
        tasks: what a crop can train; boxes it cannot.

    Raises:
        InputError: the dataset has nobody to learn from.
    """

    def __init__(
        self,
        images: PoseDataset,
        skeleton: Skeleton,
        tasks: frozenset[str] = frozenset({"keypoints", "identities"}),
    ) -> None:
        self._images = images
        self.name, self.skeleton, self.tasks = images.name, images.skeleton, images.tasks & tasks
        self._kept: tuple[int, LabelledImage] | None = None  # the image that was decoded last
        self._people: np.ndarray | None = None  # (people, 2) int32: image, number of the person in it
        self._groups = images.group_sizes
        if len(images) and images.image_file(0) is not None:
            known = np.array([skeleton.has(joint) for joint in images.skeleton.joints], bool)
            identified = "identities" in self.tasks
            people = [
                learnable(images.targets(index), known, identified=identified) for index in range(len(images))
            ]
            counts = np.array([len(numbers) for numbers in people], np.int64)
            if not counts.sum():
                raise InputError(
                    f"dataset {images.name}: nobody in it has a box and a labelled joint of {skeleton.name}"
                    f"{' or an identity' if identified else ''}; leave it out of DATASETS.TRAIN"
                )
            self._people = np.column_stack(
                (np.repeat(np.arange(len(images)), counts), np.concatenate(people))
            ).astype(np.int32)
            self._groups = counts[counts > 0]

    @property
    def domain(self) -> str:
        """As of the images."""
        return self._images.domain

    @property
    def num_identities(self) -> int:
        """As of the images; 0 where crops do not train identities."""
        return self._images.num_identities if "identities" in self.tasks else 0

    @property
    def group_sizes(self) -> np.ndarray:
        """(G,) int64 people of each image that has any; of drawn images as these are grouped."""
        return self._groups

    def __len__(self) -> int:
        return len(self._images) if self._people is None else len(self._people)

    def image_size_wh(self, index: int) -> tuple[int, int]:
        """(1, 1): crops are of one size, whatever their images are."""
        return (1, 1)

    def __getitem__(self, index: int) -> LabelledImage:
        if self._people is None:
            return replace(self._images[index], tasks=self.tasks)
        image, person = self._people[index].tolist()
        if self._kept is None or self._kept[0] != image:
            self._kept = image, self._images[image]
        return replace(self._kept[1], tasks=self.tasks, focus=person)


def learnable(
    targets: PersonTargets, joints: np.ndarray | None = None, *, identified: bool = False
) -> np.ndarray:
    """Numbers of the people (NumPy) of whom a network can learn from a crop: with a box and a labelled joint.

    Args:
        targets: of an image.
        joints: (K,) bool: those that count; None: all.
        identified: an identity does in place of a joint.
    """
    labelled = targets.keypoints[..., 2] > 0
    if joints is not None:
        labelled = labelled[:, joints]
    teaches = labelled.any(axis=1)
    if identified:
        teaches |= targets.identities >= 0
    return np.flatnonzero(~targets.ignore & has_area(targets.boxes) & teaches)
