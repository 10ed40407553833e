"""Which engine trains: Lightning from the package index, or Detectron2 where its extension is there."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from types import ModuleType

from fastpose_mtn.errors import InputError

ENGINES = ("auto", "lightning", "detectron2")
INSTALL_DETECTRON2 = "https://detectron2.readthedocs.io/tutorials/install.html"


def choose_engine(wanted: str) -> tuple[str, str]:
    """The engine's name and, in a few words, why it was chosen.

    Raises:
        InputError: Detectron2 is asked for and is not there.
    """
    found = find_spec("detectron2")
    # a mere folder of that name, such as a clone in the working directory, has the origin None
    installed = found is not None and getattr(found, "origin", "") is not None
    extension = find_spec("fastpose_mtn.detectron2") is not None
    if wanted == "detectron2":
        if not installed:
            raise InputError(
                f"--engine detectron2: Detectron2 is not installed; see {INSTALL_DETECTRON2}, or train with "
                f"--engine lightning"
            )
        if not extension:
            raise InputError(
                "--engine detectron2: this version of fastpose_mtn has no Detectron2 extension; train with "
                "--engine lightning"
            )
        return "detectron2", "asked for"
    if wanted == "lightning":
        return "lightning", "asked for"
    if wanted != "auto":
        raise InputError(f"--engine: expected one of {', '.join(ENGINES)}, got {wanted!r}")
    if installed and extension:
        return "detectron2", "Detectron2 is installed"
    missing = "Detectron2 is not installed" if not installed else "there is no Detectron2 extension"
    return "lightning", missing


def import_detectron2_extension(module: str) -> ModuleType:
    """A module of ``fastpose_mtn.detectron2``, which nothing below it may import by name.

    Raises:
        InputError: Detectron2 is not there.
    """
    choose_engine("detectron2")
    return importlib.import_module(f"fastpose_mtn.detectron2.{module}")
