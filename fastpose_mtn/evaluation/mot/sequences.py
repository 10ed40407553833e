"""Which files are one sequence's ground truth and results, and the figures of all sequences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from fastpose_mtn.errors import InputError
from fastpose_mtn.evaluation.mot.evaluation import MotSums, add, evaluate_sequence, fit_better_as_corners
from fastpose_mtn.evaluation.mot.files import MotBoxes, read_ground_truth, read_results, sequence_length

ALL = "all"  # the row of all sequences together
SHOWN = (
    "HOTA",
    "DetA",
    "AssA",
    "MOTA",
    "IDF1",
    "Recall",
    "Precision",
    "FP",
    "FN",
    "IDSW",
    "Frag",
    "MT",
    "PT",
    "ML",
)


def evaluate_mot(
    gt: Path, predictions: Path, *, benchmark: str | None = None, warn: Callable[[str], None] = print
) -> dict[str, dict[str, float]]:
    """MOTChallenge's figures of every sequence, and of all under ``all`` where there are several.

    Args:
        gt: ``gt.txt``, or a folder with ``SEQUENCE/gt/gt.txt``. ``seqinfo.ini`` beside ``gt`` tells the sequence's
            length; without it the last labelled frame does.
        predictions: a file of results, or a folder with ``SEQUENCE.txt`` for every sequence.
        benchmark: a key of ``DISTRACTORS``; None: MOT15 where the ground truth has no classes, else MOT17.
        warn: takes what is doubtful and counted all the same.

    Raises:
        InputError: files that do not belong together, or cannot be read; it names them.
        OSError: a file cannot be read.
    """
    sums = {
        name: _evaluate(truth, results, benchmark, warn)
        for name, truth, results in _sequences(gt, predictions)
    }
    figures = {name: one.figures() for name, one in sums.items()}
    if len(sums) > 1:
        figures[ALL] = add(sums.values()).figures()
    return figures


def table(figures: dict[str, dict[str, float]]) -> str:
    """The figures for reading, a line a sequence."""
    width = max(map(len, figures))
    lines = [" " * width + "".join(f" {name:>9}" for name in SHOWN)]
    for name, row in figures.items():
        cells = (f"{row[key]:.1f}" if isinstance(row[key], float) else str(row[key]) for key in SHOWN)
        lines.append(f"{name:<{width}}" + "".join(f" {cell:>9}" for cell in cells))
    return "\n".join(lines)


def _sequences(gt: Path, predictions: Path) -> list[tuple[str, Path, Path]]:
    """Name, ground truth and results of each sequence."""
    if gt.is_file():
        if predictions.is_dir():
            name = gt.parent.parent.name if gt.name == "gt.txt" else gt.stem
            predictions = predictions / f"{name}.txt"
        if not predictions.is_file():
            raise InputError(
                f"--pred {predictions}: expected the results of {gt}, a file of MOTChallenge's lines"
            )
        return [(predictions.stem, gt, predictions)]
    truths = {path.parent.parent.name: path for path in sorted(gt.glob("*/gt/gt.txt"))}
    if not truths:
        raise InputError(f"--gt {gt}: expected gt.txt, or a folder with SEQUENCE/gt/gt.txt")
    if predictions.is_file():
        raise InputError(
            f"--pred {predictions}: {gt} has {len(truths)} sequences; expected a folder of SEQUENCE.txt"
        )
    missing = [name for name in truths if not (predictions / f"{name}.txt").is_file()]
    if missing:
        raise InputError(
            f"--pred {predictions}: expected {missing[0]}.txt, the results of {truths[missing[0]]}, "
            f"and so for each sequence of --gt; {len(missing)} of {len(truths)} are missing"
        )
    return [(name, path, predictions / f"{name}.txt") for name, path in truths.items()]


def _evaluate(gt: Path, predictions: Path, benchmark: str | None, warn: Callable[[str], None]) -> MotSums:
    truth = read_ground_truth(gt, has_classes=benchmark != "MOT15")
    results = read_results(predictions)
    if not truth.counts.any():
        none = f" None of its {len(truth)} boxes counts, which 1 in column 7 says" if len(truth) else ""
        warn(f"{gt}: nobody is labelled in it; is it the ground truth?{none}")
    if benchmark is None:
        benchmark = "MOT15" if truth.classes is None else "MOT17"
    elif benchmark != "MOT15" and truth.classes is None and len(truth):
        raise InputError(f"{gt}: has no classes in column 8, as {benchmark}'s has; use --benchmark MOT15")
    sums = evaluate_sequence(truth, results, benchmark=benchmark, frames=_length(truth, results, warn))
    if truth.counts.any() and not sums.objects:
        warn(
            f"{gt}: nobody in it is a pedestrian, class 1 in column 8, and they alone count; --benchmark MOT15 counts all"
        )
    _warn_of_other_boxes(truth, results, sums, warn)
    return sums


def _warn_of_other_boxes(
    truth: MotBoxes, results: MotBoxes, sums: MotSums, warn: Callable[[str], None]
) -> None:
    """Tells of boxes that are no left, top, width, height, in pixels of the labels' video."""
    for boxes, others, whose in ((results, truth, "labels"), (truth, results, "results")):
        if fit_better_as_corners(others, boxes):
            warn(
                f"{boxes.path}: the boxes fit the {whose} better as left, top, right, bottom than as left, top, width, "
                "height, as which they count; subtract the first corner from the second"
            )
            return
    together = np.isin(results.frame, truth.frame).any()
    if together and sums.objects and sums.predictions and not sums.matches:
        warn(
            f"{results.path}: none of its {sums.predictions} boxes overlaps a labelled one of its frame by half; are they "
            "of another video, of pictures of another size, or is their centre where left and top should be?"
        )


def _length(truth: MotBoxes, results: MotBoxes, warn: Callable[[str], None]) -> int:
    """Frames of the sequence.

    Raises:
        InputError: results lie beyond its end, or, where nothing tells where that is, none in a labelled frame: they are
            another video's.
    """
    told, labelled = sequence_length(truth.path), int(truth.frame.max(initial=0))
    if told is not None and told < labelled:
        raise InputError(f"{truth.path}: frame {labelled} is labelled, but seqinfo.ini says {told} frames")
    beyond = int((results.frame > (told or labelled)).sum())
    if told is not None and beyond:
        raise InputError(
            f"{results.path}: {beyond} boxes are beyond frame {told}, the sequence's last, first in frame "
            f"{results.frame[results.frame > told][0]}; are they of another video, or of frames counted otherwise?"
        )
    if len(results) and len(truth) and not np.isin(results.frame, truth.frame).any():
        message = (
            f"{results.path}: none of its frames {results.frame[0]} to {results.frame[-1]} is labelled in "
            f"{truth.path} ({truth.frame[0]} to {labelled}); frames count from 1"
        )
        if told is None:
            raise InputError(message)
        warn(message)
    if beyond and len(truth):
        warn(
            f"{results.path}: {beyond} boxes are after frame {labelled}, the last with labels, and count as false "
            f"positives; put seqinfo.ini beside gt to tell the sequence's length"
        )
    if not len(results):
        warn(f"{results.path}: nobody is found in it")
    return told or max(labelled, int(results.frame.max(initial=0)))
