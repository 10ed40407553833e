import platform
import subprocess
import sys

import pytest

from fastpose_mtn.available_memory import available_bytes
from fastpose_mtn.runtime.memory import peak_process_bytes

CODE = """
import resource, sys, threading
from fastpose_mtn.runtime.memory import keep_freed_memory, share_one_arena
assert not {"numpy", "torch"} & set(sys.modules), "it is for programs that have imported neither"
assert share_one_arena() and keep_freed_memory()
faults = []
def work():
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        bytearray(100 << 20)[::4096] = b"x" * (100 << 8)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(*faults)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_a_threads_large_block_is_kept_for_the_next():
    """A block of 100 MB is mapped once: afterwards hardly a page of its 25,600 is new."""
    run = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    first, *others = map(int, run.stdout.split())
    assert first > 20_000
    assert max(others) < first / 20


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not say")
def test_the_peak_is_in_bytes():
    block = bytearray(200 << 20)
    block[::4096] = b"x" * len(block[::4096])
    peak = peak_process_bytes()
    assert len(block) < peak < 1 << 40


def test_a_system_without_the_module_resource_says_nothing(monkeypatch):
    """Windows has none; whatever needs it imports it when it is asked."""
    monkeypatch.setitem(sys.modules, "resource", None)
    assert peak_process_bytes() is None
    assert available_bytes() is None or available_bytes() > 0


RELEASE = """
import ctypes
from fastpose_mtn.runtime.memory import keep_freed_memory, release_freed_memory
def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS")) // 1024
keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
blocks = []
for size in range(64):  # every second of 64 blocks stays, so that nothing can be given back at the end
    block = libc.malloc(4 << 20)
    ctypes.memset(block, 1, 4 << 20)
    blocks.append(block)
for block in blocks[::2]:
    libc.free(block)
before = resident()
assert release_freed_memory()
print(before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_gaps_between_blocks_in_use_are_given_back():
    run = subprocess.run([sys.executable, "-c", RELEASE], capture_output=True, text=True, check=True)
    assert int(run.stdout) > 100  # of 128 MB
