"""Cells and pixels, in each convention."""

import pytest
import torch

from fastpose_mtn.ops.crop_coordinates import crop_coordinates
from fastpose_mtn.ops.gaussian_maps import gaussian_targets
from fastpose_mtn.ops.heatmap_peaks import decode_peaks

SIZE, MAPS = (256, 192), (64, 48)


@pytest.mark.parametrize(
    ("kind", "decoder", "index"),
    [
        ("continuous", "quarter", lambda x, w: 4 * x + 1.5),  # the middle of four pixels
        ("index", "quarter", lambda x, w: 4 * x),
        ("megvii", "quarter", lambda x, w: 4 * x + 2),
        ("megvii", "dark_udp", lambda x, w: (4 * w - 1) / (w - 1) * x),
    ],
)
def test_pixel_indices_of_cells(kind, decoder, index):
    coordinates = crop_coordinates(kind, decoder=decoder)
    cells = torch.tensor([[0.0, 0.0], [10.25, 33.75], [47.0, 63.0]])
    points = coordinates.points(cells + 0.5, SIZE, MAPS)
    wanted = torch.stack((index(cells[:, 0], 48), index(cells[:, 1], 64)), dim=1)
    assert torch.allclose(points - 0.5, wanted, atol=1e-3)
    assert torch.allclose(coordinates.cells(points, SIZE, MAPS), cells + 0.5, atol=1e-4)


@pytest.mark.parametrize("size", [(128, 96), (256, 192), (384, 288)])
def test_mspns_cells_begin_at_multiples_of_four(size):
    """Cell c has the joints whose index, the middle of its pixel, is from 4 c to below 4 c + 4."""
    coordinates, maps = crop_coordinates("megvii"), (size[0] // 4, size[1] // 4)
    index = torch.arange(0, size[1], 4).float()
    for moved, cell in ((0.0, 0), (-0.01, -1), (3.99, 0)):
        points = torch.stack((index + moved + 0.5, torch.full_like(index, 8.5)), dim=1)
        found = coordinates.cells(points, size, maps).floor()
        assert found.tolist() == [[c + cell, 2] for c in range(size[1] // 4)]


@pytest.mark.parametrize("decoder", ["dark", "dark_udp", "quarter"])
def test_joints_that_become_targets_come_back_where_they_were(decoder):
    """Without a bias, in pixels of the crop."""
    coordinates = crop_coordinates("continuous")
    places = 24 + torch.rand(4000, 1, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [144.0, 208.0]
    )
    maps, _ = gaussian_targets(coordinates.cells(places, SIZE, MAPS), MAPS, subpixel=True)
    positions, _ = decode_peaks(maps, decoder=decoder, kernel=5)
    errors = coordinates.points(positions, SIZE, MAPS) - places
    assert errors.mean(dim=(0, 1)).abs().max() <= 0.02
    assert errors.abs().max() <= (1.1 if decoder == "quarter" else 0.02)


def test_a_convention_that_is_none():
    with pytest.raises(ValueError, match=r"COORDINATES: expected continuous, index, megvii, got 'pixel'"):
        crop_coordinates("pixel")
