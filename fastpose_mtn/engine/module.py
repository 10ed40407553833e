"""The network as Lightning trains it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import lightning
import torch
from torch import nn

from fastpose_mtn.cli import InputError
from fastpose_mtn.config import CfgNode
from fastpose_mtn.data.loader import LoadFailure
from fastpose_mtn.data.sample import TrainingSample
from fastpose_mtn.engine.averaging import WeightAverage
from fastpose_mtn.engine.solver import build_optimizer, clip_gradients, learning_rate_factor
from fastpose_mtn.engine.training_data import check_sample, step_seed

_LOG = logging.getLogger("fastpose_mtn")

LoaderFactory = Callable[[int, int, int, int], Any]


class TrainingModule(lightning.LightningModule):
    """One step: the network's weighted losses, summed.

    Args:
        model: in training it maps images, targets and tasks to a dictionary of weighted losses.
        seed: of the data's order, the augmentations and the network's samplers.
        make_loader: (seed, first step, rank, number of processes) -> the training batches.

    Attributes:
        losses: of the latest step, detached, each a scalar tensor.
        average: the weights' moving average, or None where ``SOLVER.EMA`` is 0.
    """

    def __init__(self, cfg: CfgNode, model: nn.Module, *, seed: int, make_loader: LoaderFactory) -> None:
        super().__init__()
        self.cfg, self.model, self.seed, self._make_loader = cfg, model, seed, make_loader
        self.losses: dict[str, torch.Tensor] = {}
        self.average = WeightAverage(model, cfg.SOLVER.EMA) if cfg.SOLVER.EMA > 0 else None
        self._clip = cfg.SOLVER.CLIP_GRADIENTS
        self.images_left_out = 0  # by this process, of DATALOADER.SKIP_BAD_IMAGES
        self._trained = [p for p in model.parameters() if p.requires_grad]

    def transfer_batch_to_device(
        self, batch: list[TrainingSample | LoadFailure], device: torch.device, dataloader_idx: int
    ) -> tuple[list, list, list]:
        samples = [check_sample(sample) for sample in batch]
        for sample in samples:
            for message in sample.left_out:
                self.images_left_out += 1
                _LOG.warning("left out %s (%d so far)", message, self.images_left_out)
        images = [sample.image.to(device, non_blocking=True) for sample in samples]
        return images, [s.targets.to(device) for s in samples], [s.tasks for s in samples]

    def training_step(self, batch: tuple[list, list, list], batch_idx: int) -> torch.Tensor:
        trainer = self.trainer
        torch.manual_seed(step_seed(self.seed, trainer.global_step, trainer.global_rank, trainer.world_size))
        losses = self.model(*batch)
        total = sum(losses.values())
        assert isinstance(total, torch.Tensor)
        self.losses = {name: loss.detach() for name, loss in losses.items()}
        if not torch.isfinite(total):
            self._refuse_non_finite()
        return total

    def _refuse_non_finite(self) -> None:
        bad = [f"{n} = {float(v)}" for n, v in self.losses.items() if not torch.isfinite(v)]
        raise InputError(
            f"step {self.trainer.global_step}: {', '.join(bad) or 'the sum of the losses'} is not finite; the "
            f"last checkpoint is kept. Lower SOLVER.BASE_LR, set SOLVER.CLIP_GRADIENTS.ENABLED True, or "
            f"train without SOLVER.AMP"
        )

    @contextmanager
    def averaged_weights(self) -> Iterator[Any]:
        """The network with the weights to evaluate and export, and its own again afterwards."""
        if self.average is None:
            yield self.model
            return
        with self.average.applied(self.model):
            yield self.model

    def configure_optimizers(self) -> Any:
        optimizer = build_optimizer(self.cfg, self.model)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, learning_rate_factor(self.cfg))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_gradient_clipping(self, *args: Any, **kwargs: Any) -> None:
        if self._clip.ENABLED:
            clip_gradients(
                self._trained,
                kind=self._clip.CLIP_TYPE,
                value=self._clip.CLIP_VALUE,
                norm_type=self._clip.NORM_TYPE,
            )

    def on_train_start(self) -> None:
        # Now the weights are the same in all processes, and those of a checkpoint are there.
        if self.average is not None and self.average.steps == 0:
            self.average = WeightAverage(self.model, self.average.decay)

    def train_dataloader(self) -> Any:
        # Lightning asks after it has restored a checkpoint, so the seed and the step are those of the run.
        trainer = self.trainer
        self.seed = trainer.strategy.broadcast(self.seed)
        return self._make_loader(self.seed, trainer.global_step, trainer.global_rank, trainer.world_size)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["seed"] = self.seed
        if self.average is not None:
            checkpoint["average"] = self.average.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.seed = int(checkpoint["seed"])
        if self.average is not None and "average" in checkpoint:
            self.average.load_state_dict(checkpoint["average"])
