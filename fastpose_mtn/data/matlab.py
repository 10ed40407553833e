"""MATLAB files as plain Python: the form in which MPII, CUHK-SYSU and PRW are handed out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from fastpose_mtn.errors import InputError


def load_matlab(path: Path, *names: str) -> Any:
    """The first of these variables that a MATLAB file has, see ``plain``.

    Raises:
        InputError: the file is missing or damaged, is of MATLAB 7.3's kind, or has none of the variables.
    """
    content = load_matlab_arrays(path)
    for name in names:
        if name in content:
            return plain(content[name])
    there = ", ".join(name for name in content if not name.startswith("__")) or "nothing"
    raise InputError(f"{path}: expected a MATLAB file with the variable {' or '.join(names)}, got {there}")


def load_matlab_arrays(path: Path) -> dict[str, np.ndarray]:
    """All variables of a MATLAB file, as SciPy gives them.

    Raises:
        InputError: the file is missing or damaged, or is of MATLAB 7.3's kind.
    """
    if not path.is_file():  # loadmat says of such a file that it is no file name
        raise InputError(f"{path}: no such file")
    try:
        return loadmat(path)
    except NotImplementedError:
        raise InputError(
            f"{path}: a file of MATLAB 7.3, which is not read; save it again in MATLAB with save(..., '-v7')"
        ) from None
    except Exception as error:  # scipy raises whatever its parser stumbles over
        raise InputError(f"{path}: not a MATLAB file, or a damaged one: {error}") from error


def plain(value: Any) -> Any:
    """A structure array as a list of dictionaries, a cell array as a list, text as ``str``.

    A single structure is a list of one, as MATLAB has no other; numbers stay arrays.
    """
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.names is not None:
        return [{name: plain(record[name]) for name in value.dtype.names} for record in value.ravel()]
    if value.dtype == object:
        return [plain(item) for item in value.ravel()]
    if value.dtype.kind == "U":
        return str(value.ravel()[0]) if value.size else ""
    return value


def records(value: Any) -> list[dict[str, Any]]:
    """A structure array that ``plain`` gave; MATLAB writes an empty one as an empty array of numbers.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, np.ndarray) and value.size == 0:
        return []
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return value
    raise ValueError(f"expected a structure, got {shown(value)}")


def number(value: object) -> float | None:
    """A number, also one that is written as text; None where the value is empty.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, np.ndarray) and value.size == 1 and value.dtype.kind in "iufb":
        return float(value.ravel()[0])
    if isinstance(value, (np.ndarray, str, list)) and len(value) == 0:
        return None
    if isinstance(value, str):
        return float(value)
    raise ValueError(f"expected a number, got {shown(value)}")


def shown(value: object) -> str:
    """A few words for a message."""
    if isinstance(value, np.ndarray):
        return f"an array {value.shape} of {value.dtype}"
    return repr(value)[:60]
