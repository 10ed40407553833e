import math

import pytest
import torch
from torch import nn

from fastpose_mtn.config import get_cfg
from fastpose_mtn.engine.solver import (
    build_optimizer,
    clip_gradients,
    cosine,
    learning_rate_factor,
    multistep,
    parameter_groups,
)


def config(**solver):
    cfg = get_cfg()
    cfg.merge_from_list([x for key, value in solver.items() for x in (f"SOLVER.{key}", value)])
    return cfg


def test_multistep_drops_at_each_step():
    assert [multistep(s, steps=(10, 20), gamma=0.1) for s in (0, 9, 10, 19)] == [1, 1, 0.1, 0.1]
    assert multistep(20, steps=(10, 20), gamma=0.1) == pytest.approx(0.01)


def test_cosine_by_hand():
    assert cosine(0, max_steps=100, end=0.2) == 1.0
    assert cosine(50, max_steps=100, end=0.2) == pytest.approx(0.6)  # half way between 1 and 0.2
    assert cosine(25, max_steps=100, end=0.0) == pytest.approx(0.5 + math.sqrt(0.125))
    assert cosine(100, max_steps=100, end=0.2) == pytest.approx(0.2)
    assert cosine(130, max_steps=100, end=0.2) == pytest.approx(0.2)


def test_linear_warm_up_meets_the_schedule():
    # Detectron2's: from factor x first value straight to the schedule's own value at the end.
    factor = learning_rate_factor(
        config(LR_SCHEDULER_NAME="WarmupCosineLR", MAX_ITER=100, WARMUP_ITERS=20, WARMUP_FACTOR=0.1)
    )
    end = 0.5 * (1 + math.cos(math.pi * 0.2))
    assert factor(0) == pytest.approx(0.1)
    assert factor(5) == pytest.approx(0.1 + (end - 0.1) / 4)
    assert factor(20) == pytest.approx(end)
    assert factor(100) == pytest.approx(0, abs=1e-12)


def test_a_straight_line_to_the_end():
    factor = learning_rate_factor(
        config(LR_SCHEDULER_NAME="WarmupLinearLR", BASE_LR=0.2, BASE_LR_END=0.02, MAX_ITER=100, WARMUP_ITERS=10,
               WARMUP_FACTOR=0.1)
    )  # fmt: skip
    assert factor(0) == pytest.approx(0.1)
    assert factor(5) == pytest.approx(0.1 + (0.91 - 0.1) / 2)
    assert [factor(step) for step in (10, 50, 100, 120)] == pytest.approx([0.91, 0.55, 0.1, 0.1])


def test_constant_warm_up_and_steps():
    factor = learning_rate_factor(
        config(
            WARMUP_METHOD="constant", WARMUP_ITERS=5, WARMUP_FACTOR=0.25, STEPS=(8,), GAMMA=0.5, MAX_ITER=10
        )
    )
    assert [factor(step) for step in (0, 4, 5, 7, 8)] == [0.25, 0.25, 1.0, 1.0, 0.5]


def test_restarts_begin_the_schedule_anew():
    drops = {"RESTARTS": [[20, 1.0], [30, 0.5]], "STEPS": (8, 24, 34), "MAX_ITER": 40, "WARMUP_ITERS": 0}
    factor = learning_rate_factor(config(**drops))
    wanted = {
        0: 1,
        7: 1,
        8: 0.1,
        19: 0.1,
        20: 1,
        23: 1,
        24: 0.1,
        29: 0.1,
        30: 0.5,
        33: 0.5,
        34: 0.05,
        39: 0.05,
    }
    assert {step: factor(step) for step in wanted} == pytest.approx(wanted)
    for name, middle in (("WarmupCosineLR", 0.5), ("WarmupLinearLR", 0.5)):
        factor = learning_rate_factor(config(**drops, LR_SCHEDULER_NAME=name))
        assert [factor(step) for step in (0, 10, 20, 25, 30, 35, 40)] == pytest.approx(
            [1, middle, 1, middle, 0.5, 0.25, 0]
        )
    ends = config(RESTARTS=[[20, 0.5]], BASE_LR=0.2, BASE_LR_END=0.02, MAX_ITER=40, WARMUP_ITERS=0,
                  LR_SCHEDULER_NAME="WarmupCosineLR")  # fmt: skip
    factor = learning_rate_factor(ends)
    assert [0.2 * factor(step) for step in (20, 30, 40)] == pytest.approx([0.1, 0.06, 0.02])


@pytest.mark.parametrize(
    "restarts", [[20], [[20]], [[0, 1.0]], [[30, 1], [20, 1]], [[40, 1]], [[5, 0]], [["a", 1]]]
)
def test_restarts_that_are_none(restarts):
    with pytest.raises(
        ValueError, match=r"SOLVER\.RESTARTS: expected \[\[step, factor\], \.\.\.\] .* MAX_ITER 40 .* got"
    ):
        learning_rate_factor(config(RESTARTS=restarts, MAX_ITER=40))


def test_the_last_rate_is_given_in_its_own_units():
    factor = learning_rate_factor(
        config(LR_SCHEDULER_NAME="WarmupCosineLR", BASE_LR=0.2, BASE_LR_END=0.05, MAX_ITER=10, WARMUP_ITERS=0)
    )
    assert 0.2 * factor(10) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (
            "LR_SCHEDULER_NAME",
            "expected one of WarmupMultiStepLR, WarmupCosineLR, WarmupLinearLR, got 'none'",
        ),
        ("WARMUP_METHOD", "SOLVER.WARMUP_METHOD: expected linear or constant, got 'none'"),
    ],
)
def test_unknown_schedules(key, text):
    with pytest.raises(ValueError, match=text):
        learning_rate_factor(config(**{key: "none"}))


@pytest.fixture
def network():
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Linear(4, 2), nn.GroupNorm(1, 2))


def test_norms_and_biases_decay_as_told(network):
    groups = parameter_groups(network, weight_decay=0.1, weight_decay_norm=0.0, weight_decay_bias=0.03)
    by_decay = {g["weight_decay"]: [tuple(p.shape) for p in g["params"]] for g in groups}
    assert by_decay == {0.1: [(4, 3, 1, 1), (2, 4)], 0.03: [(4,), (2,)], 0.0: [(4,), (4,), (2,), (2,)]}
    same = parameter_groups(network, weight_decay=0.1, weight_decay_norm=0.1, weight_decay_bias=None)
    assert [g["weight_decay"] for g in same] == [0.1]


def test_frozen_and_shared_parameters_count_once_or_not_at_all(network):
    network[0].requires_grad_(False)
    network.append(network[2])
    groups = parameter_groups(network, weight_decay=0.1, weight_decay_norm=0.0, weight_decay_bias=None)
    assert sum(len(g["params"]) for g in groups) == 6
    with pytest.raises(ValueError, match="no trainable parameters"):
        parameter_groups(
            network.requires_grad_(False), weight_decay=0.1, weight_decay_norm=0.0, weight_decay_bias=None
        )


def test_optimizers(network):
    sgd = build_optimizer(config(OPTIMIZER="sgd", BASE_LR=0.5, MOMENTUM=0.8, NESTEROV=True), network)
    assert isinstance(sgd, torch.optim.SGD)
    assert (sgd.param_groups[0]["lr"], sgd.param_groups[0]["momentum"]) == (0.5, 0.8)
    assert isinstance(build_optimizer(config(OPTIMIZER="adamw"), network), torch.optim.AdamW)
    assert type(build_optimizer(config(OPTIMIZER="adam"), network)) is torch.optim.Adam
    with pytest.raises(ValueError, match="SOLVER.OPTIMIZER: expected sgd, adamw or adam, got 'lion'"):
        build_optimizer(config(OPTIMIZER="lion"), network)


def gradients(kind, value):
    a, b, frozen = (nn.Parameter(torch.zeros(2)) for _ in range(3))
    a.grad, b.grad = torch.tensor([3.0, 4.0]), torch.tensor([0.0, 12.0])
    clip_gradients([a, b, frozen], kind=kind, value=value, norm_type=2.0)
    assert frozen.grad is None
    return a.grad.tolist(), b.grad.tolist()


def test_clipping_by_hand():
    assert gradients("value", 3.5) == ([3.0, 3.5], [0.0, 3.5])
    a, b = gradients("norm", 10.0)  # norms 5 and 12: only the second is too long
    assert a == [3.0, 4.0]
    assert b == pytest.approx([0.0, 10.0])
    a, b = gradients("full_model", 6.5)  # together 13: all halved
    assert a == pytest.approx([1.5, 2.0])
    assert b == pytest.approx([0.0, 6.0])
    with pytest.raises(ValueError, match="expected value, norm or full_model, got 'none'"):
        gradients("none", 1.0)
