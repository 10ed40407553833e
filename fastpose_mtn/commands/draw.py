"""``python -m fastpose_mtn.data.synthetic``: writes labelled synthetic videos."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from fastpose_mtn.command_line import ArgumentParser
from fastpose_mtn.errors import InputError, exit_on_error


def parse_size(text: str) -> tuple[int, int]:
    """``"640x360"`` as (640, 360)."""
    match = re.fullmatch(r"(\d+)x(\d+)", text.strip().lower())
    if not match:
        raise InputError(f"--size: expected WIDTHxHEIGHT such as 640x360, got {text!r}")
    return int(match[1]), int(match[2])


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = ArgumentParser(
        "fastpose draw",
        "Draws labelled videos of people: PoseTrack18's labels, frames and videos.",
        examples=(
            "fastpose draw --output drawn --sequences 4 --frames 60",
            "fastpose draw --output crowds --people 8 --occlusion 0.5 --size 1280x720",
            "fastpose draw --contact-sheet scenes.jpg",
            "fastpose draw --output posed --poses datasets/coco/annotations/person_keypoints_val2017.json",
        ),
    )
    parser.add_argument(
        "--output", metavar="DIR", help="folder to write annotations/, images/ and videos/ into"
    )
    parser.add_argument("--sequences", type=int, default=4, metavar="N", help="scenes to draw (default 4)")
    parser.add_argument("--frames", type=int, default=60, metavar="F", help="frames a scene (default 60)")
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="S",
        help="of the first scene; from 900000 up: acceptance only (default 0)",
    )
    parser.add_argument(
        "--size", default="640x360", metavar="WxH", help="pixels of a frame (default 640x360)"
    )
    parser.add_argument("--people", type=int, default=6, metavar="N", help="persons a scene (default 6)")
    parser.add_argument(
        "--occlusion", type=float, default=0.3, metavar="P", help="0 to 1: how much is hidden (default 0.3)"
    )
    parser.add_argument(
        "--poses",
        metavar="FILE",
        help="label file (COCO-style JSON) from which people take poses, sizes, places and order",
    )
    parser.add_argument(
        "--contact-sheet", metavar="FILE", help="write one picture with a frame of each of 12 scenes instead"
    )
    with exit_on_error():
        options = parser.parse_args(arguments)
        from fastpose_mtn.data.picture_files import check_picture_name, write_picture
        from fastpose_mtn.data.synthetic.config import SceneConfig
        from fastpose_mtn.data.synthetic.dataset import contact_sheet, write_dataset
        from fastpose_mtn.data.synthetic.pose_prior_file import read_pose_prior

        config = SceneConfig(
            size_wh=parse_size(options.size), frame_count=max(options.frames, 1), people=options.people,
            occlusion=options.occlusion,
        )  # fmt: skip
        if not (options.contact_sheet or options.output):
            raise InputError("expected --output DIR (or --contact-sheet FILE)")
        poses = None if options.poses is None else read_pose_prior(Path(options.poses), "--poses")
        if options.contact_sheet:
            path = check_picture_name("--contact-sheet", options.contact_sheet)
            sheet = contact_sheet(
                range(options.seed, options.seed + 12), columns=3, config=config, poses=poses
            )
            write_picture(path, sheet)
            print(path)
        else:
            names = write_dataset(
                options.output,
                options.sequences,
                options.frames,
                options.seed,
                config,
                progress=True,
                poses=poses,
            )
            print(f"{options.output}: {len(names)} sequences of {options.frames} frames")


if __name__ == "__main__":
    main()
