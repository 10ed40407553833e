import logging
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
import torch
from torch import nn

from fastpose_mtn.config import get_cfg
from fastpose_mtn.data.loader import LoadFailure, collate
from fastpose_mtn.data.sample import TrainingSample
from fastpose_mtn.engine.module import TrainingModule
from fastpose_mtn.structures import PersonTargets


class Network(nn.Linear):
    loss_tasks = MappingProxyType({"loss_cls": "boxes"})

    def __init__(self):
        super().__init__(1, 1)

    def losses(self, batch):
        return {"loss_cls": self.weight.sum()}


@pytest.fixture
def module():
    return TrainingModule(get_cfg(), Network(), seed=0, make_loader=lambda *_: None)


SAMPLE = TrainingSample(torch.from_numpy(np.zeros((3, 4, 4), np.uint8)), PersonTargets.empty(15))


def test_an_unreadable_image_stops_training_and_names_the_ways_out(module):
    batch = collate([SAMPLE, LoadFailure("dataset mine: a.jpg: cut short")])
    with pytest.raises(
        ValueError, match=r"mine: a\.jpg: cut short; .*data\.check .* DATALOADER\.SKIP_BAD_IMAGES True"
    ):
        module.on_before_batch_transfer(batch, 0)


def test_images_left_out_are_told_and_counted(module, caplog):
    batch = collate([SAMPLE, replace(SAMPLE, left_out=("a.jpg: cut short", "b.jpg: gone"))])
    with caplog.at_level(logging.WARNING, "fastpose_mtn"):
        assert len(module.on_before_batch_transfer(batch, 0)) == 2
    assert caplog.messages == ["left out a.jpg: cut short (1 so far)", "left out b.jpg: gone (2 so far)"]
    assert module.images_left_out == 2


def test_a_network_that_cannot_be_trained_is_refused():
    with pytest.raises(TypeError, match="model: expected a TrainableNetwork, got Linear"):
        TrainingModule(get_cfg(), nn.Linear(1, 1), seed=0, make_loader=lambda *_: None)


def test_a_step_is_made_by_hand(module):
    """Gradients of a step's parts add up; automatic optimisation knows of one backward pass."""
    assert not module.automatic_optimization
