"""All forms of the pose embedding against loops over every cell, point and corner."""

import math

import pytest
import torch

from fastpose_mtn.ops.pose_embedding import (
    embed_poses,
    embed_poses_deformable,
    embed_poses_gathering,
    embed_samples,
    sample_at,
)

FORMS = (embed_poses_gathering, embed_poses_deformable)


def inputs(points, size=(5, 7), channels=2, embedding=3, reach=4.0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(points)
    features = torch.randn(2, channels, *size, generator=generator, dtype=dtype)
    offsets = reach * torch.randn(2, 2 * points, *size, generator=generator, dtype=dtype)
    weight = torch.randn(embedding, channels, 1, points, generator=generator, dtype=dtype)
    return features, offsets, weight


def by_loops(features, offsets, weight):
    """As the formula is written; its gradients are autograd's, of each step by itself."""
    batch, _, height, width = features.shape
    out = []
    for b in range(batch):
        for i in range(height):
            for j in range(width):
                parts = [torch.zeros(weight.shape[0], dtype=features.dtype)]
                for k in range(weight.shape[-1]):
                    y, x = i + offsets[b, 2 * k, i, j], j + offsets[b, 2 * k + 1, i, j]
                    low, left = math.floor(y.detach()), math.floor(x.detach())
                    for row in {low, low + 1} & set(range(height)):
                        for column in {left, left + 1} & set(range(width)):
                            share = (1 - abs(y - row)) * (1 - abs(x - column))
                            parts.append(share * weight[:, :, 0, k] @ features[b, :, row, column])
                out.append(sum(parts))
    return torch.stack(out).reshape(batch, height, width, -1).permute(0, 3, 1, 2)


def at_all_cells(features, offsets, weight):
    """The form for some poses, of every cell, as maps again."""
    batch, channels, height, width = features.shape
    table = features.permute(0, 2, 3, 1).reshape(-1, channels)
    cells = torch.cartesian_prod(torch.arange(height), torch.arange(width)).repeat(batch, 1)
    moves = offsets.permute(0, 2, 3, 1).reshape(len(table), -1, 2)
    first = torch.arange(batch).repeat_interleave(height * width) * height * width
    sizes = torch.tensor([height, width]).expand(len(table), 2)
    found = embed_samples(table, sample_at(first, sizes, cells[:, None] + moves), weight)
    return found.reshape(batch, height, width, -1).permute(0, 3, 1, 2)


@pytest.mark.parametrize(
    ("points", "size"), [(1, (5, 7)), (14, (3, 4)), (15, (5, 3)), (17, (2, 9)), (136, (1, 2)), (2, (1, 1))]
)
def test_every_form_is_what_loops_give_and_so_are_its_gradients(points, size):
    """Of features, offsets and weights; maps are smaller than there are points, too."""
    given = inputs(points, size, reach=1.0)
    found = []
    for form in (by_loops, *FORMS, at_all_cells):
        tensors = [tensor.clone().requires_grad_() for tensor in given]
        values = form(*tensors)
        values.square().sum().backward()
        found.append((values.detach(), *(tensor.grad for tensor in tensors)))
    assert all(gradient.abs().max() > 0 for gradient in found[0])
    for values, *gradients in found[1:]:
        torch.testing.assert_close(values, found[0][0], rtol=0, atol=1e-10)
        for mine, wanted in zip(gradients, found[0][1:], strict=True):
            torch.testing.assert_close(mine, wanted, rtol=0, atol=1e-8)


@pytest.mark.parametrize("form", [*FORMS, at_all_cells])
def test_points_far_outside_are_zero(form):
    features, offsets, weight = inputs(3)
    assert (form(features, offsets.abs() + 1e6, weight) == 0).all()
    assert (form(features, -offsets.abs() - 1e6, weight) == 0).all()


@pytest.mark.parametrize("form", [embed_poses_gathering, at_all_cells])
def test_gradients_are_those_of_differences(form):
    given = [tensor.clone().requires_grad_() for tensor in inputs(2, (2, 3), reach=1.0)]
    assert torch.autograd.gradcheck(form, given, eps=1e-7, atol=1e-6)


def test_low_precision_keeps_positions_exact():
    """A point a whole map away from its cell is rounded to bfloat16's 8 bits in the features only."""
    features, offsets, weight = inputs(4, (4, 300), reach=90.0, dtype=torch.float32)
    exact = embed_poses(features, offsets, weight)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = embed_poses(features.bfloat16(), offsets, weight)
    assert (rounded - exact).abs().max() < 2e-2 * exact.abs().max()
