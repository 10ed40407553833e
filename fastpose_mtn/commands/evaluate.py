"""``python -m fastpose_mtn.evaluation``: PoseTrack's, MOTChallenge's or whole bodies' figures for results."""

from __future__ import annotations

import json
import math
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastpose_mtn.command_line import ArgumentParser
from fastpose_mtn.errors import InputError, exit_on_error
from fastpose_mtn.files import check_output_folder, write_text

if TYPE_CHECKING:
    from fastpose_mtn.evaluation.posetrack.results import PoseTrackResult

_WARNINGS_SHOWN = 20


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluates result files against labels, prints the tables and writes the figures to ``--output``."""
    with exit_on_error():
        args = _parser().parse_args(arguments)
        if args.output:
            check_output_folder(args.output)
        if args.format == "mot":
            _evaluate_mot(args)
            return
        if args.format == "wholebody":
            _evaluate_wholebody(args)
            return
        if args.benchmark:
            raise InputError(
                f"--benchmark {args.benchmark}: is MOTChallenge's; add --format mot, or leave it out"
            )
        if args.images and not args.images.is_dir():
            raise InputError(f"--images {args.images}: expected a folder of images, got none of that name")
        if args.detections and (args.ap_only or not args.output):
            raise InputError(
                f"--detections {args.detections}: is for report.html; add --output DIR and leave --ap-only out"
            )
        if args.detections:
            from fastpose_mtn.tracking.retrack import find_detections

            find_detections(args.detections)  # that there are none is told before any work
        from fastpose_mtn.evaluation.posetrack.evaluation import evaluate_posetrack
        from fastpose_mtn.evaluation.posetrack.tables import latex_tables, text_tables

        notes: list[str] = []
        result = evaluate_posetrack(
            args.gt,
            args.pred,
            workers=args.workers,
            tracking=not args.ap_only,
            progress=not args.quiet,
            warn=notes.append,
        )
        if not result.metrics.num_labeled_frames:
            notes.insert(0, f"{args.gt}: nobody is labelled in any frame: there is nothing to compare with")
        for text in notes[:_WARNINGS_SHOWN]:
            print(f"warning: {text}", file=sys.stderr)
        if len(notes) > _WARNINGS_SHOWN:
            print(f"warning: {len(notes) - _WARNINGS_SHOWN} more, see metrics.json", file=sys.stderr)
        metrics = result.metrics
        print(
            f"{len(result.sequences)} sequences, {metrics.num_frames} frames, "
            f"{metrics.num_labeled_frames} of them labelled\n"
        )
        print(latex_tables(metrics) if args.latex else text_tables(metrics))
        if args.output:
            written = [_write_metrics(result, args.output)]
            if not args.ap_only:  # the report is about what happened over time
                written.append(_write_report(result, args))
            print("\nwritten: " + ", ".join(map(str, written)))


def _evaluate_mot(args: Namespace) -> None:
    """MOTChallenge's files: prints the table, and writes ``metrics.json``."""
    from fastpose_mtn.evaluation.mot.sequences import evaluate_mot, table

    _refuse_posetracks_flags(args)
    figures = evaluate_mot(
        args.gt,
        args.pred,
        benchmark=args.benchmark,
        warn=lambda text: print(f"warning: {text}", file=sys.stderr),
    )
    print(table(figures))
    _write_figures(figures, args.output)


def _evaluate_wholebody(args: Namespace) -> None:
    """COCO-WholeBody's and Halpe's files: prints AP and AR of each part, and writes ``metrics.json``."""
    from fastpose_mtn.evaluation.coco.wholebody import evaluate_wholebody_files

    if args.benchmark:
        raise InputError(f"--benchmark {args.benchmark}: is MOTChallenge's; leave it out")
    _refuse_posetracks_flags(args)
    try:
        figures = evaluate_wholebody_files(args.gt, args.pred)
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}") from error
    columns = ("AP", "AP50", "AP75", "AP_medium", "AP_large", "AR")
    print("".join(f"{word:>11}" for word in columns))
    for part in dict.fromkeys(name.partition("/")[0] for name in figures):
        values = [figures[f"{part}/{column}"] for column in columns]
        print("".join(f"{'-' if math.isnan(v) else f'{100 * v:.1f}':>11}" for v in values) + f"  {part}")
    _write_figures({name: None if math.isnan(v) else v for name, v in figures.items()}, args.output)


def _refuse_posetracks_flags(args: Namespace) -> None:
    for flag in ("images", "detections", "ap_only", "latex"):
        if getattr(args, flag):
            raise InputError(
                f"--{flag.replace('_', '-')}: is of PoseTrack's evaluation; leave it out with --format {args.format}"
            )


def _write_figures(figures: Mapping[str, object], folder: Path | None) -> None:
    """Writes ``metrics.json`` where ``--output`` names a folder."""
    if folder:
        path = folder / "metrics.json"
        write_text(path, json.dumps(figures, indent=1, allow_nan=False) + "\n")
        print(f"\nwritten: {path}")


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        "fastpose evaluate",
        "Compares results with ground truth. PoseTrack's: AP and MOT as poseval gives them, and identity switches, IDF1 "
        "and HOTA beside them. MOTChallenge's (--format mot): HOTA, MOTA and IDF1 as TrackEval gives them. Whole bodies "
        "(--format wholebody, COCO-WholeBody's and Halpe's files): AP of body, feet, face and hands as their own APIs give it.",
        examples=(
            "fastpose evaluate --gt drawn/annotations --pred results",
            "fastpose evaluate --gt drawn/annotations --pred results --output scores   metrics.json and report.html too",
        ),
    )
    parser.add_argument(
        "--format",
        choices=("posetrack", "mot", "wholebody"),
        default="posetrack",
        help="of the files (default: posetrack)",
    )
    parser.add_argument(
        "--gt",
        required=True,
        type=Path,
        metavar="DIR|gt.txt|FILE.json",
        help="ground truth: a folder with a JSON file a sequence, or one such file; of MOTChallenge gt.txt, or a folder "
        "of SEQUENCE/gt/gt.txt; of whole bodies a file of annotations",
    )
    parser.add_argument(
        "--pred",
        required=True,
        type=Path,
        metavar="DIR|FILE",
        help="results, files of the same names, or one file for one; of MOTChallenge a file, or a folder of SEQUENCE.txt; of whole bodies a file",
    )
    parser.add_argument(
        "--benchmark",
        choices=("MOT15", "MOT16", "MOT17", "MOT20"),
        help="which of MOTChallenge's rules for classes hold (default: MOT17, or MOT15 without classes)",
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="where to write metrics.json and report.html"
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="DIR",
        help="the frames, for the report's pictures (default: the folder images beside the ground truth's)",
    )
    parser.add_argument(
        "--detections",
        type=Path,
        metavar="FILE|DIR",
        help="NAME.detections.npz that the results were tracked from, for the report's similarities (default: those "
        "beside the results)",
    )
    parser.add_argument(
        "--ap-only",
        action="store_true",
        help="AP alone, which needs no track ids; writes no report.html",
    )
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes (default: 1)")
    parser.add_argument(
        "--latex", action="store_true", help="print the tables as poseval does: rows of LaTeX"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def _write_metrics(result: PoseTrackResult, folder: Path) -> Path:
    """Writes ``metrics.json``."""
    path = folder / "metrics.json"
    write_text(path, json.dumps(result.to_json(), indent=1, allow_nan=False) + "\n")
    return path


def _write_report(result: PoseTrackResult, args: Namespace) -> Path:
    """Writes ``report.html``."""
    # Imported here: drawing takes a while to load, and figures alone do not need it.
    from fastpose_mtn.evaluation.report.report import find_images, write_report
    from fastpose_mtn.evaluation.report.similarities import DetectionFiles
    from fastpose_mtn.tracking.detections_file import ENDING
    from fastpose_mtn.tracking.retrack import find_detections

    given = args.detections is not None
    beside = args.pred.parent if args.pred.is_file() else args.pred
    files = find_detections(args.detections) if given else sorted(beside.glob(f"*{ENDING}"))
    path = args.output / "report.html"
    write_report(
        path,
        result,
        images=args.images or find_images(args.gt),
        detections=DetectionFiles.found(files, required=given),
    )
    return path


if __name__ == "__main__":
    main()
