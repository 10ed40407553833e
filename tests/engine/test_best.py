import json
import logging
import math
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from fastpose_mtn.config import get_cfg
from fastpose_mtn.engine.best import BestWeights
from fastpose_mtn.engine.checkpoints import TrainingFolder


@pytest.fixture
def module():
    model = nn.Linear(1, 1)

    @contextmanager
    def averaged_weights():
        yield model

    return SimpleNamespace(model=model, averaged_weights=averaged_weights)


def weight(folder):
    return load_file(folder / "model_best.safetensors")["weight"].item()


def test_the_best_weights_stay_and_a_resumed_run_knows_them(tmp_path, module):
    best = BestWeights(TrainingFolder(tmp_path, get_cfg(), kept=1), "keypoint/AP")

    def offer(best, step, *values):
        with torch.no_grad():
            module.model.weight.fill_(step)
        return best.offer(module, step, {f"set{i}/keypoint/AP": v for i, v in enumerate(values)})

    assert offer(best, 1, 0.2, 0.4)
    assert not offer(best, 2, 0.5, 0.1)  # on average no better than 0.3
    assert weight(tmp_path) == 1
    assert offer(best, 3, 0.4, math.nan)  # what could not be measured does not count
    assert json.loads((tmp_path / "best.json").read_text()) == {
        "metric": "keypoint/AP",
        "value": 0.4,
        "step": 3,
    }
    again = BestWeights(TrainingFolder(tmp_path, get_cfg(), kept=1), "keypoint/AP")
    assert not offer(again, 4, 0.35)
    assert offer(again, 3, 0.4)  # the same step again, as after a kill between the two files
    assert weight(tmp_path) == 3


def test_the_fewest_switches_are_best(tmp_path, module):
    best = BestWeights(TrainingFolder(tmp_path, get_cfg(), kept=1), "posetrack/num_switches")
    kept = [
        best.offer(module, step, {"a/posetrack/num_switches": n}) for step, n in enumerate((9.0, 12.0, 3.0))
    ]
    assert kept == [True, False, True]


def test_a_metric_that_is_not_there_is_told(tmp_path, module, caplog):
    best = BestWeights(TrainingFolder(tmp_path, get_cfg(), kept=1), "box/APP")
    with caplog.at_level(logging.WARNING, "fastpose_mtn"):
        assert not best.offer(module, 1, {"a/b/box/AP": 0.1, "a/b/box/AR": 0.2})
    assert caplog.messages == ["TEST.BEST_METRIC box/APP: nothing measured; there are box/AP, box/AR"]
    assert not (tmp_path / "model_best.safetensors").exists()
