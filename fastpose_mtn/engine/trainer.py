"""Training on Lightning: from a configuration to weights."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path

import lightning
import torch
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from fastpose_mtn.cli import InputError
from fastpose_mtn.config import CfgNode
from fastpose_mtn.data.augment import build_augmentations
from fastpose_mtn.data.catalog import build_datasets
from fastpose_mtn.data.loader import AugmentedImages, TrainingBatches, build_training_loader
from fastpose_mtn.engine.callbacks import Averaging, Checkpoints, ProgressLog
from fastpose_mtn.engine.checkpoints import TrainingFolder
from fastpose_mtn.engine.module import TrainingModule
from fastpose_mtn.modeling import build_model

_LOG = logging.getLogger("fastpose_mtn")


def train(
    cfg: CfgNode,
    *,
    resume: bool = False,
    num_gpus: int = 1,
    num_machines: int = 1,
) -> Path:
    """Trains what ``cfg`` describes and writes ``OUTPUT_DIR/model_final.safetensors``.

    Args:
        resume: go on from the newest checkpoint in ``OUTPUT_DIR``, from the start where there is none.
        num_gpus: processes on this machine; without a GPU, processes on its cores.

    Returns:
        The final weights.
    """
    quiet_lightning()
    cfg = cfg.clone()
    cfg.defrost()
    images = AugmentedImages(
        build_datasets(cfg, cfg.DATASETS.TRAIN, training=True), build_augmentations(cfg), seed=0
    )
    if cfg.MODEL.ROI_REID_HEAD.NUM_IDENTITIES == 0:
        cfg.MODEL.ROI_REID_HEAD.NUM_IDENTITIES = images.num_identities
    seed = cfg.SEED if cfg.SEED >= 0 else int.from_bytes(os.urandom(3), "little")
    folder = TrainingFolder(cfg.OUTPUT_DIR, cfg, kept=cfg.SOLVER.CHECKPOINTS_KEPT)
    folder.path.mkdir(parents=True, exist_ok=True)
    checkpoints = folder.checkpoints()
    if checkpoints and not resume:
        raise InputError(
            f"OUTPUT_DIR {folder.path} holds checkpoints of another run; go on from them with --resume, or "
            f"choose another OUTPUT_DIR"
        )
    torch.manual_seed(seed)
    model = build_model(cfg).to(memory_format=torch.channels_last)
    trainer = build_trainer(cfg, folder, num_gpus=num_gpus, num_machines=num_machines)

    def make_loader(seed: int, step: int, rank: int, world_size: int) -> object:
        images.seed = seed
        batches = TrainingBatches(
            images.group_sizes,
            batch_size=cfg.SOLVER.IMS_PER_BATCH,
            seed=seed,
            run_length=cfg.DATALOADER.IMAGES_PER_SCENE,
            start_step=step,
            rank=rank,
            world_size=world_size,
        )
        return build_training_loader(
            images,
            batches,
            num_workers=cfg.DATALOADER.NUM_WORKERS,
            pin_memory=trainer.accelerator.__class__.__name__ == "CUDAAccelerator",
        )

    module = TrainingModule(cfg, model, seed=seed, make_loader=make_loader)
    (folder.path / "config.yaml").write_text(cfg.dump())
    start = checkpoints[-1] if checkpoints else None
    _LOG.info(
        "%s: %d images, %d identities, seed %d, %d steps of %d images%s",
        ", ".join(cfg.DATASETS.TRAIN), len(images), images.num_identities, seed, cfg.SOLVER.MAX_ITER,
        cfg.SOLVER.IMS_PER_BATCH, f", going on from {start}" if start else "",
    )  # fmt: skip
    trainer.fit(module, ckpt_path=str(start) if start else None, weights_only=True if start else None)
    return folder.export(module, "model_final.safetensors")


def build_trainer(
    cfg: CfgNode, folder: TrainingFolder, *, num_gpus: int, num_machines: int
) -> lightning.Trainer:
    """A Lightning trainer without what costs time a step and is not needed."""
    on_gpu = cfg.MODEL.DEVICE == "cuda" or (cfg.MODEL.DEVICE == "auto" and torch.cuda.is_available())
    if on_gpu and num_gpus > torch.cuda.device_count():
        raise InputError(f"--num-gpus is {num_gpus}, but this machine has {torch.cuda.device_count()}")
    devices = max(num_gpus, 1)
    table = CSVLogger(folder.path, name="logs", flush_logs_every_n_steps=1)
    return lightning.Trainer(
        accelerator="gpu" if on_gpu else "cpu",
        devices=devices,
        num_nodes=num_machines,
        strategy="ddp" if devices * num_machines > 1 else "auto",
        precision=_precision(cfg, on_gpu),
        max_steps=cfg.SOLVER.MAX_ITER,
        max_epochs=-1,
        callbacks=[
            Averaging(),
            ProgressLog(cfg.SOLVER.LOG_PERIOD, cfg.SOLVER.IMS_PER_BATCH),
            Checkpoints(folder, cfg.SOLVER.CHECKPOINT_PERIOD),
        ],
        logger=[table, TensorBoardLogger(folder.path, name="logs", version=table.version)],
        benchmark=cfg.CUDNN_BENCHMARK,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def _precision(cfg: CfgNode, on_gpu: bool) -> str:
    amp = cfg.SOLVER.AMP
    if not amp.ENABLED:
        return "32-true"
    if amp.DTYPE not in ("bf16", "fp16"):
        raise InputError(f"SOLVER.AMP.DTYPE: expected bf16 or fp16, got {amp.DTYPE!r}")
    if amp.DTYPE == "fp16" and not on_gpu:
        raise InputError("SOLVER.AMP.DTYPE fp16 needs a GPU; use bf16 or SOLVER.AMP.ENABLED False")
    return "bf16-mixed" if amp.DTYPE == "bf16" else "16-mixed"


def quiet_lightning() -> None:
    """Errors only: its tips and notes on settings that are chosen here on purpose help no user of ours."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric", "lightning_utilities"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning.*")
    warnings.filterwarnings("ignore", message=r".*lightning.*")
