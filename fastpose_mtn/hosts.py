"""Whose detector is under the heads, the host: the default one, from the package index, or Detectron2's.

What trains is an engine, see ``engine.launch``. Detectron2 can be either, and its extension is imported from here only.
"""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from types import ModuleType

from fastpose_mtn.errors import InputError

HOSTS = ("default", "detectron2")
INSTALL_DETECTRON2 = "https://detectron2.readthedocs.io/tutorials/install.html"


def missing_detectron2() -> str | None:
    """What is missing to use Detectron2, in a few words; None where nothing is."""
    found = find_spec("detectron2")
    # a mere folder of that name, such as a clone in the working directory, has the origin None
    if found is None or getattr(found, "origin", "") is None:
        return "Detectron2 is not installed"
    if find_spec("fastpose_mtn.detectron2") is None:
        return "this version of fastpose_mtn has no Detectron2 extension"
    return None


def require_detectron2(asked: str, remedy: str) -> None:
    """Raises an error where Detectron2 was asked for and is not installed.

    Args:
        asked: the flag that asks for it, and its value.
        remedy: what to do without it, the end of the message.

    Raises:
        InputError: it is not there.
    """
    missing = missing_detectron2()
    if missing is not None:
        raise InputError(f"{asked}: {missing}; see {INSTALL_DETECTRON2}, or {remedy}")


def import_detectron2_extension(module: str) -> ModuleType:
    """A module of ``fastpose_mtn.detectron2``, which nothing below it may import by name.

    Raises:
        InputError: Detectron2 is not there.
    """
    require_detectron2("--host detectron2", "leave --host out")
    return importlib.import_module(f"fastpose_mtn.detectron2.{module}")
