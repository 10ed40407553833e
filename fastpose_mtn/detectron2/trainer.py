"""Detectron2's ``DefaultTrainer`` on our data, with our losses' randomness, precision and weight averaging.

A step does what the default engine's does: the same images, the same samples, the same optimizer.
"""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from detectron2.data import DatasetCatalog, build_detection_test_loader
from detectron2.engine import DefaultTrainer, HookBase, SimpleTrainer, TrainerBase, create_ddp_model, hooks
from detectron2.evaluation import inference_on_dataset
from detectron2.solver import build_lr_scheduler
from detectron2.utils import comm
from torch import nn

from fastpose_mtn.cli import InputError
from fastpose_mtn.data.loader import AugmentedImages
from fastpose_mtn.detectron2.checkpoint import FastPoseCheckpointer
from fastpose_mtn.detectron2.config import to_default_host
from fastpose_mtn.detectron2.data import FastPoseMapper, dataset_of, register_dataset, to_detectron2
from fastpose_mtn.detectron2.evaluation import PoseEvaluator
from fastpose_mtn.engine.averaging import WeightAverage
from fastpose_mtn.engine.evaluation import metrics_table, write_metrics
from fastpose_mtn.engine.solver import build_optimizer, clip_gradients, learning_rate_factor
from fastpose_mtn.engine.training_data import (
    FINAL_WEIGHTS,
    check_sample,
    make_training_loader,
    step_seed,
    training_images,
    with_identities,
)
from fastpose_mtn.modeling.checkpoint import save_weights
from fastpose_mtn.modeling.export import portable_config
from fastpose_mtn.skeletons import get_skeleton

_LOG = logging.getLogger("fastpose_mtn")


class TrainingImages:
    """The endless training batches as Detectron2's models take them; begins at ``start_step``."""

    def __init__(self, cfg: Any, images: AugmentedImages, seed: int) -> None:
        self._cfg, self._images, self._seed, self.start_step = cfg, images, seed, 0

    def __iter__(self) -> Iterator[list[dict[str, Any]]]:
        loader = make_training_loader(
            self._cfg,
            self._images,
            seed=self._seed,
            step=self.start_step,
            rank=comm.get_rank(),
            world_size=comm.get_world_size(),
            pin_memory=self._cfg.MODEL.DEVICE.startswith("cuda"),
        )
        for samples in loader:
            for sample in map(check_sample, samples):
                for message in sample.left_out:
                    _LOG.warning("left out %s", message)
            yield [to_detectron2(sample, self._cfg.INPUT.FORMAT) for sample in samples]


class TrainingStep(SimpleTrainer):
    """Detectron2's step in mixed precision, on a CPU too, with the default engine's clipping and seeds.

    Args:
        cfg: the configuration.
        seed: of the network's samplers.
    """

    def __init__(self, model: nn.Module, data_loader: Any, optimizer: Any, *, cfg: Any, seed: int) -> None:
        super().__init__(model, data_loader, optimizer)
        self._cfg, self._seed = cfg, seed
        self._device = torch.device(cfg.MODEL.DEVICE).type
        self._dtype = _precision(cfg)
        self._scaler = torch.amp.GradScaler(self._device, enabled=self._dtype == torch.float16)
        self._trained = [p for p in model.parameters() if p.requires_grad]

    def run_step(self) -> None:
        start = time.perf_counter()
        data = next(self._data_loader_iter)
        waited = time.perf_counter() - start
        torch.manual_seed(step_seed(self._seed, self.iter, comm.get_rank(), comm.get_world_size()))
        with torch.autocast(self._device, self._dtype, enabled=self._dtype != torch.float32):
            losses = self.model(data)
        self.optimizer.zero_grad()
        self._scaler.scale(sum(losses.values())).backward()
        self._write_metrics(losses, waited)
        clip = self._cfg.SOLVER.CLIP_GRADIENTS
        if clip.ENABLED:
            self._scaler.unscale_(self.optimizer)
            clip_gradients(
                self._trained, kind=clip.CLIP_TYPE, value=clip.CLIP_VALUE, norm_type=clip.NORM_TYPE
            )
        self._scaler.step(self.optimizer)
        self._scaler.update()

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "grad_scaler": self._scaler.state_dict(), "seed": self._seed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._scaler.load_state_dict(state_dict["grad_scaler"])
        self._seed = state_dict["seed"]


class Averaging(HookBase):
    """Keeps ``SOLVER.EMA``'s moving average of the weights, which is what is evaluated and exported."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._model: Any = getattr(model, "module", model)
        self.average = WeightAverage(self._model, decay)

    def before_train(self) -> None:
        if self.average.steps == 0:  # now the starting weights are there
            self.average = WeightAverage(self._model, self.average.decay)

    def after_step(self) -> None:
        self.average.update(self._model)

    def state_dict(self) -> dict[str, Any]:
        return self.average.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.average.load_state_dict(state_dict)


class FastPoseTrainer(DefaultTrainer):
    """Trains what a configuration describes on ``DATASETS.TRAIN``, several datasets at once.

    Writes into ``OUTPUT_DIR``: Detectron2's checkpoints (``model_*.pth``, ``last_checkpoint``), its writers'
    ``metrics.json`` and TensorBoard files, ``config.yaml``, ``evaluation.json``, and at the end
    ``model_final.safetensors``, the (averaged) weights with their configuration.

    Raises:
        ValueError: the configuration or the data cannot be used.
    """

    def __init__(self, cfg: Any) -> None:
        TrainerBase.__init__(self)
        if not cfg.DATASETS.TRAIN:
            raise InputError("DATASETS.TRAIN names no dataset to train on")
        seed = cfg.SEED if cfg.SEED >= 0 else comm.shared_random_seed() % 2**24
        images = training_images(cfg, seed)
        cfg = with_identities(cfg, images.num_identities)
        torch.manual_seed(seed)
        model = self.build_model(cfg)
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

    def resume_or_load(self, resume: bool = True) -> None:
        """Goes on from ``OUTPUT_DIR``'s last checkpoint, with exactly the images that come next, or begins
        from what fits of ``MODEL.WEIGHTS``.

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
        with self.averaging.average.applied(getattr(self.model, "module", self.model)):
            return self.test(self.cfg, self.model)

    def train(self) -> Any:
        """See Detectron2's; at the end the weights are exported.

        Raises:
            ValueError: a loss is not finite.
        """
        try:
            results = super().train()
        except FloatingPointError as error:
            raise InputError(
                f"{' '.join(str(error).split())}; lower SOLVER.BASE_LR, set SOLVER.CLIP_GRADIENTS.ENABLED True, "
                f"or train without SOLVER.AMP"
            ) from error
        if comm.is_main_process():
            self.export(Path(self.cfg.OUTPUT_DIR) / FINAL_WEIGHTS)
        return results

    def export(self, path: Path) -> None:
        """Writes the (averaged) weights for either host, where the default host has such a network."""
        try:
            cfg = portable_config(to_default_host(self.cfg))
        except ValueError as error:
            _LOG.info("no %s: %s", path.name, error)
            return
        model: Any = getattr(self.model, "module", self.model)
        if self.averaging is None:
            save_weights(path, model, cfg)
            return
        with self.averaging.average.applied(model):
            save_weights(path, model, cfg)

    @classmethod
    def build_optimizer(cls, cfg: Any, model: nn.Module) -> torch.optim.Optimizer:
        return build_optimizer(cfg, model)

    @classmethod
    def build_lr_scheduler(cls, cfg: Any, optimizer: torch.optim.Optimizer) -> Any:
        """The default engine's schedule, or any other of Detectron2's."""
        if cfg.SOLVER.LR_SCHEDULER_NAME not in ("WarmupMultiStepLR", "WarmupCosineLR"):
            return build_lr_scheduler(cfg, optimizer)
        return torch.optim.lr_scheduler.LambdaLR(optimizer, learning_rate_factor(cfg))

    @classmethod
    def build_train_loader(cls, cfg: Any) -> TrainingImages:
        seed = max(cfg.SEED, 0)
        return TrainingImages(cfg, training_images(cfg, seed), seed)

    @classmethod
    def build_test_loader(cls, cfg: Any, dataset_name: str) -> Any:
        register_dataset(dataset_name, get_skeleton(cfg.MODEL.SKELETON))
        return build_detection_test_loader(
            DatasetCatalog.get(dataset_name),
            mapper=FastPoseMapper.from_config(cfg, is_train=False),
            num_workers=cfg.DATALOADER.NUM_WORKERS,
            batch_size=max(1, cfg.SOLVER.IMS_PER_BATCH // 2 // comm.get_world_size()),
        )

    @classmethod
    def build_evaluator(cls, cfg: Any, dataset_name: str) -> PoseEvaluator:
        skeleton = get_skeleton(cfg.MODEL.SKELETON)
        return PoseEvaluator(dataset_of(dataset_name, cfg.MODEL.SKELETON), skeleton)

    @classmethod
    def test(cls, cfg: Any, model: nn.Module, evaluators: Any = None) -> dict[str, Any]:
        """Box and keypoint AP on ``DATASETS.TEST``; prints a table and writes ``OUTPUT_DIR/evaluation.json``."""
        results = {}
        for number, name in enumerate(cfg.DATASETS.TEST):
            evaluator = evaluators[number] if evaluators else cls.build_evaluator(cfg, name)
            dtype = _precision(cfg)
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


def _precision(cfg: Any) -> torch.dtype:
    amp = cfg.SOLVER.AMP
    if not amp.ENABLED:
        return torch.float32
    if amp.DTYPE not in ("bf16", "fp16"):
        raise InputError(f"SOLVER.AMP.DTYPE: expected bf16 or fp16, got {amp.DTYPE!r}")
    if amp.DTYPE == "fp16" and not cfg.MODEL.DEVICE.startswith("cuda"):
        raise InputError("SOLVER.AMP.DTYPE fp16 needs a GPU; use bf16 or SOLVER.AMP.ENABLED False")
    return torch.bfloat16 if amp.DTYPE == "bf16" else torch.float16
