"""Heads learn from their own domain alone, stages leave what is frozen as it is, losses by hand."""

import pytest
import torch
from tiny_mdpn import crops, mdpn_config, part_of

from fastpose_mtn.build import build_network
from fastpose_mtn.config import get_cfg
from fastpose_mtn.engine.solver import build_optimizer
from fastpose_mtn.modeling.freeze import train_only
from fastpose_mtn.skeletons import COCO17, MPII16, POSETRACK15, UNION21
from fastpose_mtn.system_protocols import ScheduledNetwork

HEADS = {"coco": COCO17, "mpii": MPII16, "posetrack": POSETRACK15}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_network(mdpn_config())


def gradients(network, batch):
    network.zero_grad()
    losses = network.losses(batch)
    sum(losses.values()).backward()
    return {name: parameter.grad.clone() for name, parameter in network.named_parameters()}


@pytest.mark.parametrize("domain", HEADS)
@pytest.mark.parametrize("skip", ["none", "lateral", "prediction"])
def test_a_domains_samples_give_the_other_heads_gradients_of_exactly_zero(domain, skip):
    torch.manual_seed(0)
    network = build_network(mdpn_config("MODEL.MDPN.SKIP", skip, "MODEL.MDPN.HEAD_CONVS", "1"))
    found = gradients(network, crops(domain, domain))
    for name, gradient in found.items():
        if name.startswith("heads."):
            assert (gradient.abs().max() > 0) == name.startswith(f"heads.{domain}."), name
    assert found["backbone.bottom_up.conv1.weight"].abs().max() > 0


def test_a_mixed_batch_loses_the_sum_of_its_domains_weighted_by_their_shares(network):
    mixed = crops("coco", "mpii", "coco", "posetrack", "mpii", "coco")
    network.eval()  # batch normalisation would see other people in each part
    together = network.losses(mixed)
    apart = {name: network.losses(part_of(mixed, name)) for name in HEADS}
    shares = {"coco": 3 / 6, "mpii": 2 / 6, "posetrack": 1 / 6}
    for name, share in shares.items():
        key = f"loss_keypoint_{name}"
        assert together[key].item() == pytest.approx(share * apart[name][key].item(), abs=1e-6)
    wanted = sum(share * sum(apart[name].values()).item() for name, share in shares.items())
    assert sum(together.values()).item() == pytest.approx(wanted, abs=1e-6)


def test_a_heads_loss_by_hand(network):
    """Half the mean squared error over the head's own joints, in float64, cell by cell."""
    network.eval()
    batch = crops("mpii")
    batch.targets[0].keypoints[0, UNION21.index("pelvis"), 2] = 0
    with torch.no_grad():
        pixels = network.preprocess(torch.stack(list(batch.images)))
        maps = network.heads["mpii"](network.backbone(pixels))[0].double()
        loss = network.losses(batch)["loss_keypoint_mpii"].item()
    total = 0.0
    for channel, joint in enumerate(MPII16.joints):
        x, y, v = batch.targets[0].keypoints[0, UNION21.index(joint)].double().tolist()
        for row in range(16):
            for column in range(8):
                dx, dy = column + 0.5 - x / 4, row + 0.5 - y / 4
                near = max(abs(dx), abs(dy)) <= 3 * 2.25
                target = torch.exp(torch.tensor(-(dx * dx + dy * dy) / (2 * 2.25**2))).item() if near else 0.0
                total += (v > 0) * (maps[channel, row, column].item() - target) ** 2
    assert loss == pytest.approx(0.5 * total / (16 * 16 * 8), rel=1e-5)


def test_intermediate_heatmaps_have_the_same_gaussian_in_pixels(network):
    network.eval()
    batch = crops("coco")
    with torch.no_grad():
        network.backbone.skip.predict["coco"].weight.zero_()
        network.backbone.skip.predict["coco"].bias.zero_()
        loss = network.losses(batch)["loss_intermediate"].item()
    points = batch.targets[0].keypoints[0, [UNION21.index(j) for j in COCO17.joints], :2].double()
    total = 0.0
    for x, y in points.tolist():
        for row in range(8):
            for column in range(4):
                dx, dy = 8 * (column + 0.5) - x, 8 * (row + 0.5) - y
                if max(abs(dx), abs(dy)) <= 27:
                    total += torch.exp(torch.tensor(-(dx * dx + dy * dy) / 81)).item()
    assert loss == pytest.approx(0.5 * total / (17 * 8 * 4), rel=1e-4)


def test_from_a_step_on_the_hardest_joints_alone_train_a_head():
    torch.manual_seed(0)
    network = build_network(
        mdpn_config("MODEL.MDPN.OHKM_FROM_STEP", "5", "MODEL.MDPN.OHKM_TOPK", "2", "MODEL.MDPN.SKIP", "none")
    )
    assert isinstance(network, ScheduledNetwork)
    network.eval()
    batch = crops("posetrack")
    maps = network.heads["posetrack"](network.backbone(network.preprocess(torch.stack(list(batch.images)))))
    points = batch.targets[0].keypoints[:, [UNION21.index(j) for j in POSETRACK15.joints], :2] / 4
    each = network.codec.each(maps, points, torch.ones(1, 15, dtype=torch.bool))[0]
    for step, wanted in ((4, each.mean() / 2), (5, each.topk(2).values.mean() / 2)):
        network.begin_step(step)
        assert network.losses(batch)["loss_keypoint_posetrack"].item() == pytest.approx(wanted.item())


@pytest.mark.parametrize(
    ("file", "data", "moving"),
    [
        ("MDPN-152-finetune-coco", ["coco"] * 4, ("backbone.", "heads.coco.")),
        ("MDPN-152-finetune-heads", ["mpii", "posetrack"] * 2, ("heads.mpii.", "heads.posetrack.")),
    ],
)
def test_a_stage_leaves_everything_else_as_it_is_bit_for_bit(file, data, moving):
    torch.manual_seed(0)
    cfg = mdpn_config("MODEL.MDPN.HEAD_CONVS", "1", file=file)
    network = build_network(cfg)
    train_only(network, cfg.SOLVER.TRAINED_PARTS)
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = build_optimizer(cfg, network)
    for step in range(20):
        optimizer.zero_grad()
        sum(network.losses(crops(*data, seed=step)).values()).backward()
        optimizer.step()
    after = network.state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert {name for name in changed if not name.startswith(moving)} == set()
    assert all(any(name.startswith(part) for name in changed) for part in moving)
    buffers = {name for name in changed if "running_" in name}
    assert {name.split(".")[0] for name in buffers} <= {part.split(".")[0] for part in moving}


def test_who_trains_nothing_has_gradients_of_exactly_zero(network):
    network.train()
    batch = crops("coco", "mpii")
    for target in batch.targets:
        target.keypoints[..., 2] = 0
    assert all(gradient.abs().max() == 0 for gradient in gradients(network, batch).values())


@pytest.mark.parametrize(
    ("domains", "text"),
    [
        ((), "got 0 domains of 2 samples"),
        (("coco", "halpe"), "one of coco, mpii, posetrack, got domain halpe"),
    ],
)
def test_samples_of_no_domain(network, domains, text):
    batch = crops("coco", "coco")
    object.__setattr__(batch, "domains", domains)
    with pytest.raises(ValueError, match=text):
        network.losses(batch)


# millions of parameters, 10^9 multiply-additions at 256x192 of the COCO head alone
@pytest.mark.parametrize(
    ("name", "parameters", "operations"), [("resnet18", 15.4, 2.9), ("resnet50", 34.0, 5.43)]
)
def test_simple_baselines_sizes(name, parameters, operations):
    from fvcore.nn import FlopCountAnalysis

    cfg = get_cfg()
    cfg.merge_from_file("MDPN-50")
    cfg.merge_from_list(
        ["MODEL.TIMM.NAME", name, "MODEL.TIMM.PRETRAINED", False, "MODEL.MDPN.DOMAINS", ["coco"], "MODEL.MDPN.BRANCH", "coco"]
    )  # fmt: skip
    network = build_network(cfg).eval()
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(parameters, abs=0.05)
    with torch.no_grad():
        count = FlopCountAnalysis(network.heads["coco"], network.backbone(torch.zeros(1, 3, 256, 192)))
        trunk = FlopCountAnalysis(network.backbone, torch.zeros(1, 3, 256, 192))
        total = sum(own.unsupported_ops_warnings(False).total() for own in (count, trunk))
    assert total / 1e9 == pytest.approx(operations, rel=0.1)


def test_the_skip_connection_is_added_to_the_second_deconvolution(network):
    network.eval()
    pixels = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        _, middle, _, last = network.backbone.bottom_up(pixels)
        skip, deconv = network.backbone.skip, network.backbone.deconv
        lateral = skip.lateral(middle)
        every = torch.cat([skip.predict[name](lateral) for name in HEADS], dim=1)
        assert every.shape[1:] == (17 + 16 + 15, 8, 4)
        wanted = deconv[2](deconv[1](deconv[0](last)) + lateral + skip.remap(every))
        assert torch.allclose(network.backbone(pixels), wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["MODEL.MDPN.SKIP", "dense"], "SKIP: expected one of none, lateral, prediction, got 'dense'"),
        (["MODEL.TOPDOWN.LOSS", "integral"], "LOSS: expected heatmap of MDPN, got 'integral'"),
        (["MODEL.MDPN.HEAD_CONVS", "-1"], "HEAD_CONVS and OHKM_TOPK: expected 0 or more"),
        (["MODEL.MDPN.DOMAINS", "[]"], "DOMAINS: expected a domain or more, got none"),
        (["MODEL.MDPN.DOMAINS", "[coco, coco]"], "DOMAINS: expected different names of coco, mpii, .* got 'coco'"),
        (["MODEL.MDPN.DOMAINS", "[mine]"], "or NAME:SKELETON, got 'mine'"),
        (["MODEL.MDPN.DOMAINS", "['coco', 'h:HALPE26']"], "UNION UNION21 lacks joints of domain h: left_big_toe"),
        (["MODEL.MDPN.DOMAINS", "['h:NONE']"], "MODEL.MDPN.DOMAINS h:NONE: unknown skeleton 'NONE'; known: POSETRACK15"),
        (["MODEL.MDPN.UNION", "NONE"], "MODEL.MDPN.UNION: unknown skeleton 'NONE'; known: POSETRACK15"),
        (["MODEL.MDPN.DOMAIN_WEIGHTS", "[1, 2]"], "DOMAIN_WEIGHTS: expected a number from 0 for each of coco, mpii"),
    ],
)  # fmt: skip
def test_what_it_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        build_network(mdpn_config(*options))
