"""What happens between two training steps: the log, checkpoints and evaluation."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import lightning
import torch
from tqdm import tqdm

from fastpose_mtn.engine.best import BestWeights
from fastpose_mtn.engine.checkpoints import TrainingFolder
from fastpose_mtn.engine.module import TrainingModule
from fastpose_mtn.runtime.memory import peak_process_bytes, release_freed_memory

_LOG = logging.getLogger("fastpose_mtn")


class ProgressLog(lightning.Callback):
    """Every ``period`` steps the mean losses since the last time, rate, speed, memory and time left.

    Lightning has these one by one, as a bar without lines for a file, as ``ThroughputMonitor`` and as
    ``LearningRateMonitor``; none of them tells means over the steps and the processes, nor the wait for data.

    On a terminal as a progress bar, otherwise as lines; and to the loggers either way.
    """

    def __init__(self, period: int, images_a_step: int) -> None:
        self._period, self._images_a_step = period, images_a_step
        self._bar: tqdm | None = None
        self._sums: dict[str, torch.Tensor] = {}
        self._steps, self._since, self._waited, self._step_ended = 0, 0.0, 0.0, 0.0

    def on_train_start(self, trainer: Any, module: Any) -> None:
        """Starts the clock and, on a terminal, the progress bar."""
        if trainer.is_global_zero and sys.stderr.isatty():
            self._bar = tqdm(total=trainer.max_steps, initial=trainer.global_step, unit="step")
        self._begin()

    def _begin(self) -> None:
        self._sums, self._steps, self._waited = {}, 0, 0.0
        self._since = self._step_ended = time.perf_counter()

    def on_train_batch_start(self, *args: object) -> None:
        """Counts the time since the last step's end as waiting for data."""
        self._waited += time.perf_counter() - self._step_ended

    def on_train_batch_end(self, trainer: Any, module: Any, *args: object) -> None:
        """Adds the step's losses, and reports their means every ``period`` steps and after the last one."""
        self._steps += 1
        for name, loss in module.losses.items():
            self._sums[name] = self._sums[name] + loss if name in self._sums else loss
        if self._bar is not None:
            self._bar.update()
        if trainer.global_step % self._period == 0 or trainer.global_step == trainer.max_steps:
            losses = self._mean_losses(trainer)
            if trainer.is_global_zero:
                self._report(trainer, losses, {} if module.weighting is None else module.weighting.weights())
            self._begin()
        self._step_ended = time.perf_counter()

    def _mean_losses(self, trainer: lightning.Trainer) -> dict[str, float]:
        """Over the steps since the last report and over all processes."""
        means = torch.stack(list(self._sums.values())) / self._steps
        means = trainer.strategy.reduce(means, reduce_op="mean")
        return dict(zip(self._sums, means.tolist(), strict=True))

    def _report(
        self, trainer: lightning.Trainer, losses: dict[str, float], weights: dict[str, float]
    ) -> None:
        seconds, memory = time.perf_counter() - self._since, _memory_gb()
        metrics = {
            "total_loss": sum(losses.values()),
            **losses,
            **weights,
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            "images_per_second": self._steps * self._images_a_step / seconds,
            "data_wait": self._waited / seconds,
            **({} if memory is None else {"memory_gb": memory}),
        }
        for logger in trainer.loggers:
            logger.log_metrics(metrics, step=trainer.global_step)
        left = timedelta(seconds=round((trainer.max_steps - trainer.global_step) * seconds / self._steps))
        each = " ".join(f"{name.removeprefix('loss_')} {value:.3f}" for name, value in losses.items())
        text = (
            f"loss {metrics['total_loss']:.3f} ({each}) lr {metrics['lr']:.3g} "
            f"{metrics['images_per_second']:.1f} images/s ({metrics['data_wait']:.0%} waiting for data) "
            f"{'' if memory is None else f'{memory:.1f} GB '}left {left}"
        )
        if self._bar is not None:
            self._bar.set_postfix_str(text)
        else:
            _LOG.info("step %d/%d %s", trainer.global_step, trainer.max_steps, text)

    def teardown(self, *args: object, **kwargs: object) -> None:
        """Closes the progress bar."""
        if self._bar is not None:
            self._bar.close()


def _memory_gb() -> float | None:
    """The most memory used so far: the GPU's where there is one, otherwise this process's; None: nobody knows."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**30
    peak = peak_process_bytes()
    return None if peak is None else peak / 2**30


class Checkpoints(lightning.Callback):
    """A checkpoint every ``period`` steps and at the end; see ``TrainingFolder`` for what Lightning's lacks."""

    def __init__(self, folder: TrainingFolder, period: int) -> None:
        self._folder, self._period = folder, period

    def on_train_batch_end(self, trainer: Any, module: Any, *args: object) -> None:
        """Saves a checkpoint where one is due."""
        step = trainer.global_step
        if step % self._period == 0 or step == trainer.max_steps:
            self._folder.save(trainer, module, step)


class ReleasedMemory(lightning.Callback):
    """Gives freed memory back every so many steps, for trainings on a CPU; see ``runtime.memory``.

    Args:
        period: steps.
    """

    def __init__(self, period: int = 50) -> None:
        self._period = period

    def on_train_batch_end(self, trainer: Any, module: Any, *args: object) -> None:
        """Gives back after every ``period`` steps."""
        if trainer.global_step % self._period == 0:
            release_freed_memory()


class PeriodicEvaluation(lightning.Callback):
    """Evaluates the averaged weights every ``period`` steps; the last step is left to the end's own.

    Lightning's validation loop does not serve: it sums over batches, while tracking needs a sequence's images in order and
    search and AP those of all processes, each once.

    Args:
        best: keeps the best ones; None: nobody does.
    """

    def __init__(
        self,
        period: int,
        evaluate: Callable[[TrainingModule, int], dict[str, float]],
        best: BestWeights | None = None,
    ) -> None:
        self._period, self._evaluate, self._best = period, evaluate, best

    def on_train_batch_end(self, trainer: Any, module: Any, *args: object) -> None:
        """Evaluates, logs the metrics and keeps the best weights, where an evaluation is due."""
        step = trainer.global_step
        if step % self._period or step == trainer.max_steps:
            return
        metrics = self._evaluate(module, step)
        for logger in trainer.loggers if trainer.is_global_zero else ():
            logger.log_metrics(metrics, step=step)
        if self._best is not None and trainer.is_global_zero:
            self._best.offer(module, step, metrics)
