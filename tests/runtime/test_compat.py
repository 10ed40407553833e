"""Operators that PyTorch does not document: they compute what their documented counterparts do, or are not used."""

import types

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fastpose_mtn.runtime import compat
from fastpose_mtn.runtime.fuse import fuse
from fastpose_mtn.runtime.onednn import OneDNNConv

needs_onednn = pytest.mark.skipif(not compat.has_onednn(), reason="this PyTorch has no oneDNN")


@needs_onednn
def test_a_convolution_adds_and_activates():
    torch.manual_seed(0)
    x, weight, bias = torch.randn(2, 4, 9, 7), torch.randn(6, 2, 3, 3), torch.randn(6)
    plain = F.conv2d(x, weight, bias, (2, 1), (1, 2), (1, 2), 2)
    relu6 = compat.Activation("hardtanh", (0.0, 6.0))
    options = compat.ConvolutionOptions((2, 1), (1, 2), (1, 2), groups=2, activation=relu6)
    torch.testing.assert_close(
        compat.convolution(x, weight, bias, options), F.relu6(plain), atol=1e-5, rtol=1e-5
    )
    other = torch.randn_like(plain)
    options = options._replace(activation=compat.Activation("relu"))
    found = compat.convolution_add(
        *(y.contiguous(memory_format=torch.channels_last) for y in (x, other)), weight, bias, options
    )
    torch.testing.assert_close(found, F.relu(plain + other), atol=1e-5, rtol=1e-5)


@needs_onednn
def test_a_fully_connected_layer():
    torch.manual_seed(0)
    x, weight, bias = torch.randn(3, 5), torch.randn(4, 5), torch.randn(4)
    torch.testing.assert_close(compat.linear(x, weight, bias), F.linear(x, weight, bias))


def missing(*_):
    raise AttributeError("_OpNamespace has no attribute _linear_pointwise")


def other_signature(*_):
    raise RuntimeError("_linear_pointwise() is missing value for argument 'binary'")


def other_result(x, weight, *_):
    return F.linear(x, weight)  # the bias has moved


@pytest.mark.parametrize("changed", [missing, other_signature, other_result])
def test_operators_that_have_changed_are_not_used(changed, monkeypatch):
    monkeypatch.setattr(compat, "linear", changed)
    assert not compat.has_onednn()
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    assert not isinstance(fuse(network, activations=True)[0], OneDNNConv)


def test_a_pytorch_without_onednn_computes_in_float32(monkeypatch):
    monkeypatch.setattr(torch.ops, "mkldnn", types.SimpleNamespace())
    assert not compat.has_onednn()
    assert not compat.cpu_computes_in("bf16")
