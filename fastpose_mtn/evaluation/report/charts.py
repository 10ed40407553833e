"""The report's charts, by matplotlib, as SVG that takes its colours and its font from the page.

Charts are drawn with stand-in colours, which are then replaced by the page's CSS variables: one
drawing serves the light and the dark scheme. Sizes are CSS pixels; ``CHART_WIDTH`` is chosen so that
text stays readable when a phone shrinks a chart to its width and a desktop stretches it.
"""

from __future__ import annotations

import hashlib
import html
import io
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fastpose_mtn.evaluation.report.events import JointErrors
from fastpose_mtn.evaluation.report.page import number

CHART_WIDTH = 400  # CSS pixels
ROW_HEIGHT = 22  # CSS pixels
_HISTOGRAM_BARS = 40

# CSS variable -> stand-in. The stand-ins differ from all that matplotlib draws of itself.
_VARIABLES = (
    "ink", "muted", "grid", "card", "ap", "mota", "missed", "shifted", "false", "switched",
)  # fmt: skip
_STAND_IN = {name: f"#{i + 1:02x}{i + 1:02x}{0xF1:02x}" for i, name in enumerate(_VARIABLES)}

ERROR_KINDS = ("missed", "shifted", "false", "switched")

_STYLE: dict[Any, Any] = {  # matplotlib names the type of its keys differently from version to version
    "svg.fonttype": "none",  # text stays text: the page's font, and readable by machines
    "svg.hashsalt": "report",  # the same chart, the same bytes
    "text.usetex": False,
    "text.parse_math": False,  # a sequence may be called $x$
    "font.size": 13,
    "text.color": _STAND_IN["ink"],
    "axes.labelcolor": _STAND_IN["muted"],
    "xtick.color": _STAND_IN["muted"],
    "ytick.color": _STAND_IN["ink"],
    "axes.edgecolor": _STAND_IN["grid"],
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "hatch.color": _STAND_IN["card"],
}


def score_chart(
    rows: Sequence[tuple[str, float, float]], label: str, lowest: float = 0.0, emphasise_last: bool = False
) -> str:
    """AP and MOTA of joints or sequences: a dot and a diamond a row, the numbers beside them.

    Args:
        rows: name, AP and MOTA in percent; NaN where there is none.
        label: what the chart shows, for those who cannot see it.
        lowest: the axis reaches down to this score at least, and to the lowest of the rows; never below -100.
        emphasise_last: draws the last row, the total, apart.
    """
    values = np.array([row[1:] for row in rows], float)
    lowest = float(np.nanmin(values, initial=min(lowest, 0.0)))
    low = max(-100.0, 25 * np.floor(lowest / 25))
    with rc_context(_STYLE):
        names = [_shorten(row[0]) for row in rows]
        figure, axes = _row_axes(names, right=104, top=30, bottom=26)
        for y, (_, ap, mota) in enumerate(rows):
            if np.isfinite(ap) and np.isfinite(mota):
                ends = sorted((max(ap, low), max(mota, low)))
                axes.plot(
                    ends, [y, y], color=_STAND_IN["grid"], linewidth=4, zorder=1, solid_capstyle="round"
                )
            for value, marker, colour, size in ((ap, "o", "ap", 8), (mota, "D", "mota", 7)):
                if np.isfinite(value):
                    axes.plot([max(value, low)], [y], marker=marker, color=_STAND_IN[colour], markersize=size,
                              markeredgecolor=_STAND_IN["card"], markeredgewidth=1, zorder=3, clip_on=False)  # fmt: skip
            weight = "bold" if emphasise_last and y == len(rows) - 1 else "normal"
            for value, place in ((ap, 54), (mota, 104)):
                axes.annotate(
                    number(value), (1, y), (place, 0), weight=weight,
                    xycoords=axes.get_yaxis_transform(), textcoords="offset pixels", ha="right", va="center",
                )  # fmt: skip
        for text, place, colour in (("AP", 54, "ap"), ("MOTA", 104, "mota")):
            axes.annotate(text, (1, 1), (place, 10), xycoords="axes fraction", textcoords="offset pixels",
                          ha="right", va="bottom", color=_STAND_IN[colour], weight="bold")  # fmt: skip
        if emphasise_last:
            axes.axhline(len(rows) - 1.5, color=_STAND_IN["muted"], linewidth=1)
        axes.set_xlim(low, 100)
        axes.set_xticks(np.arange(low, 101, 25 if low > -50 else 50))
        if low < 0:
            axes.axvline(0, color=_STAND_IN["muted"], linewidth=1, zorder=0)
        return _svg(figure, label)


def error_chart(names: Sequence[str], errors: JointErrors, label: str) -> str:
    """Errors of each joint per 100 labelled ones, by kind."""
    labelled = np.maximum(errors.labelled, 1)
    with rc_context(_STYLE):
        figure, axes = _row_axes(names, right=48, top=12)
        left = np.zeros(len(names))
        for kind in ERROR_KINDS:
            width = 100 * getattr(errors, kind) / labelled
            axes.barh(np.arange(len(names)), width, left=left, height=0.68, color=_STAND_IN[kind],
                      edgecolor=_STAND_IN["card"], linewidth=0.6)  # fmt: skip
            left += width
        for y, total in enumerate(left):
            axes.annotate(f"{total:.1f}", (1, y), (46, 0), xycoords=axes.get_yaxis_transform(),
                          textcoords="offset pixels", ha="right", va="center")  # fmt: skip
        axes.set_xlim(0, max(5.0, float(left.max(initial=0)) * 1.02))
        axes.set_xlabel("errors per 100 labelled joints")
        return _svg(figure, label)


def similarity_chart(same: np.ndarray, different: np.ndarray, label: str) -> str:
    """Two histograms over similarities 0 to 1, each of area 1, laid over one another.

    Args:
        same: (B,) counts of pairs of one person, in bins of equal width.
        different: (B,) of pairs of two people.
        label: what the chart shows, for those who cannot see it.
    """
    with rc_context(_STYLE):
        figure = Figure(figsize=(CHART_WIDTH / 72, 200 / 72), dpi=72)
        axes = figure.add_axes((0.04, 0.24, 0.92, 0.72))
        for counts, colour in ((different, "mota"), (same, "ap")):
            coarse = counts.reshape(_HISTOGRAM_BARS, -1).sum(axis=1)
            share = coarse / max(1, coarse.sum())
            axes.stairs(
                share, np.linspace(0, 1, _HISTOGRAM_BARS + 1), fill=True, color=_STAND_IN[colour], alpha=0.3
            )
            axes.stairs(share, np.linspace(0, 1, _HISTOGRAM_BARS + 1), color=_STAND_IN[colour], linewidth=2)
        axes.set_xlim(0, 1)
        axes.set_ylim(bottom=0)
        axes.set_yticks([])
        axes.set_xticks(np.linspace(0, 1, 6))
        axes.set_xlabel("similarity of appearance")
        axes.tick_params(length=0, pad=6)
        axes.grid(axis="x", color=_STAND_IN["grid"], linewidth=1)
        axes.set_axisbelow(True)
        for side in ("top", "left", "right"):
            axes.spines[side].set_visible(False)
        return _svg(figure, label)


def _row_axes(names: Sequence[str], right: int, top: int, bottom: int = 46) -> tuple[Figure, Axes]:
    """A chart of one row a name, with margins in CSS pixels: names left, ``right`` for numbers."""
    left = name_width(names)
    height = ROW_HEIGHT * max(1, len(names))
    figure = Figure(figsize=(CHART_WIDTH / 72, (top + height + bottom) / 72), dpi=72)
    total = top + height + bottom
    axes = figure.add_axes(
        (left / CHART_WIDTH, bottom / total, (CHART_WIDTH - left - right) / CHART_WIDTH, height / total)
    )
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0, pad=6)
    axes.grid(axis="x", color=_STAND_IN["grid"], linewidth=1)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)
    return figure, axes


def name_width(names: Sequence[str]) -> float:
    """Room for the rows' names, CSS pixels."""
    return 14 + 7.4 * max([len(name) for name in names], default=4)


def _svg(figure: Figure, label: str) -> str:
    """The figure as an SVG element for a page: named, scaling, in the page's colours and font."""
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # matplotlib's own font lacks many scripts; text stays text, which the page's font shows
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(
            buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    source = buffer.getvalue()
    source = source[source.index("<svg") :]
    source = re.sub(r"<metadata>.*?</metadata>", "", source, flags=re.DOTALL)
    for name, colour in _STAND_IN.items():
        source = source.replace(colour, f"var(--{name})")
    # Ids must be unique on the page; matplotlib numbers each figure's parts from 1.
    prefix = f"c{_fingerprint(source)}-"
    source = re.sub(r'\bid="', f'id="{prefix}', source)
    source = re.sub(r"url\(#", f"url(#{prefix}", source)
    source = re.sub(r'href="#', f'href="#{prefix}', source)
    source = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", source, count=1, flags=re.DOTALL)
    source = re.sub(r" font-family: [^;\"]*;?", "", source)
    view = re.search(r'viewBox="([^"]+)"', source)
    opening = f'<svg viewBox="{view.group(1) if view else ""}" role="img" aria-label="{html.escape(label)}">'
    return re.sub(r"<svg[^>]*>", opening, source, count=1).replace("\n", "")


def _fingerprint(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:8]


def _shorten(name: str, length: int = 21) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"
