"""A network as it runs at its fastest: copied, fused, in the precision that is asked for."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import torch
from torch import nn

from fastpose_mtn.runtime.absorb import float32_parts
from fastpose_mtn.runtime.fuse import fuse
from fastpose_mtn.runtime.memory import keep_freed_memory
from fastpose_mtn.runtime.precision import convert_weights, keep_float32

Network = TypeVar("Network", bound=nn.Module)
# the layers of a fused network that stay in float32: modules with the names of their layers
ExactLayers = Iterable[tuple[nn.Module, Iterable[str]]]


def at_its_fastest(
    network: Network,
    *,
    device: torch.device,
    dtype: torch.dtype,
    trunks: Callable[[Network], Sequence[nn.Module]],
    exact: Callable[[Network], ExactLayers],
) -> Network:
    """A copy without gradients, on a device.

    Batch normalisation is folded into convolutions, and weights are kept in the precision that is used.

    Args:
        network: is left as it is, so that training may go on with it.
        device: where it runs.
        dtype: that it computes in.
        trunks: its extractors of features, whose parts that rounding would change stay in float32.
        exact: of the fused copy, what else stays so, whatever ``dtype`` is.
    """
    if device.type == "cpu":
        keep_freed_memory()
    own = copy.deepcopy(network).eval().requires_grad_(False)
    cancelling = [float32_parts(trunk, dtype) for trunk in trunks(own)]
    own = fuse(own, activations=device.type == "cpu").to(device)
    if dtype != torch.float32:
        for trunk, parts in zip(trunks(own), cancelling, strict=True):
            keep_float32(trunk, parts)
        for module, names in exact(own):
            keep_float32(module, names)
        convert_weights(own, dtype)
    return own


def converted_autocast(device: torch.device, dtype: torch.dtype) -> contextlib.AbstractContextManager[None]:
    """What a network of ``at_its_fastest`` computes within."""
    if dtype == torch.float32:
        return contextlib.nullcontext()
    # weights are converted already, and a CUDA graph must not rely on a cache that is emptied
    return torch.autocast(device.type, dtype, cache_enabled=False)
