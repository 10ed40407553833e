"""Which cells learn what of whom, on scenes worked out by hand."""

import pytest
import torch

from fastpose_mtn.skeletons import COCO17
from fastpose_mtn.structures import TASKS, PersonTargets
from fastpose_mtn.systems.posedet.grid import build_grid, cell_poses
from fastpose_mtn.systems.posedet.targets import Rules, assign, assign_seeds, places

STRIDES = (8, 16, 32, 64)
RULES = Rules(COCO17.sigmas)


@pytest.fixture
def grid():
    """Of an image of 128 x 128 pixels."""
    return build_grid([torch.zeros(1, 1, 128 // stride, 128 // stride) for stride in STRIDES], STRIDES)


def people(*boxes, ignore=None, labelled=17):
    """People whose joints lie on the diagonal of their boxes, from corner to corner."""
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    along = torch.linspace(0, 1, 17)[:, None]
    xy = boxes[:, None, :2] + along * (boxes[:, None, 2:] - boxes[:, None, :2])
    v = torch.full((len(boxes), 17, 1), 2.0)
    v[:, labelled:] = 0
    return PersonTargets(
        boxes=boxes,
        keypoints=torch.cat((xy, v), dim=-1),
        identities=torch.arange(len(boxes)),
        ignore=torch.tensor(ignore or [False] * len(boxes), dtype=torch.bool),
    )


def everywhere(grid, target, person=0):
    """Every cell's pose is this person's."""
    return target.keypoints[person, :, :2].expand(len(grid.strides), -1, -1).clone()


def test_cells_lie_at_multiples_of_their_stride(grid):
    assert len(grid.strides) == 256 + 64 + 16 + 4
    assert grid.xy[:2].tolist() == [[0.5, 0.5], [8.5, 0.5]]
    assert grid.xy[16].tolist() == [0.5, 8.5]
    assert (grid.xy[-1].tolist(), grid.first[-1].item(), grid.sizes_hw[-1].tolist()) == (
        [64.5] * 2,
        336,
        [2, 2],
    )


def test_cells_may_be_moved_by_a_share_of_their_stride():
    moved = build_grid([torch.zeros(1, 1, 2, 3), torch.zeros(1, 1, 1, 1)], [8, 16], 0.5)
    assert moved.xy.tolist() == [
        [4.5, 4.5],
        [12.5, 4.5],
        [20.5, 4.5],
        [4.5, 12.5],
        [12.5, 12.5],
        [20.5, 12.5],
        [8.5] * 2,
    ]
    poses = cell_poses(torch.tensor([[[1.0, 2.0]]]), moved.at(torch.tensor([4])))
    assert poses.tolist() == [[[12.5 + 2 * 8, 12.5 + 1 * 8]]]
    assert moved.yx[4].tolist() == [1, 1]  # features are read at the same cells


@pytest.mark.parametrize(
    ("size", "stride"), [(4, 8), (63, 8), (64, 16), (127, 16), (128, 32), (255, 32), (256, 64), (5000, 64)]
)
def test_the_level_is_that_of_the_persons_size(grid, size, stride):
    seeds = assign_seeds(grid, torch.tensor([[70.0, 50.0]]), torch.tensor([[float(size)] * 2]), 1)
    (cell,) = torch.nonzero(seeds >= 0)[:, 0]
    assert grid.strides[cell] == stride
    assert ((grid.xy[cell] - torch.tensor([70.0, 50.0])).abs() <= stride / 2).all()


def test_a_cell_near_two_people_is_the_nearer_ones_in_their_own_measure(grid):
    # both are nearest to the cell at (40.5, 40.5); 3 pixels of 60 are nearer than 2 of 20
    centre = torch.tensor([[42.5, 40.5], [43.5, 40.5]])
    size = torch.tensor([[20.0, 50.0], [60.0, 50.0]])
    seeds = assign_seeds(grid, centre, size, 1)
    (cell,) = torch.nonzero(seeds >= 0)[:, 0]
    assert (seeds[cell].item(), grid.xy[cell].tolist()) == (1, [40.5, 40.5])
    assert (assign_seeds(grid, centre, size, 5) >= 0).sum() > 5
    assert (assign_seeds(grid, centre[:0], size[:0], 5) == -1).all()


def test_the_place_is_the_mean_of_labelled_joints_or_the_middle_of_their_extent():
    target = people([0, 0, 160, 160])
    target.keypoints[0, 3:, 2] = 0
    target.keypoints[0, :3, :2] = torch.tensor([[10.0, 20.0], [20.0, 20.0], [60.0, 50.0]])
    posed = torch.tensor([True])
    assert [v.tolist() for v in places(target, posed, "keypoints")] == [[[30, 30]], [[50, 30]]]
    assert [v.tolist() for v in places(target, posed, "box")] == [[[35, 35]], [[50, 30]]]
    assert [v.tolist() for v in places(target, ~posed, "box")] == [[[80, 80]], [[160, 160]]]


def test_coarse_poses_near_a_person_are_positive_and_refined(grid):
    target = people([20, 20, 70, 110], [80, 20, 120, 110])
    poses = everywhere(grid, target) + 400  # far from everybody
    poses[5] = target.keypoints[0, :, :2]
    poses[6] = target.keypoints[1, :, :2] + 4  # between the thresholds
    given = assign(grid, poses, target, TASKS, RULES)
    assert (given.positive[5].item(), given.refined[5].item()) == (1, 0)
    assert torch.nonzero(given.positive == 1)[:, 0].tolist() == [5]
    assert set(torch.nonzero(given.refined >= 0)[:, 0].tolist()) <= {5, 6}
    assert (given.positive == 0).sum() >= len(poses) - 2
    assert given.posed.all()


@pytest.mark.parametrize(("shift", "positive", "refined"), [(0, 1, 0), (5.2, 1, 0), (6, -1, 0), (9, 0, -1)])
def test_thresholds(grid, shift, positive, refined):
    """OKS of a shift in x of this person: about 1, 0.62 (refined as the best one), 0.54 and 0.3."""
    target = people([20, 20, 70, 110])
    poses = everywhere(grid, target) + 400
    poses[7] = target.keypoints[0, :, :2] + torch.tensor([float(shift), 0.0])
    given = assign(grid, poses, target, TASKS, RULES)
    assert (given.positive[7].item(), given.refined[7].item()) == (positive, refined)


def test_before_any_pose_is_near_the_places_may_be_positive(grid):
    target = people([20, 20, 70, 110])
    poses = everywhere(grid, target) + 400
    assert not (assign(grid, poses, target, TASKS, RULES).positive == 1).any()
    given = assign(grid, poses, target, TASKS, Rules(COCO17.sigmas, cls_seeds=True, pos_num=3))
    assert torch.equal(given.positive == 1, given.seeds == 0)
    assert (given.seeds == 0).sum() == 3


@pytest.mark.parametrize("kind", ["ignored", "few joints", "no keypoint task"])
def test_cells_on_people_without_poses_are_no_examples(grid, kind):
    target = people([20, 20, 70, 110], ignore=[kind == "ignored"], labelled=2 if kind == "few joints" else 17)
    tasks = TASKS - {"keypoints"} if kind == "no keypoint task" else TASKS
    poses = everywhere(grid, target) + 400
    poses[3] = target.keypoints[0, :, :2]
    given = assign(grid, poses, target, tasks, RULES)
    assert torch.nonzero(given.positive != 0)[:, 0].tolist() == [3]
    assert given.positive[3] == -1
    assert (given.refined == -1).all()
    assert ((given.seeds >= 0).sum() == 0) == (kind == "ignored")


def test_a_person_of_few_joints_takes_no_cell_that_a_pose_is_learned_at(grid):
    # the joints' mean is 3 pixels from the cell at (40.5, 40.5), the middle of the other's box in it
    target = people([23.5, 23.5, 63.5, 63.5], [20.5, 20.5, 60.5, 60.5])
    target.keypoints[1, 2:, 2] = 0
    given = assign(grid, everywhere(grid, target) + 400, target, TASKS, RULES)
    (cell,) = torch.nonzero(given.seeds >= 0)[:, 0]
    assert (given.seeds[cell].item(), grid.xy[cell].tolist()) == (0, [40.5, 40.5])
    assert given.posed.tolist() == [True, False]


def test_an_image_whose_people_are_not_all_labelled_gives_no_examples(grid):
    target = people([20, 20, 70, 110])
    given = assign(grid, everywhere(grid, target), target, frozenset({"keypoints"}), RULES)
    assert (given.positive == -1).all()
    assert (given.refined == 0).all()


def test_nobody_and_five_hundred(grid):
    nobody = assign(grid, torch.zeros(len(grid.strides), 17, 2), people(), TASKS, RULES)
    assert (nobody.positive == 0).all()
    assert (nobody.seeds == -1).all()
    crowd = people(*[[i % 90, i % 70, i % 90 + 30, i % 70 + 40] for i in range(500)])
    given = assign(grid, everywhere(grid, crowd, 7), crowd, TASKS, RULES)
    assert (given.positive == 1).all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"centroid": "middle"}, "CENTROID: expected keypoints or box, got 'middle'"),
        ({"pos_num": 0}, "POS_NUM: expected 1 or more, got 0"),
        ({"oks_negative": 0.9}, "OKS_NEGATIVE and OKS_POSITIVE: expected 0 <= negative <= positive"),
    ],
)
def test_rules_out_of_range(changed, message):
    with pytest.raises(ValueError, match=f"MODEL.POSEDET.{message}"):
        Rules(COCO17.sigmas, **changed)
