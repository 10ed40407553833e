import pytest
import timm
import torch
from torch import nn

from fastpose_mtn.modeling.backbone import TimmDC5, TimmFPN, build_backbone
from fastpose_mtn.modeling.bottom_up import build_bottom_up, stages
from fastpose_mtn.systems.mtn.network import build_model

NAMES = ["mobilenetv2_100", "resnet18", "resnet50", "resnet101"]


def build(name="resnet18", *, fuse_type="sum", **arguments):
    bottom_up = build_bottom_up(name=name, strides=TimmFPN.bottom_up_strides, **arguments)
    return TimmFPN(bottom_up=bottom_up, out_channels=8, fuse_type=fuse_type)


@pytest.mark.parametrize("name", NAMES)
def test_levels_of_every_backbone_forward_and_backward(name):
    backbone = build(name, freeze_at=2)
    out = backbone(torch.randn(1, 3, 64, 96))
    assert list(out) == ["p2", "p3", "p4", "p5", "p6"]
    assert [tuple(v.shape[1:]) for v in out.values()] == [
        (8, 16, 24), (8, 8, 12), (8, 4, 6), (8, 2, 3), (8, 1, 2),
    ]  # fmt: skip
    sum(v.square().mean() for v in out.values()).backward()
    for parameter in backbone.parameters():
        assert (parameter.grad is not None) == parameter.requires_grad


@pytest.mark.parametrize("name", NAMES)
def test_stages_cover_the_network_once(name):
    bottom_up = build(name, freeze_at=0).bottom_up
    groups = stages(bottom_up)
    assert len(groups) == 5
    counted = [p for group in groups for module in group for p in module.parameters()]
    assert len(counted) == len({id(p) for p in counted}) == len(list(bottom_up.parameters()))


@pytest.mark.parametrize("name", ["mobilenetv2_100", "resnet18"])
def test_freeze_at_stops_parameters_and_statistics(name):
    backbone = build(name, norm="BN", freeze_at=2).train()
    frozen = [p for g in stages(backbone.bottom_up)[:2] for m in g for p in m.parameters()]
    rest = [p for g in stages(backbone.bottom_up)[2:] for m in g for p in m.parameters()]
    assert not any(p.requires_grad for p in frozen)
    assert all(p.requires_grad for p in rest)
    before = {n: b.clone() for n, b in backbone.named_buffers() if "running" in n}
    backbone(torch.randn(2, 3, 64, 64) + 3)
    moved = {n for n, b in backbone.named_buffers() if "running" in n and not torch.equal(b, before[n])}
    first = {"mobilenetv2_100": ("conv_stem", "bn1", "blocks.0", "blocks.1"), "resnet18": ("bn1", "layer1")}
    assert moved
    assert not [n for n in moved if n.removeprefix("bottom_up.").startswith(first[name])]


def test_freeze_nothing():
    assert all(p.requires_grad for p in build(norm="BN", freeze_at=0).parameters())


@pytest.mark.parametrize("name", ["mobilenetv2_100", "resnet18"])
def test_frozen_norm_computes_what_batch_norm_does_in_evaluation(name):
    torch.manual_seed(0)
    frozen, plain = build(name, norm="FrozenBN", freeze_at=0), build(name, norm="BN", freeze_at=0).eval()
    for module in plain.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    state = {k: v for k, v in plain.state_dict().items() if not k.endswith("num_batches_tracked")}
    frozen.load_state_dict(state, strict=True)
    image = torch.randn(1, 3, 64, 64)
    expected, found = plain(image), frozen.train()(image)
    for level in expected:
        torch.testing.assert_close(found[level], expected[level], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["mobilenetv2_100", "resnet18"])
def test_group_norm_replaces_every_batch_norm(name):
    backbone = build(name, norm="GN", freeze_at=0)
    kinds = [m for m in backbone.modules() if isinstance(m, (nn.BatchNorm2d, nn.GroupNorm))]
    assert all(isinstance(m, nn.GroupNorm) for m in kinds)
    one, two = torch.randn(2, 1, 3, 64, 64)
    together = backbone.train()(torch.cat((one, two)))["p2"][:1]
    torch.testing.assert_close(together, backbone(one)["p2"], atol=1e-4, rtol=1e-4)  # no statistics shared


def test_group_norm_keeps_the_activation():
    activation = build("mobilenetv2_100", norm="GN", freeze_at=0).bottom_up.bn1.act
    assert isinstance(activation, nn.ReLU6)


def test_sync_bn():
    kinds = {type(m) for m in build(norm="SyncBN", freeze_at=0).bottom_up.modules()}
    assert nn.SyncBatchNorm in kinds
    assert nn.BatchNorm2d not in kinds


def test_fuse_type_avg_halves_at_each_merge():
    torch.manual_seed(0)
    total = build(norm="BN").eval()
    mean = build(norm="BN", fuse_type="avg").eval()
    mean.load_state_dict(total.state_dict())
    image = torch.randn(1, 3, 64, 64)
    a, b = total(image), mean(image)
    torch.testing.assert_close(a["p5"], b["p5"])
    assert not torch.allclose(a["p4"], b["p4"])


def test_stride_in_the_first_convolution_of_a_bottleneck():
    blocks = [build("resnet50", stride_in_1x1=flag).bottom_up.layer2 for flag in (False, True)]
    strides = [[(b.conv1.stride, b.conv2.stride) for b in layer[:2]] for layer in blocks]
    assert strides[0] == [((1, 1), (2, 2)), ((1, 1), (1, 1))]
    assert strides[1] == [((2, 2), (1, 1)), ((1, 1), (1, 1))]
    out = build("resnet50", stride_in_1x1=True)(torch.randn(1, 3, 64, 64))
    assert out["p3"].shape[-2:] == (8, 8)


def test_strided_depthwise_convolutions_train_in_float32_with_the_same_result():
    """They are what oneDNN has no fast bfloat16 gradient for."""
    torch.manual_seed(0)
    layer = build("mobilenetv2_100", norm="BN", freeze_at=0).bottom_up.blocks[1][0].conv_dw
    assert layer.stride == (2, 2)
    x = torch.randn(1, layer.in_channels, 8, 8, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        trained, tested = layer.train()(x), layer.eval()(x)
    assert trained.dtype == tested.dtype == torch.bfloat16
    torch.testing.assert_close(trained, tested, atol=2e-2, rtol=2e-2)


def test_strided_depthwise_convolutions_keep_names_and_initial_weights():
    """Networks of one seed are the same with and without the replacement, and so are weights files."""
    torch.manual_seed(0)
    plain = timm.create_model("mobilenetv2_100", features_only=True, out_indices=(1, 2, 3, 4))
    torch.manual_seed(0)
    found = build("mobilenetv2_100", norm="BN", freeze_at=0).bottom_up.state_dict()
    expected = plain.state_dict()
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"norm": "IN"}, "MODEL.BACKBONE.NORM: expected one of FrozenBN, BN, SyncBN, GN, got 'IN'"),
        ({"fuse_type": "max"}, "MODEL.FPN.FUSE_TYPE: expected sum or avg, got 'max'"),
        ({"name": "nonesuch"}, "MODEL.TIMM.NAME: .*nonesuch"),
    ],
)
def test_bad_input(arguments, text):
    with pytest.raises(ValueError, match=text):
        build(**arguments)


@pytest.mark.parametrize("name", ["mobilenetv2_100", "resnet18", "resnet50"])
def test_without_a_pyramid_there_is_one_level_and_every_stage_takes_part(name):
    dilated = build_bottom_up(name=name, strides=TimmDC5.bottom_up_strides, timm_args={"output_stride": 16})
    backbone = TimmDC5(bottom_up=dilated, out_channels=8)
    out = backbone(torch.randn(1, 3, 64, 96))
    assert {name: tuple(value.shape) for name, value in out.items()} == {"p4": (1, 8, 4, 6)}
    assert backbone.out_strides == {"p4": 16}
    out["p4"].square().mean().backward()
    for parameter in backbone.parameters():
        assert (parameter.grad is not None) == parameter.requires_grad


def test_a_detector_on_one_level(cfg, people):
    """Anchors, poolers and heads follow from the configuration; every loss reaches the backbone."""
    cfg.merge_from_list(
        [
            "MODEL.BACKBONE.NAME", "build_timm_dc5_backbone", "MODEL.RPN.IN_FEATURES", ["p4"],
            "MODEL.ROI_HEADS.IN_FEATURES", ["p4"], "MODEL.ANCHOR_GENERATOR.SIZES", [[16, 32, 64]],
        ]
    )  # fmt: skip
    network = build_model(cfg).train()
    assert isinstance(network.backbone, TimmDC5)
    losses = network([torch.zeros(3, 96, 128)], [people([10, 10, 40, 80], [60, 20, 100, 90])])
    for name, loss in losses.items():
        (gradient,) = torch.autograd.grad(loss, network.backbone.output.weight, retain_graph=True)
        assert gradient.abs().sum() > 0, name
    (found,) = network.eval()([torch.zeros(3, 96, 128)])
    assert found.keypoints.shape == (len(found), 15, 3)


def test_an_unknown_backbone(cfg):
    cfg.MODEL.BACKBONE.NAME = "build_resnet_fpn_backbone"
    with pytest.raises(
        ValueError, match=r"MODEL.BACKBONE.NAME: unknown backbone .* known: build_timm_fpn_backbone"
    ):
        build_backbone(cfg)


def test_weights_that_cannot_be_downloaded(monkeypatch):
    class HubError(Exception):
        pass

    def offline(*_, **__):
        raise HubError("no route\nto the hub")

    monkeypatch.setattr("timm.create_model", offline)
    with pytest.raises(
        ValueError, match=r"MODEL.TIMM.PRETRAINED: cannot get .* of resnet18 \(no route to the hub\); set it"
    ):
        build("resnet18", pretrained=True)
    with pytest.raises(HubError):
        build("resnet18")
