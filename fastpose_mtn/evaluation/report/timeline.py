"""The timeline of a sequence: who was found as whom, from frame to frame.

Written as SVG directly: it is bars and nothing else, and there is one a sequence. A plotting library
takes longer to draw them than the evaluation takes to find them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fastpose_mtn.evaluation.report.charts import CHART_WIDTH, name_width
from fastpose_mtn.evaluation.report.events import Track
from fastpose_mtn.evaluation.report.page import escape

NUM_COLOURS = 8  # the page's variables id0 to id7
ROW_HEIGHT = 24  # CSS pixels
_TOP, _BOTTOM, _RIGHT = 12, 46, 12  # margins, CSS pixels
_TICKS = 6


@dataclass(frozen=True)
class Lane:
    """A row of a timeline.

    Attributes:
        track: what it shows.
        name: its label.
        colours: predicted track id to the number of its colour.
        numbers: frames of switches of the whole person to the numbers that they go by.
    """

    track: Track
    name: str
    colours: Mapping[int, int]
    numbers: Mapping[int, int] = field(default_factory=dict)


def most_telling(tracks: Sequence[Track], most: int) -> list[Track]:
    """At most so many of the tracks, in their order: those of most switches, of people before nobodies, of most frames."""
    ranked = sorted(
        range(len(tracks)),
        key=lambda i: (
            -sum(span.switched for span in tracks[i].spans),
            not tracks[i].labelled,
            -sum(span.last + 1 - span.first for span in tracks[i].spans),
        ),
    )
    return [tracks[i] for i in sorted(ranked[:most])]


def track_name(track: Track) -> str:
    """What a track is called beside its row."""
    return f"person {track.track_id}" if track.labelled else f"nobody ({track.track_id})"


def timeline_chart(lanes: Sequence[Lane], length: int, label: str) -> str:
    """Each lane as a row over the frames, coloured and numbered by whom the person was found as.

    A thin line is a missed person, a triangle a switch of identity: large where the person became
    another, small where only some joints did.

    Args:
        lanes: the rows, from the top.
        length: frames of the sequence.
        label: what the chart shows, for those who cannot see it.
    """
    left, length = name_width([lane.name for lane in lanes]), max(1, length)
    scale = (CHART_WIDTH - left - _RIGHT) / length  # pixels a frame
    bottom = _TOP + ROW_HEIGHT * max(1, len(lanes))
    parts = []
    for frame in range(0, length + 1, _tick_step(length)):
        x = left + frame * scale
        parts.append(f'<path d="M{x:.1f} {_TOP}V{bottom}" stroke="var(--grid)"/>')
        parts.append(_text(x, bottom + 16, str(frame), "middle", "muted"))
    parts.append(_text((left + CHART_WIDTH - _RIGHT) / 2, bottom + 36, "frame", "middle", "muted"))
    for row, lane in enumerate(lanes):
        middle = _TOP + ROW_HEIGHT * (row + 0.5)
        parts.append(_text(left - 6, middle + 4.5, lane.name, "end", "ink"))
        parts += _bars(lane, middle + 1.5, left, scale)
        parts += _switches(lane, middle - 0.42 * ROW_HEIGHT, left, scale)
    return (
        f'<svg viewBox="0 0 {CHART_WIDTH} {bottom + _BOTTOM}" role="img" aria-label="{escape(label)}" font-size="13">'
        f"{''.join(parts)}</svg>"
    )


def _bars(lane: Lane, middle: float, left: float, scale: float) -> list[str]:
    parts = []
    for span in lane.track.spans:
        missed = span.found_as is None
        height = 2.5 if missed else 13 if lane.track.labelled else 7.5
        number = lane.colours.get(-1 if span.found_as is None else span.found_as, 0) % NUM_COLOURS
        colour = "missed" if missed else f"id{number}" if lane.track.labelled else "false"
        width = (span.last + 1 - span.first) * scale
        frames = f"frame {span.first}" if span.first == span.last else f"frames {span.first} to {span.last}"
        verdict = "missed" if missed else f"found as {span.found_as}" if lane.track.labelled else "false"
        edge = "" if missed else ' stroke="var(--card)" stroke-width=".7"'
        x = left + span.first * scale
        parts.append(
            f'<rect x="{x:.1f}" y="{middle - height / 2:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'fill="var(--{colour})"{edge}><title>{escape(lane.name)}, {frames}: {verdict}</title></rect>'
        )
        if lane.track.labelled and not missed and width > 6.5 * len(str(span.found_as)) + 6:
            parts.append(_text(x + width / 2, middle + 3.7, str(span.found_as), "middle", "card", size=10))
    return parts


def _switches(lane: Lane, y: float, left: float, scale: float) -> list[str]:
    whole = {span.first for span in lane.track.spans if span.switched}
    counts = dict(lane.track.joint_switches)
    parts = []
    for frame in sorted(whole | counts.keys()):
        x, reach = left + frame * scale, 4.5 if frame in whole else 2.5
        parts.append(
            f'<path d="M{x - reach:.1f} {y - reach:.1f}h{2 * reach}l{-reach} {1.8 * reach:.1f}z" '
            f'fill="var(--switched)" stroke="var(--card)" stroke-width=".8"><title>{escape(lane.name)}, frame {frame}: '
            f"{counts.get(frame, 0)} joints switch identity</title></path>"
        )
    free = 0.0  # where the next number may begin: one over another is neither
    # last and with a rim: triangles of joints may stand close by
    for frame, count in sorted(lane.numbers.items()):
        x = left + frame * scale + 5.5
        if x < free:
            continue
        free = x + 6.5 * len(str(count)) + 5
        halo = ' stroke="var(--card)" stroke-width="3" paint-order="stroke" font-weight="700"'
        parts.append(_text(x, y + 2.5, str(count), "start", "switched", size=10, more=halo))
    return parts


def _text(
    x: float, y: float, text: str, anchor: str, colour: str, size: int | None = None, more: str = ""
) -> str:
    fixed = f' font-size="{size}"{more}' if size else more
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="var(--{colour})"{fixed}>{escape(text)}</text>'


def _tick_step(length: int) -> int:
    """1, 2 or 5 times a power of ten, for at most six steps."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if length <= _TICKS * step * factor:
                return step * factor
        step *= 10
