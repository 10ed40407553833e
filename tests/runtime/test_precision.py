import torch
from torch import nn

from fastpose_mtn.runtime.precision import Float32Layer, convert_weights


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
