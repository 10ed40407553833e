import pytest
import torch
from torchvision.ops import roi_align

from fastpose_mtn.ops.roi import assign_levels, gather_roi_align, multiscale_roi_align


def square(size):
    return torch.tensor([[0.0, 0.0, size, size]])


@pytest.mark.parametrize(
    ("size", "level"), [(0, 2), (10, 2), (111, 2), (112, 3), (223, 3), (224, 4), (448, 5), (5000, 5)]
)
def test_level_is_fpns(size, level):
    assert assign_levels(square(float(size)), 2, 5).tolist() == [level]


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize(
    ("ratio", "bins"), [(1, (22, 16)), (2, (7, 7)), (3, (2, 5)), (0, (7, 7)), (0, (22, 16))]
)
def test_gathered_rows_equal_torchvisions_kernel(aligned, ratio, bins):
    torch.manual_seed(0)
    feature = torch.randn(3, 5, 20, 30).contiguous(memory_format=torch.channels_last).requires_grad_()
    corner = torch.rand(40, 2) * torch.tensor([300.0, 200.0]) - 60  # some wholly outside the map
    rois = torch.cat((torch.randint(0, 3, (40, 1)).float(), corner, corner + torch.rand(40, 2) * 150), dim=1)
    rois[0, 3:] = rois[0, 1:3]  # an empty box
    arguments = (rois, bins, 1 / 8, ratio, aligned)
    expected = roi_align(feature, *arguments)
    found = gather_roi_align(feature, *arguments)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)
    weight = torch.randn_like(expected)
    (a,) = torch.autograd.grad((found * weight).sum(), feature)
    (b,) = torch.autograd.grad((expected * weight).sum(), feature)
    torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_each_box_reads_its_level_and_image():
    """Level l of image b holds 10 * l + b everywhere."""
    features = [
        torch.stack([torch.full((1, 64 >> i, 64 >> i), 10.0 * (i + 2) + b) for b in range(2)])
        for i in range(4)
    ]
    boxes = torch.tensor([[64, 64, 96, 96], [40, 40, 180, 180], [0, 0, 256, 256]], dtype=torch.float32)
    image = torch.tensor([1, 0, 1])
    levels = torch.tensor([2, 3, 4])
    for ratio in (0, 2):
        out = multiscale_roi_align(
            features,
            boxes,
            image,
            levels,
            output_size_hw=(3, 2),
            min_level=2,
            sampling_ratio=ratio,
            aligned=True,
        )
        assert out.shape == (3, 1, 3, 2)
        assert out[:, 0, 1, 1].tolist() == pytest.approx([21.0, 30.0, 41.0])


def test_no_boxes():
    out = multiscale_roi_align(
        [torch.zeros(1, 4, 8, 8)],
        torch.zeros(0, 4),
        torch.zeros(0, dtype=torch.int64),
        torch.zeros(0, dtype=torch.int64),
        output_size_hw=(7, 7),
        min_level=2,
        sampling_ratio=2,
        aligned=True,
    )
    assert out.shape == (0, 4, 7, 7)


def test_half_precision_features_keep_their_dtype():
    feature = torch.full((1, 2, 8, 8), 3.0, dtype=torch.bfloat16)
    for ratio in (0, 2):
        out = multiscale_roi_align(
            [feature],
            torch.tensor([[4.0, 4.0, 20.0, 20.0]]),
            torch.tensor([0]),
            torch.tensor([2]),
            output_size_hw=(2, 2),
            min_level=2,
            sampling_ratio=ratio,
            aligned=True,
        )
        assert out.dtype == torch.bfloat16
        assert out.flatten().tolist() == [3.0] * 8


@pytest.mark.parametrize("ratio", [0, 2])
def test_a_box_that_is_no_number_has_no_features(ratio):
    boxes = torch.tensor([[0.0, 0, 4, 4], [torch.nan, 0, 4, 4]])
    out = multiscale_roi_align(
        [torch.ones(1, 4, 8, 8)],
        boxes,
        torch.zeros(2, dtype=torch.int64),
        assign_levels(boxes, 2, 2),
        output_size_hw=(7, 7),
        min_level=2,
        sampling_ratio=ratio,
        aligned=True,
    )
    assert out[0].min() > 0
    assert (out[1] == 0).all()
