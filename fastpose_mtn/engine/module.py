"""The network as Lightning trains it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import lightning
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import ParallelStrategy
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from fastpose_mtn.config import CfgNode
from fastpose_mtn.data.loader import LoadFailure
from fastpose_mtn.engine.averaging import WeightAverage
from fastpose_mtn.engine.divergence import check_finite, divergence_told
from fastpose_mtn.engine.solver import build_optimizer, clip_gradients, learning_rate_factor
from fastpose_mtn.engine.training_data import check_read, step_seed
from fastpose_mtn.engine.uncertainty import UncertaintyWeights
from fastpose_mtn.errors import InputError
from fastpose_mtn.structures import Batch
from fastpose_mtn.system_protocols import ScheduledNetwork, TrainableNetwork

_LOG = logging.getLogger("fastpose_mtn")

LoaderFactory = Callable[[int, int, int, int], Any]


class TrainingModule(lightning.LightningModule):
    """One step: the network's weighted losses, summed, and what they change.

    Lightning's manual optimisation: a step has its own parts, and is over before anybody is told of it.

    Args:
        model: a ``TrainableNetwork``.
        seed: of the data's order, the augmentations and the network's samplers.
        make_loader: (seed, first step, rank, number of processes) -> the training batches.

    Attributes:
        losses: of the latest step, detached, each a scalar tensor, before learned weights.
        weighting: the tasks' learned weights, or None where ``SOLVER.LOSS_WEIGHTS`` is fixed.
        average: the weights' moving average, or None where ``SOLVER.EMA`` is 0.
    """

    def __init__(self, cfg: CfgNode, model: nn.Module, *, seed: int, make_loader: LoaderFactory) -> None:
        super().__init__()
        self.automatic_optimization = False
        if not isinstance(model, TrainableNetwork):
            raise TypeError(f"model: expected a TrainableNetwork, got {type(model).__name__}")
        self.cfg, self.model, self.seed, self._make_loader = cfg, model, seed, make_loader
        self._losses_of = model.losses
        self.losses: dict[str, torch.Tensor] = {}
        self.average = WeightAverage(model, cfg.SOLVER.EMA) if cfg.SOLVER.EMA > 0 else None
        self._clip = cfg.SOLVER.CLIP_GRADIENTS
        self.images_left_out = 0  # by this process, of DATALOADER.SKIP_BAD_IMAGES
        if cfg.SOLVER.LOSS_WEIGHTS not in ("fixed", "uncertainty"):
            raise InputError(
                f"SOLVER.LOSS_WEIGHTS: expected fixed or uncertainty, got {cfg.SOLVER.LOSS_WEIGHTS!r}"
            )
        learned = cfg.SOLVER.LOSS_WEIGHTS == "uncertainty"
        self.weighting = UncertaintyWeights(model.loss_tasks) if learned else None
        if cfg.SOLVER.GRADIENT_ACCUMULATION < 1:
            raise InputError(
                f"SOLVER.GRADIENT_ACCUMULATION is {cfg.SOLVER.GRADIENT_ACCUMULATION}, expected 1 or more"
            )
        self._parts = cfg.SOLVER.GRADIENT_ACCUMULATION
        self._trained = [p for p in self.parameters() if p.requires_grad]

    def on_before_batch_transfer(self, batch: Batch | LoadFailure, dataloader_idx: int) -> Batch:
        """Logs the images that were left out of a batch, before it goes to the device.

        Raises:
            InputError: an image could not be read, and was not to be left out.
        """
        batch = check_read(batch)
        for message in batch.left_out:
            self.images_left_out += 1
            _LOG.warning("left out %s (%d so far)", message, self.images_left_out)
        return batch

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """One step: the gradients of all parts of the batch, the optimizer, the schedule and the weights' average.

        Raises:
            InputError: training has diverged.
        """
        trainer, optimizer, schedule = self.trainer, self.optimizers(), self.lr_schedulers()
        assert isinstance(optimizer, LightningOptimizer)
        assert isinstance(schedule, LRScheduler)
        torch.manual_seed(step_seed(self.seed, trainer.global_step, trainer.global_rank, trainer.world_size))
        self.losses = {}
        if isinstance(self.model, ScheduledNetwork):
            self.model.begin_step(trainer.global_step)
        optimizer.zero_grad()
        *first, last = batch.split(self._parts)
        for part in first:
            with self._alone():
                self._backward(part, len(part) / len(batch))
        self._backward(last, len(last) / len(batch))
        with self._in_full_precision():
            optimizer.step()
        schedule.step()
        if self.average is not None:
            self.average.update(self.model)

    def _backward(self, part: Batch, share: float) -> None:
        """Adds the gradients of a part of the step's images, which is this share of them."""
        with divergence_told(lambda: self.trainer.global_step):
            loss = self._loss(part, share)
        with self._in_full_precision():
            self.manual_backward(loss)

    def _in_full_precision(self) -> AbstractContextManager[None]:
        """Mixed precision is the forward pass's; here Lightning leaves it on where a step is made by hand."""
        return torch.autocast(self.device.type, enabled=False)

    def _alone(self) -> AbstractContextManager[None]:
        """Gradients stay in their process: the last part's backward pass sums those of all parts over the processes."""
        strategy = self.trainer.strategy
        return strategy.block_backward_sync() if isinstance(strategy, ParallelStrategy) else nullcontext()

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clips the gradients as ``SOLVER.CLIP_GRADIENTS`` says."""
        if self._clip.ENABLED:
            clip_gradients(
                self._trained,
                kind=self._clip.CLIP_TYPE,
                value=self._clip.CLIP_VALUE,
                norm_type=self._clip.NORM_TYPE,
            )

    def _loss(self, part: Batch, share: float) -> torch.Tensor:
        """Of one part of the step's images; adds to ``losses`` what it is of the step's."""
        losses = self._losses_of(part)
        total = sum(losses.values()) if self.weighting is None else self.weighting(losses, part.tasks)
        assert isinstance(total, torch.Tensor)
        for name, loss in losses.items():
            own = loss.detach() * share
            self.losses[name] = self.losses[name] + own if name in self.losses else own
        check_finite(losses, total)
        return total * share

    @contextmanager
    def averaged_weights(self) -> Iterator[Any]:
        """The network with the weights to evaluate and export, and its own again afterwards."""
        if self.average is None:
            yield self.model
            return
        with self.average.applied(self.model):
            yield self.model

    def configure_optimizers(self) -> Any:
        """The optimizer, which trains learned loss weights too, and the learning rate's schedule by steps."""
        optimizer = build_optimizer(self.cfg, self.model)
        if self.weighting is not None:
            optimizer.add_param_group({"params": list(self.weighting.parameters()), "weight_decay": 0.0})
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, learning_rate_factor(self.cfg))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_train_start(self) -> None:
        """Begins the average at the starting weights, unless a checkpoint has brought one."""
        # Now the weights are the same in all processes, and those of a checkpoint are there.
        if self.average is not None and self.average.steps == 0:
            self.average = WeightAverage(self.model, self.average.decay)

    def train_dataloader(self) -> Any:
        """The training batches from the current step on, of which each process gets its share."""
        # Lightning asks after it has restored a checkpoint, so the seed and the step are those of the run.
        trainer = self.trainer
        self.seed = trainer.strategy.broadcast(self.seed)
        return self._make_loader(self.seed, trainer.global_step, trainer.global_rank, trainer.world_size)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the seed and the weights' average to a checkpoint."""
        checkpoint["seed"] = self.seed
        if self.average is not None:
            checkpoint["average"] = self.average.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes the seed and the weights' average from a checkpoint.

        Raises:
            InputError: the checkpoint was trained with other loss weights.
        """
        self.seed = int(checkpoint["seed"])
        _count_steps_by_hand(checkpoint)
        learned = any(name.startswith("weighting.") for name in checkpoint["state_dict"])
        if learned != (self.weighting is not None):
            raise InputError(
                f"the checkpoint was trained with SOLVER.LOSS_WEIGHTS {'uncertainty' if learned else 'fixed'}; "
                f"resume with that, or train into another OUTPUT_DIR"
            )
        if self.average is not None and "average" in checkpoint:
            self.average.load_state_dict(checkpoint["average"])


def _count_steps_by_hand(checkpoint: dict[str, Any]) -> None:
    """Checkpoints from before steps were made by hand have their number where Lightning counts its own."""
    key = "epoch_loop.manual_optimization.optim_step_progress"
    for count in checkpoint["loops"]["fit_loop"][key].values():
        count.update(ready=checkpoint["global_step"], completed=checkpoint["global_step"])
