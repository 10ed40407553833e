import pytest

from fastpose_mtn.config import get_cfg
from fastpose_mtn.systems.mtn.config import training_config


def test_heads_that_not_every_process_runs_do_not_normalise_over_all():
    cfg = get_cfg()
    cfg.MODEL.BACKBONE.NORM = cfg.MODEL.ROI_REID_HEAD.NORM = "SyncBN"
    training_config(cfg, num_identities=3, world_size=1)
    with pytest.raises(
        ValueError, match="MODEL.ROI_REID_HEAD.NORM is SyncBN, which cannot train in 2 processes"
    ):
        training_config(cfg, num_identities=3, world_size=2)
    cfg.MODEL.ROI_REID_HEAD.NORM = "BN"
    training_config(cfg, num_identities=3, world_size=2)


def test_identities_are_counted_unless_the_configuration_says_more():
    cfg = get_cfg()
    assert training_config(cfg, num_identities=3, world_size=1).MODEL.ROI_REID_HEAD.NUM_IDENTITIES == 3
    assert cfg.MODEL.ROI_REID_HEAD.NUM_IDENTITIES == 0
    cfg.MODEL.ROI_REID_HEAD.NUM_IDENTITIES = 5
    assert training_config(cfg, num_identities=3, world_size=1).MODEL.ROI_REID_HEAD.NUM_IDENTITIES == 5
