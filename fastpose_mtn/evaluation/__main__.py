"""``python -m fastpose_mtn.evaluation``: PoseTrack's figures for folders of results."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from fastpose_mtn.cli import ArgumentParser, exit_on_error
from fastpose_mtn.evaluation.posetrack_evaluation import evaluate_posetrack
from fastpose_mtn.evaluation.posetrack_results import PoseTrackResult
from fastpose_mtn.evaluation.posetrack_tables import latex_tables, text_tables

_WARNINGS_SHOWN = 20


def main(arguments: Sequence[str] | None = None) -> None:
    with exit_on_error():
        args = _parser().parse_args(arguments)
        if args.output:
            args.output.mkdir(parents=True, exist_ok=True)
        notes: list[str] = []
        result = evaluate_posetrack(
            args.gt, args.pred, workers=args.workers, progress=not args.quiet, warn=notes.append
        )
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
            print(f"\nwritten: {_write_metrics(result, args.output)}")


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m fastpose_mtn.evaluation",
        description="Compares PoseTrack results with ground truth: AP and MOT as poseval gives them, and "
        "identity switches, IDF1 and HOTA beside them.",
    )
    parser.add_argument(
        "--gt", required=True, type=Path, metavar="DIR", help="ground truth, one JSON file a sequence"
    )
    parser.add_argument(
        "--pred", required=True, type=Path, metavar="DIR", help="results, files of the same names"
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="where to write metrics.json")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes (default: 1)")
    parser.add_argument(
        "--latex", action="store_true", help="print the tables as poseval does: rows of LaTeX"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def _write_metrics(result: PoseTrackResult, folder: Path) -> Path:
    """Writes ``metrics.json``, whole or not at all."""
    path = folder / "metrics.json"
    partial = path.with_suffix(".json.partial")
    partial.write_text(json.dumps(result.to_json(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    partial.replace(path)
    return path


if __name__ == "__main__":
    main()
