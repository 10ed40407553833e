"""A default is stated once: what a constructor takes for granted is what the configuration says."""

import importlib
import inspect
import pkgutil

import pytest
import torch
from torch import nn

from fastpose_mtn.build import build_network
from fastpose_mtn.config import get_cfg
from fastpose_mtn.data.transforms.augment import build_augmentations, build_crop_augmentations
from fastpose_mtn.modeling import bottom_up
from fastpose_mtn.registry import TRACKERS
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.tracking.offline_parameters import OfflineParameters

SYSTEMS = ("alphapose", "mdpn", "mspn", "mtn", "posedet", "topdown")
PACKAGES = (
    "modeling", "data.transforms", "estimators", "ops", "tracking", *(f"systems.{name}" for name in SYSTEMS)
)  # fmt: skip
# what builders of larger parts make of a configuration; all others have a from_config
OTHERS = {
    "RPNHead", "RoIPooler", "MTN", "PoseDet", "Criterion", "FPN3To6", "HRFPN", "TopDownNetwork", "MSPNNetwork", "MDPNNetwork",
    "HeatmapCodec", "IntegralCodec", "CrossEntropyCodec", "CombinedCodec", "IdentityBranch", "NetworkLocator", "DetectorEnsemble",
    "MultiStageBackbone", "MultiStageHead", "OpticalFlow", "RandomColor", "RandomBlur", "OcclusionPaste", "PersonPaste",
}  # fmt: skip


def components():
    """Whatever is built from a configuration, by name."""
    for name in PACKAGES:
        package = importlib.import_module(f"fastpose_mtn.{name}")
        for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(info.name)
            for own, kind in vars(module).items():
                if own in OTHERS or (isinstance(kind, type) and hasattr(kind, "from_config")):
                    yield own, kind


@pytest.fixture
def arguments(monkeypatch):
    """What constructors are called with by name: {(part, argument): (default, value)}."""
    seen = {}

    def recorded(name, function):
        parameters = inspect.signature(function).parameters

        def call(*args, **kwargs):
            for argument in kwargs.keys() & parameters.keys():
                default = parameters[argument].default
                if default is not inspect.Parameter.empty:
                    seen[name, argument] = default, kwargs[argument]
            return function(*args, **kwargs)

        return call

    for name, kind in dict(components()).items():
        if "__init__" in vars(kind):
            monkeypatch.setattr(kind, "__init__", recorded(name, kind.__init__))
    monkeypatch.setattr(bottom_up, "build_bottom_up", recorded("build_bottom_up", bottom_up.build_bottom_up))
    return seen


def same(default, value):
    if default is None and not value:  # nothing
        return True
    if isinstance(value, (list, tuple)):
        return isinstance(default, (list, tuple)) and list(default) == list(value)
    return default == value


def disagreements(arguments):
    return {
        key: pair
        for key, pair in arguments.items()
        if not isinstance(pair[1], (nn.Module, torch.Tensor)) and not same(*pair)
    }


def configuration(*options):
    cfg = get_cfg()
    cfg.merge_from_list(["MODEL.TIMM.PRETRAINED", "False", "MODEL.TOPDOWN.DETECTOR.WEIGHTS", "", *options])
    return cfg


TOP_DOWN = ["MODEL.META_ARCHITECTURE", "TopDownPose", "MODEL.REID_ON", "False"]


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
        (
            ["MODEL.META_ARCHITECTURE", "PoseDet"],
            {("MTNReIDHead", "conv_dims"), ("MTNReIDHead", "resolution")},  # it reads vectors there
            "PoseDet PoseDetHead PoseIdentity Rules",
        ),
        (TOP_DOWN, set(), "TopDownNetwork IntegralCodec"),
        ([*TOP_DOWN, "MODEL.TOPDOWN.NAME", "MSPN", "MODEL.BACKBONE.FREEZE_AT", "0", "MODEL.TOPDOWN.LOSS", "heatmap"],
         {("HeatmapCodec", "sigma"), ("HeatmapCodec", "subpixel")}, "HeatmapCodec"),  # each unit has its own
        ([*TOP_DOWN, "MODEL.TOPDOWN.NAME", "MDPN", "MODEL.TOPDOWN.LOSS", "heatmap"],
         {("HeatmapCodec", "sigma")}, "HeatmapCodec"),  # so have its units
    ],
    ids=["mtn", "dc5", "posedet", "topdown", "mspn", "mdpn"],
)  # fmt: skip
def test_networks_and_configuration_agree(arguments, options, own, parts):
    """``own``: what differs from the default network's, as it goes with a part of another kind."""
    with torch.device("cpu" if "MDPN" in options else "meta"):  # its gates read numbers
        build_network(configuration(*options))
    assert set(parts.split()) <= {part for part, _ in arguments}
    found = disagreements(arguments)
    assert {key: pair for key, pair in found.items() if key not in own} == {}


@pytest.mark.parametrize("tracker", list(TRACKERS))
def test_trackers_and_configuration_agree(arguments, tracker):
    cfg = configuration("TRACKER.NAME", tracker)
    TRACKERS.get(tracker)(cfg)
    OfflineParameters.from_config(cfg)
    assert {"OfflineParameters"} < {part for part, _ in arguments}
    assert disagreements(arguments) == {}


def test_augmentations_and_configuration_agree(arguments):
    """Defaults are for images as they are, where the configuration has none of a change."""
    cfg = configuration("INPUT.AUG.OCCLUSION", "0.1", "INPUT.AUG.COLOR", "0.1", "INPUT.AUG.BLUR", "0.1")
    build_crop_augmentations(cfg, POSETRACK15)
    build_augmentations(cfg)
    cfg.merge_from_list(["INPUT.SIFP.ENABLED", "True", "INPUT.AUG.ROTATION", "30.0"])
    build_augmentations(cfg)
    parts = {"CropPerson", "RandomScaleCrop", "RandomRotation", "SIFP", "RandomColor"}
    assert parts <= {part for part, _ in arguments}
    assert {argument for _, argument in disagreements(arguments)} == {"rotation"}  # which is asked for here
