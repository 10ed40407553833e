"""Finds the people of videos, images, cameras and streams: their boxes, joints and identities, frame by frame."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fastpose_mtn.command_line import ArgumentParser
from fastpose_mtn.errors import exit_on_error
from fastpose_mtn.hosts import HOSTS
from fastpose_mtn.registry import TRACKERS
from fastpose_mtn.runtime.memory import share_one_arena
from fastpose_mtn.tracking.parameters import STRATEGIES
from fastpose_mtn.video.image_order import ARRANGEMENTS

if TYPE_CHECKING:
    from fastpose_mtn.build import NetworkArguments
    from fastpose_mtn.video.job import Request

DEMO_CLIP = Path(__file__).parents[1] / "assets" / "demo.mp4"
SOURCES = (
    "videos, images, folders of either, a camera's number, streams' URLs, or @FILE, in which each line is a source "
    "(default: the demo's clip)"
)

EXAMPLES = (
    "fastpose track                                      the demo's clip, into output/",
    "fastpose track clip.mp4 --output results            results/clip.mp4 (overlay), results/clip.json (PoseTrack18)",
    "fastpose track clips/ photo.jpg --formats jsonl,mot --no-video",
    "fastpose track 0 rtsp://camera/stream               a camera and a stream, the newest frame first",
    "fastpose track clip.mp4 --weights torchvision://keypointrcnn_resnet50_fpn",
    "fastpose track clip.mp4 TRACKER.MAX_LOST_SECONDS 4  any configuration key, at the end",
)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = ArgumentParser("fastpose track", __doc__, examples=EXAMPLES)
    add = parser.add_argument
    add("--input", nargs="+", action="extend", default=[], metavar="SOURCE", help="sources, as above")
    add("--output", default="output", metavar="DIR", help="folder for the results (default: output)")
    add_tracking_flags(parser)
    add(
        "--images",
        default="auto",
        choices=ARRANGEMENTS,
        help="what a folder's images are: one sequence, independent photographs, or what their names tell (auto)",
    )
    add(
        "--live",
        default="auto",
        choices=["auto", "on", "off"],
        help="newest frame first: of cameras and streams (auto), of recordings at their own pace too, or of none",
    )
    add("--save-images", action="store_true", help="draw the people into pictures too, in DIR/NAME.overlay")
    add("--save-crops", metavar="CROPS", help="cut the people out, into CROPS/NAME/ID")
    add("--show", action="store_true", help="a page to watch in a browser on this machine while it runs")
    add("--quiet", action="store_true", help="print errors and warnings only")
    add("sources", nargs="*", metavar="SOURCE", help=SOURCES)
    add("options", nargs="*", metavar="KEY VALUE", help="override the configuration")
    args = parser.parse_args(arguments)
    check_tracking_flags(parser, args)
    return args


def add_tracking_flags(parser: argparse.ArgumentParser) -> None:
    """What every command that tracks whole videos asks: which network, which tracker, which files."""
    add = parser.add_argument
    add("--config-file", metavar="YAML", help="configuration (default: the one that the weights carry)")
    add(
        "--weights",
        metavar="FILE",
        help="a file (.onnx, .xml too), people, alphapose-s, posedet-s, drawn or torchvision://NAME (default: people)",
    )
    add("--device", default="auto", metavar="auto|cpu|cuda", help="where the network runs (default: auto)")
    add("--precision", default="auto", choices=["auto", "fp32", "bf16", "fp16"])
    # trained by an engine, run by a host; --engine is what the flag was called first
    add("--host", "--engine", default="default", choices=HOSTS, help="whose detector runs (default: default)")
    add(
        "--image-size",
        type=int,
        metavar="N",
        help="pixels of the shorter side that frames are resized to; 0: as they are (default: as the weights were trained)",
    )
    add(
        "--detector",
        metavar="SOURCE",
        help="who finds the people that a top-down network looks at: weights, or a file of boxes, .json (COCO's or "
        "AlphaPose's results), .txt (MOTChallenge) or .detections.npz (default: its configuration's, people)",
    )
    add("--batch-size", type=int, metavar="N", help="frames seen at once (default: 8 on a GPU, 4 without)")
    add(
        "--formats",
        default="posetrack",
        metavar="LIST",
        help="of posetrack,jsonl,csv,mot,coco,alphapose,openpose (default: posetrack)",
    )
    add("--no-video", action="store_true", help="do not draw the people into a video")
    add("--save-detections", action="store_true", help="save what fastpose retrack reads")
    add("--strategy", choices=STRATEGIES, help="how people are followed")
    add("--tracker", choices=list(TRACKERS), help="who follows them (default: the configuration's)")
    add("--max-frames", type=int, metavar="N", help="stop each source after N frames")


def check_tracking_flags(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Ends with the parser's error where one of ``add_tracking_flags`` is out of range."""
    for name in ("batch_size", "max_frames"):
        value = getattr(args, name)
        if value is not None and value < 1:
            parser.error(f"--{name.replace('_', '-')} {value}: expected at least 1")


def network_arguments(args: argparse.Namespace, options: Sequence[str]) -> NetworkArguments:
    """What ``build.build_pose_tracking`` is to be called with."""
    from fastpose_mtn.config.overrides import with_flag

    return {
        "weights": args.weights,
        "config_file": args.config_file,
        "device": args.device,
        "precision": args.precision,
        "strategy": args.strategy,
        "options": with_flag(f"--tracker {args.tracker}", args.tracker, options, "TRACKER.NAME"),
        "host": args.host,
        "image_size": args.image_size,
        "detector": args.detector,
    }


def make_request(
    args: argparse.Namespace, folder: Path, *, live: str = "off", images: str = "auto"
) -> Request:
    """What the command line asks to be made of each source; see ``video.job.Request``."""
    from fastpose_mtn.video.job import Request
    from fastpose_mtn.video.outputs import check_formats

    return Request(
        folder=folder,
        formats=check_formats(args.formats),
        video=not args.no_video,
        detections=args.save_detections,
        batch_size=args.batch_size,
        max_frames=args.max_frames,
        quiet=args.quiet,
        live=live,
        images=images,
    )


def run(args: argparse.Namespace) -> int:
    """Tracks what the command line asks for; returns the exit status."""
    share_one_arena()  # the network runs in a thread
    from fastpose_mtn import build
    from fastpose_mtn.commands.track_sources import split_overrides, track_inputs
    from fastpose_mtn.config import get_cfg

    keys = get_cfg().keys_with_dots()
    inputs, options = [], []
    for words in (args.input, args.sources):
        sources, overrides = split_overrides(words, keys)
        inputs += sources
        options += overrides

    def load() -> build.PoseTracking:
        return build.build_pose_tracking(**network_arguments(args, options))

    request = replace(
        make_request(args, Path(args.output), live=args.live, images=args.images),
        pictures=args.save_images,
        crops=Path(args.save_crops) if args.save_crops else None,
    )
    return track_inputs(inputs or [str(DEMO_CLIP)], request, load, show=args.show)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line's beginning and end."""
    with exit_on_error():
        status = run(parse(arguments))
    sys.exit(status)


if __name__ == "__main__":
    main()
