"""From a configuration to weights."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import nn

from fastpose_mtn.build import build_network
from fastpose_mtn.checkpoints.load_report import LoadReport
from fastpose_mtn.checkpoints.loading import load_weights, without_downloads
from fastpose_mtn.config import CfgNode
from fastpose_mtn.data.catalog import build_datasets
from fastpose_mtn.engine.best import BestWeights
from fastpose_mtn.engine.callbacks import Checkpoints, PeriodicEvaluation, ProgressLog, ReleasedMemory
from fastpose_mtn.engine.checkpoints import TrainingFolder, check_checkpoint
from fastpose_mtn.engine.evaluation import evaluate_model
from fastpose_mtn.engine.launch import LaunchConfiguration, is_first_process
from fastpose_mtn.engine.module import TrainingModule
from fastpose_mtn.engine.pictures import SamplePictures
from fastpose_mtn.engine.trainer import build_trainer, quiet_lightning, uses_gpu
from fastpose_mtn.engine.training_data import (
    FINAL_WEIGHTS,
    make_training_loader,
    training_images,
)
from fastpose_mtn.errors import InputError
from fastpose_mtn.files import write_text
from fastpose_mtn.modeling.freeze import train_only
from fastpose_mtn.registry import SYSTEMS
from fastpose_mtn.runtime.memory import keep_freed_memory

_LOG = logging.getLogger("fastpose_mtn")


def train(cfg: CfgNode, *, resume: bool = False, launch: LaunchConfiguration | None = None) -> Path:
    """Trains what ``cfg`` describes; writes ``OUTPUT_DIR/model_final.safetensors`` and its evaluation.

    Args:
        cfg: the whole configuration.
        resume: go on from the newest checkpoint in ``OUTPUT_DIR``; from the start where there is none.
        launch: the processes that train together; None: one process on this machine.

    Returns:
        The final weights.

    Raises:
        ValueError: the configuration or the data cannot be used, or a loss is not finite.
    """
    quiet_lightning()
    launch = launch or LaunchConfiguration()
    launch.announce()
    folder = Path(cfg.OUTPUT_DIR)
    if not cfg.DATASETS.TRAIN:
        raise InputError("DATASETS.TRAIN names no dataset to train on")
    start = _starting_checkpoint(folder, resume)
    seed = cfg.SEED if cfg.SEED >= 0 else int.from_bytes(os.urandom(3), "little")
    images = training_images(cfg, seed)
    tests = build_datasets(cfg, cfg.DATASETS.TEST, training=False)
    system = SYSTEMS.get(cfg.MODEL.META_ARCHITECTURE)
    cfg = system.training_config(cfg, num_identities=images.num_identities, world_size=launch.world_size)
    if not uses_gpu(cfg):
        keep_freed_memory()
    model = _starting_network(cfg, start, seed)

    def make_loader(seed: int, step: int, rank: int, world_size: int) -> Any:
        return make_training_loader(
            cfg, images, seed=seed, step=step, rank=rank, world_size=world_size, pin_memory=uses_gpu(cfg)
        )

    module = TrainingModule(cfg, model, seed=seed, make_loader=make_loader)
    files = TrainingFolder(folder, cfg, kept=cfg.SOLVER.CHECKPOINTS_KEPT)
    evaluate = _evaluation(cfg, tests, folder)
    callbacks: list[lightning.Callback] = [Checkpoints(files, cfg.SOLVER.CHECKPOINT_PERIOD)]
    best = BestWeights(files, cfg.TEST.BEST_METRIC) if cfg.TEST.BEST_METRIC and cfg.TEST.EVAL_PERIOD else None
    if tests and cfg.TEST.EVAL_PERIOD:
        callbacks.append(PeriodicEvaluation(cfg.TEST.EVAL_PERIOD, evaluate, best))
    if cfg.VIS_PERIOD:
        callbacks.append(SamplePictures(cfg.VIS_PERIOD, system.training_skeleton(cfg)))
    if not uses_gpu(cfg):
        callbacks.append(ReleasedMemory())
    callbacks.append(ProgressLog(cfg.SOLVER.LOG_PERIOD, cfg.SOLVER.IMS_PER_BATCH))
    trainer = build_trainer(cfg, folder, callbacks, launch)
    if is_first_process():
        write_text(folder / "config.yaml", cfg.dump())
    _LOG.info(
        "%s: %d images, %d identities, seed %d, %d steps of %d images%s",
        ", ".join(cfg.DATASETS.TRAIN), len(images), images.num_identities, seed, cfg.SOLVER.MAX_ITER,
        cfg.SOLVER.IMS_PER_BATCH, f", going on from {start}" if start else "",
    )  # fmt: skip
    try:
        trainer.fit(module, ckpt_path=str(start) if start else None, weights_only=True if start else None)
    except SystemExit as stop:  # how Lightning ends after Ctrl-C
        if isinstance(stop.__context__, KeyboardInterrupt):
            _LOG.info(
                "interrupted after step %d; --resume goes on from the last checkpoint", trainer.global_step
            )
            raise stop.__context__ from None
        raise
    if trainer.is_global_zero:
        files.export(module, FINAL_WEIGHTS)
    if tests:
        metrics = evaluate(module, None)
        if best is not None and trainer.is_global_zero:
            best.offer(module, trainer.global_step, metrics)
    return folder / FINAL_WEIGHTS


def evaluate_only(cfg: CfgNode) -> dict[str, dict[str, float]]:
    """Evaluates ``MODEL.WEIGHTS``, or else what was trained in ``OUTPUT_DIR``, on ``DATASETS.TEST``.

    Prints a table and writes ``OUTPUT_DIR/evaluation.json``.

    Raises:
        ValueError: there are no weights or no datasets, or they cannot be used.
    """
    cfg = cfg.clone()
    cfg.defrost()
    folder = Path(cfg.OUTPUT_DIR)
    if not cfg.DATASETS.TEST:
        raise InputError("DATASETS.TEST names no dataset to evaluate on")
    if not cfg.MODEL.WEIGHTS:
        cfg.MODEL.WEIGHTS = str(folder / FINAL_WEIGHTS)
        if not Path(cfg.MODEL.WEIGHTS).is_file():
            raise InputError(f"no weights to evaluate: set MODEL.WEIGHTS, {cfg.MODEL.WEIGHTS} is not there")
    tests = build_datasets(cfg, cfg.DATASETS.TEST, training=False)
    return evaluate_model(cfg, tests, folder / "evaluation.json")


def _starting_checkpoint(folder: Path, resume: bool) -> Path | None:
    folder.mkdir(parents=True, exist_ok=True)
    checkpoints = TrainingFolder.checkpoints_in(folder)
    if checkpoints and not resume:
        raise InputError(
            f"OUTPUT_DIR {folder} holds the checkpoints of a run; go on from them with --resume, or choose "
            f"another OUTPUT_DIR"
        )
    return checkpoints[-1] if checkpoints else None


def _starting_network(cfg: CfgNode, checkpoint: Path | None, seed: int) -> nn.Module:
    """The network with what it starts from: a checkpoint will fill it, or else ``MODEL.WEIGHTS`` as far as they fit.

    All but ``SOLVER.TRAINED_PARTS`` is frozen. ImageNet weights are fetched only where ``MODEL.WEIGHTS`` leaves a tensor of
    the backbone without a value.
    """

    def build(cfg: CfgNode) -> nn.Module:
        torch.manual_seed(seed)
        network = build_network(cfg)
        # at once: it changes which tensors there are, as a checkpoint has them
        train_only(network, cfg.SOLVER.TRAINED_PARTS)
        return network

    if checkpoint is not None:
        model = build(without_downloads(cfg))
        check_checkpoint(checkpoint, model)
        return model
    if cfg.MODEL.WEIGHTS:
        model = build(without_downloads(cfg))
        report = load_weights(model, cfg.MODEL.WEIGHTS, strict=False)
        if not cfg.MODEL.TIMM.PRETRAINED or report.fills("backbone."):
            _tell_start(cfg, report)
            return model
    model = build(cfg)
    if cfg.MODEL.TIMM.PRETRAINED:
        _LOG.info("backbone: timm's ImageNet weights of %s", cfg.MODEL.TIMM.NAME)
    if cfg.MODEL.WEIGHTS:
        _tell_start(cfg, load_weights(model, cfg.MODEL.WEIGHTS, strict=False))
    return model


def _tell_start(cfg: CfgNode, report: LoadReport) -> None:
    _LOG.info("starting from %s:\n  %s", cfg.MODEL.WEIGHTS, report.account().replace("\n", "\n  "))
    if report.joints():
        _LOG.warning("MODEL.WEIGHTS %s: %s", cfg.MODEL.WEIGHTS, report.joints())


def _evaluation(
    cfg: CfgNode, tests: list, folder: Path
) -> Callable[[TrainingModule, int | None], dict[str, float]]:
    """Evaluates the averaged weights; the numbers as ``DATASET/METRIC``."""

    def evaluate(module: TrainingModule, step: int | None) -> dict[str, float]:
        name = "evaluation.json" if step is None else f"evaluation_{step:07d}.json"
        with module.averaged_weights() as model:
            metrics = evaluate_model(cfg, tests, folder / name, model)
        return {f"{d}/{name}": value for d, values in metrics.items() for name, value in values.items()}

    return evaluate
