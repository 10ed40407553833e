"""Checks of an object's arrays, NumPy or torch: dtype, shape and values, with errors that name object and field."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

_DTYPES = {
    "float32": (np.dtype(np.float32), torch.float32),
    "int64": (np.dtype(np.int64), torch.int64),
    "bool": (np.dtype(np.bool_), torch.bool),
}


def _is_as_wanted(value: object, dtype: str, shape: tuple[int | None, ...]) -> bool:
    """``check_array`` without its words: a training image makes some thirty of these objects, and text is slow."""
    if isinstance(value, np.ndarray):
        if value.dtype != _DTYPES[dtype][0]:
            return False
    elif not isinstance(value, torch.Tensor) or value.dtype != _DTYPES[dtype][1]:
        return False
    if len(value.shape) != len(shape):
        return False
    for wanted, got in zip(shape, value.shape, strict=True):
        if wanted is not None and wanted != got:
            return False
    if dtype != "float32":
        return True
    return bool((np.isfinite(value) if isinstance(value, np.ndarray) else torch.isfinite(value)).all())


def check_array(owner: object, name: str, dtype: str, shape: tuple[int | None, ...]) -> None:
    """Raises ValueError unless ``owner.name`` has this dtype and shape (None: any) and is finite."""
    value = getattr(owner, name)
    if _is_as_wanted(value, dtype, shape):
        return
    where = f"{type(owner).__name__}.{name}"
    wanted = f"({', '.join('*' if s is None else str(s) for s in shape)}) {dtype}"
    if not isinstance(value, (np.ndarray, torch.Tensor)):
        raise ValueError(
            f"{where}: expected a NumPy array or torch tensor {wanted}, got {type(value).__name__}"
        )
    got_dtype = str(value.dtype).removeprefix("torch.")
    got = f"{tuple(value.shape)} {got_dtype}"
    if len(value.shape) != len(shape) or any(
        w not in (None, g) for w, g in zip(shape, value.shape, strict=True)
    ):
        raise ValueError(f"{where}: expected shape {wanted}, got {got}")
    if got_dtype != dtype:
        raise ValueError(f"{where}: expected dtype {wanted}, got {got}; convert it first")
    finite = np.isfinite(np.asarray(value.tolist()))  # nothing else can be wrong now
    people = sorted({int(i) for i in np.argwhere(~finite)[:, 0]})
    raise ValueError(f"{where}: expected finite numbers, got NaN or infinity for people {people[:10]}")


def check_unit_interval(owner: object, name: str, value: np.ndarray | torch.Tensor) -> None:
    """Raises ValueError unless all values, which are ``owner.name``, are in [0, 1]."""
    if len(value) and not (float(value.min()) >= 0.0 and float(value.max()) <= 1.0):
        raise ValueError(
            f"{type(owner).__name__}.{name}: expected values in [0, 1], got {float(value.min())} to {float(value.max())}"
        )


def check_boxes(owner: Any) -> None:
    """Raises ValueError unless ``owner.boxes`` is (N, 4) float32 xyxy, finite and not inverted."""
    check_array(owner, "boxes", "float32", (None, 4))
    boxes = owner.boxes
    bad = (boxes[:, 2] < boxes[:, 0]) | (boxes[:, 3] < boxes[:, 1])
    if bad.any():
        first = int(np.flatnonzero(np.asarray(bad.tolist()))[0])
        raise ValueError(
            f"{type(owner).__name__}.boxes: expected x1 <= x2 and y1 <= y2 (xyxy), "
            f"got {[round(float(v), 3) for v in boxes[first]]} for person {first}"
        )
