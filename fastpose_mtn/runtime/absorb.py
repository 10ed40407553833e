"""Takes a constant out of the way of a normalisation that would subtract it: the same numbers, with more of their digits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastpose_mtn.runtime.fuse import NORMS
from fastpose_mtn.runtime.precision import cancelling_parts


def float32_parts(trunk: nn.Module, dtype: torch.dtype) -> list[str]:
    """``cancelling_parts``, of which the last is spared where its normalisation can be relieved, in place.

    An inverted residual block reads what a normalisation without activation gives. That one's shift, a constant a channel,
    goes through the block's 1x1 convolution as another constant, and the normalisation behind it subtracts that again.
    Left out of the first and taken from the mean of the second it changes nothing, and nothing large is rounded any more:
    in timm's MobileNet-V2 a channel's mean of 1,555 deviations becomes one of half a deviation. The parts before keep
    float32 all the same: what they round goes through all that follow.

    Args:
        trunk: see ``cancelling_parts``.
        dtype: that the rest is computed in.

    Returns:
        Names of the parts that need float32.
    """
    parts = cancelling_parts(trunk, dtype)
    if len(parts) < 2 or parts[-2] in _parts_that_leave(trunk):
        return parts
    before, after = (trunk.get_submodule(name) for name in parts[-2:])
    if not (isinstance(before, nn.Sequential) and isinstance(after, nn.Sequential)):
        return parts
    shift, reader = _shift(before[-1]), _reader(after[0])
    if shift is None or reader is None:
        return parts
    convolution, norm = reader
    with torch.no_grad():
        constant = convolution.weight[:, :, 0, 0].double() @ shift.double()
        norm.get_buffer("running_mean").sub_(constant)
        shift.zero_()
    return parts[:-1] if cancelling_parts(trunk, dtype) != parts else parts


def _parts_that_leave(trunk: nn.Module) -> list[str]:
    """Names of the parts whose results others read too."""
    info = getattr(trunk, "feature_info", None)
    return [] if info is None else info.module_name()


def _layers(block: nn.Module) -> list[nn.Module]:
    """A block's layers that do something, in the order in which they run; none where a shortcut passes them by."""
    layers = [layer for layer in block.children() if not isinstance(layer, nn.Identity)]
    return [] if getattr(block, "has_skip", True) else layers


def _shift(block: nn.Module) -> Tensor | None:
    """What a block's last normalisation adds to each channel; None where it has none, or an activation follows."""
    last = (_layers(block) or [block])[-1]
    linear = isinstance(last, NORMS) and isinstance(getattr(last, "act", None), nn.Identity)
    return last.bias if linear and isinstance(last.bias, Tensor) else None


def _reader(block: nn.Module) -> tuple[nn.Conv2d, nn.Module] | None:
    """A block's first convolution and the normalisation behind it, where it is 1x1 and nothing else reads the same."""
    layers = _layers(block)
    if len(layers) < 2 or not isinstance(layers[0], nn.Conv2d) or not isinstance(layers[1], NORMS):
        return None
    convolution = layers[0]
    plain = convolution.kernel_size == (1, 1) and convolution.padding == (0, 0) and convolution.groups == 1
    return (convolution, layers[1]) if plain else None
