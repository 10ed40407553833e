"""What every configuration key means: the comments beside its default, read from the source."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastpose_mtn.config.node import CfgNode

_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Key:
    """A key or a section of the configuration.

    Attributes:
        name: with dots.
        default: as it is written on a command line; None of a section.
        meaning: the comments above and beside its default.
    """

    name: str
    default: str | None
    meaning: str

    @property
    def section(self) -> str:
        """The section that the key is in, "" for the top level."""
        return self.name.rpartition(".")[0]


def reference(cfg: CfgNode) -> list[Key]:
    """Every key and section of a default configuration, sections before their keys."""
    comments: dict[str, str] = {}
    for path in (_PACKAGE / "config" / "defaults.py", *sorted(_PACKAGE.glob("systems/*/config.py"))):
        for name, text in comments_by_key(path.read_text(encoding="utf-8")).items():
            comments.setdefault(name, text)
    return list(_keys(cfg, comments, ""))


def comments_by_key(source: str) -> dict[str, str]:
    """The comments of a file's statements such as ``c.SOLVER.BASE_LR = 0.02``, by the key; "" without one.

    A comment is in whole lines right above the statement, or behind it. Of several statements the first counts.
    """
    beside: dict[int, str] = {}
    above: dict[int, str] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            kind = beside if token.line[:column].strip() else above
            kind[row] = token.string.lstrip("# ").strip()
    found: dict[str, str] = {}
    for node in ast.walk(ast.parse(source)):
        name = _key_of(node)
        if name is None or name in found or not isinstance(node, ast.Assign):
            continue
        lines = [
            text
            for row, text in sorted({**above, **beside}.items())
            if node.lineno <= row <= (node.end_lineno or 0)
        ]
        row = node.lineno - 1
        while row in above:
            lines.insert(0, above[row])
            row -= 1
        found[name] = " ".join(lines)
    return found


def _key_of(node: ast.AST) -> str | None:
    """``SOLVER.BASE_LR`` of the statement ``c.SOLVER.BASE_LR = 0.02``."""
    if not isinstance(node, ast.Assign) or len(node.targets) != 1:
        return None
    parts: list[str] = []
    target = node.targets[0]
    while isinstance(target, ast.Attribute):
        parts.insert(0, target.attr)
        target = target.value
    return ".".join(parts) if parts and isinstance(target, ast.Name) else None


def _keys(node: CfgNode, comments: Mapping[str, str], prefix: str) -> Iterator[Key]:
    inner: list[tuple[str, CfgNode]] = []
    for name, value in node.items():
        key = f"{prefix}{name}"
        if isinstance(value, CfgNode) and not value.is_new_allowed():
            inner.append((key, value))
        else:
            yield Key(key, _written(value), comments.get(key, ""))
    for key, value in inner:
        yield Key(key, None, comments.get(key, ""))
        yield from _keys(value, comments, f"{key}.")


def _written(value: object) -> str:
    """A value as YAML has it, in one line."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, float):
        return f"{value:g}" if value != round(value) else f"{value:.1f}"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {_written(inner)}' for name, inner in value.items())}}}"
    return str(value) if value != "" else '""'


def markdown(keys: Sequence[Key]) -> str:
    """A page of tables, one a section."""
    lines = [
        "# Configuration keys",
        "",
        "A key is set in a YAML file (`--config-file`, on top of the file's `_BASE_`) or at the end of a command line: "
        "`fastpose track clip.mp4 TRACKER.MIN_SCORE 0.5`. Names are Detectron2's where Detectron2 has the key; *ours* marks "
        "others. *Paper* is FastPose's. Defaults are those of no file, the paper's FastPose-50; packaged weights carry their own.",
        "",
        "This page is made by `fastpose keys --markdown > docs/configuration.md` from the comments in "
        "`fastpose_mtn/config/defaults.py` and `fastpose_mtn/systems/*/config.py`; `fastpose keys WORD` finds a key.",
    ]  # fmt: skip
    section = None
    for key in keys:
        if key.default is None:
            continue
        if key.section != section:
            section = key.section
            about = next((k.meaning for k in keys if k.name == section), "")
            lines += [
                "",
                f"## {section or 'At the top'}",
                "",
                *([f"{about[0].upper()}{about[1:]}.", ""] if about else []),
            ]
            lines += ["| key | default | meaning |", "|---|---|---|"]
        meaning = key.meaning.replace("|", "\\|")
        lines.append(f"| `{key.name.rpartition('.')[2]}` | `{key.default}` | {meaning} |")
    return "\n".join(lines) + "\n"
