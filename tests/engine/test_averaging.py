import pytest
import torch
from torch import nn

from fastpose_mtn.engine.averaging import WeightAverage


@pytest.fixture
def network():
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1), nn.Linear(1, 1, bias=False))
    with torch.no_grad():
        model[0].weight.fill_(1.0)
        model[2].weight.fill_(5.0)
    model[2].weight.requires_grad_(False)
    return model


def set_weight(model, value):
    with torch.no_grad():
        model[0].weight.fill_(value)


def test_average_by_hand(network):
    average = WeightAverage(network, decay=0.5)
    set_weight(network, 3.0)
    average.update(network)  # (1 + 1) / (10 + 1) = 2/11 is below 0.5: 1 * 2/11 + 3 * 9/11
    first = 29 / 11
    assert average.averaged(network)["0.weight"].item() == pytest.approx(first)
    for _ in range(8):  # (1 + n) / (10 + n) reaches 0.5 at n = 8
        average.update(network)
    set_weight(network, 0.0)
    before = average.averaged(network)["0.weight"].item()
    average.update(network)
    assert average.averaged(network)["0.weight"].item() == pytest.approx(0.5 * before)


def test_running_statistics_are_averaged_and_counters_and_frozen_weights_are_not(network):
    average = WeightAverage(network, decay=0.9)
    network(torch.tensor([[1.0], [3.0]]))
    average.update(network)
    with torch.no_grad():
        network[2].weight.fill_(7.0)
    state, own = average.averaged(network), network.state_dict()
    assert state["1.running_mean"].item() == pytest.approx(own["1.running_mean"].item() * 9 / 11)
    assert state["1.num_batches_tracked"].item() == 1
    assert state["2.weight"].item() == 7.0


def test_the_average_is_lent_to_the_network(network):
    average = WeightAverage(network, decay=0.9)
    set_weight(network, 3.0)
    average.update(network)
    with average.applied(network):
        assert network[0].weight.item() == pytest.approx(29 / 11)
    assert network[0].weight.item() == 3.0


def test_a_failure_leaves_the_network_its_own_weights(network):
    average = WeightAverage(network, decay=0.9)
    set_weight(network, 3.0)

    def fail():
        with average.applied(network):
            raise RuntimeError("on the way")

    with pytest.raises(RuntimeError, match="on the way"):
        fail()
    assert network[0].weight.item() == 3.0


def test_saved_and_restored(network):
    average = WeightAverage(network, decay=0.9)
    set_weight(network, 3.0)
    average.update(network)
    again = WeightAverage(network, decay=0.9)
    again.load_state_dict(average.state_dict())
    assert again.steps == 1
    assert again.averaged(network)["0.weight"].item() == pytest.approx(29 / 11)


def test_a_decay_that_never_learns(network):
    with pytest.raises(ValueError, match=r"SOLVER.EMA: expected a decay in \[0, 1\), got 1.0"):
        WeightAverage(network, decay=1.0)
