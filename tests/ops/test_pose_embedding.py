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
    batch, _, height, width = features.shape
    out = torch.zeros(batch, weight.shape[0], height, width, dtype=features.dtype)
    for b in range(batch):
        for i in range(height):
            for j in range(width):
                for k in range(weight.shape[-1]):
                    y = i + float(offsets[b, 2 * k, i, j])
                    x = j + float(offsets[b, 2 * k + 1, i, j])
                    for row in (math.floor(y), math.floor(y) + 1):
                        for column in (math.floor(x), math.floor(x) + 1):
                            if 0 <= row < height and 0 <= column < width:
                                share = (1 - abs(y - row)) * (1 - abs(x - column))
                                out[b, :, i, j] += share * weight[:, :, 0, k] @ features[b, :, row, column]
    return out


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


@pytest.mark.parametrize("form", [*FORMS, at_all_cells])
@pytest.mark.parametrize(
    ("points", "size"), [(1, (5, 7)), (14, (3, 4)), (15, (5, 3)), (17, (2, 9)), (136, (1, 2)), (2, (1, 1))]
)
def test_every_form_is_what_loops_give(form, points, size):
    given = inputs(points, size)
    torch.testing.assert_close(form(*given), by_loops(*given), rtol=0, atol=1e-10)


@pytest.mark.parametrize("form", [*FORMS, at_all_cells])
def test_points_far_outside_are_zero(form):
    features, offsets, weight = inputs(3)
    assert (form(features, offsets.abs() + 1e6, weight) == 0).all()
    assert (form(features, -offsets.abs() - 1e6, weight) == 0).all()


@pytest.mark.parametrize("points", [2, 3])
def test_gradients_of_all_forms_are_the_same_and_right(points):
    given = inputs(points, (3, 4), reach=1.0)
    gradients = []
    for form in (*FORMS, at_all_cells):
        tensors = [tensor.clone().requires_grad_() for tensor in given]
        if form is not embed_poses_deformable:
            assert torch.autograd.gradcheck(form, tensors, eps=1e-7, atol=1e-6)
        form(*tensors).square().sum().backward()
        gradients.append([tensor.grad for tensor in tensors])
    for other in gradients[1:]:
        for one, two in zip(gradients[0], other, strict=True):
            torch.testing.assert_close(one, two, rtol=0, atol=1e-8)


def test_low_precision_keeps_positions_exact():
    """A point a whole map away from its cell is rounded to bfloat16's 8 bits in the features only."""
    features, offsets, weight = inputs(4, (4, 300), reach=90.0, dtype=torch.float32)
    exact = embed_poses(features, offsets, weight)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = embed_poses(features.bfloat16(), offsets, weight)
    assert (rounded - exact).abs().max() < 2e-2 * exact.abs().max()
