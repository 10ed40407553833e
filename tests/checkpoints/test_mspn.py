"""State dicts with the names of MSPN's published networks, made up: of mmpose and of the release."""

import pytest
import torch
from tiny_mspn import mspn_config

from fastpose_mtn.build import build_network
from fastpose_mtn.checkpoints.conversion import convert
from fastpose_mtn.checkpoints.loading import load_weights
from fastpose_mtn.config import get_cfg

BLOCKS, WIDTHS = (3, 4, 6, 3), (64, 128, 256, 512)


def norm(name, channels):
    return {
        **{f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")},
        f"{name}.num_batches_tracked": (),
    }


def conv_module(name, out, into, size=1, conv="conv", bn="bn", bias=False):
    shapes = {f"{name}.{conv}.weight": (out, into, size, size), **norm(f"{name}.{bn}", out)}
    return shapes | ({f"{name}.{conv}.bias": (out,)} if bias else {})


def published(
    stages, *, release=False, blocks=BLOCKS, widths=WIDTHS, up=256, joints=17, head="head", expansion=4
):
    """Names and shapes of a network as it is published."""
    shapes = conv_module("top.conv" if release else "backbone.top.top.0", widths[0], 3, 7, bias=release)
    for stage in range(stages):
        own = f"stage{stage}" if release else f"backbone.multi_stage_mspn.{stage}"
        before = widths[0]
        for scale, (count, width) in enumerate(zip(blocks, widths, strict=True), start=1):
            for block in range(count):
                name = f"{own}.downsample.layer{scale}.{block}"
                sizes = [(width, before, 1), (width, width, 3), (expansion * width, width, 1)]
                for number, (out, into, size) in enumerate(sizes, start=1):
                    if release:
                        shapes |= conv_module(f"{name}.conv_bn_relu{number}", out, into, size, bias=True)
                    else:
                        shapes |= conv_module(name, out, into, size, f"conv{number}", f"bn{number}")
                if block == 0:
                    shapes |= conv_module(f"{name}.downsample", expansion * width, before, bias=release)
                before = expansion * width
        for unit in range(1, 5):
            name, width = f"{own}.upsample.up{unit}", expansion * widths[4 - unit]
            lateral, skips = (
                ("u_skip", ("skip1", "skip2")) if release else ("in_skip", ("out_skip1", "out_skip2"))
            )
            shapes |= conv_module(f"{name}.{lateral}", up, width, bias=release)
            if unit > 1:
                shapes |= conv_module(f"{name}.up_conv", up, up, bias=release)
            if stage < stages - 1:
                for skip, into in zip(skips, (width, up), strict=True):
                    shapes |= conv_module(f"{name}.{skip}", width, into, bias=release)
                if unit == 4:
                    shapes |= conv_module(f"{name}.cross_conv", widths[0], up, bias=release)
            index = 4 * stage + unit - 1
            first, second = (
                (f"{name}.res_conv1", f"{name}.res_conv2")
                if release
                else (f"{head}.predict_layers.{index}.conv_layers.{layer}" for layer in (0, 1))
            )
            shapes |= conv_module(first, up, up, bias=release) | conv_module(
                second, joints, up, 3, bias=release
            )
    return shapes


SMALL = {"blocks": (1, 1, 1, 1), "widths": (4, 8, 16, 32), "up": 8, "joints": 17}
BOTTLENECKS = ["MODEL.MSPN.BLOCK", "bottleneck", "MODEL.SKELETON", "COCO17"]


def made_up(shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {name: 0.1 + 0.5 * torch.rand(shape, generator=generator) for name, shape in shapes.items()}


@pytest.mark.parametrize(
    ("stages", "release", "head"),
    [(1, False, "head"), (2, False, "keypoint_head"), (2, True, ""), (4, False, "head")],
)
def test_every_published_name_and_shape_is_one_of_ours(stages, release, head):
    cfg = get_cfg()
    cfg.merge_from_file("mspn_release" if release else "mspn_mmpose")
    cfg.merge_from_list(["MODEL.MSPN.STAGES", stages])
    with torch.device("meta"):
        own = build_network(cfg).state_dict()
        theirs = {
            name: torch.zeros(shape) for name, shape in published(stages, release=release, head=head).items()
        }
    found = convert(theirs)
    assert {name: tuple(t.shape) for name, t in found.items()} == {
        name: tuple(t.shape) for name, t in own.items()
    }
    if stages == 2:  # as the published files count them
        assert (len(theirs), len(found)) == (1008 if release else 864, 864)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_releases_network_computes_what_mmposes_does(prefix, tmp_path):
    """The same numbers under both names, biases but in one: what they add is what the means take away."""
    networks = []
    mmpose = made_up(published(2, **SMALL))
    release = made_up(published(2, release=True, **SMALL), seed=1)
    for theirs, name in ((mmpose, "mmpose"), (release, "release")):
        torch.save({"model" if name == "release" else "state_dict": {prefix + n: t for n, t in theirs.items()},
                    "meta": {"mmpose_version": "0.18.0"}, "optimizer": {"state": {}}}, tmp_path / f"{name}.pth")  # fmt: skip
        networks.append(build_network(mspn_config(*BOTTLENECKS)).eval())
        report = load_weights(networks[-1], tmp_path / f"{name}.pth")
        assert not any((report.missing, report.unexpected, report.mismatched))
    bn = convert(dict(release))["backbone.stages.1.down.layer3.0.bn2.running_mean"]
    conv = "stage1.downsample.layer3.0.conv_bn_relu2"
    assert torch.allclose(bn, release[f"{conv}.bn.running_mean"] - release[f"{conv}.conv.bias"])
    shortcut = "stage0.downsample.layer2.0.downsample"
    assert torch.allclose(
        convert(dict(release))["backbone.stages.0.down.layer2.0.downsample.1.running_mean"],
        release[f"{shortcut}.bn.running_mean"] - release[f"{shortcut}.conv.bias"],
    )
    pixels = torch.randn(1, 3, 64, 32)
    with torch.no_grad():
        assert all(torch.isfinite(network.maps(pixels)).all() for network in networks)


@pytest.mark.parametrize(("theirs", "own"), [(3, 2), (1, 2)])
def test_another_number_of_stages_is_named(theirs, own, tmp_path):
    torch.save({"state_dict": made_up(published(theirs, **SMALL))}, tmp_path / "other.pth")
    network = build_network(mspn_config(*BOTTLENECKS, "MODEL.MSPN.STAGES", str(own)))
    with pytest.raises(ValueError, match=r"(unexpected|missing): backbone\.") as stop:
        load_weights(network, tmp_path / "other.pth")
    assert f"the file's network has {theirs} stages, this one {own}: set MODEL.MSPN.STAGES {theirs}" in str(
        stop.value
    )
    load_weights(
        build_network(mspn_config(*BOTTLENECKS, "MODEL.MSPN.STAGES", str(theirs))), tmp_path / "other.pth"
    )


def test_other_joints_are_named_with_those_who_have_them(tmp_path):
    torch.save({"state_dict": made_up(published(2, **{**SMALL, "joints": 16}))}, tmp_path / "mpii.pth")
    with pytest.raises(ValueError, match=r"of another shape: upsampler\.predict") as stop:
        load_weights(build_network(mspn_config(*BOTTLENECKS)), tmp_path / "mpii.pth")
    assert (
        "the file's maps are of 16 joints, this network's of COCO17's 17: set MODEL.SKELETON to theirs (MPII16"
        in str(stop.value)
    )
    own = build_network(mspn_config(*BOTTLENECKS, "MODEL.SKELETON", "MPII16"))
    assert not load_weights(own, tmp_path / "mpii.pth").mismatched


def test_another_networks_weights_are_refused_with_what_to_give(tmp_path):
    torch.save({"state_dict": {"backbone.some.weight": torch.zeros(2)}}, tmp_path / "other.pth")
    for strict, text in ((True, "weights of another architecture"), (False, "none of its weights fit")):
        with pytest.raises(ValueError, match=f"{text}.*; give the configuration that they were trained with"):
            load_weights(build_network(mspn_config()), tmp_path / "other.pth", strict=strict)


def test_a_successors_weights_are_refused():
    with pytest.raises(ValueError, match="weights of RSN"):
        convert({"backbone.multi_stage_rsn.0.downsample.layer1.0.conv1.weight": torch.zeros(1)})
