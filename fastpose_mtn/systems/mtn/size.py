"""The size of FastPose MTN's parts, beside the paper's (Table 1b)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastpose_mtn.modeling.size import Part, operations_of, parameters_of
from fastpose_mtn.systems.mtn.network import MTN

# timm's name -> millions of parameters, 10^9 multiply-additions of FastPose (paper, Table 1b)
PAPER = {
    "mobilenetv2_100": (32.73, 38.2),
    "resnet18": (42.38, 68.0),
    "resnet50": (62.98, 116.8),
    "resnet101": (78.68, 154.8),
}


def parts_of(model: MTN, *, image_size_hw: tuple[int, int], proposals: int, people: int) -> list[Part]:
    """Counts each part of a network.

    Args:
        model: the network.
        image_size_hw: of the image, before it is padded to what the backbone divides.
        proposals: boxes that the box head sees.
        people: boxes that the keypoint and identity heads see.
    """
    model.eval()
    batch, _ = model.preprocess([torch.zeros(3, *image_size_hw)])
    with torch.no_grad():
        features = model.backbone(batch)
    rpn, heads = model.proposal_generator, model.roi_heads
    channels = model.backbone.out_channels

    def pooled(size_hw: tuple[int, int]) -> Tensor:
        return torch.zeros(1, channels, *size_hw, device=model.device)

    stages = operations_of(model.backbone.bottom_up, batch)
    parts = [
        Part("backbone", parameters_of(model.backbone.bottom_up), stages, 1),
        Part(
            "pyramid",
            parameters_of(model.backbone) - parameters_of(model.backbone.bottom_up),
            operations_of(model.backbone, batch) - stages,
            1,
        ),
        Part("proposals", parameters_of(rpn), operations_of(_OverLevels(rpn.rpn_head), *(features[n] for n in rpn.in_features)), 1),
    ]  # fmt: skip
    box = nn.Sequential(heads.box_head, heads.box_predictor)
    parts.append(
        Part(
            "box head",
            parameters_of(box),
            operations_of(box, pooled(heads.box_pooler.output_size_hw)),
            proposals,
        )
    )
    for name, head in (("keypoint head", heads.keypoint_head), ("identity head", heads.reid_head)):
        if head is not None:
            parts.append(
                Part(
                    name, parameters_of(head), operations_of(_First(head), pooled(head.resolution_hw)), people
                )
            )
    return parts


class _First(nn.Module):
    """The first output only: tracing takes no named tuples and no None."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        out = self.module(x)
        return out[0] if isinstance(out, tuple) else out


class _OverLevels(nn.Module):
    """A head that takes a list of levels, as one that takes them one by one."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *levels: Tensor) -> Tensor:
        logits, deltas = self.module(levels)
        return torch.cat([*logits, *(delta.flatten(1) for delta in deltas)], dim=1)
