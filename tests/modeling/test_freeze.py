import pytest
import torch

from fastpose_mtn.data.catalog import build_dataset
from fastpose_mtn.data.loader import AugmentedImages
from fastpose_mtn.modeling.freeze import train_only
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.systems.mtn.network import build_model

HEAD = "roi_heads.reid_head."


def test_a_step_changes_the_trained_part_and_nothing_else(cfg):
    """Neither another weight nor a statistic of batch normalisation, though the network is in training mode."""
    torch.manual_seed(0)
    network = build_model(cfg)
    train_only(network, ["roi_heads.reid_head"])
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    name = "synthetic://a?seeds=1&frames=2&size=128x96&people=3&occlusion=0&tasks=identities"
    images = AugmentedImages([build_dataset(name, training=True)], [], seed=0, skeleton=POSETRACK15)
    samples = [images[i, 0] for i in range(2)]
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=1.0)
    losses = network([s.image for s in samples], [s.targets for s in samples], [s.tasks for s in samples])
    sum(losses.values()).backward()
    optimizer.step()
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith(HEAD) for name in changed), changed
    assert {f"{HEAD}embedding.weight", f"{HEAD}classifier.weight"} <= changed


def test_without_parts_everything_trains(cfg):
    network = build_model(cfg).train()
    train_only(network, [])
    assert all(p.requires_grad for p in network.parameters())
    assert network.backbone.bottom_up.bn1.training


def test_an_unknown_part_names_the_nearest(cfg):
    with pytest.raises(ValueError, match="has no part 'reid_head'; did you mean roi_heads.reid_head"):
        train_only(build_model(cfg), ["reid_head"])
