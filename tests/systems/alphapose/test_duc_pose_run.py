"""Every row of AlphaPose's tables that has a file: it trains, with the datasets that the catalogue knows."""

from pathlib import Path

import pytest
import torch
from tiny_topdown import crop_batch

from fastpose_mtn.build import build_network
from fastpose_mtn.config import CfgNode, get_cfg
from fastpose_mtn.data.catalog import DATASETS
from fastpose_mtn.engine.solver import build_optimizer, learning_rate_factor

ROWS = sorted(path.name for path in (Path(__file__).parents[3] / "configs").glob("DUCPose-*.yaml"))


def test_every_table_has_a_file():
    names = ("50-coco", "50-halpe", "50-wholebody", "50-multidomain", "152-posetrack")
    assert {f"DUCPose-{name}.yaml" for name in names} == set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_every_file_trains_two_steps(name):
    """Small: few channels; what makes the row what it is stays."""
    cfg = get_cfg()
    cfg.merge_from_file(name)
    assert {*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST} <= set(DATASETS)
    assert f"resnet{name.split('-')[1]}" == cfg.MODEL.TIMM.NAME
    factor = learning_rate_factor(cfg)
    first = cfg.INPUT.PGPG.FROM_ITER  # crops change, and the rate begins anew
    assert (factor(first), factor(first - 1), factor(cfg.SOLVER.MAX_ITER - 1)) == pytest.approx(
        (1, 0.01, 0.01)
    )
    cfg.MODEL.TIMM.ARGS = CfgNode({"channels": [8, 8, 8, 16]}, new_allowed=True)
    cfg.merge_from_list(
        ["MODEL.TIMM.NAME", "resnet50", "MODEL.TIMM.PRETRAINED", False, "MODEL.TOPDOWN.INPUT_SIZE", [64, 32],
         "MODEL.TOPDOWN.UPSAMPLER_DIM", 8, "MODEL.TOPDOWN.CONV_DIM", 8, "MODEL.SKELETON", "PERSON19",
         "MODEL.ROI_REID_HEAD.NUM_IDENTITIES", 3]
    )  # fmt: skip
    network = build_network(cfg).train()
    optimizer = build_optimizer(cfg, network)
    before = {key: value.clone() for key, value in network.named_parameters()}
    for _ in range(2):
        optimizer.zero_grad()
        losses = network.losses(crop_batch(2))
        assert ("loss_reid" in losses) == ("posetrack" in name)
        assert all(torch.isfinite(loss) for loss in losses.values())
        sum(losses.values()).backward()
        optimizer.step()
    moved = [key for key, value in network.named_parameters() if not torch.equal(value, before[key])]
    assert any(key.startswith("upsampler.duc1.") for key in moved)
    assert any(".se." in key for key in moved)
