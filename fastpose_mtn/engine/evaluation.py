"""A network's numbers on ``DATASETS.TEST``, while it trains and afterwards; see ``evaluation.measures`` for which."""

from __future__ import annotations

import functools
import itertools
import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch.distributed as dist
from torch import nn
from torch.utils.data import DataLoader, Dataset

from fastpose_mtn.build import build_estimator, build_tracker
from fastpose_mtn.config import CfgNode, get_cfg
from fastpose_mtn.data.dataset import PoseDataset
from fastpose_mtn.data.loader import LoadFailure, load_or_failure, start_worker
from fastpose_mtn.data.sample import LabelledImage
from fastpose_mtn.data.transforms.joints import warn_without_joints
from fastpose_mtn.errors import InputError
from fastpose_mtn.evaluation.measures.choice import dataset_measures
from fastpose_mtn.evaluation.measures.measure import EvaluatedImage, Measure
from fastpose_mtn.files import write_text
from fastpose_mtn.protocols import (
    FrameName,
    GivenPersonEstimator,
    PersonDescriber,
    PoseEstimator,
    Tracker,
    estimate_frames,
)
from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import PersonDetections

_LOG = logging.getLogger("fastpose_mtn")

# What the tables show, of all the numbers that are written.
_TABLES = (
    ("box/AP", "box/AP50", "box/AP75", "keypoint/AP", "keypoint/AP50", "keypoint/AP75", "keypoint/AR"),
    ("wholebody/AP", "body/AP", "foot/AP", "face/AP", "hand/AP", "lefthand/AP", "righthand/AP"),
    ("posetrack/AP", "posetrack/MOTA", "posetrack/IDF1", "posetrack/HOTA", "posetrack/num_switches"),
    ("search/mAP", "search/top1", "search/top5", "search/top10"),
)


def evaluate_dataset(
    estimator: PoseEstimator,
    dataset: PoseDataset,
    *,
    batch_size: int,
    num_workers: int,
    new_tracker: Callable[[], Tracker] | None = None,
    given_boxes: bool = False,
) -> dict[str, float]:
    """All numbers that apply to the dataset; with several processes each takes its share of images.

    Args:
        estimator: with vectors of given boxes (a ``PersonDescriber``), person search is measured too.
        dataset: in its own skeleton; joints that the estimator lacks are told in a warning.
        batch_size: images that the network sees at once.
        num_workers: processes that read images; 0: this one.
        new_tracker: makes a tracker without tracks, for sequences; None: the configuration's defaults.
        given_boxes: locate people in the labelled boxes (a ``GivenPersonEstimator``), and search for nobody.

    Returns:
        By ``KIND/NAME``, in every process the same.
    """
    describes = isinstance(estimator, PersonDescriber) and bool(estimator.embedding_dim) and not given_boxes
    describer = cast(PersonDescriber, estimator) if describes else None
    warn_without_joints(dataset, estimator.skeleton)
    measures = dataset_measures(
        dataset,
        estimator.skeleton,
        new_tracker=new_tracker or functools.partial(build_tracker, get_cfg(), estimator.skeleton),
        describes=describer is not None,
    )
    rank, world_size = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    mine = range(rank * len(dataset) // world_size, (rank + 1) * len(dataset) // world_size)
    entries: list[list[Any]] = [[] for _ in measures]
    found = find_people(
        estimator, dataset, mine, batch_size=batch_size, num_workers=num_workers, given_boxes=given_boxes
    )
    for index, (image, people) in zip(mine, found, strict=True):
        seen = EvaluatedImage(
            index=index,
            image_id=image.image_id,
            size_hw=image.image.shape[:2],
            targets=image.targets,
            posetrack=image.posetrack,
            describe=None if describer is None else functools.partial(describer.describe, image.image),
        )
        for measure, own in zip(measures, entries, strict=True):
            own.append(measure.entry(seen, people))
    return _evaluate(measures, entries, rank, world_size)


def find_people(
    estimator: PoseEstimator,
    dataset: PoseDataset,
    indices: range,
    *,
    batch_size: int,
    num_workers: int,
    given_boxes: bool = False,
) -> Iterator[tuple[LabelledImage, PersonDetections]]:
    """Images of a dataset in their order, their people in the estimator's skeleton, and whom it finds in each.

    Args:
        estimator: see ``evaluate_dataset``.
        dataset: see there.
        indices: of the images.
        batch_size: see there.
        num_workers: see there.
        given_boxes: see there; people come in the order of the labels.

    Raises:
        InputError: an image cannot be read, or nobody can be located in given boxes.
    """
    loader = DataLoader(
        _Images(dataset, indices, estimator.skeleton),
        batch_size=batch_size,
        num_workers=num_workers,
        collate_fn=list,
        worker_init_fn=start_worker,
    )
    for batch in loader:
        for failure in batch:
            if isinstance(failure, LoadFailure):
                raise InputError(failure.message)
        people = _locate(estimator, batch) if given_boxes else _find(estimator, batch)
        yield from zip(batch, people, strict=True)


def _find(estimator: PoseEstimator, images: Sequence[LabelledImage]) -> list[PersonDetections]:
    """The people of each image."""
    names = [FrameName(image.image_id, image.image_id, Path(image.file_name).name) for image in images]
    return estimate_frames(estimator, [image.image for image in images], names)


def _locate(estimator: PoseEstimator, images: Sequence[LabelledImage]) -> list[PersonDetections]:
    """The people of each image in the boxes of its labels; ignored ones, crowds among them, are left out."""
    if not isinstance(estimator, GivenPersonEstimator):
        raise InputError("TEST.DETECTOR truth: this network locates nobody in given boxes; leave it empty")
    boxes = [image.targets.boxes[~image.targets.ignore] for image in images]
    return [
        estimator.estimate_given(image.image, own, np.ones(len(own), np.float32))
        for image, own in zip(images, boxes, strict=True)
    ]


def _evaluate(
    measures: Sequence[Measure], entries: list[list[Any]], rank: int, world_size: int
) -> dict[str, float]:
    """The first process evaluates the entries of all, which are by measure, and tells the others."""
    if world_size > 1:
        shares: list[Any] = [None] * world_size
        dist.gather_object(entries, shares if rank == 0 else None)
        if rank == 0:
            entries = [list(itertools.chain.from_iterable(parts)) for parts in zip(*shares, strict=True)]
    metrics: list[dict[str, float]] = [{}]
    if rank == 0:
        for measure, images in zip(measures, entries, strict=True):
            metrics[0] |= measure.evaluate(images)
    if world_size > 1:
        dist.broadcast_object_list(metrics)
    return metrics[0]


class _Images(Dataset[LabelledImage | LoadFailure]):
    def __init__(self, dataset: PoseDataset, indices: range, skeleton: Skeleton) -> None:
        self._dataset, self._indices, self._skeleton = dataset, indices, skeleton

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> LabelledImage | LoadFailure:
        return load_or_failure(self._dataset, self._indices[index], self._skeleton)


def evaluate_model(
    cfg: CfgNode, datasets: Sequence[PoseDataset], output: Path, model: nn.Module | None = None
) -> dict[str, dict[str, float]]:
    """``evaluate_all`` of a network in training, or of ``MODEL.WEIGHTS``."""
    if model is not None and dist.is_initialized():
        # Of running statistics each process has its own; the first one's are those that are exported.
        for buffer in model.buffers():
            dist.broadcast(buffer, src=0)
    amp = cfg.SOLVER.AMP
    if cfg.TEST.DETECTOR not in ("", "truth"):
        raise InputError(
            f"TEST.DETECTOR: expected truth or nothing, got {cfg.TEST.DETECTOR!r}; MODEL.TOPDOWN.DETECTOR.WEIGHTS names the "
            f"detector of a top-down network"
        )
    return evaluate_all(
        build_estimator(cfg, model, precision=amp.DTYPE if amp.ENABLED else "fp32"),
        datasets,
        batch_size=evaluation_batch_size(cfg),
        num_workers=cfg.DATALOADER.NUM_WORKERS,
        output=output,
        new_tracker=functools.partial(build_tracker, cfg),
        given_boxes=cfg.TEST.DETECTOR == "truth",
    )


def evaluation_batch_size(cfg: CfgNode) -> int:
    """Images that a process evaluates at once: half of those it trains on; ``IMS_PER_BATCH`` counts all processes'."""
    processes = dist.get_world_size() if dist.is_initialized() else 1
    return max(1, cfg.SOLVER.IMS_PER_BATCH // processes // 2)


def evaluate_all(
    estimator: PoseEstimator,
    datasets: Sequence[PoseDataset],
    *,
    batch_size: int,
    num_workers: int,
    output: Path | None,
    new_tracker: Callable[[], Tracker] | None = None,
    given_boxes: bool = False,
) -> dict[str, dict[str, float]]:
    """Evaluates each dataset, prints a table and writes ``output``.

    Args:
        estimator: finds the people.
        datasets: each has a name of its own.
        batch_size: images that the network sees at once.
        num_workers: processes that read images; 0: this one.
        output: the JSON file: ``{dataset: {metric: value}}``, null where there was nothing to measure.
        new_tracker: makes a tracker without tracks, for sequences; None: the configuration's defaults.
        given_boxes: see ``evaluate_dataset``.
    """
    metrics = {}
    for dataset in datasets:
        metrics[dataset.name] = evaluate_dataset(
            estimator,
            dataset,
            batch_size=batch_size,
            num_workers=num_workers,
            new_tracker=new_tracker,
            given_boxes=given_boxes,
        )
    if not dist.is_initialized() or dist.get_rank() == 0:
        _LOG.info("\n%s", metrics_table(metrics))
        if output is not None:
            write_metrics(output, metrics)
    return metrics


def metrics_table(metrics: Mapping[str, Mapping[str, float]]) -> str:
    """One line a dataset for each kind of numbers that there are; shares in per cent."""
    return "\n".join(line for columns in _TABLES for line in _table(columns, metrics))


def _table(columns: Sequence[str], metrics: Mapping[str, Mapping[str, float]]) -> list[str]:
    measured = {name: values for name, values in metrics.items() if any(c in values for c in columns)}
    columns = [c for c in columns if any(c in values for values in measured.values())]
    widths = [max(15, len(column) + 2) for column in columns]
    rows = [(columns, "dataset")] if columns else []
    for name, values in measured.items():
        rows.append(([_cell(column, values.get(column, math.nan)) for column in columns], name))
    return [
        "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)) + f"  {name}"
        for cells, name in rows
    ]


def _cell(column: str, value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.0f}" if is_count(column) else f"{100 * value:.1f}"


def is_count(metric: str) -> bool:
    """Whether a metric, ``KIND/NAME``, counts mistakes; the others are shares in [0, 1], the more the better."""
    return metric.partition("/")[2].startswith("num_")


def write_metrics(path: Path, metrics: Mapping[str, Mapping[str, float]]) -> None:
    """Writes the numbers as JSON, whole or not at all."""
    plain = {
        dataset: {name: None if math.isnan(v) else v for name, v in values.items()}
        for dataset, values in metrics.items()
    }
    write_text(path, json.dumps(plain, indent=2) + "\n")
