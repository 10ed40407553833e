"""Each loss against its formula, by hand or by loops."""

import math

import pytest
import torch

from fastpose_mtn.structures import PersonTargets
from fastpose_mtn.systems.posedet import losses as terms


def joints(*values):
    return torch.tensor([values], dtype=torch.float32)


def test_distances_are_summed_over_labelled_joints_and_clamped():
    poses = torch.tensor([[[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [9.0, 9.0]]])
    keypoints = joints([30, 40, 2], [3200, 0, 1], [7, 7, 0], [9, 9, 2])
    loss = terms.pose_distance(poses, keypoints, torch.tensor([32.0]))
    assert loss.item() == pytest.approx(50 / 32 + 5)


def test_joints_that_are_exact_or_not_labelled_have_no_gradient_and_no_nan():
    poses = torch.zeros(1, 3, 2, requires_grad=True)
    terms.pose_distance(poses, joints([0, 0, 2], [5, 5, 0], [3, 4, 2]), torch.tensor([10.0])).backward()
    assert poses.grad.tolist() == [[[0, 0], [0, 0], [pytest.approx(-0.06), pytest.approx(-0.08)]]]


def test_the_focal_loss_counts_examples_only():
    logits, positive = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([1, 0, -1])
    p = 1 / (1 + math.exp(-1))
    wanted = 0.25 * 0.5**2 * math.log(2) - 0.75 * p**2 * math.log(1 - p)
    assert terms.classification(logits, positive).item() == pytest.approx(wanted, rel=1e-5)


def target(keypoints, boxes, ignore=(False,)):
    return PersonTargets(
        boxes=torch.tensor(boxes, dtype=torch.float32),
        keypoints=torch.tensor(keypoints, dtype=torch.float32),
        identities=torch.full((len(boxes),), -1),
        ignore=torch.tensor(ignore),
    )


def test_heatmaps_have_one_at_the_joints_cell_and_are_unknown_where_it_is_not_labelled():
    one = target([[[20, 12, 2], [0, 0, 0]]], [[8, 0, 40, 24]])
    maps, known = terms.heatmap_targets(one, (5, 8), 8, sigma=2.0, everybody=True)
    assert maps[0, 1, 2] == 1
    assert maps[0, 1, 3].item() == pytest.approx(math.exp(-1 / 8))
    assert (maps[0] == 1).sum() == 1
    assert (maps[1] == 0).all()
    assert known[0].all()
    # cells at 8.5 ... 32.5 by 0.5 ... 16.5 lie in the box
    assert torch.nonzero(~known[1]).tolist() == [[y, x] for y in range(3) for x in range(1, 5)]
    _, known = terms.heatmap_targets(one, (5, 8), 8, sigma=2.0, everybody=False)
    assert torch.nonzero(known[0]).tolist() == [[y, x] for y in range(3) for x in range(1, 5)]
    assert not known[1].any()


def test_heatmaps_reach_seven_cells_and_belong_to_the_cell_at_or_before_the_joint():
    # pixel indices 63.75 and 64, of which cell 8 begins at 64; the last joint lies outside, 2 cells beyond the map
    one = target([[[64.25, 96.5, 2], [64.5, 96.5, 2], [208, 96.5, 2]]], [[0, 0, 190, 190]])
    maps, _ = terms.heatmap_targets(one, (24, 24), 8, sigma=2.0, everybody=True)
    assert torch.nonzero(maps == 1).tolist() == [[0, 12, 7], [1, 12, 8]]
    wanted = torch.zeros(24, 24)
    for row in range(5, 20):
        for column in range(1, 16):
            wanted[row, column] = math.exp(-((row - 12) ** 2 + (column - 8) ** 2) / 8)
    torch.testing.assert_close(maps[1], wanted)
    assert (maps[2] == 0).all()
    # a joint within the first half pixel is the first cell's
    maps, _ = terms.heatmap_targets(
        target([[[0.2, 0.2, 2]]], [[0, 0, 9, 9]]), (4, 4), 8, sigma=2.0, everybody=True
    )
    assert maps[0, 0, 0] == 1


def test_heatmaps_of_ignored_people_are_unknown_and_of_many_people_the_highest():
    many = target(
        [[[4 + i % 30, 4 + i % 20, 2]] for i in range(70)],
        [[0, 0, 60, 60]] * 70,
        [i == 69 for i in range(70)],
    )
    maps, known = terms.heatmap_targets(many, (8, 8), 8, sigma=2.0, everybody=True)
    assert maps.max() == 1
    assert not known[0, :7, :7].any()
    assert not known.all()
    nobody = PersonTargets.empty(1)
    maps, known = terms.heatmap_targets(nobody, (8, 8), 8, sigma=2.0, everybody=True)
    assert (maps == 0).all()
    assert known.all()


@pytest.mark.parametrize("kind", ["focal", "l2"])
def test_heatmap_losses_are_lowest_at_the_target_and_finite_everywhere(kind):
    maps = torch.tensor([[[[1.0, 0.5, 0.0]]]])
    known = torch.tensor([[[[True, True, False]]]])
    good = terms.heatmaps(torch.tensor([[[[9.0, 0.0, 9.0]]]]), maps, known, kind=kind)
    bad = terms.heatmaps(torch.tensor([[[[-500.0, 500.0, 9.0]]]]), maps, known, kind=kind)
    assert good < bad
    assert torch.isfinite(bad)
    p = 1 / (1 + math.exp(-1))
    middle = terms.heatmaps(torch.tensor([[[[1.0, 1.0, 1.0]]]]), maps, known, kind=kind).item()
    wanted = (
        -((1 - p) ** 2) * math.log(p) - 0.5**4 * p**2 * math.log(1 - p)
        if kind == "focal"
        else ((p - 1) ** 2 + (p - 0.5) ** 2) / 2
    )
    assert middle == pytest.approx(wanted, rel=1e-5)


def test_visibility_and_boxes():
    logits = torch.zeros(1, 3)
    assert terms.visibility(logits, joints([0, 0, 2], [0, 0, 1], [0, 0, 0])).item() == pytest.approx(
        math.log(2)
    )
    assert terms.visibility(logits[:0], torch.zeros(0, 3, 3)).item() == 0
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10]])
    wanted = torch.tensor([[1.0, 0, 10, 12], [0, 0, 10, 10]])
    assert terms.box_distance(boxes, wanted, torch.tensor([2.0, 2.0])).item() == pytest.approx(0.75)
    assert terms.box_distance(boxes[:0], wanted[:0], torch.zeros(0)).item() == 0


def test_the_overlap_of_boxes_counts_small_and_large_people_alike():
    wanted = torch.tensor([[0.0, 0, 10, 20], [0, 0, 100, 200], [0, 0, 10, 10]])
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 100, 100], [20, 0, 30, 10]])
    small, large = (terms.box_overlap(boxes[i : i + 1], wanted[i : i + 1]).item() for i in (0, 1))
    assert small == pytest.approx(0.5, abs=1e-4)
    assert large == pytest.approx(small, abs=1e-4)
    # apart: the box around both is 300, a third of which is neither's
    assert terms.box_overlap(boxes[2:], wanted[2:]).item() == pytest.approx(1 + 1 / 3, abs=1e-4)
    assert terms.box_overlap(boxes, wanted).item() == pytest.approx((0.5 + 0.5 + 4 / 3) / 3, abs=1e-4)
    assert terms.box_overlap(boxes[:0], wanted[:0]).item() == 0


def test_a_box_turned_over_is_pulled_back():
    box = torch.tensor([[6.0, 0.0, 4.0, 10.0]], requires_grad=True)
    terms.box_overlap(box, torch.tensor([[0.0, 0.0, 10.0, 10.0]])).backward()
    assert box.grad is not None
    assert box.grad[0, 0] > 0 > box.grad[0, 2]
