"""Two halves of a stage in a thread of its own: one produces, the other consumes, both in bounded memory."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Channel(Generic[T]):
    """Items from one thread to another, in order, at most ``capacity`` waiting.

    An end that goes away wakes the other: nobody waits for ever, whatever failed.

    Args:
        capacity: items that may wait.
        newest: an item that finds no room takes the place of the oldest, instead of waiting.
    """

    def __init__(self, capacity: int, *, newest: bool = False) -> None:
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._newest = newest
        self._changed = threading.Condition()
        self._finished = False
        self._cancelled = False
        self._error: BaseException | None = None

    def put(self, item: T) -> bool:
        """Waits for room; False where the other end takes no more."""
        with self._changed:
            while len(self._items) >= self._capacity and not self._cancelled and not self._newest:
                self._changed.wait()
            if self._cancelled:
                return False
            if len(self._items) >= self._capacity:
                self._items.popleft()
            self._items.append(item)
            self._changed.notify_all()
            return True

    def finish(self, error: BaseException | None = None) -> None:
        """No more items come; ``error`` is raised at the other end, behind the items that are waiting."""
        with self._changed:
            self._finished, self._error = True, error
            self._changed.notify_all()

    def cancel(self) -> None:
        """No more items are wanted; those waiting are dropped."""
        with self._changed:
            self._cancelled = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._changed:
                while not self._items and not self._finished and not self._cancelled:
                    self._changed.wait()
                if not self._items:
                    if self._error and not self._cancelled:
                        raise self._error
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item


def give_way() -> None:
    """Lets this thread, and those that it starts, wait for a core instead of interrupting who is at work on it.

    A network's threads each compute a part of every layer and wait for the last: one that is interrupted holds up all.
    The thread gets as much time as before. Linux only.
    """
    if hasattr(os, "sched_setscheduler"):
        with contextlib.suppress(OSError):  # a sandbox may forbid it
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


class Producer(Generic[T]):
    """Goes through an iterable in a thread of its own, ahead of whoever iterates over this.

    An exception in the iterable is raised here, in its place in the order. Leaving the ``with`` block
    ends the thread.

    Args:
        iterable: what to go through.
        capacity: items that may wait.
        name: of the thread.
        newest: never wait: an item that finds no room takes the place of the oldest.
        gives_way: to threads that compute, see ``give_way``; not for a thread that computes itself.
    """

    def __init__(
        self,
        iterable: Iterable[T],
        *,
        capacity: int,
        name: str,
        newest: bool = False,
        gives_way: bool = True,
    ) -> None:
        self._iterable = iterable
        self._gives_way = gives_way
        self._channel: Channel[T] = Channel(capacity, newest=newest)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        return iter(self._channel)

    def __enter__(self) -> Producer[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()
        self._thread.join()

    def cancel(self) -> None:
        """No more items are wanted: the thread ends after the one that it is at."""
        self._channel.cancel()

    def _run(self) -> None:
        if self._gives_way:
            give_way()
        try:
            for item in self._iterable:
                if not self._channel.put(item):
                    break
        except BaseException as error:
            self._channel.finish(error)
        else:
            self._channel.finish()


class Consumer(Generic[T]):
    """Calls a function with each item, in order, in a thread of its own."""

    def __init__(self, function: Callable[[T], None], *, capacity: int, name: str) -> None:
        self._function = function
        self._channel: Channel[T] = Channel(capacity)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Hands an item over; raises what the function raised for an earlier one."""
        if not self._channel.put(item):
            self._thread.join()
            if self._error:
                raise self._error

    def close(self, *, drop: bool = False) -> None:
        """Waits until all items are done, or ``drop``s those waiting; raises what the function raised."""
        if drop:
            self._channel.cancel()
        self._channel.finish()
        self._thread.join()
        if self._error:
            raise self._error

    def _run(self) -> None:
        give_way()
        try:
            for item in self._channel:
                self._function(item)
        except BaseException as error:
            self._error = error
            self._channel.cancel()
