"""The timeline of a sequence: who was found as whom, from frame to frame.

Written as SVG directly: it is bars and nothing else, and there is one a sequence. A plotting library
takes longer to draw them than the evaluation takes to find them.
"""

from __future__ import annotations

from collections.abc import Mapping

from fastpose_mtn.evaluation.report.charts import CHART_WIDTH, ROW_HEIGHT, name_width
from fastpose_mtn.evaluation.report.events import SequenceEvents, Track, tracks_of
from fastpose_mtn.evaluation.report.page import escape

NUM_COLOURS = 8  # the page's variables id0 to id7
_TOP, _BOTTOM, _RIGHT = 12, 46, 12  # margins, CSS pixels
_TICKS = 6


def timeline_chart(events: SequenceEvents, colours: Mapping[int, int], label: str) -> str:
    """Each labelled person as a row over the frames, coloured and numbered by whom it was found as.

    A thin line is a missed person, a triangle a switch of identity: large where the person became
    another, small where only some joints did. Below, predicted people who are nobody.

    Args:
        events: the sequence.
        colours: predicted track id to the number of its colour.
        label: what the chart shows, for those who cannot see it.
    """
    tracks = tracks_of(events)
    names = [f"person {t.track_id}" if t.labelled else f"nobody ({t.track_id})" for t in tracks]
    left, length = name_width(names), max(1, len(events.ground_truth))
    scale = (CHART_WIDTH - left - _RIGHT) / length  # pixels a frame
    bottom = _TOP + ROW_HEIGHT * max(1, len(tracks))
    parts = []
    for frame in range(0, length + 1, _tick_step(length)):
        x = left + frame * scale
        parts.append(f'<path d="M{x:.1f} {_TOP}V{bottom}" stroke="var(--grid)"/>')
        parts.append(_text(x, bottom + 16, str(frame), "middle", "muted"))
    parts.append(_text((left + CHART_WIDTH - _RIGHT) / 2, bottom + 36, "frame", "middle", "muted"))
    for row, (track, name) in enumerate(zip(tracks, names, strict=True)):
        middle = _TOP + ROW_HEIGHT * (row + 0.5)
        parts.append(_text(left - 6, middle + 4.5, name, "end", "ink"))
        parts += _bars(track, name, middle, left, scale, colours)
        parts += _switches(track, name, middle - 0.42 * ROW_HEIGHT, left, scale)
    return (
        f'<svg viewBox="0 0 {CHART_WIDTH} {bottom + _BOTTOM}" role="img" aria-label="{escape(label)}" font-size="13">'
        f"{''.join(parts)}</svg>"
    )


def _bars(
    track: Track, name: str, middle: float, left: float, scale: float, colours: Mapping[int, int]
) -> list[str]:
    parts = []
    for span in track.spans:
        missed = span.found_as is None
        height = ROW_HEIGHT * (0.12 if missed else 0.62 if track.labelled else 0.34)
        number = colours.get(-1 if span.found_as is None else span.found_as, 0) % NUM_COLOURS
        colour = "missed" if missed else f"id{number}" if track.labelled else "false"
        width = (span.last + 1 - span.first) * scale
        frames = f"frame {span.first}" if span.first == span.last else f"frames {span.first} to {span.last}"
        verdict = "missed" if missed else f"found as {span.found_as}" if track.labelled else "false"
        edge = "" if missed else ' stroke="var(--card)" stroke-width=".7"'
        x = left + span.first * scale
        parts.append(
            f'<rect x="{x:.1f}" y="{middle - height / 2:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'fill="var(--{colour})"{edge}><title>{escape(name)}, {frames}: {verdict}</title></rect>'
        )
        if track.labelled and not missed and width > 6.5 * len(str(span.found_as)) + 6:
            parts.append(_text(x + width / 2, middle + 3.7, str(span.found_as), "middle", "card", size=10))
    return parts


def _switches(track: Track, name: str, y: float, left: float, scale: float) -> list[str]:
    whole = {span.first for span in track.spans if span.switched}
    counts = dict(track.joint_switches)
    parts = []
    for frame in sorted(whole | counts.keys()):
        x, reach = left + frame * scale, 4.5 if frame in whole else 2.5
        parts.append(
            f'<path d="M{x - reach:.1f} {y - reach:.1f}h{2 * reach}l{-reach} {1.8 * reach:.1f}z" '
            f'fill="var(--switched)" stroke="var(--card)" stroke-width=".8"><title>{escape(name)}, frame {frame}: '
            f"{counts.get(frame, 0)} joints switch identity</title></path>"
        )
    return parts


def _text(x: float, y: float, text: str, anchor: str, colour: str, size: int | None = None) -> str:
    fixed = f' font-size="{size}"' if size else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="var(--{colour})"{fixed}>{escape(text)}</text>'


def _tick_step(length: int) -> int:
    """1, 2 or 5 times a power of ten, for at most six steps."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if length <= _TICKS * step * factor:
                return step * factor
        step *= 10
