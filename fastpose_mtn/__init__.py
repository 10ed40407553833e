"""FastPose MTN: every person in a video, their joints and their identity, frame by frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastpose_mtn.version import __version__

if TYPE_CHECKING:
    from fastpose_mtn.api import FastPose

__all__ = ["FastPose", "__version__"]


def __getattr__(name: str) -> Any:
    """Imports ``FastPose``, and with it torch, when it is first asked for."""
    if name == "FastPose":
        from fastpose_mtn.runtime.memory import share_one_arena

        share_one_arena()  # the network runs in a thread
        from fastpose_mtn.api import FastPose

        return FastPose
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
