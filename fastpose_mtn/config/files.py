"""Configuration files: a path, or the name of one that comes with the package."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

import yaml

from fastpose_mtn.errors import did_you_mean_file

PACKAGED = Path(__file__).parents[1] / "configs"
_SUFFIXES = (".yaml", ".yml")


def find_config(given: str, folder: str = "") -> str:
    """The path of a configuration file.

    Args:
        given: a path, or a name in ``PACKAGED`` such as ``people`` or ``people.yaml``; ``configs/people.yaml``, as in
            a clone, is that name too where there is no such file.
        folder: that a relative path starts from; "": the working directory.

    Raises:
        ValueError: there is no such file; the message names the nearest one.
    """
    path = os.path.normpath(os.path.join(folder, os.path.expanduser(given)))
    if os.path.isfile(path):
        return path
    name = Path(given)
    if name.parts == (name.name,) or name.parts == ("configs", name.name):
        for suffix in ("", *_SUFFIXES):
            packaged = PACKAGED / f"{name.name}{suffix}"
            if packaged.is_file():
                return str(packaged)
    hint = did_you_mean_file(Path(path), _SUFFIXES, _packaged_names())
    hint = hint or f"; the package has {', '.join(packaged_networks())}"
    raise ValueError(f"configuration file not found: {path}{hint}")


def read_yaml(file: IO[str] | str) -> object:
    """The content of an opened YAML file, or of text; no mapping may have a key twice, of which PyYAML keeps the last value.

    Raises:
        yaml.YAMLError: it is no YAML, or has a key twice; names the line.
    """
    return yaml.load(file, Loader=_OnceLoader)


class _OnceLoader(yaml.SafeLoader):
    """A safe loader that refuses a key which stands twice in one mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        """The mapping of a node."""
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in lines:
                raise yaml.constructor.ConstructorError(
                    problem=f"{key.value} stands there already in line {lines[key.value]}; put both together",
                    problem_mark=key.start_mark,
                )
            if isinstance(key, yaml.ScalarNode):
                lines[key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)


def packaged_networks() -> list[str]:
    """Names of the package's configurations, without those that are only the base of others."""
    return sorted(Path(name).stem for name in _packaged_names() if not name.startswith("Base-"))


def _packaged_names() -> list[str]:
    return [path.name for path in PACKAGED.glob("*.yaml")]
