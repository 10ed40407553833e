"""Parameters and multiply-additions of a network by part, beside the paper's (Table 1b).

``python -m fastpose_mtn.modeling.summary --config-file configs/FastPose-50.yaml``
"""

from __future__ import annotations

import logging
import math
import warnings
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fastpose_mtn.build import build_network
from fastpose_mtn.command_line import ArgumentParser
from fastpose_mtn.config import CfgNode, get_cfg
from fastpose_mtn.errors import InputError, exit_on_error
from fastpose_mtn.systems.mtn.network import MTN
from fastpose_mtn.systems.topdown.network import TopDownNetwork

with warnings.catch_warnings():
    # fvcore scripts a loss when it is imported, of which torch warns; neither concerns a count
    warnings.simplefilter("ignore", FutureWarning)
    from fvcore.nn import FlopCountAnalysis
    from fvcore.nn.jit_handles import get_shape

# timm's name -> millions of parameters, 10^9 multiply-additions of FastPose (paper, Table 1b)
PAPER = {
    "mobilenetv2_100": (32.73, 38.2),
    "resnet18": (42.38, 68.0),
    "resnet50": (62.98, 116.8),
    "resnet101": (78.68, 154.8),
}


@dataclass(frozen=True)
class Part:
    """One part of the network.

    Attributes:
        name: what it is called in the table.
        parameters: how many, without the identities' classifier.
        operations: multiply-additions of one run: of one image, or of one box.
        runs: how often it runs for an image.
    """

    name: str
    parameters: int
    operations: float
    runs: int

    @property
    def total(self) -> float:
        """Multiply-additions of all runs of the part together."""
        return self.operations * self.runs


def summarize(model: MTN, *, image_size_hw: tuple[int, int], proposals: int, people: int) -> list[Part]:
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

    stages = _operations(model.backbone.bottom_up, batch)
    parts = [
        Part("backbone", _parameters(model.backbone.bottom_up), stages, 1),
        Part(
            "pyramid",
            _parameters(model.backbone) - _parameters(model.backbone.bottom_up),
            _operations(model.backbone, batch) - stages,
            1,
        ),
        Part("proposals", _parameters(rpn), _operations(_OverLevels(rpn.rpn_head), *(features[n] for n in rpn.in_features)), 1),
    ]  # fmt: skip
    box = nn.Sequential(heads.box_head, heads.box_predictor)
    parts.append(
        Part(
            "box head", _parameters(box), _operations(box, pooled(heads.box_pooler.output_size_hw)), proposals
        )
    )
    for name, head in (("keypoint head", heads.keypoint_head), ("identity head", heads.reid_head)):
        if head is not None:
            parts.append(
                Part(name, _parameters(head), _operations(_First(head), pooled(head.resolution_hw)), people)
            )
    return parts


def summarize_crops(network: TopDownNetwork, *, people: int) -> list[Part]:
    """Counts each part of a network that looks at one person at a time.

    Args:
        network: the network.
        people: crops that it sees.
    """
    network.eval()
    pixels = network.preprocess(torch.zeros(1, 3, *network.size_hw))
    with torch.no_grad():
        features = network.backbone(pixels)
        maps = network.upsampler(features)
    parts: list[tuple[str, nn.Module, tuple[Tensor, ...]]] = [
        ("backbone", network.backbone, (pixels,)),
        ("upsampler", network.upsampler, (features,)),
    ]
    if network.reid is not None:
        parts.append(("identity branch", network.reid, (pixels, features, maps)))
    return [Part(name, _parameters(part), _operations(part, *given), people) for name, part, given in parts]


def table(parts: Sequence[Part], paper: tuple[float, float] | None) -> str:
    """The parts, their sum, and the paper's sum where it has this network."""
    lines = [f"{'part':<16}{'parameters, M':>15}{'a run, G':>11}{'runs':>7}{'total, G':>11}"]
    for part in parts:
        lines.append(
            f"{part.name:<16}{part.parameters / 1e6:>15.2f}{part.operations / 1e9:>11.3f}{part.runs:>7}{part.total / 1e9:>11.1f}"
        )
    parameters, once, total = (
        sum(values) for values in zip(*((p.parameters, p.operations, p.total) for p in parts), strict=True)
    )
    lines.append(f"{'sum':<16}{parameters / 1e6:>15.2f}{once / 1e9:>11.3f}{'':>7}{total / 1e9:>11.1f}")
    if paper is not None:
        lines.append(f"{'paper, Table 1b':<16}{paper[0]:>15.2f}{paper[1]:>11.1f}")
    return "\n".join(lines)


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


def _parameters(module: nn.Module) -> int:
    return sum(p.numel() for name, p in module.named_parameters() if "classifier." not in name)


def _operations(module: nn.Module, *inputs: Tensor) -> float:
    """Multiply-additions of the convolutions and matrix products of one forward pass, as fvcore counts them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        count = (
            FlopCountAnalysis(module, inputs).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        )
        count.set_op_handle("torchvision::deform_conv2d", _deformable_operations)
        return float(count.total())


def _deformable_operations(inputs: Sequence[object], outputs: Sequence[object]) -> float:
    """Those of the convolution, without the interpolation of what its taps read; of an operator's traced values."""
    weight, made = get_shape(inputs[1]), get_shape(outputs[0])
    return float(math.prod(made) * math.prod(weight[1:]))


def _arguments(argv: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser(prog="python -m fastpose_mtn.modeling.summary", description=__doc__)
    parser.add_argument("--config-file", required=True, metavar="YAML")
    parser.add_argument(
        "--size", default="600x1000", metavar="HxW", help="of the image (default: %(default)s)"
    )
    parser.add_argument(
        "--people", type=int, default=1, metavar="N", help="boxes that joints and identities are computed for"
    )
    parser.add_argument(
        "--proposals",
        type=int,
        metavar="N",
        help="boxes that the box head sees (default: RPN.POST_NMS_TOPK_TEST)",
    )
    parser.add_argument("options", nargs="*", metavar="KEY VALUE", help="override the configuration")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    with exit_on_error():
        arguments = _arguments(argv)
        cfg = get_cfg()
        cfg.merge_from_file(arguments.config_file)
        cfg.merge_from_list(arguments.options)
        print(describe(cfg, size=arguments.size, proposals=arguments.proposals, people=arguments.people))


def describe(cfg: CfgNode, *, size: str, proposals: int | None, people: int) -> str:
    """The text that the command prints.

    Raises:
        ValueError: the size is not HEIGHTxWIDTH, a number is below its least, or the network is of another system.
    """
    height, _, width = size.partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise ValueError(f"--size {size}: expected HEIGHTxWIDTH in pixels, such as 600x1000")
    proposals = cfg.MODEL.RPN.POST_NMS_TOPK_TEST if proposals is None else proposals
    if min(proposals, people) < 0:
        raise ValueError("--proposals and --people: expected numbers of boxes, got one below 0")
    cfg = cfg.clone()
    cfg.MODEL.TIMM.PRETRAINED = False  # numbers do not depend on the weights' values
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    network = build_network(cfg)
    if isinstance(network, TopDownNetwork):
        shape = "x".join(map(str, network.size_hw))
        head = f"{cfg.MODEL.TIMM.NAME}, {people} crops of {shape}; G: 10^9 multiply-additions"
        return f"{head}\n{table(summarize_crops(network, people=people), None)}"
    if not isinstance(network, MTN):
        raise InputError(
            f"MODEL.META_ARCHITECTURE {cfg.MODEL.META_ARCHITECTURE}: its parts are not counted here; give a configuration of "
            "GeneralizedRCNN or TopDownPose"
        )
    parts = summarize(network, image_size_hw=(int(height), int(width)), proposals=proposals, people=people)
    head = (
        f"{cfg.MODEL.TIMM.NAME} at {height}x{width} (padded to multiples of 32); G: 10^9 multiply-additions; "
        f"box head for {proposals} proposals, joints and identities for {people} boxes"
    )
    return f"{head}\n{table(parts, PAPER.get(cfg.MODEL.TIMM.NAME))}"


if __name__ == "__main__":
    main()
