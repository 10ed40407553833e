"""The pose network: sizes as published, and what it cannot be."""

import pytest
import torch

from fastpose_mtn.build import build_network
from fastpose_mtn.commands.summary import summarize_crops
from fastpose_mtn.config import get_cfg
from fastpose_mtn.systems.alphapose.upsamplers import DUC

PLAIN = ("MODEL.TOPDOWN.SQUEEZE_EXCITATION", False)


def build(*options):
    cfg = get_cfg()
    cfg.merge_from_file("Base-TopDown")
    cfg.merge_from_list(["MODEL.TIMM.PRETRAINED", False, *options])
    return build_network(cfg)


@pytest.mark.parametrize(
    ("options", "parameters", "tensors", "operations"),
    [
        ([], 40.578, 348, 5.911),
        (["MODEL.SKELETON", "HALPE136"], 40.715, 348, 6.333),
        (["MODEL.SKELETON", "HALPE136", "MODEL.TOPDOWN.CONV_DIM", 256], 42.052, 348, 7.721),
        (["MODEL.TIMM.NAME", "resnet101"], 59.570, 654, 9.558),
        (["MODEL.TOPDOWN.INPUT_SIZE", [256, 256]], 40.578, 348, 7.878),
        ([*PLAIN, "MODEL.TOPDOWN.UPSAMPLER", "deconv"], 34.000, 338, 5.450),
    ],
)
def test_parameters_and_operations_are_the_published_networks(options, parameters, tensors, operations):
    network = build(*options)
    assert len(network.state_dict()) == tensors
    parts = summarize_crops(network, people=1)
    assert sum(part.parameters for part in parts) / 1e6 == pytest.approx(parameters, abs=1e-3)
    assert sum(part.operations for part in parts) / 1e9 == pytest.approx(operations, rel=1e-3)


def test_squeeze_and_excitation_is_in_the_first_block_of_each_stage():
    network = build()
    blocks = {
        name.removeprefix("backbone.bottom_up.").partition(".se.")[0]
        for name in network.state_dict()
        if ".se." in name
    }
    assert blocks == {f"layer{stage}.0" for stage in (1, 2, 3, 4)}
    with torch.no_grad():
        first = network.backbone.bottom_up.layer1[0]
        torch.nn.init.ones_(first.bn3.weight)  # timm begins with 0
        x = torch.randn(1, 64, 8, 8)
        before = first(x)
        first.se.fc2.bias += 5
        assert not torch.equal(before, first(x))


def test_the_order_of_a_pixel_shuffle():
    duc = DUC(64, 3)
    assert duc.shuffle(torch.arange(4.0).view(1, 4, 1, 1)).tolist() == [[[[0, 1], [2, 3]]]]
    assert duc(torch.zeros(2, 64, 2, 1)).shape == (2, 3, 16, 8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["MODEL.TIMM.NAME", "mobilenetv2_035"],
            r"SQUEEZE_EXCITATION True: it goes into resnet50, .*set it False",
        ),
        (["MODEL.TOPDOWN.INPUT_SIZE", [192, 144]], r"multiples of 32, got \[192, 144\]"),
        (["MODEL.TOPDOWN.UPSAMPLER", "bilinear"], r"UPSAMPLER: expected duc or deconv, got 'bilinear'"),
        (["MODEL.TOPDOWN.NAME", "DUCPos"], r"MODEL\.TOPDOWN\.NAME: unknown 'DUCPos'; did you mean DUCPose\?"),
    ],
)
def test_what_it_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        build(*options)
