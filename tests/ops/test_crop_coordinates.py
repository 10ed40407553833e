"""Cells and pixels, in each convention."""

import pytest
import torch

from fastpose_mtn.ops.crop_coordinates import crop_coordinates

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


def test_a_convention_that_is_none():
    with pytest.raises(ValueError, match=r"COORDINATES: expected continuous, index, megvii, got 'pixel'"):
        crop_coordinates("pixel")
