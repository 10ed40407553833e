"""A network as it runs at its fastest: copied, fused, in the precision that is asked for."""

from __future__ import annotations

import contextlib
import copy
from typing import TypeVar

import torch

from fastpose_mtn.modeling.image_network import ImageNetwork
from fastpose_mtn.runtime.absorb import float32_parts
from fastpose_mtn.runtime.fuse import fuse
from fastpose_mtn.runtime.memory import keep_freed_memory
from fastpose_mtn.runtime.precision import convert_weights, keep_float32

Network = TypeVar("Network", bound=ImageNetwork)


def folded(network: Network, dtype: torch.dtype, *, activations: bool = False) -> Network:
    """A copy in float32, without gradients, whose normalisation is folded into convolutions.

    Args:
        network: is left as it is, so that training may go on with it.
        dtype: that it will be computed in; parts of ``trunks`` that rounding to it would change are kept in float32.
        activations: see ``runtime.fuse.fuse``.
    """
    own = copy.deepcopy(network).float().eval().requires_grad_(False)
    parts = [float32_parts(trunk, dtype) for trunk in own.trunks]
    own = fuse(own, activations=activations)
    if dtype != torch.float32:
        for trunk, names in zip(own.trunks, parts, strict=True):
            keep_float32(trunk, names)
    return own


def at_its_fastest(network: Network, *, device: torch.device, dtype: torch.dtype) -> Network:
    """A copy without gradients, on a device, see ``folded``, its weights in the precision that is used.

    Args:
        network: is left as it is; its ``exact_layers`` stay in float32.
        device: where it runs.
        dtype: that it computes in.
    """
    if device.type == "cpu":
        keep_freed_memory()
    own = folded(network, dtype, activations=device.type == "cpu").to(device)
    if dtype != torch.float32:
        keep_float32(own, own.exact_layers)
        convert_weights(own, dtype)
    return own


def converted_autocast(device: torch.device, dtype: torch.dtype) -> contextlib.AbstractContextManager[None]:
    """What a network of ``at_its_fastest`` computes within."""
    if dtype == torch.float32:
        return contextlib.nullcontext()
    # weights are converted already, and a CUDA graph must not rely on a cache that is emptied
    return torch.autocast(device.type, dtype, cache_enabled=False)
