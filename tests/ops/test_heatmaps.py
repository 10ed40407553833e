import pytest
import torch
from torch.nn import functional as F

from fastpose_mtn.ops.heatmaps import decode_joints, decode_joints_resized, encode_joints

SIZE = (88, 64)


def one_hot_logits(cell, size_hw, height=20.0):
    logits = torch.zeros(*cell.shape, size_hw[0] * size_hw[1])
    return logits.scatter_(2, cell[..., None], height).view(*cell.shape, *size_hw)


def test_encode_by_hand():
    region = torch.tensor([[100.0, 50.0, 164.0, 138.0]])  # one pixel a cell
    keypoints = torch.tensor(
        [[[100.0, 50.0, 2], [103.9, 52.0, 1], [164.0, 138.0, 2], [99.9, 60, 2], [110, 60, 0], [164.1, 60, 2]]]
    )
    cell, valid = encode_joints(keypoints, region, SIZE)
    assert valid.tolist() == [[True, True, True, False, False, False]]
    assert cell.tolist() == [[0, 2 * 64 + 3, 88 * 64 - 1, 0, 0, 0]]


def test_round_trip_stays_within_half_a_cell():
    """What is encoded at a pixel's centre is decoded there: no half-pixel is lost on the way."""
    torch.manual_seed(0)
    people = 30
    corner = torch.rand(people, 2) * 300
    width = torch.rand(people) * 300 + 8
    region = torch.cat((corner, corner + torch.stack((width, width * 22 / 16), 1)), 1)
    share = torch.rand(people, 15, 2)
    xy = region[:, None, :2] + share * (region[:, 2:] - region[:, :2])[:, None]
    keypoints = torch.cat((xy, torch.full((people, 15, 1), 2.0)), dim=-1)
    cell, valid = encode_joints(keypoints, region, SIZE)
    assert valid.all()
    decoded, mass = decode_joints(one_hot_logits(cell, SIZE), region)
    cell_size = (region[:, 2:] - region[:, :2]) / torch.tensor([64.0, 88.0])
    error = (decoded - xy) / cell_size[:, None]
    assert error.abs().max() < 0.51
    assert error.mean().abs() < 0.03  # no offset
    assert (mass > 0.99).all()


def test_decode_finds_a_position_between_cells():
    """A blurred peak (the posterior of a joint at a fraction of a cell) is found to a twentieth of a cell."""
    ys, xs = torch.meshgrid(torch.arange(88) + 0.5, torch.arange(64) + 0.5, indexing="ij")
    for x, y in ((30.5, 40.5), (30.8, 40.1), (31.0, 41.0), (12.3, 77.7)):
        logits = -((xs - x) ** 2 + (ys - y) ** 2) / (2 * 0.8**2)
        xy, _ = decode_joints(logits[None, None], torch.tensor([[0.0, 0.0, 64.0, 88.0]]))
        assert xy.flatten().tolist() == pytest.approx([x, y], abs=0.05)


def test_second_hypothesis_does_not_pull():
    logits = torch.full((1, 1, *SIZE), -20.0)
    logits[0, 0, 20, 10] = 5.0
    logits[0, 0, 20, 50] = 4.9  # the other ankle
    xy, mass = decode_joints(logits, torch.tensor([[0.0, 0.0, 64.0, 88.0]]))
    assert xy.flatten().tolist() == pytest.approx([10.5, 20.5])
    assert mass.item() == pytest.approx(1 / (1 + 2.718281828**-0.1), abs=1e-3)


def test_peak_at_the_border_reads_nothing_outside():
    logits = torch.zeros(1, 1, *SIZE)
    logits[0, 0, 0, 63] = 30.0
    xy, mass = decode_joints(logits, torch.tensor([[0.0, 0.0, 64.0, 88.0]]))
    assert xy.flatten().tolist() == pytest.approx([63.5, 0.5], abs=1e-3)
    assert mass.item() <= 1.0


def test_decode_does_not_depend_on_the_persons_size():
    torch.manual_seed(0)
    logits = torch.randn(1, 15, *SIZE) * 3
    small, large = torch.tensor([[0.0, 0.0, 16.0, 22.0]]), torch.tensor([[0.0, 0.0, 1600.0, 2200.0]])
    near, confidence = decode_joints(logits, small)
    far, same = decode_joints(logits, large)
    torch.testing.assert_close(near * 100, far, atol=1e-2, rtol=0)
    assert torch.equal(confidence, same)


def test_decode_of_nobody_and_in_half_precision():
    xy, mass = decode_joints(torch.zeros(0, 15, *SIZE), torch.zeros(0, 4))
    assert xy.shape == (0, 15, 2)
    assert mass.shape == (0, 15)
    xy, _ = decode_joints(torch.zeros(1, 15, *SIZE, dtype=torch.bfloat16), torch.tensor([[0.0, 0, 64, 88]]))
    assert xy.dtype == torch.float32


def reference_positions(logits, regions):
    """Mask R-CNN's own way: one person after another, by torch's resize."""
    out = []
    for heat, region in zip(logits, regions, strict=True):
        size = (region[2:] - region[:2]).clamp(min=1)
        whole = size.ceil()
        enlarged = F.interpolate(
            heat[None], size=(int(whole[1]), int(whole[0])), mode="bicubic", align_corners=False
        )[0]
        peak = enlarged.flatten(1).argmax(1)
        pixel = torch.stack((peak % enlarged.shape[2], peak // enlarged.shape[2]), 1) + 0.5
        out.append(pixel * (size / whole) + region[:2])
    return torch.stack(out)


def test_resized_decoding_is_mask_rcnns():
    torch.manual_seed(0)
    corner = torch.rand(12, 2) * 100
    regions = torch.cat((corner, corner + torch.rand(12, 2) * 120 + 0.2), dim=1)
    logits = torch.randn(12, 5, 56, 56)
    expected = reference_positions(logits, regions)
    for limit in (1, 200_000, 1 << 24):  # one at a time, in groups, all at once
        found, mass = decode_joints_resized(logits, regions, max_elements=limit)
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)
        assert ((mass >= 0) & (mass <= 1)).all()


def test_resized_decoding_of_nobody():
    assert decode_joints_resized(torch.zeros(0, 5, 56, 56), torch.zeros(0, 4))[0].shape == (0, 5, 2)
