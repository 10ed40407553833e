import math

import pytest
import torch
from torch.nn import functional as F

from fastpose_mtn.ops.heatmaps import decode_keypoints, decode_keypoints_resized, encode_keypoints
from fastpose_mtn.ops.oks import AREA_PER_BOX

SIZE = (88, 64)
CELLS = torch.tensor([[0.0, 0.0, 64.0, 88.0]])  # a region of one pixel a cell
SIGMAS = torch.tensor([0.026, 0.062, 0.107])


def decode(logits, region=CELLS, sigma=0.026):
    """For people whose boxes are their regions, all joints with the same constant."""
    return decode_keypoints(logits, region, region, torch.full((logits.shape[1],), sigma))


def expected_oks(logits, xy, sigma):
    """At one position of a map whose cells are pixels, by definition."""
    ys, xs = torch.meshgrid(torch.arange(88) + 0.5, torch.arange(64) + 0.5, indexing="ij")
    distance = (xs - xy[0]) ** 2 + (ys - xy[1]) ** 2
    posterior = logits.flatten().softmax(0).view(SIZE)
    return (posterior * torch.exp(-distance / (2 * AREA_PER_BOX * 64 * 88 * (2 * sigma) ** 2))).sum()


def one_hot_logits(cell, size_hw, height=20.0):
    logits = torch.zeros(*cell.shape, size_hw[0] * size_hw[1])
    return logits.scatter_(2, cell[..., None], height).view(*cell.shape, *size_hw)


def test_encode_by_hand():
    region = torch.tensor([[100.0, 50.0, 164.0, 138.0]])  # one pixel a cell
    keypoints = torch.tensor(
        [[[100.0, 50.0, 2], [103.9, 52.0, 1], [164.0, 138.0, 2], [99.9, 60, 2], [110, 60, 0], [164.1, 60, 2]]]
    )
    cell, valid = encode_keypoints(keypoints, region, SIZE)
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
    cell, valid = encode_keypoints(keypoints, region, SIZE)
    assert valid.all()
    decoded, similarity = decode(one_hot_logits(cell, SIZE), region)
    cell_size = (region[:, 2:] - region[:, :2]) / torch.tensor([64.0, 88.0])
    error = (decoded - xy) / cell_size[:, None]
    assert error.abs().max() < 0.51
    assert error.mean().abs() < 0.03  # no offset
    assert (similarity > 0.99).all()


def test_decode_finds_a_position_between_cells():
    """A blurred peak (the posterior of a joint at a fraction of a cell) is found to a twentieth of a cell."""
    ys, xs = torch.meshgrid(torch.arange(88) + 0.5, torch.arange(64) + 0.5, indexing="ij")
    for x, y in ((30.5, 40.5), (30.8, 40.1), (31.0, 41.0), (12.3, 77.7)):
        logits = -((xs - x) ** 2 + (ys - y) ** 2) / (2 * 0.8**2)
        xy, _ = decode(logits[None, None])
        assert xy.flatten().tolist() == pytest.approx([x, y], abs=0.05)


def test_no_position_is_expected_to_be_nearer():
    """The decoded position's expected OKS is the best of a fine grid of positions. What is told is it, but for the
    spread within blocks, which is left out."""
    torch.manual_seed(0)
    maps = F.interpolate(torch.randn(6, 3, 11, 8) * 5, size=SIZE, mode="bicubic")
    xy, similarity = decode_keypoints(maps, CELLS.expand(6, 4), CELLS.expand(6, 4), SIGMAS)
    for person in range(6):
        for joint, sigma in enumerate(SIGMAS):
            heat = maps[person, joint]
            here = expected_oks(heat, xy[person, joint], sigma)
            best = max(expected_oks(heat, (x, y), sigma) for x in range(1, 64, 2) for y in range(1, 88, 2))
            assert here >= best - 0.01
            assert here - 0.01 < similarity[person, joint] < here + 0.1


def test_much_mass_nearby_outweighs_a_higher_cell_alone():
    logits = torch.full((1, 1, *SIZE), -20.0)
    logits[0, 0, 20, 10] = 1.0
    logits[0, 0, 60:65, 38:43] = 0.0
    xy, similarity = decode(logits, sigma=0.06)
    assert xy.flatten().tolist() == pytest.approx([40.5, 62.5], abs=0.2)
    assert 0.8 < similarity.item() < 25 / (25 + math.e)


def test_second_hypothesis_does_not_pull():
    logits = torch.full((1, 1, *SIZE), -20.0)
    logits[0, 0, 20, 10] = 5.0
    logits[0, 0, 20, 50] = 4.9  # the other ankle
    xy, similarity = decode(logits)
    assert xy.flatten().tolist() == pytest.approx([10.5, 20.5], abs=0.01)
    assert similarity.item() == pytest.approx(1 / (1 + math.exp(-0.1)), abs=1e-3)


def test_peak_at_the_border_reads_nothing_outside():
    logits = torch.zeros(1, 1, *SIZE)
    logits[0, 0, 0, 63] = 30.0
    xy, similarity = decode(logits)
    assert xy.flatten().tolist() == pytest.approx([63.5, 0.5], abs=1e-3)
    assert similarity.item() <= 1.0


def test_decode_does_not_depend_on_the_persons_size():
    torch.manual_seed(0)
    logits = torch.randn(1, 15, *SIZE) * 3
    small, large = torch.tensor([[0.0, 0.0, 16.0, 22.0]]), torch.tensor([[0.0, 0.0, 1600.0, 2200.0]])
    near, similarity = decode(logits, small)
    far, same = decode(logits, large)
    torch.testing.assert_close(near * 100, far, atol=1e-2, rtol=0)
    torch.testing.assert_close(similarity, same)


def test_decode_of_nobody_nowhere_and_in_half_precision():
    xy, similarity = decode(torch.zeros(0, 15, *SIZE), torch.zeros(0, 4))
    assert xy.shape == (0, 15, 2)
    assert similarity.shape == (0, 15)
    xy, _ = decode(torch.zeros(1, 15, *SIZE, dtype=torch.bfloat16))
    assert xy.dtype == torch.float32
    xy, similarity = decode(torch.zeros(1, 15, *SIZE), torch.tensor([[5.0, 5, 5, 5]]))  # a box without a size
    assert xy.isfinite().all()
    assert similarity.isfinite().all()


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
        found, similarity = decode_keypoints_resized(
            logits, regions, regions, torch.full((5,), 0.06), max_elements=limit
        )
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)
        assert ((similarity >= 0) & (similarity <= 1)).all()


def test_resized_decoding_of_nobody():
    nobody = torch.zeros(0, 4)
    xy, _ = decode_keypoints_resized(torch.zeros(0, 5, 56, 56), nobody, nobody, torch.ones(5))
    assert xy.shape == (0, 5, 2)
