"""The report's page: its style and its pieces of HTML. No script, nothing from outside the file."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f5f5f2; --card: #ffffff; --ink: #1b1d22; --muted: #5b5f69; --grid: #e3e3de; --shade: #0003;
  --ap: #1f5fc4; --mota: #b4500b;
  --missed: #c8323c; --shifted: #b98000; --false: #8a3fb5; --switched: #0e7f8c;
  --id0: #2b6cc4; --id1: #ad5f0c; --id2: #1f8050; --id3: #b3457f; --id4: #7558c4; --id5: #7d6b00;
  --id6: #0d7787; --id7: #8f5a32;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #121317; --card: #1b1d23; --ink: #eceef2; --muted: #a6abb6; --grid: #32353d; --shade: #000a;
    --ap: #7fb0ff; --mota: #ffab66;
    --missed: #ff7a7a; --shifted: #f2bd3d; --false: #cf93f2; --switched: #55cfdc;
    --id0: #6aa8ff; --id1: #f0a04b; --id2: #5cc992; --id3: #ec8bc1; --id4: #b3a0f5; --id5: #d6c24a;
    --id6: #58c6d6; --id7: #cf9a70;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
main, header, footer { max-width: 1160px; margin: 0 auto; padding: 0 16px; }
header { padding-top: 28px; }
h1 { font-size: clamp(1.5rem, 1.2rem + 1.6vw, 2.1rem); line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 36px 0 4px; }
h3 { font-size: 1rem; margin: 0 0 8px; overflow-wrap: anywhere; }
p { margin: 0 0 12px; max-width: 75ch; }
.muted { color: var(--muted); }
nav { margin: 10px 0 0; display: flex; flex-wrap: wrap; gap: 4px 18px; }
a { color: var(--ap); text-underline-offset: 3px; }
a:focus-visible, summary:focus-visible, .scroll:focus-visible { outline: 3px solid var(--ap); outline-offset: 2px; border-radius: 4px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(128px, 1fr)); gap: 12px; margin: 20px 0 8px; padding: 0; }
.tile { background: var(--card); border: 1px solid var(--grid); border-radius: 12px; padding: 12px 14px; margin: 0; }
.tile dt { color: var(--muted); font-size: .875rem; }
.tile dd { margin: 0; font-size: 1.65rem; font-weight: 650; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tile dd small { display: block; font-size: .8rem; font-weight: 400; color: var(--muted); line-height: 1.35; }
.tile.ap dd { color: var(--ap); } .tile.mota dd { color: var(--mota); }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 430px), 1fr)); gap: 16px; align-items: start; }
.card { background: var(--card); border: 1px solid var(--grid); border-radius: 12px; padding: 14px 16px; min-width: 0; }
.card + .card, .card + .grid, .grid + .card, .grid + .grid { margin-top: 16px; }
.grid > .card { margin-top: 0; }
svg { display: block; width: 100%; max-width: 500px; height: auto; margin: 0 auto; }
svg * { stroke-linejoin: round; }
svg text { font-family: inherit; font-variant-numeric: tabular-nums; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; list-style: none; padding: 0; margin: 0 0 10px; font-size: .9rem; }
.legend li { display: flex; align-items: center; gap: 7px; }
.key { inline-size: 12px; block-size: 12px; border-radius: 3px; flex: none; }
.key.dot { border-radius: 50%; } .key.diamond { transform: rotate(45deg) scale(.85); border-radius: 1px; }
.key.line { block-size: 3px; border-radius: 0; inline-size: 16px; }
.key.triangle { clip-path: polygon(0 10%, 100% 10%, 50% 95%); border-radius: 0; }
.key.ring { background: none; border: 3px solid; border-radius: 50%; }
.key.cross { clip-path: polygon(0 20%, 20% 0, 50% 30%, 80% 0, 100% 20%, 70% 50%, 100% 80%, 80% 100%, 50% 70%, 20% 100%, 0 80%, 30% 50%); border-radius: 0; }
.share { display: flex; block-size: 26px; border-radius: 6px; overflow: hidden; gap: 2px; margin: 6px 0 12px; }
.share span { min-inline-size: 2px; }
ul.facts { margin: 0 0 8px; padding-inline-start: 20px; max-width: 75ch; } ul.facts li { margin-bottom: 4px; }
.bar { display: inline-block; }
.scroll {
  overflow-x: auto;  /* a shadow at the right edge while there is more to the right, as the scroll bar may be hidden */
  background:
    linear-gradient(to left, var(--card) 50%, transparent) right / 48px 100% no-repeat local,
    linear-gradient(to left, var(--shade), transparent) right / 16px 100% no-repeat scroll;
}
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
p.note { color: var(--muted); font-size: .9rem; margin: 4px 0 2px; }
th, td { padding: 5px 8px; text-align: end; border-bottom: 1px solid var(--grid); white-space: nowrap; }
th:first-child, td:first-child { text-align: start; position: sticky; inset-inline-start: 0; background: var(--card); }
thead th { color: var(--muted); font-weight: 600; } tbody th { font-weight: 500; }
tr.total th, tr.total td { font-weight: 700; border-top: 2px solid var(--muted); }
details > summary { cursor: pointer; padding: 4px 0; }
details.card { padding: 8px 16px; } details.card[open] { padding-bottom: 14px; }
summary { overflow-wrap: anywhere; } summary .muted { display: inline-block; font-weight: 400; font-size: .9rem; }
details.card > summary { font-weight: 600; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr)); gap: 10px; }
figure { margin: 0; } figure img { display: block; width: 100%; height: auto; border-radius: 8px; background: #26262a; }
figcaption { font-size: .875rem; color: var(--muted); margin-top: 4px; }
ul.switches { list-style: none; padding: 0; margin: 10px 0 4px; display: grid; gap: 12px; grid-template-columns: repeat(auto-fill, minmax(186px, 1fr)); font-size: .875rem; }
.change { display: flex; align-items: center; gap: 6px; margin-bottom: 4px; } .change i { font-style: normal; color: var(--muted); }
.change b { min-inline-size: 1.1em; color: var(--switched); font-size: 1rem; text-align: end; }
.change img { display: block; border: 3px solid; border-radius: 8px; background: #26262a; }
ul.switches small { display: block; color: var(--muted); font-size: .8rem; }
.frame { margin-top: 16px; } h3 small { display: block; font-weight: 400; color: var(--muted); }
footer { padding-block: 28px 40px; color: var(--muted); font-size: .9rem; }
@media (max-width: 480px) {
  main, header, footer { padding-inline: 12px; } .card { padding: 12px; } .tiles { grid-template-columns: 1fr 1fr; }
}
@media print { .card, .tile, figure { break-inside: avoid; } body { background: none; } }
"""


def escape(text: object) -> str:
    """Text for HTML, attributes included."""
    return html.escape(str(text), quote=True)


def page(title: str, body: str) -> str:
    """The HTML file with this title and body."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def number(value: float, digits: int = 1) -> str:
    """A number for people: 1,234 or 56.7, a dash where there is none, a true minus sign."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}"
    return text.replace("-", "−")


def tile(name: str, value: str, note: str = "", kind: str = "") -> str:
    """One number of the header, with its name and a note below it."""
    small = f"<small>{escape(note)}</small>" if note else ""
    return f'<div class="tile {kind}"><dt>{escape(name)}</dt><dd>{escape(value)}{small}</dd></div>'


def legend(entries: Iterable[tuple[str, str, str]]) -> str:
    """Entries of text, colour variable and shape (square, dot, diamond, line, triangle, ring or cross)."""
    items = []
    for text, colour, shape in entries:
        paint = "border-color" if shape == "ring" else "background"
        key = f'<span class="key {shape}" style="{paint}:var(--{colour})"></span>'
        items.append(f"<li>{key}{escape(text)}</li>")
    return f'<ul class="legend">{"".join(items)}</ul>'


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]], total: bool = False) -> str:
    """A table whose first column names the row; it scrolls within itself where it is wider than the page.

    Args:
        caption: what it shows.
        columns: of the head.
        rows: texts.
        total: the last row sums up the others.
    """
    head = "".join(f'<th scope="col">{escape(c)}</th>' for c in columns)
    body = []
    for index, row in enumerate(rows):
        cells = f'<th scope="row">{escape(row[0])}</th>' + "".join(f"<td>{escape(c)}</td>" for c in row[1:])
        body.append(
            f'<tr class="total">{cells}</tr>' if total and index == len(rows) - 1 else f"<tr>{cells}</tr>"
        )
    return (
        f'<p class="note">{escape(caption)}</p><div class="scroll" tabindex="0" role="region" '
        f'aria-label="{escape(caption)}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def fold(summary: str, content: str, opened: bool = False, kind: str = "", note: str = "") -> str:
    """Content that unfolds at a click on its summary; ``kind`` is a CSS class."""
    aside = f' <span class="muted">{escape(note)}</span>' if note else ""
    return (
        f"<details{' open' if opened else ''}{f' class={kind!r}' if kind else ''}>"
        f"<summary>{escape(summary)}{aside}</summary>{content}</details>"
    )
