import math

import pytest
import torch

from fastpose_mtn.ops.boxes import (
    box_area,
    clip_boxes,
    decode_deltas,
    encode_deltas,
    nonempty,
    pad_to_aspect,
    pairwise_ioa,
    pairwise_iou,
)


def boxes(*rows):
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)


def test_iou_by_hand():
    a = boxes([0, 0, 10, 10], [20, 20, 30, 40])
    b = boxes([5, 0, 15, 10], [20, 20, 30, 30], [100, 100, 101, 101])
    # 50 shared of 150; 100 shared of 200
    torch.testing.assert_close(pairwise_iou(a, b), torch.tensor([[1 / 3, 0, 0], [0, 0.5, 0]]))


def test_iou_of_empty_boxes_is_zero_not_nan():
    assert pairwise_iou(boxes([1, 1, 1, 1]), boxes([1, 1, 1, 1])).tolist() == [[0.0]]
    assert pairwise_iou(boxes(), boxes([0, 0, 1, 1])).shape == (0, 1)


def test_ioa_is_the_share_of_the_second_box():
    region, inside, half = boxes([0, 0, 10, 10]), boxes([1, 1, 2, 2]), boxes([5, 0, 15, 10])
    assert pairwise_ioa(region, inside).item() == 1.0
    assert pairwise_ioa(region, half).item() == 0.5


def test_clip_keeps_the_argument():
    box = boxes([-5, -5, 30, 8])
    assert clip_boxes(box, (10, 20)).tolist() == [[0, 0, 20, 8]]
    assert box.tolist() == [[-5, -5, 30, 8]]


def test_nonempty():
    assert nonempty(boxes([0, 0, 1, 1], [0, 0, 0, 5], [3, 3, 4, 2])).tolist() == [True, False, False]


def test_pad_widens_a_tall_box_around_its_centre():
    # 44 high: 22:16 wants 32 wide; the centre stays at (10, 22)
    assert pad_to_aspect(boxes([5, 0, 15, 44]), 22 / 16).tolist() == [[-6, 0, 26, 44]]


def test_pad_heightens_a_wide_box():
    assert pad_to_aspect(boxes([0, 10, 32, 20]), 22 / 16).tolist() == [[0, -7, 32, 37]]


def test_pad_never_cuts_and_gives_the_shape():
    torch.manual_seed(0)
    corner = torch.rand(50, 2) * 100
    box = torch.cat((corner, corner + torch.rand(50, 2) * 80 + 1), dim=1)
    padded = pad_to_aspect(box, 22 / 16)
    assert (padded[:, :2] <= box[:, :2] + 1e-4).all()
    assert (padded[:, 2:] >= box[:, 2:] - 1e-4).all()
    size = padded[:, 2:] - padded[:, :2]
    torch.testing.assert_close(size[:, 1] / size[:, 0], torch.full((50,), 22 / 16))
    torch.testing.assert_close(padded[:, :2] + padded[:, 2:], box[:, :2] + box[:, 2:])


def test_deltas_by_hand():
    source, target = boxes([0, 0, 10, 20]), boxes([5, 0, 25, 20])
    # centre moves by 10 of a width of 10; width doubles
    expected = torch.tensor([[10.0, 0, 5 * math.log(2), 0]])
    torch.testing.assert_close(encode_deltas(source, target, (10, 10, 5, 5)), expected)


def test_decode_inverts_encode():
    torch.manual_seed(0)
    corner = torch.rand(20, 2) * 100
    source = torch.cat((corner, corner + 10), dim=1)
    target = torch.cat((corner + 3, corner + 40), dim=1)
    deltas = encode_deltas(source, target, (10, 10, 5, 5))
    torch.testing.assert_close(decode_deltas(deltas, source, (10, 10, 5, 5)), target, atol=1e-3, rtol=0)


def test_decode_limits_growth_and_works_in_float32():
    deltas = torch.tensor([[0, 0, 100, 0]], dtype=torch.bfloat16)
    decoded = decode_deltas(deltas, boxes([0, 0, 16, 16]), (1, 1, 1, 1))
    assert decoded.dtype == torch.float32
    assert (decoded[0, 2] - decoded[0, 0]).item() == pytest.approx(1000, rel=1e-5)


def test_area():
    assert box_area(boxes([1, 2, 4, 6])).tolist() == [12]
