"""The Ray cluster that a corpus is tracked on: joined or started, and what has room on it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray

from fastpose_mtn.corpus.signals import kept_signals
from fastpose_mtn.errors import InputError

_STARTS = 3  # Ray gives itself half a minute, too little on a busy machine
_OBJECT_STORE_BYTES = 256 * 2**20  # results go to files; only what lies in memory:// goes through Ray


@dataclass(frozen=True)
class Share:
    """The cores and GPUs of its machine that one worker has for itself.

    Attributes:
        cores: as Ray counts them; the network computes in as many threads.
        gpus: 1 or 0.
    """

    cores: int
    gpus: int

    def __str__(self) -> str:
        return f"{self.cores} core{'s' * (self.cores > 1)}{' and a GPU' * self.gpus}"


@contextmanager
def joined() -> Iterator[bool]:
    """Within the block there is a Ray cluster: the one that ``RAY_ADDRESS`` names, or this machine alone.

    Yields:
        Whether it was started here, and ends with the block. A program that has called ``ray.init`` keeps its own.

    Raises:
        OSError: the cluster cannot be reached, or none can be started.
        Ended: a signal to end came meanwhile.
    """
    if ray.is_initialized():
        yield False
        return
    address = os.environ.get("RAY_ADDRESS")
    # Ray's reports of how it is used are not ours to send
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not address:
        # nobody reads its metrics here
        os.environ.setdefault("RAY_enable_metrics_collection", "0")
    try:
        _start(address)
        yield not address
    finally:
        ray.shutdown()


def _start(address: str | None) -> None:
    local: dict[str, Any] = {"include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES}
    arguments = {"address": address} if address else {"address": "local", **local}
    for left in reversed(range(1 if address else _STARTS)):
        try:
            # in the main thread: started in another one, a local cluster does not answer
            with kept_signals():
                ray.init(log_to_driver=False, logging_level=logging.ERROR, **arguments)
            return
        except Exception as error:  # ray.init raises plain Exceptions too
            reason = " ".join(str(error).split())
            if address:
                raise OSError(f"RAY_ADDRESS {address}: no Ray cluster answers there: {reason}") from error
            if not left:
                raise OSError(
                    f"Ray cannot be started on this machine: {reason}; /tmp/ray has its logs"
                ) from error


def default_share(device: str, cores: int | None) -> Share:
    """A GPU for each worker where the cluster has any and the device may be one; cores in equal parts then, else one.

    Args:
        device: auto, cpu or cuda.
        cores: for each worker; None: the default.
    """
    total = ray.cluster_resources()
    gpus = int(total.get("GPU", 0))
    if device == "cpu" or not gpus:
        return Share(cores or 1, 0)
    return Share(cores or max(1, int(total.get("CPU", 1)) // gpus), 1)


def room_for(share: Share) -> int:
    """How many workers fit on the machines that are there."""
    room = 0
    for node in ray.nodes():
        if node["Alive"]:
            own = node["Resources"]
            rooms = [own.get("CPU", 0) // share.cores] + ([own.get("GPU", 0)] if share.gpus else [])
            room += int(min(rooms))
    return room


def count_workers(asked: int | None, share: Share, *, alone: bool) -> tuple[int, str | None]:
    """How many workers to ask for, and a warning where not all of them can begin.

    Args:
        asked: by the command line; None: as many as there is room for.
        share: of each.
        alone: no other machine can come.

    Raises:
        InputError: there is room for none, and none to come.
    """
    room = room_for(share)
    if not room and alone:
        raise InputError(f"a worker is to have {share}, and this machine has less; give a smaller --cores")
    count = asked or max(room, 1)
    if count <= room:
        return count, None
    return (
        count,
        f"there is room for {room} of {count} workers of {share}; the others begin when there is more",
    )
