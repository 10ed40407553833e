"""What maps mean: losses fall towards the joints, and maps are read where they are."""

import pytest
import torch
from tiny_topdown import topdown_config

from fastpose_mtn.skeletons import COCO17, HALPE68, HALPE136
from fastpose_mtn.systems.topdown.codecs import (
    CrossEntropyCodec,
    HeatmapCodec,
    IntegralCodec,
    build_codec,
)

CODECS = {
    "heatmap": HeatmapCodec(),
    "subpixel": HeatmapCodec(subpixel=True),
    "integral": IntegralCodec(torch.ones(2)),
    "true": IntegralCodec(torch.ones(2), two_step=False, amplitude=None),
    "cross_entropy": CrossEntropyCodec(torch.tensor([0.05, 0.05])),
}
BLIND = ("MODEL.TOPDOWN.VISIBILITY_LOSS_WEIGHT", "0.0")
WANTED = torch.tensor([[[4.3, 9.6], [11.5, 3.5]], [[7.0, 7.0], [2.5, 12.5]]])


@pytest.mark.parametrize("name", CODECS)
def test_free_maps_are_trained_to_the_joints_and_read_there(name):
    codec, labelled = CODECS[name], torch.tensor([[True, True], [True, False]])
    maps = torch.zeros(2, 2, 16, 16, requires_grad=True)
    optimizer = torch.optim.Adam([maps], 0.1)
    for _ in range(200):
        optimizer.zero_grad()
        codec.loss(maps, WANTED, labelled).backward()
        assert maps.grad[1, 1].abs().max() == 0  # unlabelled
        optimizer.step()
    joints = codec.decode(maps.detach(), torch.full((2, 2), 10.0))
    error = (joints.positions - WANTED)[labelled].abs().max()
    assert error < (0.1 if name in ("integral", "true") else 0.75)
    assert ((joints.confidences >= 0) & (joints.confidences <= 1)).all()
    assert (joints.similarities is not None) == (name == "cross_entropy")


@pytest.mark.parametrize("name", CODECS)
def test_joints_outside_the_maps_and_no_joints_at_all_train_nothing(name):
    codec = CODECS[name]
    for positions, labelled in (
        (torch.full((1, 2, 2), -40.0), torch.ones(1, 2, dtype=torch.bool)),
        (torch.full((1, 2, 2), 5.0), torch.zeros(1, 2, dtype=torch.bool)),
    ):
        maps = torch.randn(1, 2, 16, 16, requires_grad=True)
        loss = codec.loss(maps, positions, labelled)
        loss.backward()
        assert loss.item() == 0
        assert maps.grad.abs().max() == 0
    nobody = codec.decode(torch.zeros(0, 2, 16, 16), torch.zeros(0, 2))
    assert nobody.positions.shape == (0, 2, 2)


def test_the_loss_of_heatmaps_by_hand():
    """One cell of height 1 is missing from a map of 0: half the mean of the squared Gaussian, over both maps."""
    position, labelled = torch.tensor([[[8.5, 8.5], [8.5, 8.5]]]), torch.tensor([[True, False]])
    line = torch.exp(-0.125 * torch.arange(-6.0, 7).square())
    wanted = 0.5 * (line[:, None] * line).square().sum() / (2 * 16 * 16)
    assert CODECS["heatmap"].loss(torch.zeros(1, 2, 16, 16), position, labelled) == pytest.approx(wanted)


def test_the_loss_of_means_by_hand():
    """Even maps have their mean in the middle: shares of 1/4 and 1/8 away, twice as much for the second joint."""
    codec = IntegralCodec(torch.tensor([1.0, 2.0]))
    position = torch.tensor([[[4.0, 8.0], [8.0, 6.0]], [[8.0, 8.0], [8.0, 8.0]]])
    loss = codec.loss(torch.zeros(2, 2, 16, 16), position, torch.ones(2, 2, dtype=torch.bool))
    assert loss.item() == pytest.approx((1 * 0.25 + 2 * 0.125) / 2)


def test_codecs_by_the_configuration():
    assert isinstance(build_codec(topdown_config(), COCO17), CrossEntropyCodec)
    assert isinstance(
        build_codec(topdown_config("MODEL.TOPDOWN.LOSS", "heatmap", *BLIND), COCO17), HeatmapCodec
    )
    codec = build_codec(topdown_config("MODEL.TOPDOWN.LOSS", "integral"), HALPE136)
    assert codec._weights[:26].tolist() == [2.0] * 26
    assert codec._weights[26:].tolist() == [1.0] * 110
    assert codec._amplitudes((64, 48)) == (6.0, 8.0)
    options = ("MODEL.TOPDOWN.LOSS", "integral", "MODEL.TOPDOWN.ASG_AMPLITUDE_ABSOLUTE", "2.0")
    assert build_codec(topdown_config(*options), COCO17)._amplitudes((64, 48)) == (2.0, 2.0)


def test_bodies_by_heatmaps_and_hands_by_means():
    codec = build_codec(topdown_config("MODEL.TOPDOWN.LOSS", "combined", *BLIND), HALPE68)
    heatmap, integral = HeatmapCodec(), IntegralCodec(torch.ones(68))
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 68, 16, 16, generator=generator)
    positions = 16 * torch.rand(2, 68, 2, generator=generator)
    everything = torch.ones(2, 68, dtype=torch.bool)
    hands = everything & (torch.arange(68) >= 26)
    expected = 100 * heatmap.loss(maps[:, :26], positions[:, :26], everything[:, :26])
    expected += 0.01 * integral.loss(maps, positions, hands)
    assert codec.loss(maps, positions, everything).item() == pytest.approx(expected.item(), rel=1e-5)
    found, people = codec.decode(maps, torch.ones(2, 2)), torch.ones(2, 2)
    assert torch.equal(found.positions[:, :26], heatmap.decode(maps, people).positions[:, :26])
    assert torch.equal(found.confidences[:, 26:], integral.decode(maps, people).confidences[:, 26:])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("LOSS", "l2"),
            r"MODEL\.TOPDOWN\.LOSS: expected integral, heatmap, combined or cross_entropy, got 'l2'",
        ),
        (
            ("LOSS", "integral", "MODEL.TOPDOWN.GRADIENT", "none"),
            r"GRADIENT: expected symmetric or true, got 'none'",
        ),
        (("LOSS", "heatmap"), r"VISIBILITY_LOSS_WEIGHT 0\.25: the heights of heatmaps are trained already"),
        (
            ("LOSS", "heatmap", *BLIND, "MODEL.TOPDOWN.HEATMAP_SIGMA", "0.0"),
            r"expected cells above 0, got 0\.0",
        ),
    ],
)
def test_values_that_mean_nothing(options, message):
    with pytest.raises(ValueError, match=message):
        build_codec(topdown_config("MODEL.TOPDOWN." + options[0], *options[1:]), COCO17)
