"""The flow tracker's own parameters; those that it shares with others are in ``parameters``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from fastpose_mtn.tracking.optical_flow import FLOW_METHODS

if TYPE_CHECKING:
    from fastpose_mtn.config import CfgNode


@dataclass(frozen=True, kw_only=True)
class FlowParameters:
    """Parameters of the flow tracker; each is the key of ``TRACKER.FLOW`` of its name in upper case.

    Attributes:
        method: one of ``FLOW_METHODS``; none: poses are compared where they were, the paper's row without flow. The
            paper names none of these. On a drawn clip of 640x360 dis missed joints by 0.002 heights a frame and
            Farneback's by 0.001, in five times the time or more.
        max_side: pixels, see ``OpticalFlow``; ours.
        window: pixels, see ``OpticalFlow``; odd; ours.
        history: frames, of those that the tracker sees, after which somebody who was not seen again is forgotten (MDPN,
            section 3.3: 8).
        min_oks: the gate, above 0: object keypoint similarity below which a pair is no match. The paper gives none.
            Of 0.3, 0.2, 0.1, 0.05 the last switches fewest identities of four drawn crowds, seeds 840000 to 840003.
        confirm: frames somebody must be seen in before they are reported: 2 leaves out, as far as can be without the
            future, whom the paper prunes afterwards; 1 leaves out nobody, as other trackers.

    Raises:
        ValueError: a value is out of range; the message names it.
    """

    method: str = "dis"
    max_side: int = 640
    window: int = 5
    history: int = 8
    min_oks: float = 0.05
    confirm: int = 1

    def __post_init__(self) -> None:
        if self.method not in FLOW_METHODS:
            raise ValueError(self._message("method", f"one of {', '.join(FLOW_METHODS)}"))
        if not self.max_side >= 64:
            raise ValueError(self._message("max_side", "at least 64 pixels"))
        if not (self.window >= 1 and self.window % 2 == 1):
            raise ValueError(self._message("window", "an odd number of pixels"))
        if not 0.0 < self.min_oks <= 1.0:
            raise ValueError(self._message("min_oks", "a number above 0 and up to 1"))
        for name in ("history", "confirm"):
            if not getattr(self, name) >= 1:
                raise ValueError(self._message(name, "at least 1 frame"))

    def _message(self, name: str, expected: str) -> str:
        return f"{name} (TRACKER.FLOW.{name.upper()}): expected {expected}, got {getattr(self, name)!r}"

    @classmethod
    def from_config(cls, cfg: CfgNode) -> FlowParameters:
        """The values of ``cfg.TRACKER.FLOW``."""
        return cls(**{field.name: cfg.TRACKER.FLOW[field.name.upper()] for field in fields(cls)})


DEFAULT_FLOW_PARAMETERS = FlowParameters()
