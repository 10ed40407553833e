"""Tracks a corpus of videos on all cores or GPUs of a machine or a Ray cluster; goes on where it was stopped."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from fastpose_mtn.command_line import ArgumentParser
from fastpose_mtn.commands.track import (
    add_tracking_flags,
    check_tracking_flags,
    make_request,
    network_arguments,
)
from fastpose_mtn.errors import InputError, exit_on_error

EXAMPLES = (
    "fastpose corpus videos/ --output results           all videos below a folder, on all cores or GPUs",
    "fastpose corpus 's3://bucket/*.mp4' --output s3://bucket/results --formats jsonl --no-video",
    "RAY_ADDRESS=head:6379 fastpose corpus /shared/videos --output /shared/results",
)
_NEEDS = ("ray", "pyarrow", "fsspec")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = ArgumentParser("fastpose corpus", __doc__, examples=EXAMPLES)
    add = parser.add_argument
    add(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="videos, folders with all videos below them, patterns such as 's3://bucket/*.mp4'",
    )
    add("options", nargs="*", metavar="KEY VALUE", help="override the configuration")
    add(
        "--output",
        required=True,
        metavar="URI",
        help="folder for results and manifest.parquet; resumed if there",
    )
    add_tracking_flags(parser)
    add("--workers", type=int, metavar="N", help="networks at work (default: as many as there is room for)")
    add("--cores", type=int, metavar="N", help="of each worker (default: 1; with GPUs an equal part)")
    add("--attempts", type=int, default=3, metavar="N", help="at a video whose worker is lost (default: 3)")
    add("--quiet", action="store_true", help="print errors and warnings only")
    args = parser.parse_args(arguments)
    check_tracking_flags(parser, args)
    for name in ("workers", "cores", "attempts"):
        value = getattr(args, name)
        if value is not None and value < 1:
            parser.error(f"--{name} {value}: expected at least 1")
    return args


def run(args: argparse.Namespace) -> int:
    """Tracks what the command line asks for; returns the exit status."""
    missing = [name for name in _NEEDS if find_spec(name) is None]
    if missing:
        raise InputError(f"a corpus needs {', '.join(missing)}: pip install 'fastpose-mtn[corpus]'")
    from fastpose_mtn.commands.track_sources import split_overrides
    from fastpose_mtn.config import get_cfg
    from fastpose_mtn.corpus.track import Workers, track_corpus

    sources, options = split_overrides(args.sources, get_cfg().keys_with_dots())
    if not sources:
        raise InputError(f"no SOURCE before {options[0]}; give a video, a folder or a pattern")
    workers = Workers(count=args.workers, cores=args.cores, attempts=args.attempts)
    request = make_request(args, Path())
    return track_corpus(sources, args.output, request, network_arguments(args, options), workers)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line's beginning and end."""
    with exit_on_error():
        status = run(parse(arguments))
    sys.exit(status)


if __name__ == "__main__":
    main()
