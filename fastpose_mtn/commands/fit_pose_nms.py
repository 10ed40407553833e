"""``python -m fastpose_mtn.evaluation.pose_nms``: fits the parametric pose NMS to labelled images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastpose_mtn.command_line import ArgumentParser
from fastpose_mtn.errors import InputError, exit_on_error

if TYPE_CHECKING:
    from fastpose_mtn.ops.pose_similarity import PoseParameters

_KEYS = {"SIGMA1": "sigma1", "SIGMA2": "sigma2", "LAMBDA": "weight", "ETA": "threshold"}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = ArgumentParser(
        "python -m fastpose_mtn.evaluation.pose_nms",
        "Searches for the parameters of AlphaPose's parametric pose NMS (TEST.POSE_NMS.KIND parametric) that give the "
        "greatest keypoint AP on labelled images. Detections are saved with the NMS off: track_video.py IMAGES "
        "--save-detections TEST.POSE_NMS.ENABLED False, and with a low threshold of scores.",
        examples=(
            "python -m fastpose_mtn.evaluation.pose_nms --detections results --gt labels.json --output pose_nms.yaml",
            "python -m fastpose_mtn.evaluation.pose_nms --detections results --gt drawn/annotations --output pose_nms.yaml",
        ),
    )
    add = parser.add_argument
    add(
        "--detections",
        required=True,
        type=Path,
        metavar="FILE|DIR",
        help="NAME.detections.npz, or a folder of them, of one skeleton",
    )
    add(
        "--gt",
        required=True,
        type=Path,
        metavar="FILE|DIR",
        help="labels: a file of COCO's, or a folder with PoseTrack18's NAME.json",
    )
    add("--output", required=True, type=Path, metavar="FILE.yaml", help="where the parameters are written")
    add("--rounds", type=int, default=8, metavar="N", help="at most (default: 8)")
    add(
        "options", nargs="*", metavar="KEY VALUE", help="where the search begins, as in TEST.POSE_NMS.ETA 1.5"
    )
    with exit_on_error():
        args = parser.parse_args(arguments)
        if args.output.suffix not in (".yaml", ".yml"):
            raise InputError(f"--output {args.output}: expected a name that ends in .yaml")
        if args.rounds < 1:
            raise InputError(f"--rounds {args.rounds}: expected 1 or more")
        from fastpose_mtn.config import get_cfg
        from fastpose_mtn.evaluation.coco.labelled_frames import read_frames
        from fastpose_mtn.evaluation.pose_nms_search import search_parameters
        from fastpose_mtn.files import write_text
        from fastpose_mtn.ops.pose_nms import PoseNMS
        from fastpose_mtn.tracking.retrack import find_detections, read_detections

        cfg = get_cfg()
        cfg.merge_from_list(
            [*args.options, "TEST.POSE_NMS.KIND", "parametric", "TEST.POSE_NMS.ENABLED", "True"]
        )
        saved = [read_detections(file) for file in find_detections(args.detections)]
        skeletons = {one.skeleton.name: one.skeleton for one in saved}
        if len(skeletons) > 1:
            raise InputError(
                f"--detections {args.detections}: expected one skeleton in all files, got {', '.join(skeletons)}"
            )
        (skeleton,) = skeletons.values()
        begun = PoseNMS.from_config(cfg, skeleton)
        assert begun is not None  # it is enabled
        frames = read_frames(saved, args.gt)
        found, labelled = (
            sum(map(len, part)) for part in zip(*((f.found, f.targets) for f in frames), strict=True)
        )
        print(f"{len(frames)} labelled frames, {labelled} people, {found} found\n")
        print(f"{'keypoint AP':>11}" + "".join(f"{key:>10}" for key in _KEYS))
        steps = search_parameters(
            frames, skeleton, begun.parameters, merge=begun.merge, floor=begun.floor, rounds=args.rounds
        )
        for step in steps:
            if not step.ap > 0:  # of the first: it never falls
                raise InputError(
                    f"--detections {args.detections}: keypoint AP is 0 or undefined: nobody found is near anybody labelled in "
                    f"{args.gt}; are they of other images, or in pixels of another size?"
                )
            values = "".join(f"{getattr(step.parameters, name):>10.4g}" for name in _KEYS.values())
            print(f"{100 * step.ap:>11.2f}{values}  {step.what}", flush=True)
        write_text(args.output, _yaml(step.parameters))
        print(f"\nwritten: {args.output}; on a command line: {_overrides(step.parameters)}")


def _yaml(parameters: PoseParameters) -> str:
    """A configuration with these parameters."""
    lines = ["TEST:", "  POSE_NMS:", "    ENABLED: true", "    KIND: parametric"]
    lines += [f"    {key}: {getattr(parameters, name):.6g}" for key, name in _KEYS.items()]
    return "\n".join(lines) + "\n"


def _overrides(parameters: PoseParameters) -> str:
    words = ["TEST.POSE_NMS.KIND parametric"]
    return " ".join(
        [*words, *(f"TEST.POSE_NMS.{key} {getattr(parameters, name):.6g}" for key, name in _KEYS.items())]
    )
