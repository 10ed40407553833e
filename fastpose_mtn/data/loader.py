"""Which images a training step sees, and the processes that make them ready.

What a step trains on is a function of the seed and the step alone: not of the number of worker
processes, and a resumed run goes on with exactly the images that would have come next.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from fastpose_mtn.data.augment import Augmentation, augment
from fastpose_mtn.data.sample import LabelledImage, TrainingSample


class PoseDataset(Protocol):
    """Labelled images by index.

    Attributes:
        name: as in ``DATASETS``.
        tasks: what its images train.
        num_identities: identities are -1 or lie in [0, num_identities).
        group_sizes: (G,) images in each group of consecutive indices that are cheap to read together.
    """

    name: str
    tasks: frozenset[str]

    @property
    def num_identities(self) -> int: ...
    @property
    def group_sizes(self) -> np.ndarray: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> LabelledImage: ...
    def image_size_wh(self, index: int) -> tuple[int, int]: ...


class TrainingBatches:
    """The endless sequence of batches, each a list of (image index, number of the draw).

    An epoch visits every group in random order, as often as it takes to give each of its images one
    turn on average; a visit draws ``run_length`` different images at random from the group.

    Args:
        group_sizes: (G,) of all datasets, one after the other.
        batch_size: images a step, over all devices.
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

    def _indices(self) -> Iterator[int]:
        visits = np.repeat(np.arange(len(self._sizes)), -(-self._sizes // self._run_length))
        epoch = 0
        while True:
            rng = np.random.default_rng([self._seed, epoch])
            for group in rng.permutation(visits):
                size, first = int(self._sizes[group]), int(self._firsts[group])
                if size == 1:
                    yield first
                else:
                    count = min(self._run_length, size)
                    yield from (first + rng.choice(size, count, replace=False)).tolist()
            epoch += 1


@dataclass(frozen=True)
class LoadFailure:
    """An image that could not be read; it crosses from a worker process, which an exception does badly."""

    message: str


def load_or_failure(dataset: PoseDataset, index: int) -> LabelledImage | LoadFailure:
    try:
        return dataset[index]
    except (ValueError, OSError) as error:
        return LoadFailure(f"dataset {dataset.name}: {error}")


class AugmentedImages(Dataset[TrainingSample | LoadFailure]):
    """All training datasets as one, each image changed at random and ready for the network.

    Identities of the second dataset go on where those of the first end.
    """

    def __init__(
        self, datasets: Sequence[PoseDataset], augmentations: Sequence[Augmentation], seed: int
    ) -> None:
        self._datasets, self._augmentations, self.seed = tuple(datasets), tuple(augmentations), seed
        self._ends = np.cumsum([len(d) for d in datasets])
        self._first_identity = np.concatenate([[0], np.cumsum([d.num_identities for d in datasets])])

    @property
    def num_identities(self) -> int:
        return int(self._first_identity[-1])

    @property
    def group_sizes(self) -> np.ndarray:
        return np.concatenate([d.group_sizes for d in self._datasets])

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
        image = load_or_failure(dataset, index - (int(self._ends[which]) - len(dataset)))
        if isinstance(image, LoadFailure):
            return image
        identities = image.targets.identities
        known = (identities >= 0) & ("identities" in image.tasks)
        identities = np.where(known, identities + self._first_identity[which], -1).astype(np.int64)
        image = replace(image, targets=replace(image.targets, identities=identities))
        rng = np.random.default_rng([self.seed, 0xA06, number])
        return augment(image, self._augmentations, rng).ready()


def build_training_loader(
    images: AugmentedImages, batches: TrainingBatches, *, num_workers: int, pin_memory: bool
) -> DataLoader[TrainingSample | LoadFailure]:
    """Batches as lists of samples, made ready ahead of time by ``num_workers`` processes."""
    return DataLoader(
        images,
        batch_sampler=batches,  # type: ignore[arg-type]
        num_workers=num_workers,
        collate_fn=list,
        pin_memory=pin_memory,
        worker_init_fn=start_worker,
        prefetch_factor=4 if num_workers else None,
        persistent_workers=False,
    )


def start_worker(worker: int = 0) -> None:
    """One thread each, and behind the network when the cores are few."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    if hasattr(os, "nice"):
        os.nice(5)
