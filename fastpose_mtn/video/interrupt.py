"""Signals to end (Ctrl-C, SIGTERM, a closed terminal) as a request that is looked at between frames."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType

from fastpose_mtn.errors import ending_signals


class Interruptible:
    """Within the block the first signal to end sets ``requested``; a second one ends the process at once.

    Signals to end are Ctrl-C, SIGTERM (``docker stop``, ``timeout``, a cluster's scheduler) and the hang-up of the
    terminal. Outside the main thread, where Python delivers no signals, it does nothing.

    Args:
        on_request: is called, in a thread of its own, to cut a wait for the next frame short.

    Attributes:
        requested: the signal that came; None: go on.
    """

    def __init__(self, on_request: Callable[[], None] = lambda: None) -> None:
        self._on_request = on_request
        self.requested: signal.Signals | None = None

    def __enter__(self) -> Interruptible:
        here = threading.current_thread() is threading.main_thread()
        self._previous = {number: signal.signal(number, self._note) for number in ending_signals() if here}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)

    def _note(self, number: int, where: FrameType | None) -> None:
        if self.requested:
            # Not as an exception: unwinding would wait for the threads, and theirs is the work that takes too long.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.requested = signal.Signals(number)
        # In a thread: this one may hold the lock that is asked for.
        threading.Thread(target=self._on_request, daemon=True).start()
