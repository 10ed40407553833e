"""Which images a training step sees, and the processes that make them ready.

What a step trains on is a function of the seed and the step alone: not of the number of worker
processes, and a resumed run goes on with exactly the images that would have come next.
"""

from __future__ import annotations

import gc
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from fastpose_mtn.data.dataset import PoseDataset
from fastpose_mtn.data.sample import LabelledImage, TrainingSample
from fastpose_mtn.data.transforms.augment import Augmentation, augment
from fastpose_mtn.data.transforms.joints import convert_people
from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import Batch

_MOST_LEFT_OUT = 20  # unreadable images in a row after which something else is wrong: a disk that is gone


class TrainingBatches:
    """The endless sequence of batches, each a list of (image index, number of the draw).

    An epoch visits every group in random order, as often as it takes to give each of its images one
    turn on average; a visit draws ``run_length`` different images at random from the group.

    With ``weights`` each dataset has epochs of its own, and each visit is to a dataset drawn at random so that
    its share of the images is its weight's.

    Args:
        group_sizes: (G,) of all datasets, one after the other.
        batch_size: images a step, over all devices.
        weights: of each dataset, above 0; (): every image counts the same.
        dataset_of_group: (G,) which dataset a group belongs to; needed with ``weights``.
        landscape: (images,) bool: batches mix only images of one kind (Detectron2's aspect ratio
            grouping), or None where all may mix.
        start_step: the first step to give.
        rank, world_size: this process and how many there are; each gets its share of every batch.
    """

    def __init__(
        self,
        group_sizes: np.ndarray,
        *,
        batch_size: int,
        seed: int,
        run_length: int = 1,
        weights: Sequence[float] = (),
        dataset_of_group: np.ndarray | None = None,
        landscape: np.ndarray | None = None,
        start_step: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size < 1 or batch_size % world_size:
            raise ValueError(
                f"SOLVER.IMS_PER_BATCH is {batch_size}, expected a positive multiple of the number of "
                f"devices, {world_size}"
            )
        self._sizes = np.asarray(group_sizes, np.int64)
        if self._sizes.sum() == 0:
            raise ValueError("DATASETS.TRAIN has no images to train on")
        self._firsts = np.concatenate([[0], np.cumsum(self._sizes)[:-1]])
        self._batch_size, self._seed, self._run_length = batch_size, seed, run_length
        self._datasets: list[np.ndarray] = []  # the groups of each, where they are weighted
        if len(weights):
            assert dataset_of_group is not None
            self._check_weights(weights, int(dataset_of_group.max()) + 1)
            self._datasets = [np.flatnonzero(dataset_of_group == k) for k in range(len(weights))]
            # A visit to a dataset of scenes draws several images, one to a dataset of single images one.
            drawn = np.array([np.minimum(self._run_length, self._sizes[g]).mean() for g in self._datasets])
            ends = np.cumsum(np.asarray(weights, float) / drawn)
            self._visit_ends = (ends / ends[-1]).tolist()
        self._landscape, self._start_step = landscape, start_step
        share = batch_size // world_size
        self._mine = slice(rank * share, (rank + 1) * share)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return (batch[self._mine] for batch in islice(self._batches(), self._start_step, None))

    def _batches(self) -> Iterator[list[tuple[int, int]]]:
        pending: tuple[list[tuple[int, int]], ...] = ([], [])
        for number, index in enumerate(self._indices()):
            kind = 0 if self._landscape is None else int(self._landscape[index])
            pending[kind].append((index, number))
            if len(pending[kind]) == self._batch_size:
                yield pending[kind].copy()
                pending[kind].clear()

    def _check_weights(self, weights: Sequence[float], count: int) -> None:
        if len(weights) != count:
            raise ValueError(
                f"DATASETS.TRAIN_WEIGHTS has {len(weights)} numbers, expected one for each of the {count} datasets "
                f"of DATASETS.TRAIN"
            )
        if not all(0 < weight < float("inf") for weight in weights):
            raise ValueError(f"DATASETS.TRAIN_WEIGHTS: expected numbers above 0, got {list(weights)}")

    def _indices(self) -> Iterator[int]:
        if not self._datasets:
            yield from chain.from_iterable(self._visits(np.arange(len(self._sizes)), [self._seed]))
        streams = [self._visits(groups, [self._seed, k + 1]) for k, groups in enumerate(self._datasets)]
        rng = np.random.default_rng([self._seed, 0xD5])
        while True:
            yield from next(streams[bisect_right(self._visit_ends, rng.random())])

    def _visits(self, groups: np.ndarray, seed: list[int]) -> Iterator[list[int]]:
        """Epoch after epoch the images of each visit to one of these groups."""
        sizes = self._sizes[groups]
        visits = np.repeat(groups, -(-sizes // self._run_length))
        epoch = 0
        while True:
            rng = np.random.default_rng([*seed, epoch])
            for group in rng.permutation(visits):
                size, first = int(self._sizes[group]), int(self._firsts[group])
                if size == 1:
                    yield [first]
                else:
                    count = min(self._run_length, size)
                    yield (first + rng.choice(size, count, replace=False)).tolist()
            epoch += 1


@dataclass(frozen=True)
class LoadFailure:
    """An image that could not be read; it crosses from a worker process, which an exception does badly."""

    message: str


def load_or_failure(dataset: PoseDataset, index: int, skeleton: Skeleton) -> LabelledImage | LoadFailure:
    """An image with its people in ``skeleton``, or why there is none."""
    try:
        return convert_people(dataset[index], dataset.skeleton, skeleton)
    except (ValueError, OSError) as error:
        return LoadFailure(f"dataset {dataset.name}: {error}")


class AugmentedImages(Dataset[TrainingSample | LoadFailure]):
    """All training datasets as one, each image changed at random and ready for the network.

    Identities of the second dataset go on where those of the first end.

    Args:
        skeleton: that the network learns in, which all people are converted to before anything is changed.
        skip_bad: give another image of the dataset for one that cannot be read, and say so in the sample.
    """

    def __init__(
        self,
        datasets: Sequence[PoseDataset],
        augmentations: Sequence[Augmentation],
        seed: int,
        *,
        skeleton: Skeleton,
        skip_bad: bool = False,
    ) -> None:
        self._datasets, self._augmentations, self.seed = tuple(datasets), tuple(augmentations), seed
        self._skeleton, self._skip_bad = skeleton, skip_bad
        self._ends = np.cumsum([len(d) for d in datasets])
        self._first_identity = np.concatenate([[0], np.cumsum([d.num_identities for d in datasets])])

    @property
    def num_identities(self) -> int:
        """People that all datasets together tell apart; identities of the samples are -1 or lie below it."""
        return int(self._first_identity[-1])

    @property
    def group_sizes(self) -> np.ndarray:
        """(G,) int64 images in each group of consecutive indices that are cheap to read together."""
        return np.concatenate([d.group_sizes for d in self._datasets])

    @property
    def dataset_of_group(self) -> np.ndarray:
        """(groups,) int64: the number of the dataset that each group belongs to."""
        return np.repeat(np.arange(len(self._datasets)), [len(d.group_sizes) for d in self._datasets])

    def landscape(self) -> np.ndarray:
        """(images,) bool: at least as wide as high."""
        sizes = [d.image_size_wh(i) for d in self._datasets for i in range(len(d))]
        return np.array([width >= height for width, height in sizes], bool)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, draw: tuple[int, int]) -> TrainingSample | LoadFailure:
        """Image ``draw[0]``, changed as the ``draw[1]``-th draw of this run changes it."""
        index, number = draw
        which = int(np.searchsorted(self._ends, index, side="right"))
        dataset = self._datasets[which]
        image, left_out = self._load(dataset, index - (int(self._ends[which]) - len(dataset)), number)
        if isinstance(image, LoadFailure):
            return image
        identities = image.targets.identities
        known = (identities >= 0) & ("identities" in image.tasks)
        identities = np.where(known, identities + self._first_identity[which], -1).astype(np.int64)
        image = replace(image, targets=replace(image.targets, identities=identities), draw=number)
        rng = np.random.default_rng([self.seed, 0xA06, number])
        sample = augment(image, self._augmentations, rng).ready()
        return replace(sample, left_out=left_out, domain=dataset.domain)

    def _load(
        self, dataset: PoseDataset, index: int, number: int
    ) -> tuple[LabelledImage | LoadFailure, tuple[str, ...]]:
        """The image, and what was left out before one could be read; which follows from the draw alone."""
        image = load_or_failure(dataset, index, self._skeleton)
        if not self._skip_bad:
            return image, ()
        rng = np.random.default_rng([self.seed, 0xBAD, number])
        left_out: list[str] = []
        while isinstance(image, LoadFailure) and len(left_out) < _MOST_LEFT_OUT:
            left_out.append(image.message)
            image = load_or_failure(dataset, int(rng.integers(len(dataset))), self._skeleton)
        return image, tuple(left_out)


def collate(samples: Sequence[TrainingSample | LoadFailure]) -> Batch | LoadFailure:
    """A step's samples as a batch, or the first that could not be read."""
    read: list[TrainingSample] = []
    for sample in samples:
        if isinstance(sample, LoadFailure):
            return sample
        read.append(sample)
    return Batch(
        images=[sample.image for sample in read],
        targets=[sample.targets for sample in read],
        tasks=[sample.tasks for sample in read],
        left_out=tuple(chain.from_iterable(sample.left_out for sample in read)),
        domains=[sample.domain for sample in read],
    )


def build_training_loader(
    images: AugmentedImages, batches: TrainingBatches, *, num_workers: int, pin_memory: bool
) -> DataLoader[TrainingSample | LoadFailure]:
    """The batches, each a ``Batch`` or a ``LoadFailure``, made ready ahead of time by ``num_workers`` processes."""
    return DataLoader(
        images,
        batch_sampler=batches,  # type: ignore[arg-type]
        num_workers=num_workers,
        collate_fn=collate,
        pin_memory=pin_memory,
        worker_init_fn=start_worker,
        prefetch_factor=4 if num_workers else None,
        persistent_workers=False,
    )


def start_worker(worker: int = 0) -> None:
    """One thread each, and behind the network when the cores are few; what was the parent's is not freed here.

    FFmpeg's contexts, for one, wait in freeing for threads that the parent alone has: a worker would never give anything.
    """
    gc.freeze()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    if hasattr(os, "nice"):
        os.nice(5)
