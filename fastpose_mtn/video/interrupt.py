"""Ctrl-C as a request that is looked at between frames."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class Interruptible:
    """Within the block the first Ctrl-C sets ``requested``; a second one interrupts at once, as usual.

    Outside the main thread, where Python delivers no signals, it does nothing.
    """

    requested = False

    def __enter__(self) -> Interruptible:
        self._active = threading.current_thread() is threading.main_thread()
        if self._active:
            self._previous = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._active:
            signal.signal(signal.SIGINT, self._previous)

    def _note(self, number: int, where: FrameType | None) -> None:
        self.requested = True
        signal.signal(signal.SIGINT, self._previous)
