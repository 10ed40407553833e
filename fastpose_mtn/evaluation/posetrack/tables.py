"""Tables of a result: for reading, and as the LaTeX rows that poseval prints."""

from __future__ import annotations

import numpy as np

from fastpose_mtn.evaluation.posetrack.mot import TrackingFigures
from fastpose_mtn.evaluation.posetrack.protocol import NAMES_AND_TOTAL, TABLE_GROUPS
from fastpose_mtn.evaluation.posetrack.results import PoseTrackMetrics

_MOT_TOTALS = {"MOTP": "motp", "Prec": "precision", "Rec": "recall"}
_BESIDE = {
    "FP": "num_false_positives",
    "FN": "num_misses",
    "IDS": "num_switches",
    "Frag": "num_fragmentations",
    "IDF1": "idf1",
    "HOTA": "hota",
    "DetA": "deta",
    "AssA": "assa",
}


def grouped(values: np.ndarray) -> list[float]:
    """(16,) figures of the joints and in total, in the 8 columns of poseval's tables.

    A column is the plain mean of its joints: NaN where one of them has no figure, as in poseval. The
    total is the mean of the 15 joints, not of the columns.
    """
    by_name = dict(zip(NAMES_AND_TOTAL, values.tolist(), strict=True))
    groups = [float(np.mean([by_name[joint] for joint in joints])) for joints in TABLE_GROUPS.values()]
    return [*groups, by_name["total"]]


def text_tables(metrics: PoseTrackMetrics) -> str:
    """AP by poseval's columns; MOT by poseval's columns; and what stands beside MOT."""
    columns = [*TABLE_GROUPS, "Total"]
    tables = ["Average precision (AP), %", _table(columns, {"AP": grouped(metrics.ap)})]
    if metrics.joints is None or metrics.boxes is None:
        return "\n".join(tables)
    mota = grouped(metrics.joint_figure("mota"))
    totals = [metrics.joint_figure(figure)[-1] for figure in _MOT_TOTALS.values()]
    beside = {
        "joints": _beside(metrics.joints),
        "people": _beside(metrics.boxes),
    }
    return "\n".join(
        [
            *tables,
            "\nMultiple object tracking (MOT), %; MOTA by joint, the others in total",
            _table([*columns, *_MOT_TOTALS], {"MOTA": [*mota, *totals]}),
            "\nIdentity over time: joints (counts are means of the 15 joints) and people (by their boxes)",
            _table(list(_BESIDE), beside),
        ]
    )


def latex_tables(metrics: PoseTrackMetrics) -> str:
    """The header and the row of numbers of each table, character for character as poseval prints them."""
    columns = "".join(f" {name:<4} &" for name in TABLE_GROUPS)
    lines = [f"&{columns} Total\\\\", _latex_row(grouped(metrics.ap))]
    if metrics.joints is not None:
        totals = [metrics.joint_figure(figure)[-1] for figure in _MOT_TOTALS.values()]
        lines += [
            "&" + " MOTA &" * 8 + " MOTP & Prec & Rec  \\\\",
            f"&{columns}" + " Total&" * 3 + " Total\\\\",
            _latex_row([*grouped(metrics.joint_figure("mota")), *totals]),
        ]
    return "\n".join(lines)


def _beside(figures: TrackingFigures) -> list[float]:
    return [figures.mean(name) for name in _BESIDE.values()]


def _table(columns: list[str], rows: dict[str, list[float]]) -> str:
    width = max(map(len, rows))
    lines = [" " * width + "".join(f" {name:>7}" for name in columns)]
    for name, values in rows.items():
        lines.append(f"{name:<{width}}" + "".join(f" {_cell(value):>7}" for value in values))
    return "\n".join(lines)


def _cell(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.1f}"


def _latex_row(values: list[float]) -> str:
    return "&" + " &".join(f"{f'{value:.1f}':>5}" for value in values) + " \\\\"
