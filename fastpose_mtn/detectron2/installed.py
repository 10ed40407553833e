"""Is Detectron2 there, and new enough?"""

from __future__ import annotations

import importlib

from fastpose_mtn.errors import InputError
from fastpose_mtn.hosts import INSTALL_DETECTRON2


class Detectron2Missing(ImportError, InputError):
    """Detectron2 cannot be used; the text says why and where to get it."""


def check_detectron2() -> None:
    """Raises an error where Detectron2 cannot be used.

    Raises:
        Detectron2Missing: it is not installed, cannot be imported, or lacks what newer versions have.
    """
    try:
        importlib.import_module("detectron2")
    except ImportError as error:
        raise Detectron2Missing(
            f"fastpose_mtn.detectron2 needs Detectron2, which is not installed ({error}); see {INSTALL_DETECTRON2}"
        ) from error
    try:
        # Its version has been 0.6 since 2021, so ask for what came after: trackers, and padding to a square.
        importlib.import_module("detectron2.tracking.base_tracker")
        backbone = importlib.import_module("detectron2.modeling.backbone").Backbone
    except ImportError as error:
        raise Detectron2Missing(
            f"this Detectron2 is too old or not whole ({error}); install its main branch, see {INSTALL_DETECTRON2}"
        ) from error
    if not hasattr(backbone, "padding_constraints"):
        raise Detectron2Missing(
            f"this Detectron2 is too old; install its main branch, see {INSTALL_DETECTRON2}"
        )
