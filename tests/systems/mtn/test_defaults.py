"""A default is stated once: what a constructor takes for granted is what the configuration says."""

import importlib
import inspect
import pkgutil

import pytest
import torch
from torch import nn

import fastpose_mtn.modeling
import fastpose_mtn.systems.mtn
from fastpose_mtn.config import get_cfg
from fastpose_mtn.modeling import bottom_up
from fastpose_mtn.systems.mtn.network import build_model

OTHERS = ("RPNHead", "RoIPooler", "MTN")  # what the builders of larger parts build from a configuration


def components():
    """Every part of the network that is built from a configuration, by name."""
    for package in (fastpose_mtn.modeling, fastpose_mtn.systems.mtn):
        for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(info.name)
            for name, kind in vars(module).items():
                if name in OTHERS or (isinstance(kind, type) and hasattr(kind, "from_config")):
                    yield name, kind


@pytest.fixture
def arguments(monkeypatch):
    """What the constructors of a network's parts are called with by name: {(part, argument): (default, value)}."""
    seen = {}

    def record(name, function, given):
        for argument, parameter in inspect.signature(function).parameters.items():
            if parameter.default is not parameter.empty and argument in given:
                seen[name, argument] = parameter.default, given[argument]

    def recorded(name, function):
        def call(*args, **kwargs):
            record(name, function, kwargs)
            return function(*args, **kwargs)

        return call

    for name, kind in dict(components()).items():
        monkeypatch.setattr(kind, "__init__", recorded(name, kind.__init__))
    monkeypatch.setattr(bottom_up, "build_bottom_up", recorded("build_bottom_up", bottom_up.build_bottom_up))
    return seen


def same(default, value):
    if default is None and not value:  # nothing
        return True
    if isinstance(value, (list, tuple)):
        return isinstance(default, (list, tuple)) and list(default) == list(value)
    return default == value


@pytest.mark.parametrize(
    ("options", "own", "parts"),
    [
        (
            [],
            set(),
            "build_bottom_up TimmFPN AnchorGenerator RPNHead RPN RoIPooler BoxHead BoxPredictor MTNKeypointHead "
            "MTNReIDHead MTNROIHeads MTN",
        ),
        (
            ["MODEL.BACKBONE.NAME", "build_timm_dc5_backbone", "MODEL.RPN.IN_FEATURES", "['p4']",
             "MODEL.ROI_HEADS.IN_FEATURES", "['p4']", "MODEL.ANCHOR_GENERATOR.SIZES", "[[32]]",
             "MODEL.ROI_KEYPOINT_HEAD.NAME", "KRCNNConvDeconvUpsampleHead"],
            {("KRCNNConvDeconvUpsampleHead", "resolution_hw"), ("build_bottom_up", "timm_args")},
            "TimmDC5 KRCNNConvDeconvUpsampleHead",
        ),
    ],
)  # fmt: skip
def test_constructors_and_configuration_agree(arguments, options, own, parts):
    """``own``: what differs from the default network's, as it goes with a part of another kind."""
    cfg = get_cfg()
    cfg.merge_from_list(options)
    with torch.device("meta"):
        build_model(cfg)
    assert set(parts.split()) <= {part for part, _ in arguments}
    assert {
        key: pair
        for key, pair in arguments.items()
        if key not in own and not isinstance(pair[1], nn.Module) and not same(*pair)
    } == {}
