"""Device and floating-point precision: what the user asks for, what the machine can, and layers that stay exact."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from fastpose_mtn.runtime.compat import cpu_computes_in
from fastpose_mtn.runtime.fuse import NORMS

# how far rounding may move what a normalisation gives, in its standard deviations
_MAX_SHIFT = 1 / 8
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_device(device: str) -> torch.device:
    """The device of a name: auto (CUDA where there is one), cpu, cuda or cuda:N.

    Raises:
        ValueError: the name is unknown, or there is no such device here.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return torch.device("cuda" if count else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError:
        resolved = torch.device("meta")
    if resolved.type not in ("cpu", "cuda"):
        raise ValueError(f"device {device!r}: choose from auto, cpu, cuda")
    if resolved.type == "cuda" and (resolved.index or 0) >= count:
        raise ValueError(f"device {device!r}: there are {count} CUDA devices here; use cpu, or auto")
    return resolved


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """The type that convolutions compute in, of a name: auto, fp32, bf16 or fp16.

    Raises:
        ValueError: the name is unknown, or the device cannot.
    """
    if precision == "auto":
        if device.type == "cpu":
            return torch.bfloat16 if cpu_computes_in("bf16") else torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if precision not in _DTYPES:
        raise ValueError(f"precision {precision!r}: choose from auto, {', '.join(_DTYPES)}")
    if precision == "fp16" and device.type == "cpu" and not cpu_computes_in("fp16"):
        raise ValueError("precision 'fp16': this CPU does not compute in it; use auto, bf16 or fp32")
    return _DTYPES[precision]


class Float32Layer(nn.Module):
    """A layer, or layers, computed in float32, whatever autocast has those around it compute in.

    Args:
        layer: has one input; a module that holds others computes all of them in float32.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """What the layer gives, float32."""
        with torch.autocast(x.device.type, enabled=False):
            # in an exported graph a conversion of what is float32 already would be a step outside this layer, and round
            return self.layer(x if x.dtype == torch.float32 else x.float())


def cancelling_parts(trunk: nn.Module, dtype: torch.dtype) -> list[str]:
    """Names of the parts of a network's trunk that need float32, as rounding to ``dtype`` would change what they give.

    A normalisation takes a channel's mean away and divides by its standard deviation. Where the mean is many
    deviations, the difference of two large numbers is left, and of their digits few: timm's MobileNet-V2 has a
    channel whose mean is 1,555 deviations, which bfloat16's 8 bits round by six, in its second stage. What such a
    normalisation reads, all that ran before it, keeps its digits too, and so does the rest of its part.

    Args:
        trunk: its normalisations are not folded yet. Children, and a sequence's own children, are declared in the
            order in which they run, as in timm's extractors of features.
        dtype: that the rest is computed in.

    Returns:
        The first parts, up to the last one with such a normalisation; nothing in most networks.
    """
    parts: list[str] = []
    for name, child in trunk.named_children():
        inner = (
            [f"{name}.{key}" for key, _ in child.named_children()] if isinstance(child, nn.Sequential) else []
        )
        parts += inner or [name]
    last = max((i for i, part in enumerate(parts) if _cancels(trunk.get_submodule(part), dtype)), default=-1)
    return parts[: last + 1]


def _cancels(part: nn.Module, dtype: torch.dtype) -> bool:
    """Whether rounding to ``dtype`` what a normalisation of this part reads would shift what it gives."""
    for norm in part.modules():
        if isinstance(norm, NORMS) and isinstance(norm.running_mean, Tensor):
            mean, variance, scale = (
                getattr(norm, name) for name in ("running_mean", "running_var", "weight")
            )
            deviation = (variance + norm.eps).sqrt()
            # of what it gives: a channel with a small scale hardly counts
            size = scale.square().mean().sqrt()
            shift = torch.finfo(dtype).eps / 2 * ((mean / deviation).abs() * (scale / size).abs()).max()
            if bool(shift > _MAX_SHIFT):
                return True
    return False


def keep_float32(module: nn.Module, names: Iterable[str]) -> None:
    """Replaces, in place, each named submodule by a ``Float32Layer`` of it."""
    for name in names:
        parent, _, child = name.rpartition(".")
        setattr(module.get_submodule(parent), child, Float32Layer(module.get_submodule(name)))


def convert_weights(module: nn.Module, dtype: torch.dtype) -> None:
    """Converts, in place, the weights that autocast would convert in every call; not those in a ``Float32Layer``."""
    if isinstance(module, Float32Layer):
        return
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        for parameter in module.parameters(recurse=False):
            parameter.data = parameter.data.to(dtype)
    for child in module.children():
        convert_weights(child, dtype)
