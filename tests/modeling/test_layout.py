"""Layout of networks: shortcuts that oneDNN's gradient writes past its memory for train in the usual one."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from fastpose_mtn.modeling.layout import channels_last

TRAINING = """
import sys, torch
from torch import nn
from fastpose_mtn.modeling.layout import channels_last
torch.set_num_threads(1)
network = channels_last(nn.Sequential(nn.Conv2d(3, {channels}, 3), nn.Conv2d({channels}, 16, 1, stride=2)))
for _ in range(30):
    images = torch.randn(4, 3, 98, 98).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled={half}):
        maps = network(images)
    maps.float().sum().backward()
print("trained")
"""


@pytest.mark.parametrize("half", [False, True])
def test_a_slim_shortcut_trains(half):
    """With AVX-512 this process ends with a signal where the shortcut is channels-last."""
    code = TRAINING.format(channels=8, half=half)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "trained"), done.stderr


def test_outputs_and_gradients_are_the_same():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 16, 1, stride=2), nn.Conv2d(16, 4, 3)).double()
    network = channels_last(copy.deepcopy(plain))
    images = torch.randn(2, 3, 20, 21, dtype=torch.float64)
    for each in (plain, network):
        each(images.contiguous(memory_format=torch.channels_last)).square().sum().backward()
    for ours, theirs in zip(network.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-12, atol=1e-12)


def test_others_are_channels_last():
    network = channels_last(nn.Sequential(nn.Conv2d(16, 8, 1, stride=2), nn.Conv2d(8, 16, 3, stride=2)))
    for conv in network:
        assert conv.weight.is_contiguous(memory_format=torch.channels_last)
        assert not conv._forward_pre_hooks
    slim = channels_last(nn.Conv2d(15, 16, 1, stride=2))
    loaded = channels_last(nn.Conv2d(15, 16, 1, stride=2))
    loaded.load_state_dict(slim.state_dict())
    assert (
        slim.weight.stride() == loaded.weight.stride() == copy.deepcopy(slim).weight.stride() == (15, 1, 1, 1)
    )
