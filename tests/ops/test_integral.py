"""Symmetric integral regression: values worked out before, its closed form, and what it must not depend on."""

import itertools

import pytest
import torch

from fastpose_mtn.ops.integral import normalise, soft_argmax, soft_maximum

LOGITS = torch.tensor(
    [[-4, -4, -3, -4, -4, -4], [-4, -2, 1, -1, -4, -4], [-4, -1, 2, 0.5, -3, -4], [-4, -4, -1, -2, -4, -4]],
    dtype=torch.float64,
)[None, None]
SIZE = torch.tensor([6.0, 4.0], dtype=torch.float64)
TARGET = torch.tensor([0.10, -0.05], dtype=torch.float64)


def shares(logits, amplitude, *, two_step=True):
    """The position as shares of the map, its middle being (0, 0), where cell j stands for index j."""
    means = soft_argmax(normalise(logits, two_step=two_step)[0], amplitude)[0, 0] - 0.5
    return means / SIZE - 0.5


def gradient(amplitude, *, two_step=True):
    logits = LOGITS.clone().requires_grad_()
    loss = (shares(logits, amplitude, two_step=two_step) - TARGET).abs().sum()
    loss.backward()
    return loss.item(), logits.grad[0, 0]


def test_the_position_and_the_confidence():
    position = shares(LOGITS, None)
    assert position.tolist() == pytest.approx([-0.12625769628873362, -0.06810057253296475], abs=1e-7)
    assert normalise(LOGITS)[1].item() == pytest.approx(0.8807970881462097, abs=1e-7)
    softmax = shares(LOGITS, None, two_step=False)
    assert softmax.tolist() == pytest.approx([-0.14302381577179618, -0.05529098393851756], abs=1e-7)


def test_the_symmetric_gradient():
    loss, found = gradient((2.0, 2.0))
    assert loss == pytest.approx(0.24435826882169837, abs=1e-7)
    wanted = [
        [0.00418682, 0.00418682, 0.01070882, 0.00093959, 0.00093959, 0.00093959],
        [0.00418682, 0.02488801, 0.04660552, 0.01045901, 0.00093959, 0.00093959],
        [-0.00068403, -0.00761425, -0.00406612, -0.05230579, -0.01005516, -0.00393126],
        [-0.00068403, -0.00068403, -0.00761425, -0.02336887, -0.00393126, -0.00393126],
    ]
    assert found.numpy() == pytest.approx(torch.tensor(wanted).numpy(), abs=1e-7)


def test_the_true_gradient():
    first = [0.00392416, 0.00311235, 0.0058842, 0.00148874, 0.00067693, -0.00013488]
    assert gradient(None)[1][0].tolist() == pytest.approx(first, abs=1e-7)


@pytest.mark.parametrize("two_step", [True, False])
def test_the_true_gradient_is_that_of_finite_differences(two_step):
    logits = LOGITS.clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda z: soft_argmax(normalise(z, two_step=two_step)[0]), logits, atol=1e-6
    )


@pytest.mark.parametrize("two_step", [True, False])
def test_the_closed_form(two_step):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 2, 5, 7, generator=generator, dtype=torch.float64).requires_grad_()
    p, _ = normalise(logits, two_step=two_step)
    mean = soft_argmax(p, (3.0, 2.0))
    mean.sum().backward()
    x, y = torch.arange(7) + 0.5, torch.arange(5) + 0.5
    across = torch.where(x < mean[..., :1].detach(), -3.0, 3.0)
    down = torch.where(y < mean[..., 1:].detach(), -2.0, 2.0)
    pull = across[..., None, :] + down[..., None]
    pull = pull - (p * pull).sum(dim=(-2, -1), keepdim=True)
    slope = p * (1 - logits.sigmoid()) if two_step else p
    assert logits.grad.numpy() == pytest.approx((slope * pull).detach().numpy(), abs=1e-10)
    if two_step:  # what is pulled is all of the map together
        assert (logits.grad / (1 - logits.sigmoid())).sum(dim=(-2, -1)).abs().max() <= 1e-6
    else:  # equation 10
        assert (logits.grad.abs() <= (2 * 3.0 + 2 * 2.0) * p + 1e-10).all()


def test_the_gradient_does_not_depend_on_where_the_joint_is():
    logits = torch.full((1, 1, 24, 24), -30.0)
    logits[0, 0, 8:11, 8:11] = torch.randn(3, 3, generator=torch.Generator().manual_seed(1))
    grads = []
    for shift in (0, 5):
        z = logits.roll((shift, shift), (2, 3)).requires_grad_()
        (soft_argmax(normalise(z)[0], (3.0, 3.0)) - (7.0 + shift)).abs().sum().backward()
        grads.append(z.grad.roll((-shift, -shift), (2, 3)))
    assert grads[1].numpy() == pytest.approx(grads[0].numpy(), abs=1e-6)


def test_free_logits_are_drawn_to_the_joint():
    """Nearly every step is one towards it, and in 200 they are there."""
    logits = torch.zeros(1, 1, 16, 12, requires_grad=True)
    optimizer = torch.optim.Adam([logits], 0.0145)
    wanted, losses = torch.tensor([4.5, 6.0]), []
    for _ in range(201):
        optimizer.zero_grad()
        loss = (soft_argmax(normalise(logits)[0], (1.5, 2.0))[0, 0] - wanted).abs().sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(after < before for before, after in itertools.pairwise(losses)) >= 0.95 * 200
    assert min(losses) <= 0.05


def test_half_precision_is_summed_in_single():
    """Rounded logits move a joint by less than a twentieth of a pixel of the crop, whose cells have four."""
    logits = torch.randn(1, 20, 64, 48, generator=torch.Generator().manual_seed(0)) - 6
    logits[:, torch.arange(20), torch.arange(20) + 20, 30] = 6.3
    exact = soft_argmax(normalise(logits)[0])
    assert soft_argmax(normalise(logits.bfloat16())[0]) == pytest.approx(exact, abs=0.05 / 4)
    assert normalise(logits.bfloat16())[0].dtype == torch.float32


def test_the_soft_maximum_is_about_the_highest_logit():
    logits = torch.full((1, 2, 8, 8), -9.0)
    logits[0, 0, 3, 3] = 5.0
    assert soft_maximum(logits)[0].tolist() == pytest.approx([5.0, -9.0 + 4.1589 / 4], abs=1e-3)
