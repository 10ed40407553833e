"""Loss weights that are learned, one a task (Kendall et al., CVPR 2018; JDE weights its tasks in this way)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

TASK_OF_LOSS = {
    "loss_rpn_cls": "boxes",
    "loss_rpn_loc": "boxes",
    "loss_cls": "boxes",
    "loss_box_reg": "boxes",
    "loss_keypoint": "keypoints",
    "loss_visibility": "keypoints",
    "loss_reid": "identities",
}
_TASKS = ("boxes", "keypoints", "identities")


class UncertaintyWeights(nn.Module):
    """total = sum over tasks of exp(-s) * L + s / 2, with s, the logarithm of a task's variance, learned.

    Training begins at s = 0, where the losses count as they are. A task that no image of the step trains
    adds nothing, and its s stays.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_variance = nn.Parameter(torch.zeros(len(_TASKS)))

    def forward(self, losses: Mapping[str, Tensor], tasks: Sequence[frozenset[str]]) -> Tensor:
        """The weighted sum.

        Args:
            losses: scalars by the names of ``TASK_OF_LOSS``.
            tasks: what each image of the step trains.
        """
        sums = [self.log_variance.new_zeros(()) for _ in _TASKS]
        for name, loss in losses.items():
            index = _TASKS.index(TASK_OF_LOSS[name])
            sums[index] = sums[index] + loss
        trained = torch.tensor(
            [float(any(task in t for t in tasks)) for task in _TASKS], device=self.log_variance.device
        )
        weighted = torch.exp(-self.log_variance) * torch.stack(sums) + 0.5 * self.log_variance
        return (trained * weighted).sum()

    def weights(self) -> dict[str, float]:
        """Each task's weight as it is now, for the log."""
        values = torch.exp(-self.log_variance.detach()).tolist()
        return {f"weight_{task}": value for task, value in zip(_TASKS, values, strict=True)}
