"""The network: published sizes, what inference computes, and how stages are wired."""

import pytest
import torch
from timm.models import create_model
from tiny_mspn import mspn_config

from fastpose_mtn.build import build_network
from fastpose_mtn.commands.summary import main as summary
from fastpose_mtn.config import get_cfg
from fastpose_mtn.systems.mspn.network import stage_kernels, start_from

# millions of parameters, without the release's biases; 10^9 multiply-additions of all heads, 17 joints, 256x192
PUBLISHED = {1: (25.11, 5.07), 2: (56.80, 11.26), 3: (88.49, 17.45), 4: (120.18, 23.64)}


def published(*options):
    cfg = get_cfg()
    cfg.merge_from_file("MSPN-2x50")
    cfg.merge_from_list(["MODEL.TIMM.PRETRAINED", False, *options])
    return build_network(cfg)


@pytest.mark.parametrize("stages", PUBLISHED)
def test_parameters_and_operations_are_the_published_networks(stages, capsys):
    from fvcore.nn import FlopCountAnalysis

    network = published("MODEL.MSPN.STAGES", stages).eval()
    parameters, operations = PUBLISHED[stages]
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(parameters, rel=0.005)

    class AllHeads(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, x):
            return [one for stage in network.upsampler.all(network.backbone.units(x)) for one in stage]

    with torch.no_grad():  # of a quarter of the pixels, which convolutions have a quarter of the work with
        count = FlopCountAnalysis(AllHeads(), torch.zeros(1, 3, 128, 96)).unsupported_ops_warnings(False)
        convolutions = 4 * count.by_operator()["conv"] / 1e9
    assert convolutions == pytest.approx(operations, rel=0.005)
    if stages == 2:  # a forward pass takes its time
        summary(["--config-file", "MSPN-2x50", "MODEL.TIMM.PRETRAINED", "False"])
        _, size, computed, *_ = capsys.readouterr().out.splitlines()[-1].split()
        assert float(size) == pytest.approx(parameters, rel=0.005)
        assert float(computed) < convolutions  # the other heads are not computed


def test_inference_is_the_last_unit_and_computes_no_other_head():
    network = build_network(mspn_config()).eval()
    called = []
    for index, head in enumerate(network.upsampler.predict):
        head.register_forward_hook(lambda *_, index=index: called.append(index))
    pixels = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        maps = network.maps(pixels)
        assert called == [7]
        every = network.upsampler.all(network.backbone.units(pixels))
    assert [len(stage) for stage in every] == [4, 4]
    assert {one.shape for stage in every for one in stage} == {(2, 19, 16, 8)}
    assert torch.equal(maps, every[-1][-1])


def test_a_stage_by_hand():
    """Sums and activations as figures 2 and 3 and the release have them, of a network of two stages."""
    network = build_network(mspn_config()).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.bias)
    first, second = network.backbone.stages
    pixels = torch.randn(1, 3, 64, 32)

    def up(x, like):
        return torch.nn.functional.interpolate(x, like.shape[2:], mode="bilinear", align_corners=True)

    with torch.no_grad():
        x = network.backbone.pool(network.backbone.top(pixels))
        features = []
        for layer in (first.down.layer1, first.down.layer2, first.down.layer3, first.down.layer4):
            x = layer(x)
            features.append(x)
        out = []
        for unit, feature in zip("1234", features[::-1], strict=True):
            total = first.up[unit].lateral(feature)
            if out:
                total = total + first.up[unit].up(up(out[-1], feature))
            out.append(total.relu())
        x = first.up["4"].next(out[-1])
        for scale, layer in enumerate((second.down.layer1, second.down.layer2)):
            unit = first.up[str(4 - scale)]
            x = layer(x) + unit.skip_down(features[scale]) + unit.skip_up(out[3 - scale])
        units = network.backbone.units(pixels)
        assert torch.allclose(units[0][-1], out[-1])
        skips = [first.up[str(4 - s)].skip(features[s], out[3 - s]) for s in range(4)]
        assert torch.allclose(second.down(first.up["4"].next(out[-1]), skips)[1], x)


def test_without_aggregation_there_are_no_skips():
    names = build_network(mspn_config("MODEL.MSPN.CSFA", "False")).state_dict()
    assert not any("skip_" in name for name in names)
    assert "backbone.stages.0.up.4.next.conv.weight" in names
    assert not any(name.startswith("backbone.stages.1.up.4.next") for name in names)


@pytest.mark.parametrize(
    ("stages", "coarse_to_fine", "kernels"),
    [
        (1, True, [[11, 9, 7, 5]]),
        (2, True, [[15, 11, 9, 7], [11, 9, 7, 5]]),
        (3, False, [[15, 11, 9, 7]] * 3),
    ],
)
def test_kernels_of_stages(stages, coarse_to_fine, kernels):
    assert stage_kernels([15, 11, 9, 7, 5], stages, coarse_to_fine=coarse_to_fine) == kernels


def test_every_stage_starts_from_a_classifier():
    network = published("MODEL.MSPN.BLOCK", "basic", "MODEL.MSPN.BLOCKS", [2, 2, 2, 2])
    classifier = create_model("resnet18").state_dict()
    start_from(network, classifier, "resnet18")
    own = network.state_dict()
    assert torch.equal(own["backbone.top.conv.weight"], classifier["conv1.weight"])
    assert torch.equal(own["backbone.top.bn.bias"], classifier["bn1.bias"])
    for stage in (0, 1):
        for name in ("layer2.0.downsample.0.weight", "layer4.1.bn2.running_var"):
            assert torch.equal(own[f"backbone.stages.{stage}.down.{name}"], classifier[name])
    with pytest.raises(
        ValueError, match=r"MODEL\.TIMM\.NAME resnet18: its stages are not those of MODEL\.MSPN\.BLOCK"
    ):
        start_from(build_network(mspn_config()), classifier, "resnet18")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["MODEL.MSPN.STAGES", "0"], "STAGES: expected 1 or more, got 0"),
        (["MODEL.MSPN.CHANNELS", "0"], r"\.CHANNELS: expected 1 or more, got 0"),
        (["MODEL.MSPN.UP_CHANNELS", "0"], "UP_CHANNELS: expected 1 or more, got 0"),
        (["MODEL.MSPN.OHKM_TOPK", "0"], "OHKM_TOPK: expected 1 or more, got 0; MODEL.MSPN.OHKM False"),
        (["MODEL.MSPN.BLOCK", "xception"], "BLOCK: expected basic or bottleneck, got 'xception'"),
        (["MODEL.MSPN.BLOCKS", "[1, 1]"], r"BLOCKS: expected 4 whole numbers from 1, got \[1, 1\]"),
        (
            ["MODEL.MSPN.BLOCKS", "[1, 1, 1.5, 1]"],
            r"BLOCKS: expected 4 whole numbers from 1, got \[1, 1, 1.5, 1\]",
        ),
        (["MODEL.MSPN.KERNELS", "[15, 11, 9, 7]"], "KERNELS: expected 5 odd numbers of cells"),
        (
            ["MODEL.MSPN.KERNELS", "[15, 11, 9, 7, 5, 3]"],
            r"KERNELS: expected 5 odd numbers of cells, got \[15, .*3\]",
        ),
        (
            ["MODEL.MSPN.KERNELS", "[15, 11, 9, 7, 1.5]"],
            r"KERNELS: expected 5 odd numbers of cells, got .*1\.5",
        ),
        (["MODEL.MSPN.TARGETS", "box"], "TARGETS: expected gaussian or megvii, got 'box'"),
        (["MODEL.MSPN.VISIBILITY_TARGETS", "all"], "VISIBILITY_TARGETS: expected mask or release, got 'all'"),
        (
            ["MODEL.TOPDOWN.LOSS", "integral"],
            "LOSS: expected heatmap or cross_entropy of MSPN, got 'integral'",
        ),
        (["MODEL.BACKBONE.FREEZE_AT", "2"], "FREEZE_AT 2: MSPN trains all its stages"),
    ],
)
def test_what_it_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        build_network(mspn_config(*options))


@pytest.mark.parametrize(("peak", "spread"), [(255.0, 1.0), (1.0, 1 / 255)])
def test_maps_begin_as_spread_beside_their_targets_as_the_releases(peak, spread):
    torch.manual_seed(0)
    network = build_network(mspn_config("MODEL.TOPDOWN.HEATMAP_PEAK", peak)).train()
    with torch.no_grad():
        units = [one for stage in network.backbone.units(torch.randn(8, 3, 64, 32)) for one in stage]
        maps = [head(one) for head, one in zip(network.upsampler.predict, units, strict=True)]
    assert [float(one.std()) for one in maps] == pytest.approx([spread] * len(maps), rel=0.05)
