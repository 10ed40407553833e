"""Constants that a normalisation subtracts are left out before they are rounded."""

import pytest
import torch
from timm import create_model

from fastpose_mtn.runtime.absorb import float32_parts
from fastpose_mtn.runtime.precision import cancelling_parts


def trunk(out_indices=(1, 2)):
    """MobileNet-V2 whose second stage reads a constant far above what varies, as in ImageNet's weights."""
    torch.manual_seed(0)
    network = create_model("mobilenetv2_035", features_only=True, out_indices=out_indices).eval()
    norm, convolution = network.blocks[0][0].bn2, network.blocks[1][0].conv_pw
    with torch.no_grad():
        norm.bias.uniform_(500.0, 1000.0)
        network.blocks[1][0].bn1.running_mean.copy_(convolution.weight[:, :, 0, 0] @ norm.bias)
    return network.requires_grad_(False)


def test_the_constant_is_gone_and_the_numbers_are_the_same():
    network, image = trunk(), torch.rand(1, 3, 64, 64)
    assert cancelling_parts(network, torch.bfloat16) == ["conv_stem", "bn1", "blocks.0", "blocks.1"]
    exact = [feature.clone() for feature in network.double()(image.double())]
    network.float()
    with torch.autocast("cpu", torch.bfloat16):
        rounded = (network(image)[0] - exact[0]).norm() / exact[0].norm()
    assert float32_parts(network, torch.bfloat16) == ["conv_stem", "bn1", "blocks.0"]
    assert network.blocks[0][0].bn2.bias.abs().max() == 0
    for feature, wanted in zip(network(image), exact, strict=True):
        torch.testing.assert_close(feature.double(), wanted, rtol=1e-3, atol=1e-3)
    with torch.autocast("cpu", torch.bfloat16):
        relieved = (network(image)[0] - exact[0]).norm() / exact[0].norm()
    assert relieved < rounded / 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_others_read_stays_as_it_is(dtype):
    network = trunk(out_indices=(0, 1, 2))  # the first stage's result leaves the trunk
    before = network.blocks[0][0].bn2.bias.clone()
    assert float32_parts(network, dtype) == cancelling_parts(network, dtype)
    assert torch.equal(network.blocks[0][0].bn2.bias, before)
