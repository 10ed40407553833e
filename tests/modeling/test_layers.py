import pytest
import torch
from torch import nn

from fastpose_mtn.modeling.layers import involve


@pytest.mark.parametrize("value", [0.5, float("inf"), float("nan")])
def test_what_a_loss_does_not_depend_on_gets_a_gradient_of_exactly_zero(value):
    unused = nn.Parameter(torch.full((2, 3), value, dtype=torch.bfloat16))
    used = nn.Parameter(torch.tensor([2.0, 3.0]))
    frozen = nn.Parameter(torch.ones(2), requires_grad=False)
    losses = involve({"a": (used**2).sum(), "b": torch.zeros(())}, [unused, used, frozen])
    assert {name: loss.item() for name, loss in losses.items()} == {"a": 13, "b": 0}
    (losses["a"] + losses["b"]).backward()
    assert used.grad.tolist() == [4, 6]
    assert unused.grad.tolist() == [[0, 0, 0]] * 2
    assert unused.grad.is_contiguous()
    assert unused.grad.dtype == torch.bfloat16
    assert frozen.grad is None


def test_each_loss_alone_reaches_everything_and_may_be_infinite():
    unused, used = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    losses = involve({"a": used.sum() * float("inf"), "b": torch.zeros(())}, [unused, used])
    losses["b"].backward()
    assert used.grad.tolist() == unused.grad.tolist() == [0, 0]
    losses["a"].backward()
    assert unused.grad.tolist() == [0, 0]


def test_where_nothing_trains_the_losses_stay_as_they_are():
    losses = {"a": torch.ones(())}
    assert involve(losses, [nn.Parameter(torch.ones(2), requires_grad=False)]) == losses
