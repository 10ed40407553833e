import pytest
import torch
from timm.layers import FrozenBatchNormAct2d
from torch import nn

from fastpose_mtn.runtime.precision import Float32Layer, cancelling_parts, convert_weights, keep_float32


def test_a_layer_computes_in_float32_within_autocast():
    torch.manual_seed(0)
    layer = nn.Linear(64, 3)
    x = torch.randn(2, 64)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
        found = Float32Layer(layer)(x)
    assert torch.equal(found, layer(x))


def test_weights_are_converted_but_for_those_of_exact_layers_and_norms():
    network = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ConvTranspose2d(4, 4, 1), Float32Layer(nn.Linear(4, 2))
    )
    convert_weights(network, torch.bfloat16)
    converted = {name for name, p in network.named_parameters() if p.dtype == torch.bfloat16}
    assert converted == {"0.weight", "0.bias", "2.weight", "2.bias"}


def trunk(mean=0.0, *, variance=1.0, scale=1.0, norm=nn.BatchNorm2d):
    """A stem and two stages; one channel of the first stage's normalisation has these numbers."""
    network = nn.Sequential()
    network.add_module("stem", nn.Conv2d(3, 4, 3))
    for name in ("stages", "more"):
        stage = [nn.Sequential(nn.Conv2d(4, 4, 1), norm(4)) for _ in range(2)]
        network.add_module(name, nn.Sequential(*stage))
    with torch.no_grad():
        cancelling = network.stages[1][1]
        cancelling.running_mean[2], cancelling.running_var[2], cancelling.weight[2] = mean, variance, scale
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, FrozenBatchNormAct2d])
def test_what_runs_before_a_normalisation_that_cancels_needs_float32(norm):
    assert cancelling_parts(trunk(-1000.0, norm=norm), torch.bfloat16) == ["stem", "stages.0", "stages.1"]
    assert cancelling_parts(trunk(5.0, norm=norm), torch.bfloat16) == []


@pytest.mark.parametrize(
    ("numbers", "dtype", "cancels"),
    [
        ({"mean": 100.0}, torch.bfloat16, True),
        ({"mean": 100.0}, torch.float16, False),  # three digits more
        ({"mean": 1.0, "variance": 1e-4}, torch.bfloat16, True),
        ({"mean": 1000.0, "scale": 1e-4}, torch.bfloat16, False),  # of no account behind it
        ({"mean": 1000.0}, torch.float32, False),
    ],
)
def test_a_normalisation_cancels_where_rounding_would_shift_what_it_gives(numbers, dtype, cancels):
    assert bool(cancelling_parts(trunk(**numbers), dtype)) == cancels


def test_parts_that_are_kept_compute_as_in_float32():
    torch.manual_seed(0)
    network = trunk(300.0, variance=0.5)
    network.stages[1][0].bias[2] += 300.0
    x = torch.randn(1, 3, 8, 8)
    exact, behind = network.stages(network.stem(x)), network.more

    def distance():
        with torch.autocast("cpu", torch.bfloat16):
            given = network.stages(network.stem(x))
            assert behind(given).dtype == torch.bfloat16
        return (given.float() - exact).abs().max()

    coarse = distance()
    keep_float32(network, cancelling_parts(network, torch.bfloat16))
    convert_weights(network, torch.bfloat16)
    assert distance() == 0.0
    assert coarse > 0.5, "rounding did no harm to begin with"
    assert {p.dtype for p in behind[0][0].parameters()} == {torch.bfloat16}
