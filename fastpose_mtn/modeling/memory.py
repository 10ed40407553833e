"""Keeps a CPU process's memory between steps: the network's speed depends on it."""

from __future__ import annotations

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8  # glibc's malloc.h


def keep_freed_memory() -> bool:
    """Asks glibc to reuse large freed blocks instead of returning them to the system.

    By default every feature map above 32 MB is mapped afresh and its pages are zeroed one fault at a
    time, in every step: a quarter of the time of a training step on two cores. The process keeps its
    peak memory instead. Threads share one arena: those of their own give every block back, which took a third
    of the whole job's time of FastPose-50, whose network runs in a thread; call this before there are any. Environment variables of glibc's (MALLOC_MMAP_MAX_) still apply before this.

    Returns:
        Whether the C library is glibc and agreed; elsewhere nothing changes.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    wishes = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, -1), (_M_ARENA_MAX, 1))
    return all([bool(mallopt(option, value)) for option, value in wishes])
