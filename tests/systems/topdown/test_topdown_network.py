"""Losses of a batch of crops."""

import numpy as np
import pytest
import torch
from tiny_topdown import crop_batch, topdown_config

from fastpose_mtn.build import build_network
from fastpose_mtn.system_protocols import TrainableNetwork


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build_network(topdown_config())


@pytest.mark.parametrize("loss", ["cross_entropy", "integral", "heatmap"])
def test_losses_train_every_part(loss):
    torch.manual_seed(0)
    weight = "0.0" if loss == "heatmap" else "0.25"
    options = ("MODEL.TOPDOWN.LOSS", loss, "MODEL.TOPDOWN.VISIBILITY_LOSS_WEIGHT", weight)
    network = build_network(topdown_config(*options))
    assert isinstance(network, TrainableNetwork)
    losses = network.losses(crop_batch())
    assert set(losses) <= set(network.loss_tasks)
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in network.parameters())
    assert network.upsampler.output.weight.grad.abs().max() > 0


@pytest.mark.parametrize("without", [{"v": 0}, {"ignore": True}, {"tasks": frozenset()}])
def test_who_trains_nothing_has_gradients_of_exactly_zero(network, without):
    losses = network.losses(crop_batch(**without))
    assert all(loss.item() == 0 for loss in losses.values())
    sum(losses.values()).backward()
    assert all(p.grad.abs().max() == 0 for p in network.parameters())


def test_confidences_learn_which_joints_are_hidden():
    """Steps on one crop whose even joints are hidden: their confidences fall, the others' rise."""
    torch.manual_seed(0)
    network = build_network(topdown_config("MODEL.TOPDOWN.VISIBILITY_LOSS_WEIGHT", "1.0"))
    one = crop_batch(2)
    for target in one.targets:
        target.keypoints[:, ::2, 2] = 1
    optimizer = torch.optim.Adam(network.parameters(), 0.003)
    for _ in range(80):
        optimizer.zero_grad()
        sum(network.losses(one).values()).backward()
        optimizer.step()
    with torch.no_grad():
        joints = network.decode(network(torch.stack(one.images)), torch.full((2, 2), 8.0))
    assert joints.confidences[:, 1::2].min() > joints.confidences[:, ::2].max()


def test_channels_may_come_in_the_other_order():
    rgb, bgr = (build_network(topdown_config("INPUT.FORMAT", form)) for form in ("RGB", "BGR"))
    pixels = torch.zeros(1, 3, 64, 32)
    pixels[:, 0] = 255
    assert rgb.preprocess(pixels)[0, :, 0, 0].argmax() == 0
    assert bgr.preprocess(pixels)[0, :, 0, 0].argmax() == 2


def test_targets_and_crops_that_do_not_fit(network):
    with pytest.raises(
        ValueError, match="target 0: expected one person with the 19 joints of PERSON19, got 1 with 17"
    ):
        network.losses(crop_batch(joints=17))
    with pytest.raises(ValueError, match="crop 0 is 32x64, expected 64x32"):
        network.losses(crop_batch(size=(32, 64)))
    assert np.prod(network.map_size_hw) == 16 * 8
