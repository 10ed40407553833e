import numpy as np
import pytest

from fastpose_mtn.visualization.image_grid import image_grid


def test_images_fit_their_tiles():
    wide, high = np.full((10, 40, 3), 50, np.uint8), np.full((40, 10, 3), 90, np.uint8)
    sheet = image_grid([wide, high, wide], 2, (20, 20))
    assert sheet.shape == (40, 40, 3)
    assert (sheet[:7, :20] == 0).all()
    assert (sheet[13:20, :20] == 0).all()
    assert (sheet[8:12, :20] == 50).all()  # 20 x 5, in the middle
    assert (sheet[:20, 28:32] == 90).all()
    assert (sheet[20:, 20:] == 0).all()  # no fourth image


def test_nothing_to_show():
    with pytest.raises(ValueError, match="expected images and columns, got 0 images, 2 columns"):
        image_grid([], 2, (20, 20))
