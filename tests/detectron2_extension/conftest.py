"""The same small network under both hosts, with the same weights."""

import pytest
import torch
from detectron2_helpers import SMALL, spread

from fastpose_mtn.config import get_cfg
from fastpose_mtn.systems.mtn.network import build_model


@pytest.fixture
def small():
    """Builds (default host, Detectron2, Detectron2's configuration) with the same random weights."""
    pytest.importorskip("detectron2", reason="Detectron2 is not installed")
    from detectron2.modeling import build_model as build_detectron2

    from fastpose_mtn.detectron2.config import from_default_host

    def build(*options, config_file=None, base=SMALL, confident=True):
        torch.manual_seed(0)
        cfg = get_cfg()
        if config_file:
            cfg.merge_from_file(str(config_file))
        cfg.merge_from_list(["MODEL.TIMM.PRETRAINED", "False", *base, *options])
        ours = build_model(cfg)
        if confident:
            spread(ours)
        d2_cfg = from_default_host(cfg)
        theirs = build_detectron2(d2_cfg)
        theirs.load_state_dict(ours.state_dict())
        return ours, theirs, d2_cfg

    return build
