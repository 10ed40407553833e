"""Imports go one way: from rooms below to rooms above, on no circle, and ``detectron2`` in its own folder only."""

import ast
import re
from collections.abc import Iterator
from configparser import ConfigParser
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from fastpose_mtn.registry import SYSTEMS

PACKAGE = Path(__file__).parents[1] / "fastpose_mtn"
LAYERS = (
    {
        "structures", "joint_names", "skeletons", "protocols", "system_protocols", "registry", "version", "errors", "arguments", "command_line", "files",
        "hosts", "libraries", "available_memory", "array_checks", "ops", "config",
    },
    {"modeling", "data", "tracking", "visualization"},
    {"runtime", "checkpoints", "estimators"},
    {"systems", "evaluation"},
    {"build"},
    {"video", "engine", "detectron2", "deploy", "corpus"},
    {"commands", "export", "api", "__init__", "__main__"},
)  # fmt: skip
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}


def is_left_out(node: ast.stmt) -> bool:
    """What does not make one room need another to run.

    ``if __name__ == "__main__":`` hands a module's command line to ``commands``; ``if TYPE_CHECKING:`` is for annotations.
    """
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("__name__ == '__main__'", "TYPE_CHECKING")


def imports_of(source: str, package: str = "fastpose_mtn") -> Iterator[tuple[int, str]]:
    """Line and dotted name of whatever a file imports from a package, within functions too."""
    tree = ast.parse(source)
    kept = [node for node in tree.body if not is_left_out(node)]
    for node in ast.walk(ast.Module(kept, [])):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from ((node.lineno, name) for name in names if f"{name}.".startswith(f"{package}."))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def rooms_imported(path: Path) -> Iterator[tuple[int, str]]:
    for line, name in imports_of(path.read_text(encoding="utf-8")):
        parts = name.split(".")
        yield line, parts[1] if len(parts) > 1 and parts[1] in LEVEL else "__init__"


FILES = sorted(PACKAGE.rglob("*.py"))


def test_every_room_has_a_level():
    assert {room(path) for path in FILES} <= set(LEVEL)


def test_the_drawn_house_has_every_room_on_its_floor():
    """``docs/architecture.svg``, from the top: folders, each in the row of its level."""
    picture = (PACKAGE.parent / "docs" / "architecture.svg").read_text(encoding="utf-8")
    rows = [set(title.split(" · ")) for title in re.findall(r'font-weight="bold"[^>]*>([^<]*)<', picture)]
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} - {
        "export"
    }  # a command's old name
    assert folders <= set().union(*rows)
    assert [row & folders for row in rows] == [rooms & folders for rooms in reversed(LAYERS)]


def test_no_import_climbs():
    climbs = [
        f"{path.relative_to(PACKAGE)}:{line} imports {other}"
        for path in FILES
        for line, other in rooms_imported(path)
        if LEVEL[other] > LEVEL[room(path)]
    ]
    assert climbs == []


def test_no_rooms_import_each_other_on_a_circle():
    graph: dict[str, set[str]] = {}
    for path in FILES:
        own = room(path)
        graph.setdefault(own, set()).update(other for _, other in rooms_imported(path) if other != own)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"rooms on a circle: {error.args[1]}")


def test_detectron2_is_imported_in_its_own_folder_only():
    strays = [
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in FILES
        if room(path) != "detectron2"
        for line, _ in imports_of(path.read_text(encoding="utf-8"), "detectron2")
    ]
    assert strays == []


# Detectron2 builds FastPose's network of its own parts, and its registry has the name of its own network.
KNOW_SYSTEMS = {"systems", "registry", "config", "detectron2"}


def systems_by_name(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of the systems that a file imports from or asks for by their names in the configuration."""
    for line, name in imports_of(source):
        if f"{name}.".startswith("fastpose_mtn.systems."):
            yield line, name
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and node.value in SYSTEMS._builtin:
            yield node.lineno, node.value


def test_systems_are_known_by_their_seams_only():
    strays = [
        f"{path.relative_to(PACKAGE)}:{line} {name}"
        for path in FILES
        if room(path) not in KNOW_SYSTEMS
        for line, name in systems_by_name(path.read_text(encoding="utf-8"))
    ]
    assert strays == []
    switch = "if name == 'PoseDet':\n    from fastpose_mtn.systems.posedet.network import PoseDet"
    assert [line for line, _ in systems_by_name(switch)] == [2, 1]


def private_names(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of what a file uses of PyTorch's and timm's without documentation, such as ``torch._foreach_norm``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node)
        elif isinstance(node, ast.ImportFrom) and node.module:
            name = node.module
        else:
            continue
        if re.match(r"(torch|nn|timm|torchvision|lightning)\b(\.[a-z]\w*)*\._(?!_)", name):
            yield node.lineno, name


def test_undocumented_parts_of_libraries_are_used_in_one_place():
    strays = [
        f"{path.relative_to(PACKAGE)}:{line} {name}"
        for path in FILES
        if path != PACKAGE / "runtime" / "compat.py"
        for line, name in private_names(path.read_text(encoding="utf-8"))
    ]
    assert strays == []
    used = "from timm._models.vit import x\nnn.modules.batchnorm._BatchNorm\ntorch.nn.Linear.__init__"
    assert [line for line, _ in private_names(used)] == [1, 2]


# of ``typing``, from Python 3.11 on
NEWER = {
    "LiteralString",
    "Never",
    "NotRequired",
    "Required",
    "Self",
    "TypeVarTuple",
    "Unpack",
    "assert_never",
    "override",
}


def names_of_newer_pythons(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of what a file imports from ``typing`` that Python 3.10, which the package supports, does not have."""
    kept = [node for node in ast.parse(source).body if not is_left_out(node)]
    for node in ast.walk(ast.Module(kept, [])):
        if isinstance(node, ast.ImportFrom) and node.module == "typing":
            yield from ((node.lineno, alias.name) for alias in node.names if alias.name in NEWER)


def test_python_3_10_has_what_is_imported_from_typing():
    strays = [
        f"{path.relative_to(PACKAGE)}:{line} {name}"
        for path in FILES
        for line, name in names_of_newer_pythons(path.read_text(encoding="utf-8"))
    ]
    assert strays == []
    newer = "from typing import Any, Self\nif TYPE_CHECKING:\n    from typing import Never"
    assert list(names_of_newer_pythons(newer)) == [(1, "Self")]


def test_no_file_has_more_than_350_lines():
    root = PACKAGE.parent
    folders = ("fastpose_mtn", "tests", "benchmarks", "datasets")
    files = [file for folder in folders for file in (root / folder).rglob("*.py")]
    assert [
        str(file.relative_to(root)) for file in files if file.read_text(encoding="utf-8").count("\n") > 350
    ] == []


def test_folders_are_two_levels_deep_at_most():
    assert [str(path) for path in FILES if len(path.relative_to(PACKAGE).parts) > 3] == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from fastpose_mtn.video import frame", ["fastpose_mtn.video.frame"]),
        ("def f():\n    import fastpose_mtn.build", ["fastpose_mtn.build"]),
        ("if __name__ == '__main__':\n    from fastpose_mtn.commands.track import main", []),
        ("if TYPE_CHECKING:\n    from fastpose_mtn.config import CfgNode", []),
        ("import fastpose_mtn_other", []),
    ],
)
def test_what_counts_as_an_import(source, found):
    assert [name for _, name in imports_of(source)] == found


def test_type_checkers_are_told_that_the_package_is_annotated():
    setup = ConfigParser()
    setup.read(PACKAGE.parent / "setup.cfg", encoding="utf-8")
    assert (PACKAGE / "py.typed").is_file()
    assert "py.typed" in setup["options.package_data"]["fastpose_mtn"].split()
