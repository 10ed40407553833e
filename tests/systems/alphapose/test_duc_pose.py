"""The pose network: sizes as published, numbers as computed elsewhere, and what it cannot be."""

import math

import pytest
import torch
from torch import nn

from fastpose_mtn.build import build_network
from fastpose_mtn.config import get_cfg
from fastpose_mtn.errors import InputError
from fastpose_mtn.runtime.inference import at_its_fastest, converted_autocast
from fastpose_mtn.systems.alphapose.backbone import DeformableConv
from fastpose_mtn.systems.alphapose.upsamplers import DUC
from fastpose_mtn.systems.topdown.portable import PortableTopDown
from fastpose_mtn.systems.topdown.size import parts_of

DEEP = ("MODEL.TOPDOWN.UPSAMPLER", "duc_deep")
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
        (["MODEL.SKELETON", "HALPE26"], 40.588, 348, 5.943),
        (["MODEL.SKELETON", "HALPE136"], 40.715, 348, 6.333),
        (["MODEL.SKELETON", "HALPE136", "MODEL.TOPDOWN.CONV_DIM", 256], 42.052, 348, 7.721),
        (["MODEL.TIMM.NAME", "resnet101"], 59.570, 654, 9.558),
        (["MODEL.TIMM.NAME", "resnet152"], 75.214, 960, 13.207),
        (["MODEL.TOPDOWN.INPUT_SIZE", [256, 256]], 40.578, 348, 7.878),
        ([*PLAIN, "MODEL.TOPDOWN.UPSAMPLER", "deconv"], 34.000, 338, 5.450),
        ([*DEEP, "MODEL.TOPDOWN.CONVOLUTIONS", "unshuffle"], 57.854, 378, 9.711),
        ([*DEEP, "MODEL.TIMM.NAME", "resnet152"], 83.200, 990, 15.987),
    ],
)
def test_parameters_and_operations_are_the_published_networks(options, parameters, tensors, operations):
    network = build(*options)
    assert len(network.state_dict()) == tensors
    parts = parts_of(network, people=1)
    assert sum(part.parameters for part in parts) / 1e6 == pytest.approx(parameters, abs=1e-3)
    assert sum(part.operations for part in parts) / 1e9 == pytest.approx(operations, rel=1e-3)


def waves(network):
    """The network with sines of a running index for weights, in double precision, so that nobody's random numbers matter."""

    def wave(tensor, function=torch.sin):
        return function(torch.arange(tensor.numel(), dtype=torch.float64)).view(tensor.shape)

    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.weight.copy_(wave(layer.weight) * math.sqrt(2 / layer.weight[0].numel()))
                if layer.bias is not None:
                    layer.bias.copy_(0.1 * wave(layer.bias))
            elif isinstance(layer, nn.BatchNorm2d):
                layer.weight.copy_(1 + 0.1 * wave(layer.weight))
                layer.bias.copy_(0.1 * wave(layer.bias, torch.cos))
                layer.running_mean.copy_(0.1 * wave(layer.running_mean))
                layer.running_var.copy_(1 + 0.5 * wave(layer.running_var, torch.cos))
    return network.eval().double()


def test_it_computes_what_torchvisions_resnet_with_these_layers_does():
    """The numbers are of torchvision's ResNet-50 with squeeze-and-excitation written beside it, and of functional shuffles."""
    network = waves(build("MODEL.TOPDOWN.INPUT_SIZE", [64, 64]))
    with torch.inference_mode():
        maps = network.maps(torch.sin(torch.arange(3 * 64 * 64, dtype=torch.float64)).view(1, 3, 64, 64))
    assert maps.shape == (1, 17, 16, 16)
    assert maps.sum().item() == pytest.approx(42.70131608372938, abs=1e-8)
    wanted = [0.0046008319031277545, 0.08155256862149794, -0.08308973285123393, -0.016421061397744994]
    wanted += [0.09697502427911349, -0.06362545666035933, -0.04350037214731214, 0.10188159816187085]
    assert maps.flatten()[::544].tolist() == pytest.approx(wanted, abs=1e-10)


def test_deformable_convolutions_cost_their_offsets_more():
    """18 numbers at each cell of 4, 6 and 3 blocks; the paper's 6.1 G (tables 3 and 4) have the interpolation too."""
    (backbone, upsampler) = parts_of(build("MODEL.TOPDOWN.CONVOLUTIONS", "deformable"), people=1)
    cells = {128: 4 * 32 * 24, 256: 6 * 16 * 12, 512: 3 * 8 * 6}
    more = sum(18 * 9 * channels * count for channels, count in cells.items()) / 1e9
    assert (backbone.operations + upsampler.operations) / 1e9 == pytest.approx(5.911 + more, rel=1e-3)


def test_a_deformable_convolution_begins_as_the_plain_one_and_reads_where_its_offsets_say():
    torch.manual_seed(0)
    plain = torch.nn.Conv2d(3, 4, 3, padding=1)
    x = torch.randn(1, 3, 9, 8)
    with torch.no_grad():
        layer, wanted = DeformableConv(plain), plain(x)
        assert torch.allclose(layer(x), wanted, atol=1e-5)
        layer.offset.bias[0::2] = 2.0  # down
        layer.offset.bias[1::2] = -1.0  # to the left
        assert torch.allclose(layer(x)[..., 1:-3, 2:-1], wanted[..., 3:-1, 1:-2], atol=1e-5)


@pytest.mark.parametrize("kind", ["deformable", "unshuffle"])
def test_other_convolutions_train_and_run_at_their_fastest(kind):
    torch.manual_seed(0)
    network = build("MODEL.TOPDOWN.CONVOLUTIONS", kind, "MODEL.TOPDOWN.INPUT_SIZE", [64, 32], *DEEP)
    network.train().maps(torch.randn(2, 3, 64, 32)).square().mean().backward()
    blocks = [network.backbone.bottom_up.get_submodule(f"layer{stage}.0.conv2") for stage in (2, 3, 4)]
    assert all(parameter.grad is not None for block in blocks for parameter in block.parameters())
    pixels = torch.randn(2, 3, 64, 32)
    with torch.inference_mode():
        wanted = network.eval().maps(pixels)
        for dtype, error in ((torch.float32, 1e-4), (torch.bfloat16, 0.05)):
            fast = at_its_fastest(network, device=torch.device("cpu"), dtype=dtype)
            with converted_autocast(torch.device("cpu"), dtype):
                found = fast.maps(pixels)
            assert (found - wanted).abs().max() <= error * wanted.abs().max()


def test_deformable_convolutions_are_not_exported():
    network = build("MODEL.TOPDOWN.CONVOLUTIONS", "deformable")
    with pytest.raises(InputError, match="CONVOLUTIONS deformable: such networks are not exported; run them"):
        PortableTopDown(network)


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
        (
            ["MODEL.TOPDOWN.UPSAMPLER", "bilinear"],
            r"UPSAMPLER: expected duc, duc_deep or deconv, got 'bilinear'",
        ),
        (
            [*PLAIN, "MODEL.TIMM.NAME", "resnet18", "MODEL.TOPDOWN.CONVOLUTIONS", "deformable"],
            r"CONVOLUTIONS deformable: it goes into resnet50, .*set it plain",
        ),
        (["MODEL.TOPDOWN.CONVOLUTIONS", "dcn"], r"CONVOLUTIONS: expected one of plain, .*, got 'dcn'"),
        (["MODEL.TOPDOWN.NAME", "DUCPos"], r"MODEL\.TOPDOWN\.NAME: unknown 'DUCPos'; did you mean DUCPose\?"),
    ],
)
def test_what_it_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        build(*options)
