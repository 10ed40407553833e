"""Heatmaps read between their cells, beside loops as the public projects have them."""

import cv2
import numpy as np
import pytest
import torch

from fastpose_mtn.ops.gaussian_maps import gaussian_targets
from fastpose_mtn.ops.heatmap_peaks import decode_peaks, filtered


def smooth_maps(count=60, size=(32, 24), seed=0):
    """Random smooth maps, most with their peak inside."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(count, *size)).astype(np.float32)
    maps = np.stack([cv2.GaussianBlur(z, (9, 9), 0) for z in noise])
    return maps / maps.max(axis=(1, 2), keepdims=True)


def blurred(z, kernel):
    """mmpose's filter of one map: 0 outside, and as high as before."""
    border = (kernel - 1) // 2
    padded = np.pad(z, border)
    out = cv2.GaussianBlur(padded, (kernel, kernel), 0)[border:-border, border:-border].copy()
    return out * (z.max() / out.max())


def peak_of(z):
    row, column = np.unravel_index(z.argmax(), z.shape)
    return int(column), int(row)


def quarter(z, kernel):
    b = blurred(z, kernel)
    x, y = peak_of(b)
    if 1 < x < z.shape[1] - 1 and 1 < y < z.shape[0] - 1:
        return x + 0.25 * np.sign(b[y, x + 1] - b[y, x - 1]), y + 0.25 * np.sign(b[y + 1, x] - b[y - 1, x])
    return x, y


def argmax(z, kernel):
    return peak_of(blurred(z, kernel))


def dark(z, kernel):
    x, y = peak_of(z)
    h = np.log(np.maximum(blurred(z, kernel), 1e-10))
    if 1 < x < z.shape[1] - 2 and 1 < y < z.shape[0] - 2:
        d = 0.5 * np.array([h[y, x + 1] - h[y, x - 1], h[y + 1, x] - h[y - 1, x]])
        xx = 0.25 * (h[y, x + 2] - 2 * h[y, x] + h[y, x - 2])
        xy = 0.25 * (h[y + 1, x + 1] - h[y - 1, x + 1] - h[y + 1, x - 1] + h[y - 1, x - 1])
        yy = 0.25 * (h[y + 2, x] - 2 * h[y, x] + h[y - 2, x])
        return (x, y) - np.linalg.inv(np.array([[xx, xy], [xy, yy]])) @ d
    return x, y


def dark_udp(z, kernel):
    x, y = peak_of(z)
    h = np.pad(np.log(np.clip(blurred(z, kernel), 1e-3, 50)), 1, mode="edge")
    x, y = x + 1, y + 1
    d = 0.5 * np.array([h[y, x + 1] - h[y, x - 1], h[y + 1, x] - h[y - 1, x]])
    xx, yy = h[y, x + 1] - 2 * h[y, x] + h[y, x - 1], h[y + 1, x] - 2 * h[y, x] + h[y - 1, x]
    xy = 0.5 * (
        h[y + 1, x + 1]
        - h[y, x + 1]
        - h[y + 1, x]
        + 2 * h[y, x]
        - h[y, x - 1]
        - h[y - 1, x]
        + h[y - 1, x - 1]
    )
    hessian = np.array([[xx, xy], [xy, yy]]) + np.finfo(np.float32).eps * np.eye(2)
    return (x - 1, y - 1) - np.linalg.inv(hessian) @ d


def second_max(z, kernel):
    b = cv2.GaussianBlur(np.pad(z, 10), (kernel, kernel), 0)
    x, y = peak_of(b)
    b[y, x] = 0
    px, py = peak_of(b)
    x, y, px, py = x - 10, y - 10, px - x, py - y
    length = np.hypot(px, py)
    if length > 1e-3:
        x, y = x + 0.25 * px / length, y + 0.25 * py / length
    return np.clip(x, 0, z.shape[1] - 1), np.clip(y, 0, z.shape[0] - 1)


LOOPS = {"quarter": quarter, "dark": dark, "dark_udp": dark_udp, "second_max": second_max, "argmax": argmax}


@pytest.mark.parametrize("decoder", LOOPS)
@pytest.mark.parametrize("kernel", [5, 9])
def test_decoders_are_the_public_projects(decoder, kernel):
    maps = smooth_maps(500)
    found, heights = decode_peaks(torch.from_numpy(maps)[:, None], decoder=decoder, kernel=kernel)
    wanted = np.array([LOOPS[decoder](z.astype(np.float64), kernel) for z in maps]) + 0.5
    # where a map is nearly flat a parabola's top may be anywhere
    steep = np.abs(wanted - 0.5 - [peak_of(z) for z in maps]).max(axis=1) < 3
    steep |= decoder in ("second_max", "quarter", "argmax")  # which begin at the filtered map's peak
    assert steep.mean() > 0.9
    assert np.abs(found[:, 0].numpy() - wanted)[steep].max() <= 2.5e-4  # a thousandth of a pixel of the crop
    near = np.rint(wanted - 0.5).astype(int).clip(0, [23, 31])
    assert heights[steep, 0].numpy() == pytest.approx(
        maps[np.arange(500), near[:, 1], near[:, 0]][steep].clip(0, 1)
    )


def errors(decoder):
    places = 6 + 12 * torch.rand(2000, 1, 2, generator=torch.Generator().manual_seed(0))
    maps, _ = gaussian_targets(places, (24, 24), sigma=2.0, subpixel=True)
    return decode_peaks(maps, decoder=decoder, kernel=5)[0] - places


def test_what_decoders_cost_on_perfect_maps():
    for decoder, mean, bias in (("dark", 0.05, 0.01), ("dark_udp", 0.05, 0.01), ("quarter", 0.15, 0.01)):
        assert errors(decoder).abs().mean() <= mean
        assert errors(decoder).mean(dim=(0, 1)).abs().max() <= bias
    assert errors("argmax").abs().mean() == pytest.approx(0.25, abs=0.01)  # a quarter of a cell, on average
    symmetric, _ = gaussian_targets(torch.tensor([[[10.5, 12.5]]]), (24, 24))
    assert decode_peaks(symmetric, decoder="second_max", kernel=5)[0].tolist() == [
        [[10.5, 12.25]]
    ]  # one above


def test_filters_and_decoders_that_are_none():
    maps = torch.from_numpy(smooth_maps(3))[:, None]
    assert torch.equal(filtered(maps, 0), maps)
    assert filtered(maps, 5).amax(dim=(2, 3)).flatten().tolist() == pytest.approx([1, 1, 1])
    with pytest.raises(ValueError, match=r"FILTER_KERNEL: expected an odd number of cells, or 0, got 4"):
        filtered(maps, 4)
    with pytest.raises(ValueError, match=r"DECODER: expected one of quarter, .*, got 'mean'"):
        decode_peaks(maps, decoder="mean")
    assert decode_peaks(torch.zeros(0, 2, 8, 8), decoder="dark")[0].shape == (0, 2, 2)


def test_maxima_at_the_border_stay_there():
    maps = torch.zeros(1, 2, 6, 8)
    maps[0, 0, 0, 7] = 3.0
    maps[0, 1, 2, 3], maps[0, 1, 2, 4] = 0.5, 0.4
    positions, heights = decode_peaks(maps)
    assert positions.tolist() == [[[7.5, 0.5], [3.75, 2.5]]]
    assert heights.tolist() == [[1.0, 0.5]]
