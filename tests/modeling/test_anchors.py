import math

import pytest
import torch

from fastpose_mtn.modeling.anchors import AnchorGenerator, cell_anchors


def test_cells_by_hand_in_detectron2s_order():
    """All shapes of one size, then the next; ratio is height to width."""
    half = 32 / math.sqrt(2) / 2
    expected = [[-2 * half, -half, 2 * half, half], [-16, -16, 16, 16], [-half, -2 * half, half, 2 * half]]
    torch.testing.assert_close(cell_anchors([32], [0.5, 1, 2]), torch.tensor(expected))
    assert cell_anchors([32, 64], [1.0])[1].tolist() == [-32, -32, 32, 32]


def test_grid_runs_along_rows_then_columns_then_shapes():
    generator = AnchorGenerator(sizes=[[8]], aspect_ratios=[[1.0, 4.0]], strides=[4])
    (anchors,) = generator([(2, 3)])
    assert anchors.shape == (12, 4)
    assert anchors[0].tolist() == [-4, -4, 4, 4]
    assert anchors[1].tolist() == [-2, -8, 2, 8]
    assert anchors[2].tolist() == [0, -4, 8, 4]  # one stride to the right
    assert anchors[6].tolist() == [-4, 0, 4, 8]  # one stride down


def test_offset_is_in_strides():
    (anchors,) = AnchorGenerator(sizes=[[8]], aspect_ratios=[[1.0]], strides=[4], offset=0.5)([(1, 1)])
    assert anchors.tolist() == [[-2, -2, 6, 6]]


def test_not_rounded_unless_asked():
    arguments = {"sizes": [[32]], "aspect_ratios": [[2.0]], "strides": [4]}
    assert AnchorGenerator(**arguments).cell_0[0, 0].item() == pytest.approx(-11.3137, abs=1e-4)
    assert AnchorGenerator(**arguments, round_to_pixels=True).cell_0.tolist() == [[-11, -23, 11, 23]]


def test_torchvisions_strides_come_from_the_images_size():
    generator = AnchorGenerator(
        sizes=[[32], [64]], aspect_ratios=[[1.0]], strides=[32, 64], round_to_pixels=True
    )
    _, coarse = generator([(25, 34), (13, 17)])  # an image of 800 x 1088
    assert coarse[17, 1].item() - coarse[0, 1].item() == 61  # 800 // 13
    assert coarse[1, 0].item() - coarse[0, 0].item() == 64  # 1088 // 17


def test_levels_must_agree():
    with pytest.raises(ValueError, match="SIZES: expected 1 or 2 lists .* got 3"):
        AnchorGenerator(sizes=[[1], [2], [3]], aspect_ratios=[[1.0]], strides=[4, 8])
    with pytest.raises(ValueError, match=r"same number of anchors a position on every level, got \[1, 2\]"):
        AnchorGenerator(sizes=[[1], [2, 3]], aspect_ratios=[[1.0]], strides=[4, 8])
