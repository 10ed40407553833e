import math

import pytest
import torch

from fastpose_mtn.engine.uncertainty import UncertaintyWeights
from fastpose_mtn.systems.mtn.network import MTN

LOSSES = {name: torch.tensor(float(i)) for i, name in enumerate(MTN.loss_tasks, start=1)}  # 1+2+3+4, 5+6, 7
ALL = frozenset({"boxes", "keypoints", "identities"})


def test_training_begins_with_the_losses_as_they_are():
    assert UncertaintyWeights(MTN.loss_tasks)(LOSSES, [ALL]).item() == sum(range(1, 8))


def test_the_formula_and_its_gradient_by_hand():
    weighting = UncertaintyWeights(MTN.loss_tasks)
    with torch.no_grad():
        weighting.log_variance.copy_(torch.tensor([math.log(2.0), 0.0, math.log(4.0)]))
    total = weighting(LOSSES, [frozenset({"boxes"}), ALL])
    assert total.item() == pytest.approx(10 / 2 + 11 + 7 / 4 + (math.log(2) + math.log(4)) / 2)
    total.backward()
    assert weighting.log_variance.grad.tolist() == pytest.approx([-10 / 2 + 0.5, -11 + 0.5, -7 / 4 + 0.5])
    assert weighting.weights() == pytest.approx(
        {"weight_boxes": 0.5, "weight_keypoints": 1, "weight_identities": 0.25}
    )


def test_a_task_that_no_image_trains_adds_nothing():
    weighting = UncertaintyWeights(MTN.loss_tasks)
    losses = {**LOSSES, "loss_reid": torch.zeros((), requires_grad=True)}
    weighting(losses, [frozenset({"boxes", "keypoints"})]).backward()
    assert weighting.log_variance.grad[2] == 0
    assert losses["loss_reid"].grad == 0


def test_the_tasks_are_those_of_the_network():
    weighting = UncertaintyWeights({"loss_heatmap": "keypoints", "loss_part": "keypoints"})
    assert weighting.tasks == ("keypoints",)
    losses = {"loss_heatmap": torch.tensor(2.0), "loss_part": torch.tensor(3.0)}
    assert weighting(losses, [frozenset({"keypoints"})]).item() == 5.0
