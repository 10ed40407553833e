"""The moving average of the weights, which is what is evaluated and exported, under either engine.

Lightning's ``EMAWeightAveraging`` does not serve: Detectron2's engine needs the same numbers; it averages with one decay
from the first step's weights on, and everything, what is frozen too; it lends the average to Lightning's validation loop
only, which evaluates nothing here (see ``callbacks.PeriodicEvaluation``) and exports nothing; and it would forget the average
in the checkpoints that there are, as it keeps its own under ``state_dict``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverage:
    """average <- d * average + (1 - d) * weights after every step; d = min(decay, (1 + n) / (10 + n)).

    The shorter memory over the first n steps keeps the random start out of a short run's average. Whole
    numbers (batch counters) and frozen weights are taken as they are.

    Args:
        model: its current state is where the average begins.
        decay: in [0, 1).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        if not 0.0 <= decay < 1.0:
            raise ValueError(f"SOLVER.EMA: expected a decay in [0, 1), got {decay}")
        self.decay, self.steps = decay, 0
        trained = {name for name, p in model.named_parameters() if p.requires_grad}
        buffers = {name for name, b in model.named_buffers() if b.is_floating_point()}
        self._names = [name for name in model.state_dict() if name in trained | buffers]
        state = model.state_dict()
        self._average = {name: state[name].detach().clone() for name in self._names}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Takes in the weights of one more step."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        state = model.state_dict()
        if self._names and self._average[self._names[0]].device != state[self._names[0]].device:
            self._average = {name: v.to(state[name].device) for name, v in self._average.items()}
        average = [self._average[name] for name in self._names]
        take_in = get_ema_multi_avg_fn(decay)
        take_in(average, [state[name].detach() for name in self._names], self.steps)

    def averaged(self, model: nn.Module) -> dict[str, torch.Tensor]:
        """The model's state with the average in place of what is averaged."""
        return {**model.state_dict(), **self._average}

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """The model has the averaged weights within, and its own again afterwards."""
        state = model.state_dict()
        own = {name: state[name].detach().clone() for name in self._names}
        model.load_state_dict(self._average, strict=False)
        try:
            yield
        finally:
            model.load_state_dict(own, strict=False)

    def state_dict(self) -> dict[str, object]:
        """What a checkpoint keeps: the number of steps taken in and the averaged weights."""
        return {"steps": self.steps, "average": self._average}

    def load_state_dict(self, state: dict) -> None:
        """Takes over what ``state_dict`` gave, on whatever device the average is."""
        self.steps = int(state["steps"])
        for name, value in self._average.items():
            value.copy_(state["average"][name])
