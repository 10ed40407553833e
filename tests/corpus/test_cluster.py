"""Joining or starting Ray: what is tried again, and what is told."""

import os

import pytest

pytest.importorskip("ray", reason="ray is not installed: pip install -e '.[corpus]'")

import ray

from fastpose_mtn.corpus import cluster
from fastpose_mtn.corpus.cluster import Share, count_workers
from fastpose_mtn.errors import InputError


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
    assert [call["address"] for call in calls] == ["head:1"]


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
