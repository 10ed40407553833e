"""What the Markdown files tell their readers to do: commands, Python, YAML, configuration keys and flags."""

from __future__ import annotations

import ast
import re
import shlex
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = sorted(
    [
        ROOT / "README.md",
        *(ROOT / "docs").glob("*.md"),
        ROOT / "datasets" / "README.md",
        *(ROOT / "configs").glob("*.md"),
    ]
)
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_KEY = re.compile(r"(?:[A-Z][A-Z0-9_]*\.)+[A-Z][A-Z0-9_]*")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_PYTHON = ("python", "python3")


@dataclass(frozen=True)
class Command:
    """A command of ours: ``place`` is its file, ``words`` begin with a script, ``-m`` and a module, or ``fastpose``.

    One in the text, ``inline``, may leave out what the reader knows by then.
    """

    place: str
    words: tuple[str, ...]
    inline: bool = False

    def __str__(self) -> str:
        return f"{self.place}: {' '.join(self.words)}"


def blocks(path: Path, *languages: str) -> list[str]:
    """The fenced blocks in these languages; "" is none."""
    return [text for language, text in _BLOCK.findall(path.read_text()) if language in languages]


def spans(path: Path) -> list[str]:
    """What stands between backticks in the text."""
    return _SPAN.findall(_BLOCK.sub("", path.read_text()))


def commands(path: Path) -> list[Command]:
    """Every command of ours, of blocks and of the text, with the shell's variables filled in."""
    found: list[Command] = []
    for block in blocks(path, "bash", "sh", ""):
        variables: dict[str, str] = {}
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.split("&&"):
                found += _command(path, part, variables)
    for span in spans(path):
        if span.split(" ")[0] in (*_PYTHON, "fastpose") and " " in span:
            found += [replace(command, inline=True) for command in _command(path, span, {})]
    return found


def _command(path: Path, line: str, variables: dict[str, str]) -> list[Command]:
    line = re.sub(r"^\s*export ", "", line)
    if assigned := _ASSIGNMENT.fullmatch(line.strip()):
        variables[assigned[1]] = (
            " ".join(shlex.split(assigned[2])) if " " not in line.strip() else _unquoted(assigned[2])
        )
        return []
    for name, value in variables.items():
        line = re.sub(rf"\$\{{?{name}\b\}}?", value.replace("\\", r"\\"), line)
    words = shlex.split(line, comments=True)
    while words and _ASSIGNMENT.fullmatch(words[0]):
        del words[0]
    if not words:
        return []
    program = Path(words[0]).name
    if program in _PYTHON and len(words) > 1 and words[1] not in ("-c", "-"):
        return [Command(path.relative_to(ROOT).as_posix(), tuple(words[1:]))]
    return (
        [Command(path.relative_to(ROOT).as_posix(), ("fastpose", *words[1:]))]
        if program == "fastpose"
        else []
    )


def _unquoted(value: str) -> str:
    value = value.strip()
    return value[1:-1] if value[:1] == value[-1:] and value[:1] in ("'", '"') else value


def keys(path: Path) -> list[list[str]]:
    """``[KEY]`` or ``[KEY, VALUE, ...]`` of each stretch of code that begins with a configuration key."""
    out = []
    for span in spans(path):
        words = shlex.split(span) if span.count("'") % 2 == 0 and span.count('"') % 2 == 0 else span.split()
        if words and _KEY.fullmatch(words[0].rstrip(",;")):
            out.append(words)
    return out


@cache
def declared_flags() -> frozenset[str]:
    """Every flag that a parser of the repository has: the first arguments of calls that begin with two strokes."""
    flags = {"--help", "--version"}
    files = [
        *(ROOT / "fastpose_mtn").rglob("*.py"),
        *(ROOT / "benchmarks").glob("*.py"),
        *(ROOT / "datasets").glob("*.py"),
    ]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                flags |= {a.value for a in node.args if isinstance(a, ast.Constant) and _is_flag(a.value)}
    return frozenset(flags)


def _is_flag(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"--[a-z][a-z0-9-]*", value) is not None


def named_flags(text: str) -> set[str]:
    """The flags that a text speaks of."""
    return set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", text))


def texts_of_package() -> dict[str, str]:
    """The strings of each module that its user may read: messages and help, not documentation."""
    out = {}
    for file in sorted((ROOT / "fastpose_mtn").rglob("*.py")):
        tree = ast.parse(file.read_text())
        docs = {id(body[0].value) for node in ast.walk(tree) if (body := getattr(node, "body", None))
                and isinstance(body, list) and isinstance(body[0], ast.Expr)}  # fmt: skip
        out[file.relative_to(ROOT).as_posix()] = "\n".join(
            node.value for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
        )  # fmt: skip
    return out
