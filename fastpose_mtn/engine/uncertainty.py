"""Loss weights that are learned, one a task (Kendall et al., CVPR 2018; JDE weights its tasks in this way)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


class UncertaintyWeights(nn.Module):
    """total = sum over tasks of exp(-s) * L + s / 2, with s, the logarithm of a task's variance, learned.

    Training begins at s = 0, where the losses count as they are. A task that no image of the step trains
    adds nothing, and its s stays.

    Args:
        loss_tasks: which task each loss trains, see ``system_protocols.TrainableNetwork``.
    """

    def __init__(self, loss_tasks: Mapping[str, str]) -> None:
        super().__init__()
        self._loss_tasks = dict(loss_tasks)
        self.tasks = tuple(dict.fromkeys(loss_tasks.values()))  # in the order of the losses
        self.log_variance = nn.Parameter(torch.zeros(len(self.tasks)))

    def forward(self, losses: Mapping[str, Tensor], tasks: Sequence[frozenset[str]]) -> Tensor:
        """The weighted sum.

        Args:
            losses: scalars by the names of ``loss_tasks``.
            tasks: what each image of the step trains.
        """
        sums = {task: self.log_variance.new_zeros(()) for task in self.tasks}
        for name, loss in losses.items():
            task = self._loss_tasks[name]
            sums[task] = sums[task] + loss
        trained = torch.tensor(
            [float(any(task in t for t in tasks)) for task in self.tasks], device=self.log_variance.device
        )
        weighted = torch.exp(-self.log_variance) * torch.stack(list(sums.values())) + 0.5 * self.log_variance
        return (trained * weighted).sum()

    def weights(self) -> dict[str, float]:
        """Each task's weight as it is now, for the log."""
        values = torch.exp(-self.log_variance.detach()).tolist()
        return {f"weight_{task}": value for task, value in zip(self.tasks, values, strict=True)}
