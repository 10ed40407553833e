"""What a step trains on, the same under either engine."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, TypeVar

from fastpose_mtn.config import CfgNode
from fastpose_mtn.data.catalog import build_datasets
from fastpose_mtn.data.dataset import PoseDataset
from fastpose_mtn.data.loader import (
    AugmentedImages,
    LoadFailure,
    TrainingBatches,
    build_training_loader,
)
from fastpose_mtn.data.sample import TrainingSample
from fastpose_mtn.data.transforms.joints import tasks_in, warn_without_joints
from fastpose_mtn.errors import InputError
from fastpose_mtn.registry import SYSTEMS
from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import Batch

_LOG = logging.getLogger("fastpose_mtn")

FINAL_WEIGHTS = "model_final.safetensors"


def training_images(
    cfg: CfgNode, seed: int, datasets: Sequence[PoseDataset] | None = None
) -> AugmentedImages:
    """The images of the datasets (None: ``DATASETS.TRAIN``), changed at random as ``INPUT`` says.

    Raises:
        InputError: the datasets cannot be used, or train none of the network's tasks.
    """
    if datasets is None:
        datasets = build_datasets(cfg, cfg.DATASETS.TRAIN, training=True)
    system = SYSTEMS.get(cfg.MODEL.META_ARCHITECTURE)
    skeleton = system.training_skeleton(cfg)
    samples, augmentations = system.training_data(cfg, datasets)
    _check_tasks(cfg, samples, skeleton)
    return AugmentedImages(
        samples,
        augmentations,
        seed=seed,
        skeleton=skeleton,
        skip_bad=cfg.DATALOADER.SKIP_BAD_IMAGES,
    )


def _check_tasks(cfg: CfgNode, datasets: Sequence[PoseDataset], skeleton: Skeleton) -> None:
    """Says of each dataset what it trains, and warns of one that trains nothing.

    Raises:
        InputError: none of them trains anything.
    """
    switched_off = {
        task: f"MODEL.{key} True"
        for task, key in (("keypoints", "KEYPOINT_ON"), ("identities", "REID_ON"))
        if not cfg.MODEL[key]
    }
    alone = sum(dataset.num_identities for dataset in datasets) == 1  # nobody to tell this person from
    problem, useful = "", False
    for dataset in datasets:
        if "keypoints" not in switched_off:
            warn_without_joints(dataset, skeleton)
        offered = tasks_in(dataset, skeleton)
        trained = sorted(offered - switched_off.keys() - ({"identities"} if alone else set()))
        if trained:
            useful = True
            _LOG.info("dataset %s: %d images train %s", dataset.name, len(dataset), ", ".join(trained))
            continue
        problem = f"dataset {dataset.name}: trains nothing: "
        if alone and "identities" in offered - switched_off.keys():
            problem += (
                "its people are one person, and identities are told apart; give people of two and more, "
            )
        elif offered:
            problem += f"its images train {', '.join(sorted(offered))}, which the network does not learn; "
            problem += f"set {' and '.join(switched_off[task] for task in sorted(offered))}, "
        else:
            problem += (
                "nothing that it is asked to train is labelled in it; choose its tasks with tasks=T+T, "
            )
        problem += "or leave it out of DATASETS.TRAIN"
        _LOG.warning("%s", problem)
    if not useful:
        raise InputError(problem)


def make_training_loader(
    cfg: CfgNode,
    images: AugmentedImages,
    *,
    seed: int,
    step: int,
    rank: int,
    world_size: int,
    pin_memory: bool,
) -> Any:
    """The training batches of one process from ``step`` on."""
    one_size = bool(cfg.INPUT.AUG.SIZE)
    images.seed = seed
    batches = TrainingBatches(
        images.group_sizes,
        batch_size=cfg.SOLVER.IMS_PER_BATCH,
        seed=seed,
        run_length=cfg.DATALOADER.IMAGES_PER_SCENE,
        weights=tuple(cfg.DATASETS.TRAIN_WEIGHTS),
        dataset_of_group=images.dataset_of_group,
        landscape=images.landscape() if cfg.DATALOADER.ASPECT_RATIO_GROUPING and not one_size else None,
        start_step=step,
        rank=rank,
        world_size=world_size,
    )
    return build_training_loader(
        images, batches, num_workers=cfg.DATALOADER.NUM_WORKERS, pin_memory=pin_memory
    )


def step_seed(seed: int, step: int, rank: int, world_size: int) -> int:
    """Of what the network samples in a step: it follows from the seed and the step, so a resumed run goes on exactly."""
    return (seed * 1_000_003 + step * world_size + rank) % 2**63


T = TypeVar("T", Batch, TrainingSample)


def check_read(read: T | LoadFailure) -> T:
    """What could be read.

    Raises:
        InputError: an image could not; the message says how to train without it.
    """
    if isinstance(read, LoadFailure):
        raise InputError(
            f"{read.message}; python -m fastpose_mtn.data.check finds such images, and "
            f"DATALOADER.SKIP_BAD_IMAGES True trains without them"
        )
    return read
