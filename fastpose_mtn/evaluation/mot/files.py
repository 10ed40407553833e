"""MOTChallenge's text files: one line a box, ``frame, id, left, top, width, height, ...``."""

from __future__ import annotations

import configparser
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastpose_mtn.data.labels.plausibility import are_shares, of_shares
from fastpose_mtn.errors import InputError

NUM_CLASSES = 13  # of the ground truth of MOT16, MOT17 and MOT20; 13 is the crowd class of MOT20
_GT_COLUMNS = "frame,id,left,top,width,height,counts,class,visibility"
_RESULT_COLUMNS = "frame,id,left,top,width,height,score"


@dataclass(frozen=True, eq=False)
class MotBoxes:
    """The boxes of one file, in the frames' order.

    Attributes:
        path: of the file.
        frame: (N,) int64, from 1.
        ids: (N,) int64; no two of a frame are the same.
        boxes: (N, 4) float64 xyxy pixels, as they are written: MOTChallenge's first pixel is at (1, 1).
        counts: (N,) bool, of ground truth: False where the seventh column is 0, which nobody has to find.
        classes: (N,) int64, of the ground truth from MOT16 on; None where the file has none.
    """

    path: Path
    frame: np.ndarray
    ids: np.ndarray
    boxes: np.ndarray
    counts: np.ndarray
    classes: np.ndarray | None

    def __len__(self) -> int:
        return len(self.frame)


def read_ground_truth(path: Path, *, has_classes: bool = True) -> MotBoxes:
    """Reads ``gt.txt``.

    Args:
        path: of the file.
        has_classes: False: column 8 is no class, as in MOT15, where it may be a place in the world.

    Raises:
        InputError: see ``read_results``; or a class that MOTChallenge does not have.
    """
    table = _read(path, least=7, columns=_GT_COLUMNS)
    classes = None
    if has_classes and table.shape[1] >= 8 and not (table[:, 7] == -1).all():
        column = table[:, 7]
        known = np.isin(column, np.arange(1, NUM_CLASSES + 1))
        expected = f"expected a class of 1 to {NUM_CLASSES} (1: pedestrian) in column 8, got {{}}"
        _refuse(path, ~known, f"{expected}; ground truth without classes: --benchmark MOT15", column)
        classes = column.astype(np.int64)
    return _boxes(path, table, classes)


def read_results(path: Path) -> MotBoxes:
    """Reads a tracker's results.

    Raises:
        InputError: naming file and line: no numbers, too few columns, a frame before 1, a negative width or
            height, an id twice in a frame, a class other than pedestrian.
        OSError: the file cannot be read.
    """
    table = _read(path, least=6, columns=_RESULT_COLUMNS)
    if table.shape[1] >= 8:
        _refuse(path, table[:, 7] > 1, "expected pedestrians, class 1 or -1, got {}", table[:, 7])
    return _boxes(path, table, None)


def sequence_length(gt: Path) -> int | None:
    """The number of frames that ``seqinfo.ini`` beside ``gt/gt.txt`` tells, or None.

    Raises:
        InputError: the file is there without ``[Sequence] seqLength``.
    """
    path = gt.parent.parent / "seqinfo.ini"
    if not path.is_file():
        return None
    info = configparser.ConfigParser()
    try:
        info.read(path, encoding="utf-8-sig")
        return info.getint("Sequence", "seqLength")
    except (configparser.Error, ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected [Sequence] with seqLength, a number of frames: {error}") from None


def _read(path: Path, *, least: int, columns: str) -> np.ndarray:
    """(N, C) float64, C at least ``least``."""
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    rows = list(filter(str.strip, lines))
    if not rows:
        return np.zeros((0, least))
    comma = "," in rows[0]
    try:
        table = np.loadtxt(rows, delimiter="," if comma else None, comments=None, ndmin=2)
    except ValueError:
        table = None
    if table is None or table.shape[1] < least:
        _explain(path, lines, comma, least, columns)
        raise InputError(f"{path}: expected lines of the same number of columns, {columns}")
    bad = ~np.isfinite(table[:, :8]).all(axis=1)
    if bad.any():
        line = rows[int(np.flatnonzero(bad)[0])]
        raise InputError(f"{path}, line {lines.index(line) + 1}: expected finite numbers, got {line.strip()}")
    return table


def _explain(path: Path, lines: list[str], comma: bool, least: int, columns: str) -> None:
    """Raises an error for the first line that is none of numbers."""
    most = None
    for number, line in enumerate(lines, 1):
        if not line or line.isspace():
            continue
        values = line.split("," if comma else None)
        if len(values) < least:
            raise InputError(
                f"{path}, line {number}: expected {columns}, got {len(values)} columns: {line[:60]}"
                f"{'; separate them by commas' if ';' in line else ''}"
            )
        for value in values:
            try:
                float(value)
            except ValueError:
                raise InputError(
                    f"{path}, line {number}: expected {columns}, all of them numbers, got {value.strip()[:40]!r}"
                    f"{'; separate them by commas' if ';' in value else ''}"
                ) from None
        most = most or len(values)
        if len(values) != most:
            raise InputError(
                f"{path}, line {number}: expected {most} columns as in the lines before, got {len(values)}: {line[:60]}"
            )


def _whole(table: np.ndarray, column: int, path: Path, name: str) -> np.ndarray:
    values = table[:, column]
    _refuse(path, values != np.round(values), f"expected a whole number as {name}, got {{}}", values)
    _refuse(path, np.abs(values) > 2**53, f"expected the {name} to be below 2^53, got {{}}", values)
    return values.astype(np.int64)


def _refuse(path: Path, wrong: np.ndarray, message: str, values: np.ndarray) -> None:
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise InputError(f"{path}, box {first + 1}: {message.format(values[first])}")


def _boxes(path: Path, table: np.ndarray, classes: np.ndarray | None) -> MotBoxes:
    frame, ids = _whole(table, 0, path, "frame"), _whole(table, 1, path, "id")
    _refuse(path, frame < 1, "expected frames from 1, got {}", frame)
    _refuse(
        path,
        table[:, 4:6].min(axis=1) < 0,
        "expected a width and height of 0 or more, got {}",
        table[:, 4:6],
    )
    if are_shares(table[:, 4:6]):
        raise InputError(f"{path}: width, height: {of_shares(table[:, 4:6])}")
    order = np.lexsort((ids, frame))
    twice = (np.diff(frame[order]) == 0) & (np.diff(ids[order]) == 0)
    if twice.any():
        at = order[1:][twice][0]
        if ids[at] < 0:
            raise InputError(
                f"{path}: several boxes of frame {frame[at]} have the id {ids[at]}, as detections that nobody tracked; "
                "give the file of a tracker's results"
            )
        raise InputError(f"{path}: id {ids[at]} stands twice in frame {frame[at]}; an id is one person's")
    order = np.argsort(frame, kind="stable")
    table = table[order]
    return MotBoxes(
        path=path,
        frame=frame[order],
        ids=ids[order],
        boxes=np.concatenate([table[:, 2:4], table[:, 2:4] + table[:, 4:6]], axis=1),
        # a whole number to TrackEval, to which 0.9 is 0
        counts=np.trunc(table[:, 6]) != 0 if table.shape[1] > 6 else np.ones(len(table), bool),
        classes=None if classes is None else classes[order],
    )
