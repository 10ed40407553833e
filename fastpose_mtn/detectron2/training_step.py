"""One step under Detectron2: with the images, samples, precision, clipping and averaging of Lightning's."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.engine import HookBase, SimpleTrainer
from detectron2.utils import comm
from torch import nn

from fastpose_mtn.data.loader import AugmentedImages
from fastpose_mtn.detectron2.data import to_detectron2
from fastpose_mtn.engine.averaging import WeightAverage
from fastpose_mtn.engine.divergence import check_finite
from fastpose_mtn.engine.solver import clip_gradients
from fastpose_mtn.engine.training_data import check_read, make_training_loader, step_seed
from fastpose_mtn.errors import InputError

_LOG = logging.getLogger("fastpose_mtn")


class TrainingImages:
    """The endless training batches as Detectron2's models take them; begins at ``start_step``."""

    def __init__(self, cfg: CfgNode, images: AugmentedImages, seed: int) -> None:
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
        for read in loader:
            batch = check_read(read)
            for message in batch.left_out:
                _LOG.warning("left out %s", message)
            yield [
                to_detectron2(image, targets, tasks, self._cfg.INPUT.FORMAT)
                for image, targets, tasks in zip(batch.images, batch.targets, batch.tasks, strict=True)
            ]


class TrainingStep(SimpleTrainer):
    """Detectron2's step in mixed precision, on a CPU too, with Lightning's clipping and seeds.

    Args:
        cfg: the configuration.
        seed: of the network's samplers.
    """

    def __init__(
        self, model: nn.Module, data_loader: Any, optimizer: Any, *, cfg: CfgNode, seed: int
    ) -> None:
        super().__init__(model, data_loader, optimizer)
        self._cfg, self._seed = cfg, seed
        self._device = torch.device(cfg.MODEL.DEVICE).type
        self._dtype = training_precision(cfg)
        self._scaler = torch.amp.GradScaler(self._device, enabled=self._dtype == torch.float16)
        self._trained = [p for p in model.parameters() if p.requires_grad]

    def run_step(self) -> None:
        """Trains on the next batch: losses, gradients, clipping, one step of the optimizer.

        Raises:
            FloatingPointError: a loss is not finite: training has diverged.
        """
        start = time.perf_counter()
        data = next(self._data_loader_iter)
        waited = time.perf_counter() - start
        torch.manual_seed(step_seed(self._seed, self.iter, comm.get_rank(), comm.get_world_size()))
        with torch.autocast(self._device, self._dtype, enabled=self._dtype != torch.float32):
            losses = self.model(data)
        total = sum(losses.values())
        assert isinstance(total, torch.Tensor)
        check_finite(losses, total)  # before Detectron2, whose writer logs a traceback too
        self.optimizer.zero_grad()
        self._scaler.scale(total).backward()
        self._write_metrics(losses, waited)
        clip = self._cfg.SOLVER.CLIP_GRADIENTS
        if clip.ENABLED:
            self._scaler.unscale_(self.optimizer)
            clip_gradients(
                self._trained, kind=clip.CLIP_TYPE, value=clip.CLIP_VALUE, norm_type=clip.NORM_TYPE
            )
        self._scaler.step(self.optimizer)
        self._scaler.update()

    def state_dict(self) -> dict[str, object]:
        """What a checkpoint keeps of the step: Detectron2's own, the gradient scaler's state and the seed."""
        return {**super().state_dict(), "grad_scaler": self._scaler.state_dict(), "seed": self._seed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over what ``state_dict`` gave, the seed included."""
        super().load_state_dict(state_dict)
        self._scaler.load_state_dict(state_dict["grad_scaler"])
        self._seed = state_dict["seed"]


class Averaging(HookBase):
    """Keeps ``SOLVER.EMA``'s moving average of the weights, which is what is evaluated and exported."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._model: Any = getattr(model, "module", model)
        self.average = WeightAverage(self._model, decay)

    def before_train(self) -> None:
        """Begins the average at the starting weights, unless a checkpoint has brought one."""
        if self.average.steps == 0:  # now the starting weights are there
            self.average = WeightAverage(self._model, self.average.decay)

    def after_step(self) -> None:
        """Takes the step's weights into the average."""
        self.average.update(self._model)

    def state_dict(self) -> dict[str, object]:
        """What a checkpoint keeps of the average."""
        return self.average.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over a checkpoint's average."""
        self.average.load_state_dict(state_dict)


def training_precision(cfg: CfgNode) -> torch.dtype:
    """What ``SOLVER.AMP`` computes in.

    Raises:
        InputError: it is unknown, or the device has it not.
    """
    amp = cfg.SOLVER.AMP
    if not amp.ENABLED:
        return torch.float32
    if amp.DTYPE not in ("bf16", "fp16"):
        raise InputError(f"SOLVER.AMP.DTYPE: expected bf16 or fp16, got {amp.DTYPE!r}")
    if amp.DTYPE == "fp16" and not cfg.MODEL.DEVICE.startswith("cuda"):
        raise InputError("SOLVER.AMP.DTYPE fp16 needs a GPU; use bf16 or SOLVER.AMP.ENABLED False")
    return torch.bfloat16 if amp.DTYPE == "bf16" else torch.float16
