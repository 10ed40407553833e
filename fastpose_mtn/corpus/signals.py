"""Signals to end, kept through other code that has handlers of its own for them."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fastpose_mtn.errors import Ended, ending_signals


@contextmanager
def kept_signals() -> Iterator[None]:
    """A signal to end that comes within the block is raised at the block's end, whatever was done about it there.

    Ray has SIGTERM raise SystemExit, with a status of its own, wherever the main thread is; some of its code swallows
    that, and what our handlers raise too. The handlers from before the block are there again behind it. Outside the main
    thread, where Python delivers no signals, it does nothing.

    Raises:
        Ended: a signal came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in ending_signals()}
    heard, told = socket.socketpair()  # Python writes each signal's number there, whoever handles it
    with heard, told:
        heard.setblocking(False)
        told.setblocking(False)
        previous = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            for number, handler in handlers.items():
                if handler is not None:  # of code that is not Python's
                    signal.signal(number, handler)
            signal.set_wakeup_fd(previous)
            came = next((number for number in _received(heard) if number in handlers), None)
            if came is not None:
                raise Ended(came)


def _received(heard: socket.socket) -> bytes:
    try:
        return heard.recv(4096)
    except BlockingIOError:
        return b""
