"""Where a run takes place: Detectron2's ``--num-gpus`` and its companions."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastpose_mtn.errors import InputError


@dataclass(frozen=True)
class Machines:
    """
    Attributes:
        gpus: processes on each machine, a GPU each; without GPUs, processes on its cores.
        count: of machines.
        rank: of this one, from 0.
        url: ``tcp://HOST:PORT`` of machine 0, or ``auto`` for a single machine.

    Raises:
        InputError: the values do not fit each other.
    """

    gpus: int = 1
    count: int = 1
    rank: int = 0
    url: str = "auto"

    def __post_init__(self) -> None:
        if self.gpus < 0:
            raise InputError(f"--num-gpus is {self.gpus}, expected 0 or more")
        if self.count < 1:
            raise InputError(f"--num-machines is {self.count}, expected 1 or more")
        if not 0 <= self.rank < self.count:
            raise InputError(
                f"--machine-rank is {self.rank}, expected 0 to {self.count - 1} as --num-machines is {self.count}"
            )
        if (self.count > 1 or self.url != "auto") and self._address is None:
            raise InputError(f"--dist-url is {self.url!r}, expected tcp://HOST:PORT of machine 0")

    @property
    def processes(self) -> int:
        """On each machine."""
        return max(self.gpus, 1)

    @property
    def _address(self) -> tuple[str, int] | None:
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError:
            return None
        return (parts.hostname, port) if parts.scheme == "tcp" and parts.hostname and port else None

    def announce(self) -> None:
        """Tells the processes that Lightning starts, through the environment, where to meet."""
        if self._address is not None:
            os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = self._address[0], str(self._address[1])
            os.environ["NODE_RANK"] = str(self.rank)


def is_first_process() -> bool:
    """Whether this process is the one that speaks: no other one was started by Lightning on this machine."""
    return os.environ.get("LOCAL_RANK", "0") == "0"
