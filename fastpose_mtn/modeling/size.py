"""The size of a network: parameters and multiply-additions of its parts."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

with warnings.catch_warnings():
    # fvcore scripts a loss when it is imported, of which torch warns; neither concerns a count
    warnings.simplefilter("ignore", FutureWarning)
    from fvcore.nn import FlopCountAnalysis
    from fvcore.nn.jit_handles import get_shape


@dataclass(frozen=True)
class Part:
    """One part of the network.

    Attributes:
        name: what it is called in the table.
        parameters: how many, without the identities' classifier.
        operations: multiply-additions of one run: of one image, or of one box.
        runs: how often it runs for an image.
    """

    name: str
    parameters: int
    operations: float
    runs: int

    @property
    def total(self) -> float:
        """Multiply-additions of all runs of the part together."""
        return self.operations * self.runs


@dataclass(frozen=True)
class NetworkSize:
    """What a network is made of.

    Attributes:
        title: which network, and what its parts are counted for, such as the image's size.
        parts: in order.
        paper: 10^6 parameters and 10^9 multiply-additions that a paper states of it; None: none does.
    """

    title: str
    parts: Sequence[Part]
    paper: tuple[float, float] | None = None


def parameters_of(module: nn.Module) -> int:
    """How many there are, without the identities' classifier."""
    return sum(p.numel() for name, p in module.named_parameters() if "classifier." not in name)


def operations_of(module: nn.Module, *inputs: Tensor) -> float:
    """Multiply-additions of the convolutions and matrix products of one forward pass, as fvcore counts them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        count = (
            FlopCountAnalysis(module, inputs).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        )
        count.set_op_handle("torchvision::deform_conv2d", _deformable_operations)
        return float(count.total())


def _deformable_operations(inputs: Sequence[object], outputs: Sequence[object]) -> float:
    """Those of the convolution, without the interpolation of what its taps read; of an operator's traced values."""
    weight, made = get_shape(inputs[1]), get_shape(outputs[0])
    return float(math.prod(made) * math.prod(weight[1:]))
