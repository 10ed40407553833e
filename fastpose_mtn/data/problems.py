"""What is wrong with a dataset's files, counted by kind: nothing is left out without being told."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fastpose_mtn.errors import InputError

_LOG = logging.getLogger("fastpose_mtn")

ERROR = "error"  # training refuses the dataset
LEFT_OUT = "left out"  # training and evaluation do without the record
REPAIRED = "repaired"  # they use the record, after putting it right
KEPT = "kept"  # they use the record as it is, odd as it is
SEVERITIES = (ERROR, LEFT_OUT, REPAIRED, KEPT)


@dataclass
class Problem:
    """Everything of one kind.

    Attributes:
        severity: one of ``SEVERITIES``.
        kind: what is wrong, in words that follow a number: "annotations with a box without area".
        count: how often it was found.
        places: the first of them: file, position and id.
    """

    severity: str
    kind: str
    count: int = 0
    places: list[str] = field(default_factory=list)


class Problems:
    """Collects problems.

    Args:
        collect_errors: go on after an error, which is then counted like anything else; otherwise the first
            one is raised.
        places: how many places of each kind are kept, at least 1.
    """

    def __init__(self, *, collect_errors: bool = False, places: int = 1) -> None:
        self._collect_errors, self._places = collect_errors, places
        self._found: dict[tuple[str, str], Problem] = {}

    @property
    def collects_errors(self) -> bool:
        """Whether errors are counted, and not raised."""
        return self._collect_errors

    def __iter__(self) -> Iterator[Problem]:
        """Errors first."""
        return iter(sorted(self._found.values(), key=lambda problem: SEVERITIES.index(problem.severity)))

    def count(self, severity: str) -> int:
        """How often problems of a severity were found."""
        return sum(problem.count for problem in self if problem.severity == severity)

    def add(self, severity: str, kind: str, place: str) -> None:
        """Counts a problem, and keeps its place while there are few of its kind.

        Args:
            severity: one of ``SEVERITIES``.
            kind: what is wrong, in words that are the same for every place.
            place: file and record where it was found.
        """
        problem = self._found.setdefault((severity, kind), Problem(severity, kind))
        problem.count += 1
        if len(problem.places) < self._places:
            problem.places.append(place)

    @contextmanager
    def within(self, place: str) -> Iterator[None]:
        """Counts an ``InputError`` of this block, or lets it through.

        The error's text is ``PLACE[ MORE]: WHAT IS WRONG[, got VALUE]``; what is wrong is its kind.
        """
        try:
            yield
        except InputError as error:
            self.refuse(place, error)

    def refuse(self, place: str, error: InputError) -> None:
        """Counts an error, see ``within``, or raises it."""
        if not self._collect_errors:
            raise error
        more, _, text = str(error).removeprefix(place).partition(": ")
        kind, _, value = text.partition(", got ")
        self.add(ERROR, kind, f"{place}{more}, got {value}" if value else place + more)

    def lines(self) -> list[str]:
        """One line for each kind."""
        return [f"{p.severity} {p.count} {p.kind}, first {p.places[0]}" for p in self]

    def log(self, name: str) -> None:
        """One line for each kind: a warning where something is left out."""
        for problem, line in zip(self, self.lines(), strict=True):
            level = logging.WARNING if problem.severity in (ERROR, LEFT_OUT) else logging.INFO
            _LOG.log(level, "dataset %s: %s", name, line)
