"""Detectron2's ``DefaultTrainer`` on our data, with our losses' randomness, precision and weight averaging.

A step does what Lightning's does: the same images, the same samples, the same optimizer.
"""

from __future__ import annotations

import functools
import logging
import weakref
from pathlib import Path
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.data import build_detection_test_loader
from detectron2.engine import DefaultTrainer, HookBase, TrainerBase, create_ddp_model, hooks
from detectron2.evaluation import DatasetEvaluator, inference_on_dataset
from detectron2.solver import build_lr_scheduler
from detectron2.utils import comm
from fvcore.nn.precise_bn import get_bn_modules
from torch import nn

from fastpose_mtn.build import build_tracker
from fastpose_mtn.checkpoints.loading import portable_config, save_weights, without_downloads
from fastpose_mtn.data.dataset import PoseDataset
from fastpose_mtn.detectron2.catalog_dataset import build_any_dataset
from fastpose_mtn.detectron2.checkpoint import FastPoseCheckpointer
from fastpose_mtn.detectron2.config import to_default_host
from fastpose_mtn.detectron2.data import FastPoseMapper, dataset_of, dataset_records, register_dataset
from fastpose_mtn.detectron2.evaluation import FastPoseEvaluators
from fastpose_mtn.detectron2.training_step import Averaging, TrainingImages, TrainingStep, training_precision
from fastpose_mtn.engine.divergence import divergence_told
from fastpose_mtn.engine.evaluation import evaluation_batch_size, metrics_table, write_metrics
from fastpose_mtn.engine.solver import SCHEDULES, build_optimizer, learning_rate_factor
from fastpose_mtn.engine.training_data import (
    FINAL_WEIGHTS,
    training_images,
)
from fastpose_mtn.errors import InputError
from fastpose_mtn.modeling.freeze import train_only
from fastpose_mtn.ops.pose_nms import PoseNMS
from fastpose_mtn.skeletons import get_skeleton
from fastpose_mtn.systems.mtn.config import training_config

_LOG = logging.getLogger("fastpose_mtn")

# Detectron2's keys that its own data loader and optimizer read and ours do not, with the only value we have.
_NOT_OURS = {
    "INPUT.CROP.ENABLED": False,
    "DATALOADER.SAMPLER_TRAIN": "TrainingSampler",
    "SOLVER.BIAS_LR_FACTOR": 1.0,
}


class FastPoseTrainer(DefaultTrainer):
    """Trains what a configuration describes on ``DATASETS.TRAIN``, several datasets at once.

    Writes into ``OUTPUT_DIR``: Detectron2's checkpoints (``model_*.pth``, ``last_checkpoint``), its writers'
    ``metrics.json`` and TensorBoard files, ``config.yaml``, ``evaluation.json``, and at the end
    ``model_final.safetensors``, the (averaged) weights with their configuration.

    Raises:
        ValueError: the configuration or the data cannot be used.
    """

    def __init__(self, cfg: CfgNode) -> None:
        TrainerBase.__init__(self)
        if not cfg.DATASETS.TRAIN:
            raise InputError("DATASETS.TRAIN names no dataset to train on")
        _check_keys(cfg)
        cfg = DefaultTrainer.auto_scale_workers(cfg, comm.get_world_size())
        seed = cfg.SEED if cfg.SEED >= 0 else comm.shared_random_seed() % 2**24
        images = training_images(cfg, seed, training_datasets(cfg))
        cfg = training_config(cfg, num_identities=images.num_identities, world_size=comm.get_world_size())
        model = self._starting_model(cfg, seed)
        train_only(model, cfg.SOLVER.TRAINED_PARTS)
        optimizer = self.build_optimizer(cfg, model)
        device_ids = [comm.get_local_rank()] if cfg.MODEL.DEVICE.startswith("cuda") else None
        model = create_ddp_model(model, broadcast_buffers=False, device_ids=device_ids)
        self._trainer = TrainingStep(model, TrainingImages(cfg, images, seed), optimizer, cfg=cfg, seed=seed)
        self.scheduler = self.build_lr_scheduler(cfg, optimizer)
        self.averaging = Averaging(model, cfg.SOLVER.EMA) if cfg.SOLVER.EMA > 0 else None
        extra = {} if self.averaging is None else {"average": self.averaging}
        self.checkpointer = FastPoseCheckpointer(model, cfg.OUTPUT_DIR, trainer=weakref.proxy(self), **extra)
        self.start_iter, self.max_iter, self.cfg = 0, cfg.SOLVER.MAX_ITER, cfg
        self.register_hooks(self.build_hooks())

    def _starting_model(self, cfg: CfgNode, seed: int) -> nn.Module:
        """The network that ``resume_or_load`` will fill.

        ImageNet weights are fetched only where ``MODEL.WEIGHTS`` leaves a tensor of the backbone without a value.
        """
        torch.manual_seed(seed)
        if cfg.MODEL.TIMM.PRETRAINED and cfg.MODEL.WEIGHTS:
            model: nn.Module = self.build_model(without_downloads(cfg))
            trial = FastPoseCheckpointer(model, quiet=True)
            trial.load(cfg.MODEL.WEIGHTS)
            if trial.report is not None and trial.report.fills("backbone."):
                return model
            torch.manual_seed(seed)
        return self.build_model(cfg)

    def resume_or_load(self, resume: bool = True) -> None:
        """Goes on from ``OUTPUT_DIR``'s last checkpoint, or begins from what fits of ``MODEL.WEIGHTS``.

        A resumed run sees exactly the images that come next.

        Raises:
            ValueError: the checkpoint or the weights are of another network.
        """
        resuming = resume and self.checkpointer.has_checkpoint()
        self.checkpointer.strict = resuming
        super().resume_or_load(resume)
        self._trainer.data_loader.start_step = self.start_iter

    def build_hooks(self) -> list[HookBase | None]:
        """Detectron2's, with the average before whatever reads it."""
        cfg = self.cfg
        built: list[HookBase | None] = [hooks.IterationTimer(), hooks.LRScheduler(), self.averaging]
        if cfg.TEST.PRECISE_BN.ENABLED and get_bn_modules(self.model):
            images = self.build_train_loader(cfg)
            built.append(
                hooks.PreciseBN(cfg.TEST.EVAL_PERIOD, self.model, images, cfg.TEST.PRECISE_BN.NUM_ITER)
            )
        if comm.is_main_process():
            built.append(
                hooks.PeriodicCheckpointer(
                    self.checkpointer,
                    cfg.SOLVER.CHECKPOINT_PERIOD,
                    max_to_keep=cfg.SOLVER.CHECKPOINTS_KEPT or None,
                )
            )
        if cfg.DATASETS.TEST:
            built.append(hooks.EvalHook(cfg.TEST.EVAL_PERIOD, self._evaluate))
        if comm.is_main_process():
            built.append(hooks.PeriodicWriter(self.build_writers(), period=cfg.SOLVER.LOG_PERIOD))
        return built

    def _evaluate(self) -> dict[str, Any]:
        """With the averaged weights; the model trains on with its own."""
        if self.averaging is None:
            return self.test(self.cfg, self.model)
        model: Any = getattr(self.model, "module", self.model)
        with self.averaging.average.applied(model):
            return self.test(self.cfg, self.model)

    def train(self) -> Any:
        """Trains to the last step, with Detectron2's hooks, and writes the weights to ``OUTPUT_DIR``.

        Raises:
            ValueError: training has diverged.
        """
        with divergence_told(lambda: self.iter):
            results = super().train()
        if comm.is_main_process():
            self.export(Path(self.cfg.OUTPUT_DIR) / FINAL_WEIGHTS)
        return results

    def export(self, path: Path) -> None:
        """Writes the (averaged) weights for either host, where the default host has such a network.

        See ``engine.checkpoints.TrainingFolder.export``.
        """
        try:
            cfg = portable_config(to_default_host(self.cfg))
        except ValueError as error:
            _LOG.info("no %s: %s", path.name, error)
            return
        model: Any = getattr(self.model, "module", self.model)
        if self.averaging is None:
            save_weights(path, model, cfg, classifier=True)
            return
        with self.averaging.average.applied(model):
            save_weights(path, model, cfg, classifier=True)

    @classmethod
    def build_optimizer(cls, cfg: CfgNode, model: nn.Module) -> torch.optim.Optimizer:
        """The same optimizer as under Lightning, from ``SOLVER``."""
        return build_optimizer(cfg, model)

    @classmethod
    def build_lr_scheduler(cls, cfg: CfgNode, optimizer: torch.optim.Optimizer) -> Any:
        """The schedule as under Lightning, or any other of Detectron2's."""
        if cfg.SOLVER.LR_SCHEDULER_NAME not in SCHEDULES:
            return build_lr_scheduler(cfg, optimizer)
        return torch.optim.lr_scheduler.LambdaLR(optimizer, learning_rate_factor(cfg))

    @classmethod
    def build_train_loader(cls, cfg: CfgNode) -> TrainingImages:
        """The endless training batches of ``DATASETS.TRAIN``, from the first step on."""
        seed = max(cfg.SEED, 0)
        return TrainingImages(cfg, training_images(cfg, seed, training_datasets(cfg)), seed)

    @classmethod
    def build_test_loader(cls, cfg: CfgNode, dataset_name: str) -> Any:
        """The images of a test dataset, each once, resized as at test time and with their labels."""
        register_dataset(dataset_name, get_skeleton(cfg.MODEL.SKELETON))
        return build_detection_test_loader(
            dataset_records(dataset_name, cfg.MODEL.SKELETON),
            mapper=FastPoseMapper.from_config(cfg, is_train=False),
            num_workers=cfg.DATALOADER.NUM_WORKERS,
            batch_size=evaluation_batch_size(cfg),
        )

    @classmethod
    def build_evaluator(cls, cfg: CfgNode, dataset_name: str) -> DatasetEvaluator:
        """All that apply to the dataset but person search, which needs the model; ``test`` adds it."""
        return FastPoseEvaluators(
            dataset_of(dataset_name, cfg.MODEL.SKELETON),
            get_skeleton(cfg.MODEL.SKELETON),
            functools.partial(build_tracker, cfg),
            pose_nms=PoseNMS.from_config(cfg),
        )

    @classmethod
    def test(cls, cfg: CfgNode, model: nn.Module, evaluators: Any = None) -> dict[str, Any]:
        """The numbers on ``DATASETS.TEST``; prints a table and writes ``OUTPUT_DIR/evaluation.json``."""
        results = {}
        for number, name in enumerate(cfg.DATASETS.TEST):
            evaluator = evaluators[number] if evaluators else cls.build_evaluator(cfg, name)
            if isinstance(evaluator, FastPoseEvaluators) and cfg.MODEL.REID_ON and not evaluators:
                evaluator.search_with(model)
            dtype = training_precision(cfg)
            with torch.autocast(torch.device(cfg.MODEL.DEVICE).type, dtype, enabled=dtype != torch.float32):
                results[name] = inference_on_dataset(model, cls.build_test_loader(cfg, name), evaluator)
        if comm.is_main_process():
            flat = {
                name: {f"{task}/{m}": v for task, values in one.items() for m, v in values.items()}
                for name, one in results.items()
            }
            _LOG.info("\n%s", metrics_table(flat))
            write_metrics(Path(cfg.OUTPUT_DIR) / "evaluation.json", flat)
        return results if len(results) > 1 else next(iter(results.values()), {})


def training_datasets(cfg: CfgNode) -> list[PoseDataset]:
    """``DATASETS.TRAIN``, of our catalog or else of Detectron2's."""
    return [
        build_any_dataset(
            name,
            get_skeleton(cfg.MODEL.SKELETON),
            training=True,
            filter_empty=cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS,
            skip_missing=cfg.DATALOADER.SKIP_BAD_IMAGES,
        )
        for name in cfg.DATASETS.TRAIN
    ]


def _check_keys(cfg: CfgNode) -> None:
    for key, only in _NOT_OURS.items():
        value = functools.reduce(getattr, key.split("."), cfg)
        if value != only:
            raise InputError(
                f"{key} is {value}, but only {only} is trained with; INPUT.AUG and INPUT.SIFP are ours"
            )
