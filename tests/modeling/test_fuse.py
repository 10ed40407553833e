import pytest
import torch
from torch import nn

from fastpose_mtn.modeling.backbone import TimmFPN
from fastpose_mtn.modeling.fuse import fuse_norms

FUSED = ("BatchNorm", "FrozenBatchNorm", "SyncBatchNorm")


@pytest.mark.parametrize("name", ["mobilenetv2_100", "resnet18", "resnet50"])
@pytest.mark.parametrize("norm", ["BN", "FrozenBN"])
def test_fused_network_computes_the_same(name, norm):
    torch.manual_seed(0)
    backbone = TimmFPN(name=name, norm=norm, freeze_at=1, out_channels=8, fpn_norm="BN").eval()
    for module in backbone.modules():
        if hasattr(module, "running_var"):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = backbone(image)
        assert fuse_norms(backbone) is backbone
        found = backbone(image)
    for level in expected:
        torch.testing.assert_close(found[level], expected[level], atol=1e-4, rtol=1e-4)
    assert not [m for m in backbone.modules() if type(m).__name__.startswith(FUSED)]


def test_group_norm_stays():
    backbone = TimmFPN(name="resnet18", norm="GN", freeze_at=0, out_channels=8).eval()
    count = sum(isinstance(m, nn.GroupNorm) for m in backbone.modules())
    fuse_norms(backbone)
    assert sum(isinstance(m, nn.GroupNorm) for m in backbone.modules()) == count > 0


def test_norm_of_other_channels_stays():
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(3))
    fuse_norms(module)
    assert isinstance(module[1], nn.BatchNorm2d)
