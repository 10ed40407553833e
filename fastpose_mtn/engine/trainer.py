"""A Lightning trainer without what costs time at every step and is not needed."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Literal

import lightning
import torch
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from fastpose_mtn.config import CfgNode
from fastpose_mtn.engine.launch import LaunchConfiguration
from fastpose_mtn.errors import InputError


def build_trainer(
    cfg: CfgNode, output: Path, callbacks: list[lightning.Callback], launch: LaunchConfiguration
) -> lightning.Trainer:
    """The Lightning trainer of a run: device, processes, precision, number of steps and logs.

    Args:
        cfg: the whole configuration.
        output: the folder of the run; tables and TensorBoard's files go to ``logs/version_N`` in it.
        callbacks: in the order in which they are called after a step.
        launch: the processes that train together.

    Raises:
        InputError: the machine has fewer GPUs than it should use.
    """
    on_gpu = uses_gpu(cfg)
    if on_gpu and launch.processes_per_machine > torch.cuda.device_count():
        raise InputError(f"--num-gpus is {launch.num_gpus}, but this machine has {torch.cuda.device_count()}")
    table = CSVLogger(output, name="logs", flush_logs_every_n_steps=1)
    return lightning.Trainer(
        accelerator="gpu" if on_gpu else "cpu",
        devices=launch.processes_per_machine,
        num_nodes=launch.num_machines,
        # DDP waits for each parameter's gradient; the network sees to it that there is one (layers.involve).
        strategy="ddp" if launch.world_size > 1 else "auto",
        precision=_precision(cfg, on_gpu),
        max_steps=cfg.SOLVER.MAX_ITER,
        max_epochs=-1,
        callbacks=callbacks,
        logger=[table, TensorBoardLogger(output, name="logs", version=table.version)],
        benchmark=cfg.CUDNN_BENCHMARK,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def uses_gpu(cfg: CfgNode) -> bool:
    """Whether ``MODEL.DEVICE`` means a GPU on this machine.

    Raises:
        InputError: it is cuda where there is no GPU, or none of auto, cuda and cpu.
    """
    if cfg.MODEL.DEVICE == "cuda" and not torch.cuda.is_available():
        raise InputError("MODEL.DEVICE is cuda, but torch finds no GPU; use auto or cpu")
    if cfg.MODEL.DEVICE not in ("auto", "cuda", "cpu"):
        raise InputError(f"MODEL.DEVICE: expected auto, cuda or cpu, got {cfg.MODEL.DEVICE!r}")
    return cfg.MODEL.DEVICE != "cpu" and torch.cuda.is_available()


def _precision(cfg: CfgNode, on_gpu: bool) -> Literal["32-true", "bf16-mixed", "16-mixed"]:
    amp = cfg.SOLVER.AMP
    if not amp.ENABLED:
        return "32-true"
    if amp.DTYPE not in ("bf16", "fp16"):
        raise InputError(f"SOLVER.AMP.DTYPE: expected bf16 or fp16, got {amp.DTYPE!r}")
    if amp.DTYPE == "fp16" and not on_gpu:
        raise InputError("SOLVER.AMP.DTYPE fp16 needs a GPU; use bf16 or SOLVER.AMP.ENABLED False")
    return "bf16-mixed" if amp.DTYPE == "bf16" else "16-mixed"


def quiet_lightning() -> None:
    """Errors only: its tips, and notes on settings that are chosen here on purpose, help no user of ours."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric", "lightning_utilities"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning.*")
    warnings.filterwarnings("ignore", message=r".*(lightning|worker processes|lr_scheduler\.step\(\)).*")
