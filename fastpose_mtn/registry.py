"""What a name in the configuration stands for: systems and trackers, ours and other people's."""

from __future__ import annotations

import importlib
import operator
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Generic, TypeVar

from fastpose_mtn.errors import InputError, did_you_mean

if TYPE_CHECKING:  # they bring torch, and commands ask for names alone before they work
    from fastpose_mtn.protocols import TrackerFactory
    from fastpose_mtn.system_protocols import System

T = TypeVar("T")


class Registry(Generic[T]):
    """Implementations by the name that a configuration key gives.

    Args:
        key: the configuration key, for messages.
        builtin: ``"module:attribute"`` by name; imported when it is first asked for, so that a command pays
            for the one it uses.
    """

    def __init__(self, key: str, builtin: Mapping[str, str]) -> None:
        self.key = key
        self._builtin = dict(builtin)
        self._registered: dict[str, T] = {}

    def register(self, name: str, value: T) -> T:
        """Adds an implementation.

        Raises:
            ValueError: the name is taken.
        """
        if name in self:
            raise ValueError(f"{self.key}: {name!r} is taken; choose another name")
        self._registered[name] = value
        return value

    def get(self, name: str) -> T:
        """The implementation of this name.

        Raises:
            InputError: there is none; the message lists the names there are.
        """
        if name in self._registered:
            return self._registered[name]
        if name not in self._builtin:
            hint = did_you_mean(name, self)
            raise InputError(f"{self.key}: unknown {name!r}{hint or ';'} known: {', '.join(self)}")
        module, _, attribute = self._builtin[name].partition(":")
        value: T = operator.attrgetter(attribute)(importlib.import_module(module))
        return self._registered.setdefault(name, value)

    def __iter__(self) -> Iterator[str]:
        return iter({**self._builtin, **self._registered})

    def __contains__(self, name: object) -> bool:
        return name in self._builtin or name in self._registered


SYSTEMS: Registry[System] = Registry(
    "MODEL.META_ARCHITECTURE",
    {
        "GeneralizedRCNN": "fastpose_mtn.systems.mtn.system:MTN_SYSTEM",
        "TopDownPose": "fastpose_mtn.systems.topdown.system:TOPDOWN_SYSTEM",
        "PoseDet": "fastpose_mtn.systems.posedet.system:POSEDET_SYSTEM",
    },
)
TRACKERS: Registry[TrackerFactory] = Registry(
    "TRACKER.NAME",
    {
        "occlusion_aware": "fastpose_mtn.tracking.occlusion_aware:OcclusionAwareTracker.from_config",
        "msim": "fastpose_mtn.tracking.msim:MSIMTracker.from_config",
        "flow": "fastpose_mtn.tracking.flow:FlowTracker.from_config",
    },
)
