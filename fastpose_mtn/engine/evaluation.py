"""Box and keypoint AP of a network on ``DATASETS.TEST``, while it trains and afterwards."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch.distributed as dist
from torch.utils.data import DataLoader, Dataset

from fastpose_mtn.cli import InputError
from fastpose_mtn.config import CfgNode
from fastpose_mtn.data.coco_json import CocoJsonDataset
from fastpose_mtn.data.loader import LoadFailure, PoseDataset, load_or_failure, start_worker
from fastpose_mtn.data.sample import LabelledImage
from fastpose_mtn.evaluation.coco import CocoEvaluator, detections_to_coco_results, evaluate_coco_files
from fastpose_mtn.modeling.estimator import MTNEstimator
from fastpose_mtn.modeling.network import MTN
from fastpose_mtn.protocols import PoseEstimator

_LOG = logging.getLogger("fastpose_mtn")

# What the table shows, of all the numbers that are written.
_COLUMNS = (
    "box/AP", "box/AP50", "box/AP75", "keypoint/AP", "keypoint/AP50", "keypoint/AP75", "keypoint/AR",
)  # fmt: skip


def evaluate_dataset(
    estimator: PoseEstimator, dataset: PoseDataset, *, batch_size: int, num_workers: int
) -> dict[str, float]:
    """COCO's numbers of the network on a dataset; with several processes each takes its share of images.

    Where a COCO-style file has the network's own joints it is measured against as it is, areas included,
    which gives the official numbers. Otherwise areas are a share of the box, see ``CocoEvaluator``.
    """
    rank, world_size = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    mine = range(rank * len(dataset) // world_size, (rank + 1) * len(dataset) // world_size)
    loader = DataLoader(
        _Images(dataset, mine),
        batch_size=batch_size,
        num_workers=num_workers,
        collate_fn=list,
        worker_init_fn=start_worker,
    )
    official = isinstance(dataset, CocoJsonDataset) and dataset.is_official(estimator.skeleton)
    evaluator = CocoEvaluator(estimator.skeleton)
    results: list[dict] = []
    for batch in loader:
        for failure in batch:
            if isinstance(failure, LoadFailure):
                raise InputError(failure.message)
        for image, found in zip(batch, estimator.estimate([i.image for i in batch]), strict=True):
            if official:
                results += detections_to_coco_results(image.image_id, found)
            else:
                evaluator.add(image.image_id, image.image.shape[:2], image.targets, found)
    if world_size > 1:
        shares: list = [None] * world_size
        dist.all_gather_object(shares, (evaluator, results))
        evaluator = CocoEvaluator(estimator.skeleton)
        evaluator.merge(share[0] for share in shares)
        results = [record for share in shares for record in share[1]]
    if official:
        assert isinstance(dataset, CocoJsonDataset)
        return evaluate_coco_files(dataset.annotations, results, estimator.skeleton)
    return evaluator.evaluate()


class _Images(Dataset[LabelledImage | LoadFailure]):
    def __init__(self, dataset: PoseDataset, indices: range) -> None:
        self._dataset, self._indices = dataset, indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> LabelledImage | LoadFailure:
        return load_or_failure(self._dataset, self._indices[index])


def evaluate_model(
    cfg: CfgNode, datasets: Sequence[PoseDataset], output: Path, model: MTN | None = None
) -> dict[str, dict[str, float]]:
    """``evaluate_all`` of a network in training, or of ``MODEL.WEIGHTS``."""
    amp = cfg.SOLVER.AMP
    return evaluate_all(
        MTNEstimator.from_config(cfg, model, precision=amp.DTYPE if amp.ENABLED else "fp32"),
        datasets,
        batch_size=max(1, cfg.SOLVER.IMS_PER_BATCH // 2),
        num_workers=cfg.DATALOADER.NUM_WORKERS,
        output=output,
    )


def evaluate_all(
    estimator: PoseEstimator,
    datasets: Sequence[PoseDataset],
    *,
    batch_size: int,
    num_workers: int,
    output: Path | None,
) -> dict[str, dict[str, float]]:
    """Evaluates each dataset, prints a table and writes ``output``.

    Args:
        output: the JSON file: ``{dataset: {metric: value}}``, null where there was nothing to measure.
    """
    metrics = {}
    for dataset in datasets:
        metrics[dataset.name] = evaluate_dataset(
            estimator, dataset, batch_size=batch_size, num_workers=num_workers
        )
    if not dist.is_initialized() or dist.get_rank() == 0:
        _LOG.info("\n%s", metrics_table(metrics))
        if output is not None:
            write_metrics(output, metrics)
    return metrics


def metrics_table(metrics: Mapping[str, Mapping[str, float]]) -> str:
    """One line a dataset, in per cent."""
    columns = [c for c in _COLUMNS if any(c in m for m in metrics.values())]
    lines = ["".join(f"{c:>15}" for c in columns) + "  dataset"]
    for name, values in metrics.items():
        cells = [values.get(c, math.nan) for c in columns]
        texts = ["-" if math.isnan(cell) else f"{100 * cell:.1f}" for cell in cells]
        lines.append("".join(f"{text:>15}" for text in texts) + f"  {name}")
    return "\n".join(lines)


def write_metrics(path: Path, metrics: Mapping[str, Mapping[str, float]]) -> None:
    """Writes the numbers as JSON, whole or not at all."""
    plain = {
        dataset: {name: None if math.isnan(v) else v for name, v in values.items()}
        for dataset, values in metrics.items()
    }
    partial = path.with_name(f"{path.name}.partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text(json.dumps(plain, indent=2) + "\n")
    os.replace(partial, path)
