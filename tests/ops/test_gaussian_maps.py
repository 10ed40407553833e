"""Gaussian heatmaps, and what reading them at whole cells costs."""

import pytest
import torch

from fastpose_mtn.ops.gaussian_maps import decode_gaussians, gaussian_targets
from fastpose_mtn.ops.integral import soft_argmax


def test_heights_of_a_gaussian():
    maps, touches = gaussian_targets(torch.tensor([[[10.7, 12.2]]]), (32, 24))
    assert maps[0, 0, 12, 10] == 1
    assert maps[0, 0, 12, 13].item() == pytest.approx(0.324652, abs=1e-6)  # exp(-9/8)
    assert maps[0, 0, 12, 17] == 0  # 7 cells away, three standard deviations are 6
    assert touches.all()


def test_subpixel_centres_and_joints_outside():
    maps, touches = gaussian_targets(
        torch.tensor([[[10.5, 12.5], [-30.0, 5.0], [-4.0, 5.0]]]), (32, 24), subpixel=True
    )
    assert maps[0, 0, 12, 10] == 1
    assert touches.tolist() == [[True, False, True]]
    assert maps[0, 1].sum() == 0


def test_what_reading_a_perfect_map_costs():
    """Mean error along an axis, in cells: a quarter for the maximum, an eighth with the quarter cell, none for the mean."""
    places = 10 + 12 * torch.rand(4000, 1, 2, generator=torch.Generator().manual_seed(0))
    maps, _ = gaussian_targets(places, (32, 32), subpixel=True)
    quarter, height = decode_gaussians(maps)
    highest = maps.flatten(2).argmax(dim=2)
    coarse = torch.stack((highest % 32, highest // 32), dim=2) + 0.5
    mean = soft_argmax(maps / maps.sum(dim=(2, 3), keepdim=True))
    assert (coarse - places).abs().mean().item() == pytest.approx(0.25, abs=0.01)
    assert (quarter - places).abs().mean().item() == pytest.approx(0.125, abs=0.01)
    assert (mean - places).abs().mean().item() <= 0.02
    assert ((height > 0.9) & (height <= 1)).all()


def test_maxima_at_the_border_stay_there():
    maps = torch.zeros(1, 2, 6, 8)
    maps[0, 0, 0, 7] = 3.0
    maps[0, 1, 2, 3], maps[0, 1, 2, 4] = 0.5, 0.4
    positions, heights = decode_gaussians(maps)
    assert positions.tolist() == [[[7.5, 0.5], [3.75, 2.5]]]
    assert heights.tolist() == [[1.0, 0.5]]
