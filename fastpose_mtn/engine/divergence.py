"""A training that has diverged, told in the same words under either engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch

from fastpose_mtn.errors import InputError


def check_finite(losses: Mapping[str, torch.Tensor], total: torch.Tensor) -> None:
    """Ends the training where the losses are no longer finite numbers.

    Args:
        losses: scalars by name, named in the message.
        total: what they make together.

    Raises:
        FloatingPointError: the total is not finite.
    """
    if torch.isfinite(total):  # a GPU is waited for here once, not once a loss
        return
    bad = [f"{name} = {loss.item()}" for name, loss in losses.items() if not torch.isfinite(loss)]
    raise FloatingPointError(f"{', '.join(bad) or 'the sum of the losses'} is not finite")


@contextmanager
def divergence_told(step: Callable[[], int]) -> Iterator[None]:
    """Makes of a ``FloatingPointError``, which losses and networks raise, what a user can do about it.

    Args:
        step: how many steps there have been, asked when it happens.

    Raises:
        InputError: numbers are not finite.
    """
    try:
        yield
    except FloatingPointError as error:
        raise InputError(
            f"step {step()}: training has diverged: {' '.join(str(error).split()).rstrip('.')}; the last checkpoint is "
            f"kept. Lower SOLVER.BASE_LR, set SOLVER.CLIP_GRADIENTS.ENABLED True, or train without SOLVER.AMP"
        ) from error
