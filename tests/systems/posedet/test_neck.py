"""Pyramids on every kind of backbone."""

import pytest
import torch
from tiny_posedet import posedet_config

from fastpose_mtn.modeling.bottom_up import stages
from fastpose_mtn.runtime.fuse import fuse
from fastpose_mtn.systems.posedet.neck import build_neck

NETWORKS = {
    "mobilenetv2_035": "fpn",
    "resnet18": "fpn",
    "dla34": "fpn",
    "hrnet_w18_small": "hrfpn",
}


@pytest.mark.parametrize("name", NETWORKS)
def test_levels_halve_from_stride_8(name):
    torch.manual_seed(0)
    options = ("MODEL.TIMM.NAME", name, "MODEL.POSEDET.NECK", NETWORKS[name])
    neck = build_neck(posedet_config(*options)).eval()
    picture = torch.randn(1, 3, 96, 160)
    with torch.no_grad():
        levels, finest = neck(picture)
        sizes = [(-(-96 // stride), -(-160 // stride)) for stride in neck.out_strides]
        assert [tuple(level.shape) for level in levels] == [(1, 16, *size) for size in sizes]
        assert finest.shape[1:] == (
            neck.finest_channels,
            *(side // neck.finest_stride for side in picture.shape[2:]),
        )
        for fused, level in zip(fuse(neck, activations=True)(picture).levels, levels, strict=True):
            torch.testing.assert_close(fused, level, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_stages_are_frozen_from_the_stem_on(name):
    options = ("MODEL.TIMM.NAME", name, "MODEL.POSEDET.NECK", NETWORKS[name], "MODEL.BACKBONE.FREEZE_AT", "2")
    bottom_up = build_neck(posedet_config(*options)).bottom_up
    parts = stages(bottom_up)
    assert len(parts) == 5
    trained = [any(p.requires_grad for m in part for p in m.parameters()) for part in parts]
    assert trained == [False, False, True, True, True]
    ids = [id(p) for part in parts for m in part for p in m.parameters()]
    assert len(ids) == len(set(ids)) == len(list(bottom_up.parameters()))
