"""State dicts with the names of PoseDet's published networks, made up."""

import re

import pytest
import torch
from tiny_posedet import posedet_config

from fastpose_mtn.build import build_network
from fastpose_mtn.checkpoints.loading import load_weights

# our name (a pattern) -> theirs
THEIRS = (
    (r"backbone\.bottom_up\.(.+)", r"backbone.\1"),
    (r"backbone\.fpn_reduction\.(.+)", r"neck.reduction_conv.conv.\1"),
    (r"backbone\.fpn_(lateral|output)(\d)\.norm\.(.+)", r"neck.\1_convs.\2.gn.\3"),
    (r"backbone\.fpn_(lateral|output)(\d)\.(.+)", r"neck.\1_convs.\2.conv.\3"),
    (r"head\.(\w+)_convs\.(\d)\.norm\.(.+)", r"bbox_head.\1_pre_convs.\2.gn.\3"),
    (r"head\.(\w+)_convs\.(\d)\.(.+)", r"bbox_head.\1_pre_convs.\2.conv.\3"),
    (r"head\.(\w+)_embedding", r"bbox_head.\1_embedding_conv.weight"),
    (r"head\.coarse\.(.+)", r"bbox_head.init_out.\1"),
    (r"head\.fine\.(.+)", r"bbox_head.refine_out.\1"),
    (r"head\.score\.(.+)", r"bbox_head.cls_out.\1"),
    (r"head\.heatmap\.(.+)", r"bbox_head.heatmap_out.\1"),
)


def published(network):
    """The network's tensors as the release names and shapes them; it has no visibility, and layers that nothing uses."""
    out = {"backbone.level3.project.0.weight": torch.zeros(4, 4, 1, 1)}
    for name, tensor in network.state_dict().items():
        for ours, theirs in THEIRS:
            if re.fullmatch(ours, name):
                named = re.sub(ours, theirs, name)
                for level in "3456":
                    named = (
                        named.replace(f"_convs.{level}.", f"_convs.{int(level) - 3}.")
                        if "neck" in named
                        else named
                    )
                named = named.replace("neck.output_convs", "neck.fpn_convs")
                out[named] = tensor[..., None, None] if named == "bbox_head.refine_out.weight" else tensor
                break
        else:
            assert name.startswith(("head.visibility.", "pixel_")), name
    return out


@pytest.mark.parametrize(
    "options",
    [
        ("MODEL.TIMM.NAME", "dla34", "MODEL.TIMM.ARGS", "{'channels': [8, 8, 8, 16, 16, 32]}"),
        ("MODEL.TIMM.NAME", "hrnet_w18_small", "MODEL.POSEDET.NECK", "hrfpn", "MODEL.FPN.NORM", ""),
    ],
)
def test_the_releases_networks_are_read_by_their_names(options, tmp_path):
    cfg = posedet_config(
        "MODEL.REID_ON", "False", "MODEL.POSEDET.BOX", "extent", "MODEL.FPN.NORM", "GN", "MODEL.POSEDET.INIT_CONVS", "3",
        "MODEL.FPN.OUT_CHANNELS", "32", "MODEL.POSEDET.REFINE_CONVS", "2", *options,
    )  # fmt: skip
    torch.manual_seed(0)
    theirs, ours = build_network(cfg), build_network(cfg)
    torch.save({"meta": {}, "state_dict": published(theirs)}, tmp_path / "epoch_210.pth")
    load_weights(ours, tmp_path / "epoch_210.pth")
    for name, tensor in theirs.state_dict().items():
        if name.startswith("head.visibility."):
            tensor = torch.zeros_like(tensor)  # half sure of every joint
        torch.testing.assert_close(ours.state_dict()[name], tensor, rtol=0, atol=0)
