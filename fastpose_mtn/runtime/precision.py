"""Device and floating-point precision: what the user asks for, what the machine can, and layers that stay exact."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastpose_mtn.runtime.compat import cpu_computes_in

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
    """A layer that computes in float32, whatever autocast has the layers around it compute in.

    Args:
        layer: has one input.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """What the layer gives, float32."""
        with torch.autocast(x.device.type, enabled=False):
            return self.layer(x.float())


def convert_weights(module: nn.Module, dtype: torch.dtype) -> None:
    """Converts, in place, the weights that autocast would convert in every call; not those in a ``Float32Layer``."""
    if isinstance(module, Float32Layer):
        return
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        for parameter in module.parameters(recurse=False):
            parameter.data = parameter.data.to(dtype)
    for child in module.children():
        convert_weights(child, dtype)
