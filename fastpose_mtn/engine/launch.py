"""How a training is started: which engine trains, and in which processes on which machines."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastpose_mtn.errors import InputError
from fastpose_mtn.hosts import missing_detectron2, require_detectron2

ENGINES = ("auto", "lightning", "detectron2")


def choose_engine(wanted: str) -> tuple[str, str]:
    """The engine's name and, in a few words, why it was chosen.

    Args:
        wanted: one of ``ENGINES``; auto: Detectron2 where it is installed.

    Raises:
        InputError: Detectron2 is asked for and is not there.
    """
    if wanted not in ENGINES:
        raise InputError(f"--engine: expected one of {', '.join(ENGINES)}, got {wanted!r}")
    if wanted == "detectron2":
        require_detectron2("--engine detectron2", "train with --engine lightning")
    if wanted != "auto":
        return wanted, "asked for"
    missing = missing_detectron2()
    return ("detectron2", "Detectron2 is installed") if missing is None else ("lightning", missing)


@dataclass(frozen=True)
class LaunchConfiguration:
    """The processes of a run, in Detectron2's words: ``--num-gpus`` and its companions.

    Attributes:
        num_gpus: processes on each machine, a GPU each; without GPUs, processes on its cores.
        num_machines: how many there are.
        machine_rank: of this one, from 0.
        dist_url: ``tcp://HOST:PORT`` of machine 0, or ``auto`` for a single machine.

    Raises:
        InputError: the values do not fit each other.
    """

    num_gpus: int = 1
    num_machines: int = 1
    machine_rank: int = 0
    dist_url: str = "auto"

    def __post_init__(self) -> None:
        if self.num_gpus < 0:
            raise InputError(f"--num-gpus is {self.num_gpus}, expected 0 or more")
        if self.num_machines < 1:
            raise InputError(f"--num-machines is {self.num_machines}, expected 1 or more")
        if not 0 <= self.machine_rank < self.num_machines:
            raise InputError(
                f"--machine-rank is {self.machine_rank}, expected 0 to {self.num_machines - 1} as --num-machines "
                f"is {self.num_machines}"
            )
        if (self.num_machines > 1 or self.dist_url != "auto") and self._address is None:
            raise InputError(f"--dist-url is {self.dist_url!r}, expected tcp://HOST:PORT of machine 0")

    @property
    def processes_per_machine(self) -> int:
        """Training processes on each machine: one a GPU, and one where there is no GPU."""
        return max(self.num_gpus, 1)

    @property
    def world_size(self) -> int:
        """Processes on all machines."""
        return self.processes_per_machine * self.num_machines

    @property
    def _address(self) -> tuple[str, int] | None:
        try:
            parts = urlsplit(self.dist_url)
            port = parts.port
        except ValueError:
            return None
        return (parts.hostname, port) if parts.scheme == "tcp" and parts.hostname and port else None

    def announce(self) -> None:
        """Tells the processes that Lightning starts, through the environment, where to meet."""
        if self._address is not None:
            os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = self._address[0], str(self._address[1])
            os.environ["NODE_RANK"] = str(self.machine_rank)


def is_first_process() -> bool:
    """Whether this process is the one that speaks: no other one was started by Lightning on this machine."""
    return os.environ.get("LOCAL_RANK", "0") == "0"
