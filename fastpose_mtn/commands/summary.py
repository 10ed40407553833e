"""Parameters and multiply-additions of a network by part, beside the paper's (Table 1b).

``python -m fastpose_mtn.modeling.summary --config-file configs/FastPose-50.yaml``
"""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Sequence

from fastpose_mtn.build import build_network
from fastpose_mtn.command_line import ArgumentParser
from fastpose_mtn.config import CfgNode, get_cfg
from fastpose_mtn.errors import InputError, exit_on_error
from fastpose_mtn.modeling.size import Part
from fastpose_mtn.registry import SYSTEMS
from fastpose_mtn.system_protocols import CountedSystem


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
        ValueError: the size is not HEIGHTxWIDTH, a number is below its least, or the system does not count its parts.
    """
    height, _, width = size.partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise ValueError(f"--size {size}: expected HEIGHTxWIDTH in pixels, such as 600x1000")
    if min(proposals or 0, people) < 0:
        raise ValueError("--proposals and --people: expected numbers of boxes, got one below 0")
    architecture = cfg.MODEL.META_ARCHITECTURE
    system = SYSTEMS.get(architecture)
    if not isinstance(system, CountedSystem):
        counted = " or ".join(name for name in SYSTEMS if isinstance(SYSTEMS.get(name), CountedSystem))
        raise InputError(
            f"MODEL.META_ARCHITECTURE {architecture}: its parts are not counted here; give a configuration of {counted}"
        )
    cfg = cfg.clone()
    cfg.MODEL.TIMM.PRETRAINED = False  # numbers do not depend on the weights' values
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    counts = system.count(
        cfg,
        build_network(cfg),
        image_size_hw=(int(height), int(width)),
        proposals=proposals,
        people=people,
    )
    return f"{counts.title}\n{table(counts.parts, counts.paper)}"


if __name__ == "__main__":
    main()
