"""Normalisation over groups, by channels alone."""

import pytest
import torch
from torch import nn

from fastpose_mtn.runtime.portable_layers import ChannelwiseGroupNorm, normalise_by_channels


@pytest.mark.parametrize(("channels", "groups", "offset"), [(8, 4, 0.0), (6, 1, 3.0), (5, 5, -50.0)])
def test_numbers_are_those_of_the_normalisation(channels, groups, offset):
    torch.manual_seed(0)
    norm = nn.GroupNorm(groups, channels, eps=1e-3).double()
    norm.weight.data, norm.bias.data = torch.randn(2, channels, dtype=torch.float64)
    x = torch.randn(3, channels, 5, 7, dtype=torch.float64) + offset
    torch.testing.assert_close(ChannelwiseGroupNorm(norm)(x), norm(x), rtol=0, atol=1e-10)


def test_normalisations_are_replaced_wherever_they_are():
    module = nn.Sequential(
        nn.GroupNorm(2, 4), nn.Sequential(nn.Conv2d(4, 4, 1), nn.GroupNorm(4, 4)), nn.BatchNorm2d(4)
    )
    x = torch.randn(2, 4, 3, 3)
    before = module.eval()(x)
    normalise_by_channels(module)
    assert not any(isinstance(own, nn.GroupNorm) for own in module.modules())
    assert isinstance(module[2], nn.BatchNorm2d)
    torch.testing.assert_close(module(x), before)
