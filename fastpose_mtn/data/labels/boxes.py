"""Boxes of labelled people: which can be used, and those that their joints give in place of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastpose_mtn.data.labels.images import LARGEST
from fastpose_mtn.data.labels.rules import LabelRules
from fastpose_mtn.data.problems import LEFT_OUT, REPAIRED, Problems

# A person with joints but no box gets the joints' extent, each side moved out by this share of it; joints
# lie inside a body. PoseTrack's own boxes are made so.
_MARGIN_AROUND_JOINTS = 0.15

_USABLE, _MISSING, _NOT_FINITE, _NO_AREA, _OUTSIDE = range(5)
_WORDS = {
    _NOT_FINITE: "a box that is not finite",
    _NO_AREA: "a box without area",
    _OUTSIDE: "a box outside the image",
}


def settle_boxes(
    boxes_xywh: np.ndarray,
    joints: np.ndarray,
    sizes_wh: np.ndarray,
    rows: np.ndarray,
    rules: LabelRules,
    place: Callable[[int], str],
    problems: Problems,
) -> np.ndarray:
    """Replaces boxes that cannot be used by those that joints give, and tells who has none.

    Args:
        boxes_xywh: (N, 4) float64, NaN where there is none; changed in place.
        joints: (N, J, 3) float64 x, y, v.
        sizes_wh: (N, 2) of the images, pixels; 0 where unknown.
        rows: (N,) bool, who is looked at.
        rules: PoseTrack's protocol needs no boxes: there a bad one becomes a missing one.
        place: gives words for where a row is.
        problems: where each repair and each person without a box is counted.

    Returns:
        (N,) bool: who of ``rows`` has a box, or needs none.
    """
    limits = np.where(sizes_wh > 0, sizes_wh, np.inf)
    fault = box_faults(boxes_xywh, limits)
    if rules.poseval:
        fault[fault == _OUTSIDE] = _USABLE
        bad = rows & (fault > _MISSING)
        for row in np.flatnonzero(bad).tolist():
            problems.add(
                REPAIRED, f"annotations with {_WORDS[fault[row]]}, which is taken as none", place(row)
            )
        boxes_xywh[bad] = np.nan
        return rows
    drawn = np.full_like(boxes_xywh, np.nan)
    faulty = np.flatnonzero(rows & (fault != _USABLE))
    drawn[faulty] = _boxes_around(joints[faulty], rules.joint_offset)
    saved = box_faults(drawn, limits) == _USABLE
    boxes_xywh[faulty] = drawn[faulty]
    for row in faulty.tolist():
        if saved[row] and fault[row] == _MISSING:
            problems.add(
                REPAIRED, "annotations with joints but no box, which is drawn around them", place(row)
            )
        elif saved[row]:
            kind = f"annotations with {_WORDS[fault[row]]} beside joints, drawn around them"
            problems.add(REPAIRED, kind, place(row))
        elif fault[row] == _MISSING:
            has_joints = bool((joints[row, :, 2] > 0).any())
            kind = (
                "joints that give no box, and no box of their own"
                if has_joints
                else "neither a box nor a labelled joint"
            )
            problems.add(LEFT_OUT, f"annotations with {kind}", place(row))
        else:
            problems.add(LEFT_OUT, f"annotations with {_WORDS[fault[row]]}", place(row))
    return rows & ((fault == _USABLE) | saved)


def box_faults(boxes_xywh: np.ndarray, limits_wh: np.ndarray) -> np.ndarray:
    """(N,) what keeps each box from being used, 0 where nothing does.

    Args:
        boxes_xywh: (N, 4), NaN where there is none.
        limits_wh: (N, 2) size of the image, infinite where unknown.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        far = (np.abs(boxes_xywh) > LARGEST).any(axis=1)
        # As they are kept, in single precision: what is thinner has no area.
        low = boxes_xywh[:, :2].astype(np.float32)
        high = (boxes_xywh[:, :2] + boxes_xywh[:, 2:]).astype(np.float32)
        thin = (high <= low).any(axis=1)
        outside = (np.minimum(high, limits_wh) <= np.maximum(low, 0)).any(axis=1)
    missing = np.isnan(boxes_xywh).any(axis=1)
    return np.select([missing, far, thin, outside], [_MISSING, _NOT_FINITE, _NO_AREA, _OUTSIDE], _USABLE)


def _boxes_around(joints: np.ndarray, offset: float) -> np.ndarray:
    """(N, 4) x, y, width, height around the labelled joints (N, J, 3); NaN without two different places."""
    boxes = np.full((len(joints), 4), np.nan)
    labelled = joints[..., 2] > 0
    some = labelled.any(axis=1)
    if not some.any():
        return boxes
    points = joints[some, :, :2] + offset
    low = np.where(labelled[some, :, None], points, np.inf).min(axis=1)
    high = np.where(labelled[some, :, None], points, -np.inf).max(axis=1)
    margin = _MARGIN_AROUND_JOINTS * (high - low)
    # Joints on one line: as far out on its sides as at its ends.
    margin = np.where(margin > 0, margin, margin.max(axis=1, keepdims=True))
    boxes[some] = np.concatenate([low - margin, high - low + 2 * margin], axis=1)
    return boxes


def usable_area(fields: Mapping[str, Any]) -> float | None:
    """A person's ``area``, px^2, which evaluation measures distances by; None where it is none."""
    area = fields.get("area")
    if isinstance(area, bool) or not isinstance(area, (int, float)):
        return None
    return float(area) if 0 < area <= LARGEST**2 else None
