"""The paper's Table 1c: the tracking strategies on identical detections, and the flow tracker beside them."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from fastpose_mtn.data.posetrack.sequence import NUM_JOINTS
from fastpose_mtn.errors import InputError
from fastpose_mtn.evaluation.posetrack.evaluation import evaluate_posetrack
from fastpose_mtn.evaluation.posetrack.results import PoseTrackMetrics, PoseTrackResult
from fastpose_mtn.tracking.detections_file import ENDING
from fastpose_mtn.tracking.parameters import STRATEGIES
from fastpose_mtn.tracking.retrack import Retracking, named_source, track_file

_RESAMPLES, _SEED = 10_000, 0
BASELINE, OURS = "iou", "occlusion_aware"
ROWS = (*STRATEGIES, "msim")  # the strategies, and the other tracker that needs no frames
FLOW_ROWS = ("flow", "flow_none")  # the flow tracker, and what it is without flow
OFFLINE = "offline"  # OURS with its tracks mended by what comes after

# heading, the figure, and whether it is a count: the paper's are a joint's mean
_COLUMNS = (
    ("mAP", "ap", False),
    ("MOTA", "mota", False),
    ("FP", "num_false_positives", True),
    ("FN", "num_misses", True),
    ("IDS", "num_switches", True),
    ("IDF1", "idf1", False),
    ("HOTA", "hota", False),
)


@dataclass(frozen=True)
class SwitchReduction:
    """The reduction of identity switches by one strategy against another, in percent.

    Attributes:
        percent: of all sequences together; None where there was nothing to reduce.
        low: the lower bound of its 95 % confidence interval, None likewise.
        high: the upper bound, None likewise.
        sequences: how many there are.
    """

    percent: float | None
    low: float | None
    high: float | None
    sequences: int


@dataclass(frozen=True, eq=False)
class Ablation:
    """The comparison of the tracking strategies.

    Attributes:
        strategies: the evaluation of each, by name; of ``OFFLINE`` too, where it was asked for.
        switch_reduction: of ``OURS`` against each other strategy, by its name.
        failures: why a row of ``FLOW_ROWS`` is missing, by its name.
        offline_reduction: of ``OFFLINE`` against ``OURS``; None where it was not asked for.
        warnings: lines about oddities of the detections, and of them beside the labels.
    """

    strategies: Mapping[str, PoseTrackResult]
    switch_reduction: Mapping[str, SwitchReduction]
    failures: Mapping[str, str] = field(default_factory=dict)
    offline_reduction: SwitchReduction | None = None
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """The content of ``ablation.json``: for each strategy what ``metrics.json`` holds, and the reductions."""
        return {
            "strategies": {name: result.to_json() for name, result in self.strategies.items()},
            "switch_reduction": {
                name: asdict(reduction) for name, reduction in self.switch_reduction.items()
            },
            **({"offline_reduction": asdict(self.offline_reduction)} if self.offline_reduction else {}),
        }


def run_ablation(
    files: Sequence[Path],
    gt: Path,
    how: Callable[[str], Retracking],
    *,
    rows: Sequence[str] = ROWS,
    workers: int = 1,
) -> Ablation:
    """Tracks the same people with each strategy and compares each with the ground truth.

    Args:
        files: saved detections, ``NAME.detections.npz``.
        gt: folder of PoseTrack JSON; each NAME needs its file, sequences without detections are left out.
        how: says by whom a row's tracks are made.
        rows: ``ROWS``, with ``OFFLINE`` and ``FLOW_ROWS`` where they are wanted; of the latter those that fail are left out.
        workers: processes that evaluate.

    Raises:
        InputError: a file cannot be used, or a sequence has no ground truth.
    """
    names = {file: named_source(file) for file in files}
    missing = [name for name in names.values() if not (gt / f"{name}.json").is_file()]
    if missing:
        raise InputError(
            f"--gt {gt}: expected {missing[0]}.json, ground truth of {missing[0]}{ENDING}; it is not there"
        )
    results: dict[str, PoseTrackResult] = {}
    failures: dict[str, str] = {}
    warnings: dict[str, None] = {}  # each once, though every row has it
    with tempfile.TemporaryDirectory() as folder:
        labels = Path(folder) / "gt"
        labels.mkdir()
        for name in names.values():
            (labels / f"{name}.json").symlink_to((gt / f"{name}.json").resolve())
        for row in rows:
            tracks = Path(folder) / row
            tracks.mkdir()
            try:
                for file in files:
                    warnings.update(dict.fromkeys(track_file(file, tracks, how(row)).remarks))
            except InputError as error:
                if row not in FLOW_ROWS:
                    raise
                failures[row] = str(error)  # the strategies' hours are not lost with it
                continue
            results[row], told = _evaluated(labels, tracks, names, workers)
            warnings.update(dict.fromkeys(told))
    if not results[OURS].metrics.num_labeled_frames:
        warnings[f"--gt {gt}: nobody is labelled in any frame: there is nothing to compare with"] = None
    return _compared(results, failures, tuple(warnings))


def _evaluated(
    labels: Path, tracks: Path, names: Mapping[Path, str], workers: int
) -> tuple[PoseTrackResult, list[str]]:
    """Tracks beside labels, and warnings; what is wrong is told of the files of detections, whose names these are."""
    warnings: list[str] = []

    def named(text: str) -> str:
        """With the detections' file: the results are in a folder that nobody will find."""
        for file, name in names.items():
            text = text.replace(str(tracks / f"{name}.json"), str(file))
        return text

    try:
        result = evaluate_posetrack(labels, tracks, workers=workers, progress=True, warn=warnings.append)
    except InputError as error:
        raise InputError(named(str(error))) from error
    return result, list(map(named, warnings))


def _compared(
    results: Mapping[str, PoseTrackResult], failures: Mapping[str, str], warnings: tuple[str, ...]
) -> Ablation:
    """The rows, and how far ours reduces the switches of the others."""
    switches = {name: _switches(result) for name, result in results.items()}
    reduction = {
        name: bootstrap_reduction(switches[name], switches[OURS])
        for name in results
        if name not in (OURS, OFFLINE)
    }
    offline = bootstrap_reduction(switches[OURS], switches[OFFLINE]) if OFFLINE in results else None
    return Ablation(results, reduction, failures, offline, warnings)


def _switches(result: PoseTrackResult) -> np.ndarray:
    """(sequences,) identity switches of joints, in the order of the sequences' names."""
    by_name = sorted(result.sequences, key=lambda sequence: sequence.name)
    return np.array([sequence.metrics.total("num_switches") for sequence in by_name])


def bootstrap_reduction(before: np.ndarray, after: np.ndarray) -> SwitchReduction:
    """The reduction of all sequences' identity switches together, with a bootstrap confidence interval.

    Whole sequences are resampled, since switches within one are not independent.

    Args:
        before: (sequences,) switches of the other strategy.
        after: (sequences,) switches of ours in the same sequences.
    """
    rng = np.random.default_rng(_SEED)
    drawn = rng.integers(0, len(before), (_RESAMPLES, len(before)))
    sums_before, sums_after = before[drawn].sum(axis=1), after[drawn].sum(axis=1)
    counted = sums_before > 0
    if before.sum() == 0 or not counted.any():
        return SwitchReduction(None, None, None, len(before))
    shares = 100.0 * (1.0 - sums_after[counted] / sums_before[counted])
    low, high = np.percentile(shares, [2.5, 97.5])
    percent = 100.0 * (1.0 - after.sum() / before.sum())
    return SwitchReduction(float(percent), float(low), float(high), len(before))


def ablation_table(ablation: Ablation) -> str:
    """A text table of the strategies in rows, each followed by its differences to the first."""
    strategies = {name: result.metrics for name, result in ablation.strategies.items()}
    width = max(map(len, strategies)) + 2
    lines = ["strategy".ljust(width) + "".join(heading.rjust(9) for heading, _, _ in _COLUMNS)]
    first = _figures(strategies[BASELINE])
    for name, metrics in strategies.items():
        figures = _figures(metrics)
        lines.append(name.ljust(width) + "".join(_cell(value).rjust(9) for value in figures))
        if name != BASELINE:
            changes = [_cell(value - base, sign=True) for value, base in zip(figures, first, strict=True)]
            lines.append(" " * width + "".join(change.rjust(9) for change in changes))
    lines.append("FP, FN and IDS are the mean of a joint.")
    reductions = [(OURS, name, reduction) for name, reduction in ablation.switch_reduction.items()]
    if ablation.offline_reduction:
        reductions.append((OFFLINE, OURS, ablation.offline_reduction))
    for ours, name, reduction in reductions:
        if reduction.percent is None or reduction.low is None or reduction.high is None:
            lines.append(f"{name} switches no identity: there is nothing to reduce")
        else:
            low, high = sorted((-reduction.low, -reduction.high))
            lines.append(
                f"identity switches of {ours} against {name}: {_cell(-reduction.percent, sign=True)} % "
                f"(95 % confidence: {_cell(low, sign=True)} to {_cell(high, sign=True)} %, {reduction.sequences} sequences)"
            )
    return "\n".join(lines)


def _figures(metrics: PoseTrackMetrics) -> list[float]:
    return [metrics.total(figure) / (NUM_JOINTS if is_count else 1) for _, figure, is_count in _COLUMNS]


def _cell(value: float, *, sign: bool = False) -> str:
    rounded = round(value, 1) + 0.0  # no -0.0
    return "-" if math.isnan(value) else f"{rounded:{'+' if sign else ''}.1f}"
