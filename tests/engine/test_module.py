import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from fastpose_mtn.config import get_cfg
from fastpose_mtn.data.loader import LoadFailure
from fastpose_mtn.data.sample import TrainingSample
from fastpose_mtn.engine.module import TrainingModule
from fastpose_mtn.structures import PersonTargets


@pytest.fixture
def module():
    return TrainingModule(get_cfg(), nn.Linear(1, 1), seed=0, make_loader=lambda *_: None)


SAMPLE = TrainingSample(torch.from_numpy(np.zeros((3, 4, 4), np.uint8)), PersonTargets.empty(15))


def test_an_unreadable_image_stops_training_and_names_the_ways_out(module):
    batch = [SAMPLE, LoadFailure("dataset mine: a.jpg: cut short")]
    with pytest.raises(
        ValueError, match=r"mine: a\.jpg: cut short; .*data\.check .* DATALOADER\.SKIP_BAD_IMAGES True"
    ):
        module.transfer_batch_to_device(batch, torch.device("cpu"), 0)


def test_images_left_out_are_told_and_counted(module, caplog):
    batch = [SAMPLE, replace(SAMPLE, left_out=("a.jpg: cut short", "b.jpg: gone"))]
    with caplog.at_level(logging.WARNING, "fastpose_mtn"):
        images, targets, tasks = module.transfer_batch_to_device(batch, torch.device("cpu"), 0)
    assert [len(part) for part in (images, targets, tasks)] == [2, 2, 2]
    assert caplog.messages == ["left out a.jpg: cut short (1 so far)", "left out b.jpg: gone (2 so far)"]
    assert module.images_left_out == 2
