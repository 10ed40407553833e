"""Parameters of tracking with hindsight: what ``fastpose retrack --offline`` joins, prunes and interpolates."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastpose_mtn.config import CfgNode


@dataclass(frozen=True, kw_only=True)
class OfflineParameters:
    """Parameters of tracking with hindsight, each the key of ``TRACKER.OFFLINE`` of its name in upper case; times are seconds of video.

    Chosen by identity switches and IDF1 on 40 drawn crowds of 2 seconds (seeds 820000 to 820039, 8 people, occlusion 0.5,
    weights ``drawn``), 4 of 8 seconds (821000 to 821003), the street sequences TUD-Campus and KITTI-17 (weights
    ``people``), and crowds of ``tests/tracking/test_tracker_crowds.py`` (seeds 100 to 107 and 200 to 207). The switches
    of the first 40 move by about 5 with any small change.

    Attributes:
        max_gap_seconds: the longest gap over which tracklets are joined.
        contested_cover: share of a box that another covers, above which it is doubtful whose the box is: tracks are
            cut there before tracklets are joined anew.
        join_evidence: what speaks for a join of two tracklets before anything is compared, in the units of a log
            likelihood; more joins more.
        appearance_weight: what a difference of appearance speaks against a join, where 1 is the median difference of
            people who are in one frame.
        keep_evidence: what speaks for a link that the tracker made.
        min_detections: tracks with fewer are pruned.
        interpolate_seconds: gaps up to this long are filled with interpolated people.

    Raises:
        ValueError: a value is out of range; the message names it.
    """

    max_gap_seconds: float = 5.0
    contested_cover: float = 0.2
    join_evidence: float = 12.0
    appearance_weight: float = 6.0
    keep_evidence: float = 1.0
    min_detections: int = 2
    interpolate_seconds: float = 0.5

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0.0 <= value < math.inf:
                raise ValueError(
                    f"{field.name} (TRACKER.OFFLINE.{field.name.upper()}): expected 0 or more, got {value!r}"
                )

    @classmethod
    def from_config(cls, cfg: CfgNode) -> OfflineParameters:
        """The values of ``cfg.TRACKER.OFFLINE``."""
        return cls(**{field.name: cfg.TRACKER.OFFLINE[field.name.upper()] for field in fields(cls)})


DEFAULT_OFFLINE_PARAMETERS = OfflineParameters()
