"""Symmetric integral keypoint regression: a joint's position as the mean of its heatmap (AlphaPose, section 3.1).

Fang et al., *AlphaPose: Whole-Body Regional Multi-Person Pose Estimation and Tracking in Real-Time*, PAMI 2022. Equation
numbers are its. Positions are in cells, cell j's centre being j + 0.5.

On the paper's argument: equation 2's asymmetry is in the gradient with respect to the *normalised* map. After normalisation the
true gradient on the logits is p (x - mean) already: centred, and the same wherever the joint is. What the symmetric
gradient changes is the profile, constant instead of linear in the distance: mass far away is drawn in no more strongly
than mass near by, and a peak beside the mean sharpens faster.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_TINY = 1e-12
_SHARPNESS = 4.0  # of ``soft_maximum``


def normalise(logits: Tensor, *, two_step: bool = True) -> tuple[Tensor, Tensor]:
    """Heatmaps that sum to one, and what says how sure they are (equations 13 to 15).

    Args:
        logits: (N, K, H, W).
        two_step: sigmoid, whose maximum is the confidence, then division by the sum. False: one softmax over all cells,
            whose maximum shrinks as the peak widens.

    Returns:
        (N, K, H, W) probabilities and (N, K) confidences in [0, 1], float32, of double precision float64.
    """
    z = _at_least_single(logits)
    if not two_step:
        p = z.flatten(2).softmax(dim=-1).view(z.shape)
        return p, p.flatten(2).amax(dim=-1)
    c = z.sigmoid()
    total = c.sum(dim=(-2, -1), keepdim=True).clamp(min=_TINY)
    return c / total, c.flatten(2).amax(dim=-1)


class _SymmetricMean(torch.autograd.Function):
    """The mean position of a distribution, whose gradient pulls by the side that a cell is on (equation 3)."""

    @staticmethod
    def forward(ctx: Any, marginal: Tensor, positions: Tensor, amplitude: float) -> Tensor:
        mean = (marginal * positions).sum(dim=-1)
        ctx.save_for_backward(mean, positions)
        ctx.amplitude = amplitude
        return mean

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        mean, positions = ctx.saved_tensors
        side = torch.where(positions < mean[..., None], -1.0, 1.0).to(mean.dtype)
        return gradients[0][..., None] * ctx.amplitude * side, None, None


def soft_argmax(probabilities: Tensor, amplitude_xy: tuple[float, float] | None = None) -> Tensor:
    """Mean positions (N, K, 2) x, y in cells of maps (N, K, H, W) that sum to one (equation 1).

    Args:
        probabilities: of the cells.
        amplitude_xy: of the symmetric gradient along each axis; None: the true gradient.
    """
    height, width = probabilities.shape[-2:]
    means = []
    for axis, size, amplitude in ((-2, width, 0), (-1, height, 1)):
        marginal = probabilities.sum(dim=axis)
        positions = torch.arange(size, device=marginal.device, dtype=marginal.dtype) + 0.5
        if amplitude_xy is None:
            means.append((marginal * positions).sum(dim=-1))
        else:
            means.append(_SymmetricMean.apply(marginal, positions, amplitude_xy[amplitude]))
    return torch.stack(means, dim=-1)


def soft_maximum(logits: Tensor) -> Tensor:
    """(N, K) about the highest logit of each map (N, K, H, W), with a gradient for all cells near it."""
    return torch.logsumexp(_SHARPNESS * _at_least_single(logits).flatten(2), dim=-1) / _SHARPNESS


def _at_least_single(logits: Tensor) -> Tensor:
    """Sums over thousands of cells lose the answer in half precision."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
