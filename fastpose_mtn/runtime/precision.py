"""Which device computes, and in what."""

from __future__ import annotations

import torch

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_device(device: str) -> torch.device:
    """auto: CUDA where there is one.

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
    """What the convolutions compute in.

    Raises:
        ValueError: the name is unknown, or the device cannot.
    """
    if precision == "auto":
        if device.type == "cpu":
            return torch.bfloat16 if _cpu_computes_in("bf16") else torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if precision not in _DTYPES:
        raise ValueError(f"precision {precision!r}: choose from auto, {', '.join(_DTYPES)}")
    if precision == "fp16" and device.type == "cpu" and not _cpu_computes_in("fp16"):
        raise ValueError("precision 'fp16': this CPU does not compute in it; use auto, bf16 or fp32")
    return _DTYPES[precision]


def _cpu_computes_in(precision: str) -> bool:
    """Has the CPU instructions for it? Not every PyTorch has oneDNN, which knows."""
    supported = getattr(torch.ops.mkldnn, f"_is_mkldnn_{precision}_supported", None)
    return supported is not None and supported()
