"""``python -m fastpose_mtn.tracking``: tracks saved detections again, and compares the strategies on them."""

from __future__ import annotations

import functools
import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from fastpose_mtn.command_line import ArgumentParser
from fastpose_mtn.errors import InputError, error_line, exit_on_error
from fastpose_mtn.files import check_output_folder, write_text
from fastpose_mtn.registry import TRACKERS
from fastpose_mtn.tracking.parameters import STRATEGIES

if TYPE_CHECKING:
    from fastpose_mtn.config import CfgNode
    from fastpose_mtn.evaluation.ablation import Ablation
    from fastpose_mtn.tracking.detections_file import SavedDetections
    from fastpose_mtn.tracking.retrack import ImagesAgain, Tracked


def main(arguments: Sequence[str] | None = None) -> None:
    """Tracks saved detections into files, or with ``--ablation`` prints how well each strategy tracks them."""
    with exit_on_error():
        args = _parser().parse_args(arguments)
        _check_flags(args)
        from fastpose_mtn.tracking.retrack import find_detections
        from fastpose_mtn.video.outputs import check_formats

        cfg = _configuration(args)
        _check_settings(cfg, args)
        formats = check_formats(args.formats or "posetrack")
        if not formats:
            raise InputError("--formats: expected at least one format, got none")
        files = find_detections(args.detections)
        images_again = _images_again(files, args.images) if args.images else None
        if args.output:
            check_output_folder(args.output)
        if args.ablation:
            _compare(cfg, files, args, images_again)
        elif not _track(cfg, files, args, formats, images_again):
            sys.exit(2)


def _check_flags(args: Namespace) -> None:
    """Tells of flags that contradict each other, or are out of range."""
    if args.ablation and args.gt is None:
        raise InputError("--ablation needs --gt DIR, the sequences' ground truth")
    if args.ablation and args.min_track_length > 1:
        raise InputError("--min-track-length: --ablation compares whole tracks; leave one of the two out")
    if args.gt is not None and not args.ablation:
        raise InputError(f"--gt {args.gt}: is what --ablation compares with; add it, or leave --gt out")
    if args.workers < 1:
        raise InputError(f"--workers {args.workers}: expected 1 or more")
    if args.min_track_length < 1:
        raise InputError(f"--min-track-length {args.min_track_length}: expected 1 frame or more")
    if args.ablation and args.formats is not None:
        raise InputError("--formats: --ablation writes ablation.json; leave one of the two out")
    if not args.ablation and args.output is None:
        raise InputError("--output DIR is needed, the folder for the tracks")


def _configuration(args: Namespace) -> CfgNode:
    """The configuration that the command line describes; a key without effect here is told."""
    from fastpose_mtn.config import get_cfg
    from fastpose_mtn.config.overrides import with_flag

    cfg = get_cfg()
    if args.config_file:
        cfg.merge_from_file(args.config_file)
    options = args.options
    for flag, value, key in (
        ("--tracker", args.tracker, "TRACKER.NAME"),
        ("--strategy", args.strategy, "TRACKER.STRATEGY"),
    ):
        options = with_flag(f"{flag} {value}", value, options, key)
        if args.ablation and key in options[::2]:
            raise InputError(
                f"{flag if value else key}: --ablation compares all of them; leave one of the two out"
            )
    cfg.merge_from_list(options)
    for key in args.options[::2]:
        if not key.startswith(("TRACKER.", "TEST.POSE_NMS.")) and key != "VIDEO.FOLDER_FRAME_RATE":
            raise InputError(f"{key}: has no effect here; only keys of TRACKER and TEST.POSE_NMS have")
    return cfg


def _check_settings(cfg: CfgNode, args: Namespace) -> None:
    """Tells of a bad setting before any work, and of images that nobody looks at or that are missing."""
    from fastpose_mtn.arguments import frame_rate_argument
    from fastpose_mtn.build import build_tracker
    from fastpose_mtn.ops.pose_nms import PoseNMS
    from fastpose_mtn.protocols import needs_frames
    from fastpose_mtn.tracking.offline_parameters import OfflineParameters
    from fastpose_mtn.tracking.parameters import TrackerParameters

    frame_rate_argument("VIDEO.FOLDER_FRAME_RATE", cfg.VIDEO.FOLDER_FRAME_RATE)
    visual = needs_frames(build_tracker(cfg))
    PoseNMS.from_config(cfg)
    if not args.ablation and visual != bool(args.images):
        raise InputError(
            f"TRACKER.NAME {cfg.TRACKER.NAME}: looks at the frames' pixels; add --images SOURCE, the video or its "
            "images, or set TRACKER.FLOW.METHOD none"
            if visual
            else f"--images {args.images}: this tracker looks at no pixels; set TRACKER.NAME flow, or leave it out"
        )
    OfflineParameters.from_config(cfg), TrackerParameters.from_config(cfg)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        "fastpose retrack",
        "Tracks detections that fastpose track --save-detections kept, without the network, or those of AlphaPose's results.",
        examples=(
            "fastpose retrack --detections results --output again --offline --formats posetrack,jsonl",
            "fastpose retrack --detections results --output again --strategy iou",
            "fastpose retrack --detections results --output again TRACKER.MAX_LOST_SECONDS 4",
            "fastpose retrack --detections results --output again --images clips TRACKER.NAME flow",
            "fastpose retrack --detections results --gt drawn/annotations --ablation",
        ),
    )
    add = parser.add_argument
    add(
        "--detections",
        required=True,
        type=Path,
        metavar="FILE|DIR",
        help="NAME.detections.npz, or AlphaPose's results (.json), or a folder of them",
    )
    add(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for NAME.json, or for ablation.json and ablation.html",
    )
    add(
        "--offline",
        action="store_true",
        help="look at the whole video: join tracks over gaps, put exchanged ids right, fill short gaps",
    )
    add(
        "--min-track-length",
        type=int,
        default=1,
        metavar="N",
        help="leave out whoever is seen in fewer than N frames (default: 1, nobody; MDPN: 2)",
    )
    add(
        "--formats",
        metavar="LIST",
        help="of posetrack,jsonl,csv,mot,coco,alphapose,openpose (default: posetrack)",
    )
    add("--strategy", choices=STRATEGIES, help="how people are followed (default: the configuration's)")
    add("--tracker", choices=list(TRACKERS), help="who follows them (default: the configuration's)")
    add("--config-file", metavar="YAML", help="configuration; its TRACKER and TEST.POSE_NMS are what counts")
    add("--gt", type=Path, metavar="DIR", help="ground truth, one PoseTrack JSON file a sequence")
    add("--ablation", action="store_true", help="compare the strategies (the paper's Table 1c)")
    add(
        "--images",
        type=Path,
        metavar="SOURCE",
        help="the video or its folder of images, or a folder of such by name: TRACKER.NAME flow sees the frames again, and "
        "--ablation compares it too; pictures of ablation.html (default of these: the folder images beside the ground "
        "truth's)",
    )
    add("--workers", type=int, default=1, metavar="N", help="processes that evaluate (default: 1)")
    add(
        "options",
        nargs="*",
        metavar="KEY VALUE",
        help="override the configuration, as in TRACKER.MIN_SCORE 0.4",
    )
    return parser


def _images_again(files: list[Path], images: Path) -> ImagesAgain:
    """What reads the frames of saved detections again; that their videos are there is told before any work."""
    from fastpose_mtn.tracking.alphapose_file import is_alphapose_file
    from fastpose_mtn.tracking.detections_file import source_of
    from fastpose_mtn.video.saved_frames import find_video, images_again

    if any(map(is_alphapose_file, files)):
        raise InputError(
            f"--images {images}: AlphaPose's results do not say how large frames are, so nobody can tell whether they are "
            f"these; set TRACKER.FLOW.METHOD none"
        )
    videos: dict[str, Path] = {}
    for file in files:
        try:
            name = source_of(file)
        except InputError:
            continue  # tracking it tells what is wrong
        videos[name] = find_video(images, name, alone=len(files) == 1)
    for name, video in videos.items():
        if name not in (video.name, video.stem):
            print(
                f"--images {video}: is called otherwise than {name!r}, in which the people were found; if it is another video, "
                "the tracks mean nothing",
                file=sys.stderr,
            )
    return lambda saved: images_again(saved, videos[saved.source])


def _track(
    cfg: CfgNode, files: list[Path], args: Namespace, formats: list[str], images_again: ImagesAgain | None
) -> bool:
    """Tracks each file; one that cannot be used is told of and does not stop the others. Whether all could."""
    from fastpose_mtn.build import build_tracker
    from fastpose_mtn.ops.pose_nms import PoseNMS
    from fastpose_mtn.tracking.retrack import Retracking, check_sources, track_file
    from fastpose_mtn.video.saved_frames import open_result_files

    how = Retracking(
        functools.partial(build_tracker, cfg),
        functools.partial(PoseNMS.from_config, cfg),
        images_again,
        cfg.VIDEO.FOLDER_FRAME_RATE,
        _afterwards(cfg, args),
        cfg.TRACKER.MAX_FRAME_SECONDS,
    )
    open_files = functools.partial(open_result_files, formats=formats)
    for remark in check_sources(files):
        print(remark, file=sys.stderr)
    failed = False
    for file in files:
        try:
            done = track_file(file, args.output, how, open_files)
        except InputError as error:
            print(error_line(error), file=sys.stderr)
            failed = True
        else:
            for remark in done.remarks:
                print(f"warning: {remark}", file=sys.stderr)
            print(f"{done.path}: {done.frames} frames, {done.boxes} boxes, {done.tracks} tracks")
    return not failed


_Mending: TypeAlias = "Callable[[Sequence[Tracked], SavedDetections], Iterable[Tracked]]"


def _afterwards(cfg: CfgNode, args: Namespace) -> _Mending | None:
    """What ``--offline`` and ``--min-track-length`` make of a whole video's tracks; None: nothing."""
    from fastpose_mtn.tracking.prune import prune_tracks

    mend = _mending(cfg) if args.offline else None
    if args.min_track_length == 1:
        return mend
    return lambda frames, saved: prune_tracks(mend(frames, saved) if mend else frames, args.min_track_length)


def _mending(cfg: CfgNode) -> _Mending:
    """What improves a whole video's tracks with the settings of ``TRACKER``."""
    from fastpose_mtn.tracking.offline import mend_tracks
    from fastpose_mtn.tracking.offline_parameters import OfflineParameters
    from fastpose_mtn.tracking.parameters import TrackerParameters

    parameters, tracking = OfflineParameters.from_config(cfg), TrackerParameters.from_config(cfg)

    def mend(frames: Sequence[Tracked], saved: SavedDetections) -> Iterable[Tracked]:
        return mend_tracks(frames, saved.skeleton, parameters, tracking=tracking, source=saved.source)

    return mend


def _compare(cfg: CfgNode, files: list[Path], args: Namespace, images_again: ImagesAgain | None) -> None:
    from fastpose_mtn.build import build_tracker
    from fastpose_mtn.evaluation.ablation import FLOW_ROWS, OFFLINE, ROWS, ablation_table, run_ablation
    from fastpose_mtn.ops.pose_nms import PoseNMS
    from fastpose_mtn.tracking.retrack import Retracking

    def how(row: str) -> Retracking:
        own = _of_row(cfg, row)
        return Retracking(
            functools.partial(build_tracker, own),
            functools.partial(PoseNMS.from_config, cfg),
            images_again,
            cfg.VIDEO.FOLDER_FRAME_RATE,
            _mending(own) if row == OFFLINE else None,
            cfg.TRACKER.MAX_FRAME_SECONDS,
        )

    rows = (*ROWS, *([OFFLINE] if args.offline else []), *(FLOW_ROWS if images_again else ()))
    ablation = run_ablation(files, args.gt, how, rows=rows, workers=args.workers)
    for remark in ablation.warnings:
        print(f"warning: {remark}", file=sys.stderr)
    print(ablation_table(ablation))
    if args.output:
        path = args.output / "ablation.json"
        write_text(path, json.dumps(ablation.to_json(), indent=1, allow_nan=False) + "\n")
        page = _write_report(ablation, files, args)
        print(f"written: {path}, {page}")
    if ablation.failures:
        raise InputError("; ".join(dict.fromkeys(ablation.failures.values())))


def _of_row(cfg: CfgNode, row: str) -> CfgNode:
    """The configuration whose tracker makes a row of the comparison."""
    from fastpose_mtn.evaluation.ablation import FLOW_ROWS, OFFLINE, OURS

    own = cfg.clone()
    if row in FLOW_ROWS:
        own.TRACKER.NAME = "flow"
        if row == "flow_none":
            own.TRACKER.FLOW.METHOD = "none"
    elif row == "msim":
        own.TRACKER.NAME = "msim"
    else:
        own.TRACKER.NAME, own.TRACKER.STRATEGY = OURS, OURS if row == OFFLINE else row
    return own


def _write_report(ablation: Ablation, files: list[Path], args: Namespace) -> Path:
    """Writes ``ablation.html``: the report of ``occlusion_aware``, and where ``iou`` decides otherwise."""
    from fastpose_mtn.evaluation.ablation import BASELINE, OURS
    from fastpose_mtn.evaluation.report.identity_sections import OtherTracker
    from fastpose_mtn.evaluation.report.report import find_images, write_report
    from fastpose_mtn.evaluation.report.similarities import DetectionFiles

    path = args.output / "ablation.html"
    write_report(
        path,
        ablation.strategies[OURS],
        images=args.images if args.images and args.images.is_dir() else find_images(args.gt),
        title=f"{OURS} beside {BASELINE}",
        detections=DetectionFiles.found(files, required=False),
        other=OtherTracker((OURS, BASELINE), ablation.strategies[BASELINE]),
    )
    return path


if __name__ == "__main__":
    main()
