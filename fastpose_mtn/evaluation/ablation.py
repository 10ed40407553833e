"""The paper's Table 1c: the tracking strategies on identical detections."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fastpose_mtn.data.posetrack.sequence import NUM_JOINTS
from fastpose_mtn.errors import InputError
from fastpose_mtn.evaluation.posetrack.evaluation import evaluate_posetrack
from fastpose_mtn.evaluation.posetrack.results import PoseTrackResult
from fastpose_mtn.ops.pose_nms import PoseNMS
from fastpose_mtn.protocols import Tracker
from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.tracking.detections_file import ENDING
from fastpose_mtn.tracking.parameters import STRATEGIES
from fastpose_mtn.tracking.retrack import track_file

_RESAMPLES, _SEED = 10_000, 0
BASELINE, OURS = "iou", "occlusion_aware"

# heading, the figure, decimals; counts are a joint's mean, as the paper's are
_COLUMNS: tuple[tuple[str, Callable[[Mapping[str, Any]], float], int], ...] = (
    ("mAP", lambda m: m["ap"]["total"], 1),
    ("MOTA", lambda m: m["mota"]["total"], 1),
    ("FP", lambda m: m["num_false_positives"] / NUM_JOINTS, 1),
    ("FN", lambda m: m["num_misses"] / NUM_JOINTS, 1),
    ("IDS", lambda m: m["num_switches"] / NUM_JOINTS, 1),
    ("IDF1", lambda m: m["idf1"], 1),
    ("HOTA", lambda m: m["hota"], 1),
)


def run_ablation(
    files: list[Path],
    gt: Path,
    new_tracker: Callable[[str, Skeleton], Tracker],
    *,
    new_pose_nms: Callable[[Skeleton], PoseNMS | None] = lambda skeleton: None,
    workers: int = 1,
) -> dict[str, Any]:
    """Tracks the same people with each strategy and compares each with the ground truth.

    Args:
        files: saved detections, ``NAME.detections.npz``.
        gt: folder of PoseTrack JSON; each NAME needs its file, sequences without detections are left out.
        new_tracker: makes a tracker for a strategy's name and people of a skeleton.
        new_pose_nms: see ``tracking.retrack.track_file``.

    Returns:
        The content of ``ablation.json``: ``strategies``, by name what ``metrics.json`` holds, and
        ``switch_reduction``, see ``bootstrap_reduction``, of ``OURS`` against each other strategy.

    Raises:
        InputError: a file cannot be used, or a sequence has no ground truth.
    """
    names = {file: file.name.removesuffix(ENDING) for file in files}
    missing = [name for name in names.values() if not (gt / f"{name}.json").is_file()]
    if missing:
        raise InputError(
            f"--gt {gt}: expected {missing[0]}.json, ground truth of {missing[0]}{ENDING}; it is not there"
        )
    results: dict[str, PoseTrackResult] = {}
    with tempfile.TemporaryDirectory() as folder:
        labels = Path(folder) / "gt"
        labels.mkdir()
        for name in names.values():
            (labels / f"{name}.json").symlink_to((gt / f"{name}.json").resolve())
        for strategy in STRATEGIES:
            tracks = Path(folder) / strategy
            tracks.mkdir()
            for file in files:
                track_file(file, functools.partial(new_tracker, strategy), tracks, new_pose_nms)
            results[strategy] = evaluate_posetrack(labels, tracks, workers=workers, progress=True)
    switches = {name: _switches(result) for name, result in results.items()}
    return {
        "strategies": {name: result.to_json() for name, result in results.items()},
        "switch_reduction": {
            name: bootstrap_reduction(switches[name], switches[OURS]) for name in STRATEGIES if name != OURS
        },
    }


def _switches(result: PoseTrackResult) -> np.ndarray:
    """(sequences,) identity switches of joints, in the order of the sequences' names."""
    by_name = sorted(result.sequences, key=lambda sequence: sequence.name)
    return np.array([sequence.metrics.to_json()["num_switches"] for sequence in by_name], float)


def bootstrap_reduction(before: np.ndarray, after: np.ndarray) -> dict[str, float | int | None]:
    """By how many percent the identity switches of all sequences together fall.

    Args:
        before, after: (sequences,) switches of the same sequences.

    Returns:
        ``percent`` and its 95 % confidence interval ``low`` to ``high``, by resampling sequences, since
        switches within one are not independent; None where there was nothing to reduce.
    """
    rng = np.random.default_rng(_SEED)
    drawn = rng.integers(0, len(before), (_RESAMPLES, len(before)))
    sums_before, sums_after = before[drawn].sum(axis=1), after[drawn].sum(axis=1)
    counted = sums_before > 0
    if before.sum() == 0 or not counted.any():
        return {"percent": None, "low": None, "high": None, "sequences": len(before)}
    shares = 100.0 * (1.0 - sums_after[counted] / sums_before[counted])
    low, high = np.percentile(shares, [2.5, 97.5])
    percent = 100.0 * (1.0 - after.sum() / before.sum())
    return {"percent": float(percent), "low": float(low), "high": float(high), "sequences": len(before)}


def ablation_table(ablation: Mapping[str, Any]) -> str:
    """The strategies in rows, each followed by its differences to the first."""
    strategies = ablation["strategies"]
    width = max(map(len, strategies)) + 2
    lines = ["strategy".ljust(width) + "".join(heading.rjust(9) for heading, _, _ in _COLUMNS)]
    first = strategies[BASELINE]
    for name, metrics in strategies.items():
        cells = [_cell(figure(metrics), digits) for _, figure, digits in _COLUMNS]
        lines.append(name.ljust(width) + "".join(cell.rjust(9) for cell in cells))
        if name != BASELINE:
            changes = [
                _cell(_difference(figure(metrics), figure(first)), digits, sign=True)
                for _, figure, digits in _COLUMNS
            ]
            lines.append(" " * width + "".join(cell.rjust(9) for cell in changes))
    lines.append("FP, FN and IDS are the mean of a joint.")
    for name, reduction in ablation["switch_reduction"].items():
        if reduction["percent"] is None:
            lines.append(f"{name} switches no identity: there is nothing to reduce")
        else:
            low, high = sorted(-reduction[bound] for bound in ("low", "high"))
            lines.append(
                f"identity switches of {OURS} against {name}: {-reduction['percent']:+.1f} % "
                f"(95 % confidence: {low:+.1f} to {high:+.1f} %, {reduction['sequences']} sequences)"
            )
    return "\n".join(lines)


def _difference(value: float | None, base: float | None) -> float | None:
    return None if value is None or base is None else value - base


def _cell(value: float | None, digits: int, *, sign: bool = False) -> str:
    return "-" if value is None else f"{value:{'+' if sign else ''}.{digits}f}"
