"""What trains an MSPN: worked by hand, who trains nothing, and how hidden joints count."""

import pytest
import torch
from tiny_mspn import mspn_config
from tiny_topdown import crop_batch

from fastpose_mtn.build import build_network
from fastpose_mtn.ops.gaussian_maps import kernel_sigma
from fastpose_mtn.ops.oks import AREA_PER_BOX, object_keypoint_similarity
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


def gaussian(position, size_hw, sigma):
    """A target in float64, cell by cell, cut at three standard deviations."""
    rows, columns = torch.meshgrid(
        *(torch.arange(n, dtype=torch.float64) + 0.5 for n in size_hw), indexing="ij"
    )
    dx, dy = columns - position[0].item(), rows - position[1].item()
    near = torch.maximum(dx.abs(), dy.abs()) <= 3 * sigma
    return torch.where(near, torch.exp(-(dx**2 + dy**2) / (2 * sigma**2)), 0.0)


def test_the_hardest_of_several_people_by_loops():
    """Public code's loss: of each person the mean over 8 joints, their unlabelled ones 0; the mean over people."""
    generator = torch.Generator().manual_seed(0)
    positions = torch.rand(3, 17, 2, generator=generator) * torch.tensor([12.0, 16.0])
    visibility = torch.randint(0, 3, (3, 17), generator=generator).float()
    visibility[2, 3:] = 0  # fewer labelled joints than 8
    maps = torch.randn(3, 17, 16, 12, generator=generator)
    wanted = 0.0
    for person in range(3):
        each = [
            float(
                (maps[person, joint].double() - gaussian(positions[person, joint], (16, 12), 2.0))
                .square()
                .mean()
            )
            if visibility[person, joint] > 0
            else 0.0
            for joint in range(17)
        ]
        wanted += sum(sorted(each)[-8:]) / 8 / 3
    people = LabelledPeople(positions, visibility, torch.ones(3, dtype=torch.bool), torch.full((3,), -1))
    loss = HeatmapLoss(HeatmapCodec(sigma=2.0, subpixel=True))
    assert loss(maps, people, hardest=8, hidden_are_empty=False).item() == pytest.approx(wanted, abs=1e-6)


def test_the_networks_losses_are_its_units_summed_over_stages():
    """Three units of a stage at a quarter, all their joints; the fourth whole, its hardest; each with its own kernel."""
    torch.manual_seed(0)
    network = build_network(mspn_config("MODEL.MSPN.OHKM_TOPK", "5")).eval()
    batch = crop_batch(2)
    with torch.no_grad():
        units = network.backbone.units(network.preprocess(torch.stack(list(batch.images))))
        maps = network.upsampler.all(units)
        losses = network.losses(batch)
    wanted = {"loss_coarse": 0.0, "loss_keypoint": 0.0}
    for stage, kernels in zip(maps, ([15, 11, 9, 7], [11, 9, 7, 5]), strict=True):
        for unit, kernel in enumerate(kernels):
            for person in range(2):
                points = batch.targets[person].keypoints[0, :, :2] / 4
                each = torch.stack(
                    [
                        (found.double() - gaussian(point, (16, 8), kernel_sigma(kernel))).square().mean()
                        for found, point in zip(stage[unit][person], points, strict=True)
                    ]
                )
                if unit < 3:
                    wanted["loss_coarse"] += 0.25 * each.mean().item() / 2
                else:
                    wanted["loss_keypoint"] += each.topk(5).values.mean().item() / 2
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(wanted, rel=1e-4)


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


def test_a_few_crops_are_learned_by_heart(threads):
    """Eight people of noise at random: their joints' mean OKS is what a published network's would be beside its labels."""
    threads(1)
    torch.manual_seed(0)
    height, width = 128, 96
    network = build_network(
        mspn_config(
            "MODEL.MSPN.CHANNELS", 12, "MODEL.MSPN.UP_CHANNELS", 16, "MODEL.TOPDOWN.INPUT_SIZE", [height, width],
            "MODEL.TOPDOWN.DECODER", "dark", "MODEL.TOPDOWN.FILTER_KERNEL", 0,
        )
    )  # fmt: skip
    one, size = crop_batch(8, size=(height, width)), torch.tensor([float(width), float(height)])
    for target in one.targets:  # not at the border, where peaks are cut off
        target.keypoints[..., :2] = (
            0.1 + 0.8 * target.keypoints[..., :2] / torch.tensor([32.0, 64.0])
        ) * size
    optimizer = torch.optim.Adam(network.parameters(), 0.015)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.015, total_steps=100)
    for _ in range(100):
        optimizer.zero_grad()
        sum(network.losses(one).values()).backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        joints = network.joints(network.eval()(torch.stack(list(one.images))), torch.ones(8, 2))
    wanted = torch.cat([target.keypoints for target in one.targets])
    areas = torch.full((8,), AREA_PER_BOX * height * width)
    similarity = object_keypoint_similarity(joints[..., :2] * size, wanted, areas, network.skeleton.sigmas)
    assert similarity.diagonal().mean() >= 0.98
