"""Tracks as rows of arrays: what a tracker knows of everybody, one array a property, so that no frame loops over people."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np

Rows = TypeVar("Rows", bound="TrackRows")


@dataclass(frozen=True, eq=False)
class TrackRows:
    """T tracks in order of birth; subclasses add what they know of them, each an array (T, ...).

    Attributes:
        ids: (T,) int64.
    """

    ids: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self: Rows, chosen: np.ndarray) -> Rows:
        """Some of the tracks: a mask (T,), or their numbers."""
        return type(self)(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def with_others(self: Rows, others: Rows) -> Rows:
        """These tracks, and behind them others."""
        return type(self)(
            *(np.concatenate([getattr(self, f.name), getattr(others, f.name)]) for f in fields(self))
        )
