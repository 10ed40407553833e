"""Optimizer and learning rate, with Detectron2's keys and Detectron2's meaning of them."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import nn

from fastpose_mtn.config import CfgNode

SCHEDULES = ("WarmupMultiStepLR", "WarmupCosineLR", "WarmupLinearLR")
_NORMS = (
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.GroupNorm, nn.LayerNorm,
    nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d,
)  # fmt: skip


def build_optimizer(cfg: CfgNode, model: nn.Module) -> torch.optim.Optimizer:
    """SGD, AdamW or Adam over the parameters that are not frozen."""
    solver = cfg.SOLVER
    groups = parameter_groups(
        model,
        weight_decay=solver.WEIGHT_DECAY,
        weight_decay_norm=solver.WEIGHT_DECAY_NORM,
        weight_decay_bias=solver.WEIGHT_DECAY_BIAS,
    )
    if solver.OPTIMIZER == "sgd":
        return torch.optim.SGD(groups, solver.BASE_LR, momentum=solver.MOMENTUM, nesterov=solver.NESTEROV)
    if solver.OPTIMIZER == "adamw":
        return torch.optim.AdamW(groups, solver.BASE_LR)
    if solver.OPTIMIZER == "adam":
        return torch.optim.Adam(groups, solver.BASE_LR)
    raise ValueError(f"SOLVER.OPTIMIZER: expected sgd, adamw or adam, got {solver.OPTIMIZER!r}")


def parameter_groups(
    model: nn.Module, *, weight_decay: float, weight_decay_norm: float, weight_decay_bias: float | None
) -> list[dict]:
    """Trainable parameters by their weight decay; a bias of a norm counts as the norm's.

    Args:
        model: the network.
        weight_decay: of everything that is neither a norm nor a bias.
        weight_decay_norm: of the parameters of norms, such as ``BatchNorm2d``.
        weight_decay_bias: of biases; None: as ``weight_decay``.

    Returns:
        An optimizer's groups.

    Raises:
        ValueError: every parameter is frozen.
    """
    bias_decay = weight_decay if weight_decay_bias is None else weight_decay_bias
    by_decay: dict[float, list[nn.Parameter]] = {}
    seen: set[nn.Parameter] = set()
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad or parameter in seen:
                continue
            seen.add(parameter)
            decay = (
                weight_decay_norm
                if isinstance(module, _NORMS)
                else bias_decay
                if name == "bias"
                else weight_decay
            )
            by_decay.setdefault(float(decay), []).append(parameter)
    if not by_decay:
        raise ValueError("the network has no trainable parameters; lower MODEL.BACKBONE.FREEZE_AT")
    return [{"params": parameters, "weight_decay": decay} for decay, parameters in by_decay.items()]


def learning_rate_factor(cfg: CfgNode) -> Callable[[int], float]:
    """The learning rate's schedule: maps a step to a multiple of ``SOLVER.BASE_LR``.

    Raises:
        ValueError: ``SOLVER`` names no schedule or no warm-up that there is.
    """
    solver = cfg.SOLVER
    name = solver.LR_SCHEDULER_NAME
    if name not in SCHEDULES:
        raise ValueError(f"SOLVER.LR_SCHEDULER_NAME: expected one of {', '.join(SCHEDULES)}, got {name!r}")
    if solver.WARMUP_METHOD not in ("linear", "constant"):
        raise ValueError(f"SOLVER.WARMUP_METHOD: expected linear or constant, got {solver.WARMUP_METHOD!r}")
    starts, firsts = _restarts(cfg)

    def plain(step: float) -> float:
        cycle = bisect_right(starts, step) - 1
        start, first = starts[cycle], firsts[cycle]
        if name == "WarmupMultiStepLR":
            steps = [s for s in solver.STEPS if s > start] if cycle else solver.STEPS
            return first * multistep(step, steps=steps, gamma=solver.GAMMA)
        end = solver.BASE_LR_END / solver.BASE_LR / first
        length = (*starts, solver.MAX_ITER)[cycle + 1] - start
        schedule = cosine if name == "WarmupCosineLR" else straight
        return first * schedule(step - start, max_steps=length, end=end)

    def factor(step: int) -> float:
        if step >= solver.WARMUP_ITERS:
            return plain(step)
        first = solver.WARMUP_FACTOR * plain(0)
        if solver.WARMUP_METHOD == "constant":
            return first
        # As fvcore's composite scheduler: straight from the first value to the schedule's own at the end.
        share = step / solver.WARMUP_ITERS
        return first + (plain(solver.WARMUP_ITERS) - first) * share

    return factor


def _restarts(cfg: CfgNode) -> tuple[list[int], list[float]]:
    """The steps at which the schedule begins, 0 and those of ``SOLVER.RESTARTS``, and the factors that it begins with.

    Raises:
        ValueError: they are not pairs of rising steps before the end and factors above 0.
    """
    pairs = [tuple(pair) if isinstance(pair, (list, tuple)) else () for pair in cfg.SOLVER.RESTARTS]
    starts, firsts = [0, *(pair[0] for pair in pairs if pair)], [1.0, *(pair[-1] for pair in pairs if pair)]
    valid = all(
        len(pair) == 2 and isinstance(pair[0], int) and isinstance(pair[1], (int, float)) and pair[1] > 0
        for pair in pairs
    )
    if not valid or (pairs and any(a >= b for a, b in pairwise((*starts, cfg.SOLVER.MAX_ITER)))):
        raise ValueError(
            f"SOLVER.RESTARTS: expected [[step, factor], ...] with rising steps between 0 and MAX_ITER "
            f"{cfg.SOLVER.MAX_ITER} and factors above 0, got {list(cfg.SOLVER.RESTARTS)}"
        )
    return starts, firsts


def multistep(step: float, *, steps: Sequence[int], gamma: float) -> float:
    """``gamma`` to the power of how many of ``steps`` have been reached."""
    return gamma ** bisect_right(sorted(steps), step)


def cosine(step: float, *, max_steps: int, end: float) -> float:
    """From 1 at step 0 to ``end`` at ``max_steps`` along half a cosine."""
    share = min(step / max_steps, 1.0)
    return end + (1.0 - end) * 0.5 * (1.0 + math.cos(math.pi * share))


def straight(step: float, *, max_steps: int, end: float) -> float:
    """From 1 at step 0 to ``end`` at ``max_steps`` in a straight line."""
    return 1.0 + (end - 1.0) * min(step / max_steps, 1.0)


def clip_gradients(parameters: Sequence[nn.Parameter], *, kind: str, value: float, norm_type: float) -> None:
    """Detectron2's clipping: ``value`` each number, ``norm`` each parameter's, ``full_model`` the whole norm."""
    used = [p for p in parameters if p.grad is not None]
    if not used:
        return
    if kind == "value":
        nn.utils.clip_grad_value_(used, value)
    elif kind == "full_model":
        nn.utils.clip_grad_norm_(used, value, norm_type=norm_type)
    elif kind == "norm":
        for parameter in used:
            nn.utils.clip_grad_norm_(parameter, value, norm_type=norm_type)
    else:
        raise ValueError(f"SOLVER.CLIP_GRADIENTS.CLIP_TYPE: expected value, norm or full_model, got {kind!r}")
