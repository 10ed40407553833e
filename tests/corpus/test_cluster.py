"""Joining or starting Ray: what is tried again, and what is told."""

import os
import signal
import sys
import threading

import pytest

pytest.importorskip("ray", reason="ray is not installed: pip install -e '.[corpus]'")

import ray

from fastpose_mtn.corpus import cluster
from fastpose_mtn.corpus.cluster import Share, count_workers
from fastpose_mtn.errors import InputError, exit_on_error


@pytest.fixture
def starts(monkeypatch):
    """Ray's starts, which fail as often as is asked for; gives what each was called with."""
    calls = []

    def prepare(failures):
        def init(**arguments):
            calls.append(arguments)
            if len(calls) <= failures:
                raise Exception("the node timed\n out")

        monkeypatch.setattr(ray, "init", init)
        monkeypatch.setattr(ray, "is_initialized", lambda: False)
        monkeypatch.setattr(ray, "shutdown", lambda: calls.append("shutdown"))
        return calls

    return prepare


def test_a_busy_machine_has_three_tries(starts, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    calls = starts(failures=2)
    with cluster.joined() as alone:
        assert alone
    assert [call if call == "shutdown" else call["address"] for call in calls] == ["local"] * 3 + ["shutdown"]


@pytest.mark.parametrize(("address", "metrics"), [("", "0"), ("head:1", None)])
def test_no_metrics_are_sent_where_nobody_reads_them(starts, monkeypatch, address, metrics):
    monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.setattr(cluster.os, "environ", dict(os.environ))
    cluster.os.environ.pop("RAY_enable_metrics_collection", None)
    starts(failures=0)
    with cluster.joined():
        assert cluster.os.environ.get("RAY_enable_metrics_collection") == metrics


@pytest.mark.parametrize("address", ["", "head:1"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("swallowed", [False, True])
@pytest.mark.parametrize("own_handler", [False, True])
def test_a_signal_to_end_while_ray_starts(monkeypatch, address, number, swallowed, own_handler):
    """Ray's own handler raises SystemExit with a status of Ray's, wherever the main thread is; some code swallows it."""
    monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.setattr(cluster, "_STARTS", 2)
    before = signal.getsignal(signal.SIGTERM), signal.set_wakeup_fd(-1)
    calls = []

    def init(**arguments):
        calls.append("init")
        assert threading.current_thread() is threading.main_thread()
        if own_handler:
            signal.signal(signal.SIGTERM, lambda number, where: sys.exit(number))
        try:
            signal.raise_signal(number)
        except BaseException:
            if not swallowed:
                raise

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: calls.append("shutdown"))
    with pytest.raises(SystemExit) as ended, exit_on_error(), cluster.joined():
        calls.append("went on")
    assert (ended.value.code, calls) == (128 + number, ["init", "shutdown"])
    assert (signal.getsignal(signal.SIGTERM), signal.set_wakeup_fd(-1)) == before


def test_where_no_signal_came_the_handlers_are_those_of_before(starts, monkeypatch):
    starts(failures=0)

    def init(**arguments):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    with cluster.joined():
        assert signal.getsignal(signal.SIGTERM) == before


def test_what_cannot_be_started_or_joined_is_told(starts, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    starts(failures=9)
    with pytest.raises(
        OSError, match="Ray cannot be started on this machine: the node timed out; /tmp/ray has its"
    ):
        cluster.joined().__enter__()
    monkeypatch.setenv("RAY_ADDRESS", "head:1")
    calls = starts(failures=9)
    calls.clear()
    with pytest.raises(OSError, match="RAY_ADDRESS head:1: no Ray cluster answers there: the node timed out"):
        cluster.joined().__enter__()
    assert [call if call == "shutdown" else call["address"] for call in calls] == ["head:1", "shutdown"]


def test_as_many_workers_as_there_is_room_for(monkeypatch):
    nodes = [
        {"Alive": True, "Resources": {"CPU": 5.0, "GPU": 1.0}},
        {"Alive": True, "Resources": {"CPU": 3.0}},
        {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}},
    ]
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    assert count_workers(None, Share(2, 0), alone=False) == (3, None)
    assert count_workers(None, Share(2, 1), alone=False) == (1, None)
    assert count_workers(2, Share(2, 0), alone=False) == (2, None)
    count, warning = count_workers(4, Share(2, 0), alone=False)
    assert (count, warning) == (
        4, "there is room for 3 of 4 workers of 2 cores; the others begin when there is more",
    )  # fmt: skip
    assert count_workers(None, Share(9, 0), alone=False)[0] == 1  # a larger machine may come
    with pytest.raises(
        InputError, match="a worker is to have 9 cores, and this machine has less; give a smaller --cores"
    ):
        count_workers(None, Share(9, 0), alone=True)
