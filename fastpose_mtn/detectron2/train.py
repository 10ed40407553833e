"""``train_net.py --engine detectron2``: the whole run, over GPUs and machines."""

from __future__ import annotations

import functools
import logging
import sys
from pathlib import Path
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.engine import launch as launch_processes
from detectron2.modeling import build_model
from detectron2.utils import comm
from detectron2.utils.logger import setup_logger
from torch.multiprocessing import ProcessExitedException

from fastpose_mtn.build import build_tracker
from fastpose_mtn.checkpoints.loading import inference_config, without_downloads
from fastpose_mtn.detectron2.checkpoint import FastPoseCheckpointer
from fastpose_mtn.detectron2.config import from_default_host, get_cfg
from fastpose_mtn.detectron2.data import dataset_of
from fastpose_mtn.detectron2.estimator import Detectron2Estimator
from fastpose_mtn.detectron2.trainer import FastPoseTrainer
from fastpose_mtn.engine.checkpoints import TrainingFolder
from fastpose_mtn.engine.evaluation import evaluate_all, evaluation_batch_size
from fastpose_mtn.engine.launch import LaunchConfiguration
from fastpose_mtn.engine.training_data import FINAL_WEIGHTS
from fastpose_mtn.errors import InputError, exit_on_error
from fastpose_mtn.files import write_text
from fastpose_mtn.runtime.memory import keep_freed_memory

_LOG = logging.getLogger("fastpose_mtn")


def run(
    *, config_file: str, opts: list[str], eval_only: bool, resume: bool, launch: LaunchConfiguration
) -> None:
    """Trains or evaluates, in as many processes as ``launch`` asks for (without GPUs: on the cores).

    Raises:
        ValueError: the configuration, the data or the weights cannot be used.
    """
    cfg = load_config(config_file, opts, carried=eval_only)
    if launch.num_gpus > torch.cuda.device_count() > 0 and cfg.MODEL.DEVICE.startswith("cuda"):
        raise InputError(f"--num-gpus is {launch.num_gpus}, but this machine has {torch.cuda.device_count()}")
    _check(cfg, eval_only, resume)
    try:
        launch_processes(
            _worker,
            launch.processes_per_machine,
            num_machines=launch.num_machines,
            machine_rank=launch.machine_rank,
            dist_url=launch.dist_url,
            args=(cfg, eval_only, resume),
        )
    except ProcessExitedException as stop:  # that process has said why
        sys.exit(stop.exit_code)


def load_config(config_file: str, opts: list[str], *, carried: bool) -> CfgNode:
    """The configuration; with ``carried`` and without a file, weights bring their own."""
    cfg = get_cfg()
    if config_file:
        cfg.merge_from_file(config_file)
    cfg.merge_from_list(opts)
    if carried and not config_file and cfg.MODEL.WEIGHTS:
        cfg = from_default_host(inference_config(cfg.MODEL.WEIGHTS))
        cfg.merge_from_list(opts)
    return cfg


def _check(cfg: CfgNode, eval_only: bool, resume: bool) -> None:
    """Says what is wrong before other processes are started: theirs would be told by a traceback."""
    folder = Path(cfg.OUTPUT_DIR)
    if eval_only:
        if not cfg.DATASETS.TEST:
            raise InputError("DATASETS.TEST names no dataset to evaluate on")
        if not cfg.MODEL.WEIGHTS:
            cfg.MODEL.WEIGHTS = str(folder / FINAL_WEIGHTS)
            if not Path(cfg.MODEL.WEIGHTS).is_file():
                raise InputError(
                    f"no weights to evaluate: set MODEL.WEIGHTS, {cfg.MODEL.WEIGHTS} is not there"
                )
        return
    if not cfg.DATASETS.TRAIN:
        raise InputError("DATASETS.TRAIN names no dataset to train on")
    for key, value, only in (
        ("LOSS_WEIGHTS", cfg.SOLVER.LOSS_WEIGHTS, "fixed"),
        ("GRADIENT_ACCUMULATION", cfg.SOLVER.GRADIENT_ACCUMULATION, 1),
    ):
        if value != only:
            raise InputError(
                f"SOLVER.{key} is {value}: Detectron2 trains with {only} only; use --engine lightning"
            )
    if TrainingFolder.checkpoints_in(folder):
        raise InputError(
            f"OUTPUT_DIR {folder} holds the checkpoints of a run with --engine lightning; go on with that engine, "
            f"or choose another OUTPUT_DIR"
        )
    if (folder / "last_checkpoint").is_file() and not resume:
        raise InputError(
            f"OUTPUT_DIR {folder} holds the checkpoints of a run; go on from them with --resume, or choose "
            f"another OUTPUT_DIR"
        )


def _worker(cfg: CfgNode, eval_only: bool, resume: bool) -> None:
    """One process of the run."""
    with exit_on_error():
        _prepare(cfg)
        if eval_only:
            evaluate_only(cfg)
            return
        if resume and (Path(cfg.OUTPUT_DIR) / "last_checkpoint").is_file():
            cfg.MODEL.TIMM.PRETRAINED = False  # nothing to download for what a checkpoint will fill
        trainer = FastPoseTrainer(cfg)
        if comm.is_main_process():
            write_text(Path(cfg.OUTPUT_DIR) / "config.yaml", trainer.cfg.dump())
        trainer.resume_or_load(resume=resume)
        _LOG.info(
            "%s: %d steps of %d images from step %d", ", ".join(cfg.DATASETS.TRAIN), cfg.SOLVER.MAX_ITER,
            cfg.SOLVER.IMS_PER_BATCH, trainer.start_iter,
        )  # fmt: skip
        trainer.train()
        _LOG.info("weights: %s", Path(cfg.OUTPUT_DIR) / FINAL_WEIGHTS)


def evaluate_only(cfg: CfgNode) -> dict[str, Any]:
    """Evaluates ``MODEL.WEIGHTS`` on ``DATASETS.TEST``; see ``FastPoseTrainer.test``.

    Raises:
        ValueError: the weights are of another architecture, or the data cannot be used.
    """
    cfg = without_downloads(cfg)
    cfg.MODEL.ROI_REID_HEAD.NUM_IDENTITIES = 0  # its classifier serves training only
    model = build_model(cfg).eval()
    FastPoseCheckpointer(model, strict=True).load(cfg.MODEL.WEIGHTS)
    if cfg.TEST.AUG.ENABLED:  # as under Lightning: several sizes, joints included
        return evaluate_all(
            Detectron2Estimator(
                model, cfg, precision=cfg.SOLVER.AMP.DTYPE if cfg.SOLVER.AMP.ENABLED else "fp32"
            ),
            [dataset_of(name, cfg.MODEL.SKELETON) for name in cfg.DATASETS.TEST],
            batch_size=evaluation_batch_size(cfg),
            num_workers=cfg.DATALOADER.NUM_WORKERS,
            output=Path(cfg.OUTPUT_DIR) / "evaluation.json",
            new_tracker=functools.partial(build_tracker, cfg),
        )
    return FastPoseTrainer.test(cfg, model)


def _prepare(cfg: CfgNode) -> None:
    folder = Path(cfg.OUTPUT_DIR)
    if comm.is_main_process():
        folder.mkdir(parents=True, exist_ok=True)
    comm.synchronize()
    for name in ("detectron2", "fvcore"):
        setup_logger(str(folder / "log.txt"), distributed_rank=comm.get_rank(), name=name)
    if not _LOG.handlers and not logging.getLogger().handlers:  # in processes that launch has started
        logging.basicConfig(stream=sys.stdout, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    _LOG.setLevel(logging.INFO if comm.is_main_process() else logging.ERROR)
    torch.backends.cudnn.benchmark = cfg.CUDNN_BENCHMARK
    if not cfg.MODEL.DEVICE.startswith("cuda"):
        keep_freed_memory()
