"""Gaussian heatmaps, and what reading them at whole cells costs."""

import cv2
import numpy as np
import pytest
import torch

from fastpose_mtn.ops.gaussian_maps import gaussian_targets, kernel_sigma, kernel_targets
from fastpose_mtn.ops.heatmap_peaks import decode_peaks
from fastpose_mtn.ops.integral import soft_argmax


def test_heights_of_a_gaussian():
    maps, touches = gaussian_targets(torch.tensor([[[10.7, 12.2]]]), (32, 24))
    assert maps[0, 0, 12, 10] == 1
    assert maps[0, 0, 12, 13].item() == pytest.approx(0.324652, abs=1e-6)  # exp(-9/8)
    assert maps[0, 0, 12, 17] == 0  # 7 cells away, three standard deviations are 6
    assert touches.all()
    maps, _ = gaussian_targets(torch.tensor([[[10.7, 12.2]]]), (32, 24), reach=7)
    assert maps[0, 0, 12, 17].item() == pytest.approx(0.002187, abs=1e-6)  # exp(-49/8)
    assert maps[0, 0, 12, 18] == 0


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
    quarter, height = decode_peaks(maps)
    highest = maps.flatten(2).argmax(dim=2)
    coarse = torch.stack((highest % 32, highest // 32), dim=2) + 0.5
    mean = soft_argmax(maps / maps.sum(dim=(2, 3), keepdim=True))
    assert (coarse - places).abs().mean().item() == pytest.approx(0.25, abs=0.01)
    assert (quarter - places).abs().mean().item() == pytest.approx(0.125, abs=0.01)
    assert (mean - places).abs().mean().item() <= 0.02
    assert ((height > 0.9) & (height <= 1)).all()


@pytest.mark.parametrize("kernel", [5, 7, 9, 11, 15])
def test_blurred_cells_are_opencvs(kernel):
    """1000 joints, borders and multiples of a cell among them; also outside."""
    rng = np.random.default_rng(kernel)
    places = np.concatenate(
        (rng.uniform(-2, 26, (980, 2)), [[0, 0], [23, 31], [1, 30], [4, 8], [11.9999, 0.0001]] * 4)
    )
    maps, inside = kernel_targets(torch.from_numpy(places)[None].float(), (32, 24), kernel=kernel)
    for found, touches, (x, y) in zip(
        maps[0].numpy(), inside[0].tolist(), np.floor(places).astype(int), strict=True
    ):
        wanted = np.zeros((32, 24), np.float32)
        assert touches == (0 <= x < 24 and 0 <= y < 32)
        if touches:
            wanted[y, x] = 1
            wanted = cv2.GaussianBlur(wanted, (kernel, kernel), 0)
            wanted /= wanted.max()
        assert np.abs(found - wanted).max() <= 1e-5


def test_sigmas_of_opencvs_kernels():
    assert [round(kernel_sigma(k), 3) for k in (15, 11, 9, 7, 5)] == [2.6, 2.0, 1.7, 1.4, 1.1]
