"""The parameters of multi-stage identity matching."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastpose_mtn.config import CfgNode

# ours: what costs are taken from to be similarities; the greatest cosine distance, above every cost that can be matched
MAX_COST = 2.0


@dataclass(frozen=True, kw_only=True)
class MSIMParameters:
    """Parameters of the tracker; each is the key of its name in upper case of ``TRACKER.MSIM``, or of ``TRACKER``.

    ``config.defaults`` says what each of the first is, in which unit, and whether it is its paper's or its code's;
    ``TrackerParameters`` of the others, which all trackers share.

    Raises:
        ValueError: a value is out of range.
    """

    emb_thresh: float = 0.7
    fused_thresh: float = 0.5
    relaxed_thresh: float = 0.7
    pose_weight: float = 0.2
    motion_weight: float = 0.02
    gate: float = 0.0
    memory: float = 0.9
    max_lost_seconds: float = 8.0
    max_frame_seconds: float = 1.0
    duplicate_iou: float = 0.85
    boxes: str = "detected"
    report_tentative: bool = True
    valid_joints: float = 0.0
    birth_score: float = 0.5
    min_score: float = 0.4
    joint_thresh: float = 0.2
    joint_output_thresh: float = 0.0
    cut_correlation: float = 0.6

    def __post_init__(self) -> None:
        for name in ("emb_thresh", "fused_thresh", "relaxed_thresh"):
            if not 0.0 < getattr(self, name) < MAX_COST:
                raise ValueError(self._message(name, "a cost above 0 and below 2"))
        for name in _SHARES:
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(self._message(name, "a number from 0 to 1"))
        for name in ("pose_weight", "gate", "max_lost_seconds", "max_frame_seconds"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ValueError(self._message(name, "0 or more"))
        if self.boxes not in ("detected", "filtered"):
            raise ValueError(self._message("boxes", "detected or filtered"))

    def _message(self, name: str, expected: str) -> str:
        where = "TRACKER" if name in _SHARED else "TRACKER.MSIM"
        return f"{where}.{name.upper()}: expected {expected}, got {getattr(self, name)!r}"

    @classmethod
    def from_config(cls, cfg: CfgNode) -> MSIMParameters:
        """The values of ``cfg.TRACKER.MSIM``, and of those keys of ``cfg.TRACKER`` that all trackers share."""
        own = {field.name: field.name.upper() for field in fields(cls)}
        return cls(
            **{name: (cfg.TRACKER if name in _SHARED else cfg.TRACKER.MSIM)[key] for name, key in own.items()}
        )


_SHARED = (
    "birth_score", "min_score", "joint_thresh", "joint_output_thresh", "max_frame_seconds", "cut_correlation",
)  # fmt: skip
_SHARES = (
    "motion_weight", "memory", "valid_joints", "duplicate_iou", "birth_score", "min_score", "joint_output_thresh",
)  # fmt: skip
