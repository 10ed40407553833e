"""How much memory this process may still take, and an error of one line where something will not fit.

The system does not refuse memory when it is asked for; it kills the process when it is used. So what is large is measured
before: against the machine's free memory, the limits of control groups (Docker, Slurm, systemd) and of ``ulimit``.
Imports nothing large.
"""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from fastpose_mtn.errors import InputError

ALWAYS_FITS = 64 << 20  # bytes, for which nobody has to be asked
_UNLIMITED = 1 << 60  # bytes; control groups of version 1 write a huge number where there is no limit
_PROC, _CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def check_memory(needed: int, what: str, remedy: str) -> None:
    """Raises InputError, "WHAT needs 9.6 GB of memory, and 2.1 GB are free; REMEDY", where that many bytes are not free."""
    if needed <= ALWAYS_FITS:
        return
    free = available_bytes()
    if free is not None and needed > free:
        raise InputError(
            f"{what} needs {gigabytes(needed)} of memory, and {gigabytes(free)} are free; {remedy}"
        )


def gigabytes(count: int) -> str:
    """Bytes for people: ``9.6 GB``."""
    return f"{count / 1e9:.1f} GB"


def available_bytes() -> int | None:
    """What this process can take before the system refuses or kills it; None where the system does not say.

    What it freed and keeps for itself is counted, see ``runtime.memory.keep_freed_memory``. Swap is not.
    """
    limits = [*_machine(), *_control_groups(), *_resource_limits()]
    return max(0, min(limits)) + _kept_by_process() if limits else None


def _machine() -> Iterator[int]:
    for line in _lines(_PROC / "meminfo"):
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024


def _control_groups() -> Iterator[int]:
    """What is free in this process's control group and in each that it lies in.

    A container sees its own group as the root, whatever path the process is said to have.
    """
    for line in _lines(_PROC / "self" / "cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            names, root = ("memory.max", "memory.current", "file"), _CGROUPS
        elif "memory" in controllers.split(","):
            names, root = (
                ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache"),
                _CGROUPS / "memory",
            )
        else:
            continue
        own = root / path.strip("/")
        for folder in (own, *own.parents):
            if folder.is_relative_to(root) and (free := _free_of_group(folder, *names)) is not None:
                yield free


def _free_of_group(folder: Path, limit_name: str, used_name: str, cache_name: str) -> int | None:
    limit, used = (next(_lines(folder / name), "") for name in (limit_name, used_name))
    if not limit.isdecimal() or not used.isdecimal() or int(limit) >= _UNLIMITED:
        return None
    stat = dict(line.split() for line in _lines(folder / "memory.stat"))
    # pages of files are given up for memory, but for those in shared memory
    cache = int(stat.get(cache_name, 0)) - int(stat.get("shmem", stat.get("total_shmem", 0)))
    return int(limit) - int(used) + max(0, cache)


def _resource_limits() -> Iterator[int]:
    try:
        import resource
    except ImportError:  # Windows
        return
    pages = [
        int(number) * os.sysconf("SC_PAGE_SIZE")
        for number in " ".join(_lines(_PROC / "self" / "statm")).split()
    ]
    if not pages:
        return
    for kind, used in ((resource.RLIMIT_AS, pages[0]), (resource.RLIMIT_DATA, pages[5])):
        limit = resource.getrlimit(kind)[0]
        if limit != resource.RLIM_INFINITY:
            yield limit - used


class _Mallinfo(ctypes.Structure):
    """glibc's ``struct mallinfo2``; ``fordblks`` is what was freed and is kept."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


def _kept_by_process() -> int:
    if platform.libc_ver()[0] != "glibc":
        return 0
    mallinfo = getattr(ctypes.CDLL(None), "mallinfo2", None)  # since glibc 2.33
    if mallinfo is None:
        return 0
    mallinfo.restype = _Mallinfo
    return int(mallinfo().fordblks)


def _lines(path: Path) -> Iterator[str]:
    try:
        yield from path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return
