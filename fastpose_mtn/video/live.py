"""Live sources: cameras and streams that come back when they break off, and recordings played at their own pace."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from fastpose_mtn.errors import InputError
from fastpose_mtn.video.frame import Frame
from fastpose_mtn.video.sources import Source

MODES = ("auto", "on", "off")
FIRST_WAIT_S, LONGEST_WAIT_S, PATIENCE_S = 0.5, 15.0, 300.0


def as_live(
    source: Source,
    mode: str,
    open_again: Callable[[], Source],
    report: Callable[[str], None] = lambda text: None,
) -> Source:
    """The source as ``--live`` wants it.

    Args:
        source: opened.
        mode: ``auto``: cameras and streams without an end are live; ``on``: recordings too, played at their own
            pace, as if they happened now; ``off``: every frame of every source is looked at, however late.
        open_again: opens the same source anew.
        report: is told when a camera or stream breaks off.
    """
    if mode == "off":
        source.live = False
        return source
    if source.live:
        return ReconnectingSource(source, open_again, report)
    recording = not (source.still or source.independent)
    return PacedSource(source) if mode == "on" and recording else source


class _Wrapper(Source):
    """What both share: another source's description and end."""

    def __init__(self, source: Source) -> None:
        super().__init__(
            source.name,
            path=source.path,
            frame_count=source.frame_count,
            frame_rate=source.frame_rate,
            time_base=source.time_base,
            live=True,
            still=source.still,
            sound=source.sound,
        )
        self.frame_size_hw = source.frame_size_hw
        self._source = source
        self._stopped = threading.Event()

    def interrupt(self) -> None:
        self._stopped.set()
        self._source.interrupt()

    def close(self) -> None:
        self._source.close()


class ReconnectingSource(_Wrapper):
    """A camera or stream that is opened again when it breaks off.

    Attempts begin after half a second and come twice as late each, up to 15 seconds apart. Time goes on meanwhile, so
    nobody is followed across a gap that is too long.

    Args:
        source: opened.
        open_again: opens it anew; raises ``InputError`` or ``OSError`` where it cannot.
        report: is told why it broke off.

    Attributes:
        patience_s: seconds of waiting after which it is given up.
        reconnections: how often it came back.
    """

    def __init__(
        self,
        source: Source,
        open_again: Callable[[], Source],
        report: Callable[[str], None] = lambda text: None,
    ) -> None:
        super().__init__(source)
        self._open_again, self._report = open_again, report
        self.patience_s = PATIENCE_S
        self.reconnections = 0

    def __iter__(self) -> Iterator[Frame]:
        began: float | None = None  # on this machine's clock
        last_time_s = 0.0
        index = 0
        while True:
            offset: float | None = None  # of this connection's times
            try:
                for frame in self._source:
                    now = time.monotonic()
                    began = now if began is None else began
                    offset = now - began - frame.time_s if offset is None else offset
                    last_time_s = max(last_time_s, frame.time_s + offset)
                    if frame.image is None:
                        self.skipped.append(index)
                    index += 1
                    yield replace(frame, index=index - 1, number=index - 1, time_s=last_time_s)
                reason = self._source.problem or f"{self.name}: it ended after {index} frames"
            except (InputError, OSError) as error:
                reason = str(error)
            self._source.close()
            if not self._stopped.is_set():
                self._report(f"{reason}; it is opened again")
            if not self._reconnected():
                self.problem = None if self._stopped.is_set() else reason
                return
            self.reconnections += 1

    def _reconnected(self) -> bool:
        wait_s, waited_s = FIRST_WAIT_S, 0.0
        while waited_s < self.patience_s and not self._stopped.wait(wait_s):
            try:
                self._source = self._open_again()
                return True
            except (InputError, OSError):
                waited_s += wait_s
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
        return False


class PacedSource(_Wrapper):
    """A recording whose frames come when they are due, as a camera's would."""

    frame_rate_is_a_choice = False

    def __iter__(self) -> Iterator[Frame]:
        began: float | None = None
        for frame in self._source:
            now = time.monotonic()
            began = now - frame.time_s if began is None else began
            if self._stopped.wait(max(0.0, began + frame.time_s - now)):
                break
            yield frame
        self.skipped, self.problem = self._source.skipped, self._source.problem
