"""Docstrings refer to what there is: a module, or a name in a module or a class, wherever that has moved."""

import ast
import re
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "fastpose_mtn"
FILE_ENDINGS = {"py", "json", "jsonl", "html", "yaml", "cfg", "txt", "npz", "parquet", "ckpt", "safetensors"}
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def names_within(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.id if isinstance(node, ast.Name) else node.attr)
    return names


def references(tree: ast.AST):
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            found = re.findall(
                r"``([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)(?:\(\))?``", ast.get_docstring(node) or ""
            )
            yield from (name for name in found if name.rpartition(".")[2] not in FILE_ENDINGS)


def test_what_docstrings_refer_to_exists():
    """``a.b`` of which a is a module, a folder or a class of the package: b is in it."""
    within: dict[str, set[str]] = {}
    bases: dict[str, list[str]] = {}
    for path, tree in TREES.items():
        own = path.parent if path.name == "__init__.py" else path.with_suffix("")
        within.setdefault(own.name, set()).update(names_within(tree))
        within.setdefault(own.parent.name, set()).add(own.name)
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                within.setdefault(node.name, set()).update(names_within(node))
                bases[node.name] = [ast.unparse(base).partition("[")[0] for base in node.bases]

    def has(place: str, name: str) -> bool:
        return name in within.get(place, ()) or any(has(base, name) for base in bases.get(place, ()))

    wrong = []
    for path, tree in TREES.items():
        for reference in references(tree):
            *places, name = reference.split(".")
            if places[0] in within and not has(places[-1], name):
                wrong.append(f"{path.relative_to(PACKAGE)}: {reference}")
    assert wrong == []
