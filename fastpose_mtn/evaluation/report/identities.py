"""Switches of identity, person by person, and the places where two trackers of the same people decide differently.

A switch here is a whole person's: AP takes another predicted identity for them than it last did. Switches
that MOT sees at some joints alone are in ``SequenceEvents.switched``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fastpose_mtn.evaluation.report.events import SequenceEvents


@dataclass(frozen=True)
class Sighting:
    """A labelled person as a tracker found them in a frame.

    Attributes:
        frame: its position in the sequence.
        row: of the predicted person, in ``SequenceEvents.prediction``.
        found_as: the predicted identity.
    """

    frame: int
    row: int
    found_as: int


@dataclass(frozen=True)
class Switch:
    """A labelled person's change of identity, between two neighbouring sightings.

    Attributes:
        person: the labelled track id.
        before: the last sighting under the old identity.
        after: the first one under the new.
    """

    person: int
    before: Sighting
    after: Sighting

    def overlaps(self, other: Switch) -> bool:
        """Whether both may be one event, seen by two trackers: the same person at the same time."""
        return (
            self.person == other.person
            and self.before.frame < other.after.frame
            and other.before.frame < self.after.frame
        )


@dataclass(frozen=True)
class Difference:
    """A switch that one of two trackers makes and the other does not.

    Attributes:
        switch: as the one tracker made it.
        first: whether that is the first of the two.
        other_before, other_after: the other tracker's identities in the switch's two frames; None where it
            did not find the person.
    """

    switch: Switch
    first: bool
    other_before: int | None
    other_after: int | None


@dataclass(frozen=True)
class Comparison:
    """Two trackers on one sequence.

    Attributes:
        name: of the sequence.
        differences: in the order of frames.
        both: how many switches of the first tracker the second makes too.
    """

    name: str
    differences: tuple[Difference, ...]
    both: int

    def count(self, first: bool) -> int:
        """How many switches one of the trackers makes alone."""
        return sum(difference.first == first for difference in self.differences)


def switches_of(events: SequenceEvents) -> tuple[Switch, ...]:
    """The switches of a sequence's people in the order of frames; the counted frames, as the timeline has them."""
    switches = []
    for person, sightings in _sightings(events).items():
        for before, after in pairwise(sightings):
            if before.found_as != after.found_as:
                switches.append(Switch(person, before, after))
    return tuple(sorted(switches, key=lambda s: (s.after.frame, s.person)))


def compare(first: SequenceEvents, second: SequenceEvents) -> Comparison:
    """Where two trackers decide differently whether a person is the one before.

    Raises:
        ValueError: they are not of the same sequence, or of other frames.
    """
    if first.name != second.name or len(first.ground_truth) != len(second.ground_truth):
        raise ValueError(
            f"two trackers are compared on the same sequence; expected {first.name} of {len(first.ground_truth)} "
            f"labelled frames from both, got {second.name} of {len(second.ground_truth)}"
        )
    switches = switches_of(first), switches_of(second)
    differences, both = [], 0
    for number, events in enumerate((second, first)):  # of each tracker the other one's events
        found = {
            (person, seen.frame): seen.found_as for person, row in _sightings(events).items() for seen in row
        }
        for switch in switches[number]:
            if any(switch.overlaps(other) for other in switches[1 - number]):
                both += number == 0
                continue
            before, after = (found.get((switch.person, s.frame)) for s in (switch.before, switch.after))
            differences.append(Difference(switch, number == 0, before, after))
    order = sorted(differences, key=lambda d: (d.switch.after.frame, d.switch.person, not d.first))
    return Comparison(first.name, tuple(order), both)


def _sightings(events: SequenceEvents) -> dict[int, list[Sighting]]:
    """By labelled track id, in the order of frames; the frames that MOT counts."""
    rows = np.flatnonzero(events.counted.any(axis=1) & (events.partner >= 0))
    partner = events.partner[rows]
    columns = (
        events.ground_truth.track_ids[rows],
        events.ground_truth.frame_index[rows],
        partner,
        events.prediction.track_ids[partner],
    )
    out: dict[int, list[Sighting]] = {}
    for person, frame, row, found_as in zip(*(c.tolist() for c in columns), strict=True):
        out.setdefault(person, []).append(Sighting(frame, row, found_as))
    return out
