import sys

import pytest

from fastpose_mtn import available_memory
from fastpose_mtn.available_memory import available_bytes, check_memory
from fastpose_mtn.errors import InputError

GB = 10**9


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Writes what the system would tell of itself: 8 GB free, and whatever control groups say."""

    def write(groups, **files):
        proc, root = tmp_path / "proc", tmp_path / "cgroup"
        (proc / "self").mkdir(parents=True)
        (proc / "meminfo").write_text(f"MemTotal: 16000000 kB\nMemAvailable: {8 * GB // 1024} kB\n")
        (proc / "self" / "cgroup").write_text(groups)
        for name, text in files.items():
            path = root / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        monkeypatch.setattr(available_memory, "_PROC", proc)
        monkeypatch.setattr(available_memory, "_CGROUPS", root)
        monkeypatch.setattr(available_memory, "_kept_by_process", lambda: 0)

    return write


def test_without_limits_it_is_what_the_machine_has(machine):
    machine("0::/\n")
    assert available_bytes() == pytest.approx(8 * GB, rel=1e-6)


def test_a_group_of_version_2_and_those_it_lies_in_limit_it(machine):
    machine(
        "0::/jobs/7\n",
        jobs__7__memory_dot_max="max\n",
        jobs__7__memory_dot_current="5\n",
        jobs__memory_dot_max=f"{3 * GB}\n",
        jobs__memory_dot_current=f"{2 * GB}\n",
        jobs__memory_dot_stat=f"anon 1\nfile {GB // 2}\nshmem {GB // 10}\n",
    )
    assert available_bytes() == 3 * GB - 2 * GB + GB // 2 - GB // 10


def test_a_container_sees_its_group_of_version_1_as_the_root(machine):
    machine(
        "11:cpu:/docker/ab\n4:memory:/docker/ab\n",
        memory__memory_dot_limit_in_bytes=f"{2 * GB}",
        memory__memory_dot_usage_in_bytes=f"{GB}",
    )
    assert available_bytes() == GB


def test_a_group_of_version_1_without_a_limit_limits_nothing(machine):
    machine(
        "4:memory:/\n",
        memory__memory_dot_limit_in_bytes="9223372036854771712",
        memory__memory_dot_usage_in_bytes=f"{GB}",
    )
    assert available_bytes() == pytest.approx(8 * GB, rel=1e-6)


def test_what_does_not_fit_is_told_in_one_line(machine):
    machine("")
    check_memory(7 * GB, "a picture", "make it smaller")
    with pytest.raises(
        InputError, match=r"^a picture needs 9\.0 GB of memory, and 8\.0 GB are free; make it smaller$"
    ):
        check_memory(9 * GB, "a picture", "make it smaller")


def test_where_the_system_says_nothing_nothing_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(available_memory, "_PROC", tmp_path)
    assert available_bytes() is None
    check_memory(10**15, "a picture", "make it smaller")


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and address space limits")
def test_memory_that_the_process_freed_and_keeps_counts():
    assert available_memory._kept_by_process() >= 0
    assert available_bytes() > 0
