"""A CPU process's memory: kept between steps, as the network's speed depends on it, and measured. Imports nothing large."""

from __future__ import annotations

import ctypes
import platform
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8  # glibc's malloc.h


def keep_freed_memory() -> bool:
    """Asks glibc to reuse large freed blocks instead of returning them to the system.

    By default every feature map above 32 MB is mapped afresh and its pages are zeroed one fault at a
    time, in every step: a quarter of the time of a training step on two cores. The process keeps its
    peak memory instead. See ``share_one_arena``, too. Environment variables of glibc's
    (MALLOC_MMAP_MAX_) still apply before this.

    Returns:
        Whether the C library is glibc and agreed; elsewhere nothing changes.
    """
    return _mallopt((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, -1)) and share_one_arena()


def release_freed_memory() -> bool:
    """Gives back to the system what was freed since, wherever it lies; takes about a tenth of a training step.

    Blocks of ever other sizes, as of training images of ever other sizes, leave gaps that no later block fits: of
    3.7 GB that a training with such images had after 160 steps, 0.3 were in use. Called now and then it bounds
    that growth, and a step finds most of the memory that it needs again.

    Returns:
        As ``keep_freed_memory``; False also where nothing was there to give back.
    """
    return platform.libc_ver()[0] == "glibc" and bool(ctypes.CDLL(None).malloc_trim(0))


def share_one_arena() -> bool:
    """Asks glibc to give no thread an arena of its own.

    Such an arena holds no block above 64 MB, which is mapped afresh whatever ``keep_freed_memory`` asked for: a
    network that runs in a thread took twice as long. Threads that are there already, NumPy's for example, may have
    one that a later thread inherits, so a program calls this before it imports anything large.

    Returns:
        As ``keep_freed_memory``.
    """
    return _mallopt((_M_ARENA_MAX, 1))


def _mallopt(*wishes: tuple[int, int]) -> bool:
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all([bool(mallopt(option, value)) for option, value in wishes])


def peak_process_bytes() -> int | None:
    """The most memory that this process has held so far; None where the system does not say (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, the others kilobytes
