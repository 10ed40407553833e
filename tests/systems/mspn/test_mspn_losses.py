"""What trains an MSPN: worked by hand, who trains nothing, and how hidden joints count."""

import pytest
import torch
from tiny_mspn import mspn_config
from tiny_topdown import crop_batch

from fastpose_mtn.build import build_network
from fastpose_mtn.systems.mspn.network import CrossEntropyLoss, HeatmapLoss
from fastpose_mtn.systems.topdown.codecs import CrossEntropyCodec, HeatmapCodec, hardest_of
from fastpose_mtn.systems.topdown.network import LabelledPeople

# one person on maps of 2x2 cells: a visible joint in the first cell, a hidden one in the last, one without a label
POSITIONS = torch.tensor([[[0.5, 0.5], [1.2, 1.7], [0.5, 1.5]]])
JOINTS = LabelledPeople(POSITIONS, torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([True]), torch.tensor([-1]))
MAPS = torch.tensor([[[[0.5, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 3.0]], [[2.0, 0.0], [0.0, 0.0]]]])


class OneCell(HeatmapCodec):
    """A target of one cell alone."""

    def each(self, maps, positions, counts, drawn=None):
        wanted = torch.zeros_like(maps)
        for joint, (x, y) in enumerate(positions[0].long().tolist()):
            wanted[0, joint, y, x] = 1.0
        if drawn is not None:
            wanted = wanted * drawn[..., None, None]
        errors = (maps / self.peak - wanted).square().mean(dim=(2, 3))
        return torch.where(counts, errors, 0.0)


@pytest.mark.parametrize(
    ("hardest", "empty", "wanted"),
    [
        (0, False, (0.25 / 4 + 4 / 4 + 0) / 3),
        (1, False, 1.0),  # the hidden joint is the hardest
        (2, False, (0.25 / 4 + 1) / 2),
        (8, False, (0.25 / 4 + 1) / 3),  # of no more joints than there are
        (0, True, (0.25 / 4 + 9 / 4 + 4 / 4) / 3),  # hidden and unlabelled maps are to be empty
    ],
)
def test_losses_of_heatmaps_by_hand(hardest, empty, wanted):
    loss = HeatmapLoss(OneCell())
    assert loss(MAPS, JOINTS, hardest=hardest, hidden_are_empty=empty).item() == pytest.approx(wanted)
    high = HeatmapLoss(OneCell(peak=255.0))
    assert high(255 * MAPS, JOINTS, hardest=hardest, hidden_are_empty=empty).item() == pytest.approx(wanted)


def test_the_hardest_joints_are_each_persons():
    losses = torch.tensor([[5.0, 1.0, 4.0], [0.0, 2.0, 3.0]])
    assert hardest_of(losses, 2).sort().values.tolist() == [[4, 5], [2, 3]]
    assert hardest_of(torch.zeros(0, 3), 2).shape == (0, 2)


def test_cross_entropies_count_labelled_joints_alone():
    loss = CrossEntropyLoss(CrossEntropyCodec(torch.full((3,), 0.05)))
    each = -MAPS.flatten(2).log_softmax(dim=2)[0, [0, 1], [0, 3]]
    assert loss(MAPS, JOINTS, hardest=0, hidden_are_empty=False).item() == pytest.approx(each.mean().item())
    assert loss(MAPS, JOINTS, hardest=1, hidden_are_empty=False).item() == pytest.approx(each.max().item())


@pytest.mark.parametrize("kernel", [0, 7])
@pytest.mark.parametrize("empty", [False, True])
def test_nobody_and_people_who_do_not_train_lose_nothing(kernel, empty):
    loss = HeatmapLoss(HeatmapCodec(kernel=kernel))
    for people, trains in ((0, []), (2, [False, False])):
        maps = torch.randn(people, 3, 8, 8, requires_grad=True)
        joints = LabelledPeople(
            torch.full((people, 3, 2), 4.0),
            torch.full((people, 3), 2.0),
            torch.tensor(trains, dtype=torch.bool),
            torch.full((people,), -1),
        )
        value = loss(maps, joints, hardest=2, hidden_are_empty=empty)
        value.backward()
        assert value.item() == 0
        assert maps.grad.abs().sum() == 0


@pytest.mark.parametrize(
    "options",
    [
        [],
        [
            "MODEL.MSPN.TARGETS",
            "megvii",
            "MODEL.TOPDOWN.HEATMAP_PEAK",
            "255.0",
            "MODEL.MSPN.VISIBILITY_TARGETS",
            "release",
        ],
        ["MODEL.MSPN.OHKM", "False", "MODEL.MSPN.CSFA", "False"],
        ["MODEL.TOPDOWN.LOSS", "cross_entropy", "MODEL.TOPDOWN.VISIBILITY_LOSS_WEIGHT", "0.25"],
    ],
    ids=["ours", "release", "plain", "cross entropy"],
)
def test_losses_train_every_part(options):
    torch.manual_seed(0)
    network = build_network(mspn_config(*options))
    losses = network.losses(crop_batch(4))
    assert {"loss_coarse", "loss_keypoint"} <= set(losses) <= set(network.loss_tasks)
    sum(losses.values()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
    assert all(head[1].conv.weight.grad.abs().max() > 0 for head in network.upsampler.predict)


def test_without_supervision_of_units_the_finest_scale_trains_alone():
    network = build_network(mspn_config("MODEL.MSPN.UNIT_SUPERVISION", "False"))
    losses = network.losses(crop_batch(4))
    assert set(losses) == {"loss_keypoint"}
    losses["loss_keypoint"].backward()
    trained = [head[1].conv.weight.grad.abs().max() > 0 for head in network.upsampler.predict]
    assert [bool(t) for t in trained] == [False, False, False, True] * 2


@pytest.mark.parametrize("people", [{"v": 0}, {"ignore": True}])
def test_who_trains_nothing_has_gradients_of_exactly_zero(people):
    network = build_network(mspn_config())
    losses = network.losses(crop_batch(**people))
    assert all(loss.item() == 0 for loss in losses.values())
    sum(losses.values()).backward()
    assert all(p.grad.abs().max() == 0 for p in network.parameters())


def test_a_few_crops_are_learned_by_heart():
    """Eight crops: joints come to lie within a cell of their places."""
    torch.manual_seed(0)
    network = build_network(mspn_config("MODEL.MSPN.CHANNELS", "16", "MODEL.MSPN.UP_CHANNELS", "32"))
    one = crop_batch(8)
    optimizer = torch.optim.Adam(network.parameters(), 0.004)
    for _ in range(150):
        optimizer.zero_grad()
        sum(network.losses(one).values()).backward()
        optimizer.step()
    with torch.no_grad():
        joints = network.joints(network.eval()(torch.stack(list(one.images))), torch.ones(8, 2))
    found = joints[..., :2] * torch.tensor([32.0, 64.0])
    wanted = torch.cat([target.keypoints for target in one.targets])[..., :2]
    assert (found - wanted).norm(dim=-1).median() < 2.0
