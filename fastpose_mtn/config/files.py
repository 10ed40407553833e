"""Configuration files: a path, or the name of one that comes with the package."""

from __future__ import annotations

import os
from pathlib import Path

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


def packaged_networks() -> list[str]:
    """Names of the package's configurations, without those that are only the base of others."""
    return sorted(Path(name).stem for name in _packaged_names() if not name.startswith("Base-"))


def _packaged_names() -> list[str]:
    return [path.name for path in PACKAGED.glob("*.yaml")]
