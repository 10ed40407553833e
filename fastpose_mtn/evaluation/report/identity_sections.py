"""The report's sections about identities: timelines with their switches, similarities, and two trackers compared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastpose_mtn.evaluation.posetrack.results import PoseTrackMetrics, PoseTrackResult
from fastpose_mtn.evaluation.report.charts import similarity_chart
from fastpose_mtn.evaluation.report.events import SequenceEvents, identity_colours, tracks_of
from fastpose_mtn.evaluation.report.frames import identity_colour
from fastpose_mtn.evaluation.report.identities import Comparison, Difference, Switch, compare, switches_of
from fastpose_mtn.evaluation.report.page import escape, fold, legend, number
from fastpose_mtn.evaluation.report.similarities import (
    Embeddings,
    Similarities,
    SimilarityHistogram,
    similarity_histogram,
)
from fastpose_mtn.evaluation.report.thumbnails import THUMBNAIL_WH, Thumbnails
from fastpose_mtn.evaluation.report.timeline import (
    NUM_COLOURS,
    Lane,
    most_telling,
    timeline_chart,
    track_name,
)

OPEN_TIMELINES = 4  # of the worst sequences; the others unfold at a click
MOST_ROWS = 40  # of a timeline
MOST_SWITCHES, MOST_SWITCHES_IN_ALL = 12, 60  # that are pictured, of a sequence and of the report: 10 KB each
MOST_DIFFERENCES, MOST_DIFFERENCES_IN_ALL = 8, 40  # likewise

_SIZE = f'width="{THUMBNAIL_WH[0] * 2 // 3}" height="{THUMBNAIL_WH[1] * 2 // 3}"'


@dataclass(frozen=True, eq=False)
class OtherTracker:
    """What another tracker made of the same people.

    Attributes:
        names: of the report's tracker and of the other one.
        result: of the other one, on the same sequences.
    """

    names: tuple[str, str]
    result: PoseTrackResult


def timelines(
    by_name: Mapping[str, PoseTrackMetrics],
    events: Sequence[SequenceEvents],
    similarities: Similarities,
    thumbnails: Thumbnails,
) -> str:
    """Each sequence's timeline, and below it the person before and after each switch."""
    cards, room = [], MOST_SWITCHES_IN_ALL
    for place, e in enumerate(events):
        tracks, switches = tracks_of(e), switches_of(e)
        shown, colours = most_telling(tracks, MOST_ROWS), identity_colours(e)
        own = {track.track_id for track in shown if track.labelled}
        pictured = [s for s in switches if s.person in own][: min(MOST_SWITCHES, room)]
        room -= len(pictured)
        numbers: dict[int, dict[int, int]] = {}
        for count, switch in enumerate(pictured, start=1):
            numbers.setdefault(switch.person, {})[switch.after.frame] = count
        lanes = [
            Lane(t, track_name(t), colours, numbers.get(t.track_id, {}) if t.labelled else {}) for t in shown
        ]
        joints = int(e.switched.sum())
        label = f"Timeline of {e.name}: who was found as whom in each frame; {joints} joints switched"
        vectors = similarities.embeddings.get(e.name)
        pictures = [
            _switch_card(e, switch, count, vectors, colours, thumbnails)
            for count, switch in enumerate(pictured, start=1)
        ]
        content = (
            timeline_chart(lanes, len(e.ground_truth), label)
            + _left_out(len(shown), len(tracks), "rows", "those with most switches, then those seen longest")
            + _list(pictures)
            + _left_out(len(pictured), len(switches), "switches of whole people", "the first", pictures=True)
        )
        note = f"MOTA {number(by_name[e.name].total('mota'))}, switches of joints {number(joints)}, of people {number(len(switches))}"
        cards.append(fold(e.name, content, opened=place < OPEN_TIMELINES, kind="card", note=note))
    key = legend([
        ("found (a colour for each predicted identity)", "id0", "square"), ("missed", "missed", "line"),
        ("identity switches (small: of some joints only)", "switched", "triangle"), ("predicted, but nobody", "false", "square"),
    ])  # fmt: skip
    plain = (
        " Where a frame's image was not found, people are drawn on a plain ground."
        if thumbnails.plain
        else ""
    )
    return (
        '<h2 id="timelines">Timelines</h2><p class="muted">A row is a labelled person, a change of colour a change of identity. '
        "Rest the pointer on a bar to read it. Below a timeline is each switching person as last seen under the old "
        f'identity and first seen under the new.{plain}</p>{key}<div class="grid">{"".join(cards)}</div>'
    )


def similarity_section(events: Sequence[SequenceEvents], similarities: Similarities) -> str:
    """Histograms of the embeddings' similarities, or what it takes to have them."""
    heading = '<h2 id="similarities">Similarities</h2>'
    if similarities.lacking:
        return f'{heading}<p class="muted">{escape(similarities.lacking)}</p>'
    histogram = SimilarityHistogram.none()
    for e in events:
        if e.name in similarities.embeddings:
            histogram += similarity_histogram(e, similarities.embeddings[e.name])
    same, different = int(histogram.same.sum()), int(histogram.different.sum())
    if not same and not different:
        return f'{heading}<p class="muted">No two people with valid embeddings were found.</p>'
    probability = histogram.rank_probability
    told = (
        ""
        if math.isnan(probability)
        else f" Two of one person are more alike than two of different people in {100 * probability:.1f} % of cases."
    )
    key = legend([
        (f"same person, {number(same)} pairs", "ap", "square"), (f"different people, {number(different)} pairs", "mota", "square"),
    ])  # fmt: skip
    chart = similarity_chart(
        histogram.same, histogram.different, "Similarities of the same person and of different people"
    )
    return (
        f'{heading}<p class="muted">Of the embeddings of any two found people of a sequence, as the tracker compares them: 1 is equal, '
        f"0 as unlike as unrelated people; people of whom too little is visible are left out.{told}</p>"
        f'<section class="card">{key}{chart}</section>'
    )


def difference_section(events: Sequence[SequenceEvents], other: OtherTracker, thumbnails: Thumbnails) -> str:
    """Where the report's tracker and another decide differently, on the same people.

    Raises:
        ValueError: the other one's sequences are not the same.
    """
    ours, theirs = other.names
    title = f'<h2 id="differences">Where {escape(ours)} and {escape(theirs)} differ</h2>'
    pairs = _pairs(events, other)
    counts = [sum(c.count(first) for _, _, c in pairs) for first in (True, False)]
    both = sum(c.both for _, _, c in pairs)
    cards, room = [], MOST_DIFFERENCES_IN_ALL
    ordered = sorted(pairs, key=lambda pair: (-len(pair[2].differences), pair[2].name))
    for place, (first, second, comparison) in enumerate(p for p in ordered if p[2].differences):
        pictured = comparison.differences[: min(MOST_DIFFERENCES, room)]
        room -= len(pictured)
        lanes, people = _lanes(first, second, comparison, pictured, other.names)
        content = (
            timeline_chart(
                lanes, len(first.ground_truth), f"Timelines of {comparison.name} by {ours} and by {theirs}"
            )
            + _left_out(len(lanes) // 2, people, "people", "the first of whom the two differ")
            + _list([
                _difference_card(first if d.first else second, d, count, other.names, thumbnails)
                for count, d in enumerate(pictured, start=1)
            ])
            + _left_out(len(pictured), len(comparison.differences), "differences", "the first", pictures=True)
        )  # fmt: skip
        note = (
            f"{comparison.count(True)} switches of {ours} alone, {comparison.count(False)} of {theirs} alone"
        )
        cards.append(fold(comparison.name, content, opened=place < OPEN_TIMELINES, kind="card", note=note))
    told = (
        f"Both saw the same people. Switches of {ours} alone: {number(counts[0])}, of {theirs} alone: "
        f"{number(counts[1])}, of both: {number(both)}. "
    )
    told += (
        "Each person on whom they differ has a row by each, and each switch of one alone its pictures."
        if cards
        else "Nowhere do they differ."
    )
    return f'{title}<p class="muted">{escape(told)}</p><div class="grid">{"".join(cards)}</div>'


def _pairs(
    events: Sequence[SequenceEvents], other: OtherTracker
) -> list[tuple[SequenceEvents, SequenceEvents, Comparison]]:
    theirs = {sequence.name: sequence for sequence in other.result.sequences}
    if {e.name for e in events} != theirs.keys():
        raise ValueError(
            f"two trackers are compared on the same sequences; expected {', '.join(sorted(e.name for e in events))} "
            f"of {other.names[1]} too, got {', '.join(sorted(theirs)) or 'none'}"
        )
    pairs = [(e, SequenceEvents.from_result(theirs[e.name])) for e in events]
    return [(first, second, compare(first, second)) for first, second in pairs]


def _lanes(
    first: SequenceEvents,
    second: SequenceEvents,
    comparison: Comparison,
    pictured: Sequence[Difference],
    names: tuple[str, str],
) -> tuple[list[Lane], int]:
    """Two rows for each person whom two trackers follow differently, and how many such people there are."""
    people = list(dict.fromkeys(d.switch.person for d in comparison.differences))
    sides = [
        ({t.track_id: t for t in tracks_of(e) if t.labelled}, identity_colours(e)) for e in (first, second)
    ]
    lanes = []
    for person in people[: MOST_ROWS // 2]:
        for side, ((tracks, colours), name) in enumerate(zip(sides, names, strict=True)):
            numbers = {
                d.switch.after.frame: count
                for count, d in enumerate(pictured, start=1)
                if d.switch.person == person and d.first == (side == 0)
            }
            lanes.append(Lane(tracks[person], f"{person} {name}", colours, numbers))
    return lanes, len(people)


def _switch_card(
    events: SequenceEvents,
    switch: Switch,
    count: int,
    embeddings: Embeddings | None,
    colours: Mapping[int, int],
    thumbnails: Thumbnails,
) -> str:
    similarity = (
        math.nan if embeddings is None else embeddings.similarity(switch.before.row, switch.after.row)
    )
    alike = "" if math.isnan(similarity) else f", similarity {similarity:.2f}"
    text = f"<small>{_frames(switch)}{alike}</small>"
    return _before_and_after(events, switch, count, text, colours, thumbnails)


def _difference_card(
    events: SequenceEvents,
    difference: Difference,
    count: int,
    names: tuple[str, str],
    thumbnails: Thumbnails,
) -> str:
    who, other = (escape(name) for name in (names if difference.first else names[::-1]))
    before, after = (
        "missed" if i is None else str(i) for i in (difference.other_before, difference.other_after)
    )
    there = f"{other} keeps {before}" if before == after else f"{other}: {before} → {after}"
    text = f" by {who} <small>{_frames(difference.switch)}; {there}</small>"
    return _before_and_after(events, difference.switch, count, text, identity_colours(events), thumbnails)


def _before_and_after(
    events: SequenceEvents,
    switch: Switch,
    count: int,
    text: str,
    colours: Mapping[int, int],
    thumbnails: Thumbnails,
) -> str:
    pictures = []
    for when, seen in (("before", switch.before), ("after", switch.after)):
        colour = identity_colour(colours, seen.found_as)
        address = thumbnails.draw(events, seen.row, colour)
        border = f"border-color:var(--id{colours[seen.found_as] % NUM_COLOURS})"
        alt = escape(
            f"Person {switch.person} {when} switch {count} of {events.name}, found as {seen.found_as}"
        )
        pictures.append(f'<img src="{address}" {_SIZE} style="{border}" alt="{alt}">')
    return (
        f'<li><div class="change"><b>{count}</b>{"<i>→</i>".join(pictures)}</div>'
        f"<div>person {switch.person}: {switch.before.found_as} → {switch.after.found_as}{text}</div></li>"
    )


def _frames(switch: Switch) -> str:
    return f"frame {switch.before.frame} → {switch.after.frame}"


def _list(items: Sequence[str]) -> str:
    return f'<ul class="switches">{"".join(items)}</ul>' if items else ""


def _left_out(shown: int, total: int, what: str, which: str, pictures: bool = False) -> str:
    if shown >= total:
        return ""
    verb = "are pictured" if pictures else "are shown"
    return f'<p class="note">{number(shown)} of {number(total)} {what} {verb}: {which}.</p>'
