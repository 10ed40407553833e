"""Freezes all of a network but the parts that are to train."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from torch import nn

from fastpose_mtn.modeling.bottom_up import freeze


def train_only(model: nn.Module, parts: Sequence[str]) -> None:
    """Freezes, in place, all weights and normalisation statistics of a network but those of some parts.

    What lies before the trained parts then costs a forward pass, what lies beside them nothing where the images train
    the parts' tasks only. Normalisation layers are exchanged for others, so it comes before weights are loaded.

    Args:
        model: the network.
        parts: names of modules, such as ``roi_heads.reid_head``; none: everything trains.

    Raises:
        ValueError: there is no such part; the message names the nearest one.
    """
    modules = dict(model.named_modules())
    for part in parts:
        if part not in modules or not part:
            close = [name for name in modules if name.endswith(f".{part}")]
            close += difflib.get_close_matches(part, modules, n=1, cutoff=0.0)
            raise ValueError(
                f"SOLVER.TRAINED_PARTS: the network has no part {part!r}; did you mean {close[0]}?"
            )
    if not parts:
        return
    trained = {id(m) for part in parts for m in modules[part].modules()}
    freeze(model, {id(m) for m in modules.values()} - trained)
