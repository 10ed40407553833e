"""Reads and writes weights. No file that a user is handed can run code.

Three formats, told apart by their content: safetensors, PyTorch's own (tensors and plain containers
only) and Detectron2's model zoo pickles (NumPy arrays only).
"""

from __future__ import annotations

import io
import json
import pickle
import struct
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from fastpose_mtn.files import whole_file


@dataclass(frozen=True)
class WeightFile:
    """Named tensors on the CPU, and what the file says about them (``config``: YAML; ``skeleton``: a name)."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str] = field(default_factory=dict)


def write_weight_file(path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Writes safetensors; the file is complete under its name or not there."""
    path = Path(path)
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with whole_file(path) as partial:
        partial.touch()
        mode = partial.stat().st_mode
        save_file(plain, str(partial), metadata=dict(metadata))
        partial.chmod(mode)  # safetensors leaves a file that nobody else may read


def read_weight_file(path: str | Path) -> WeightFile:
    """Reads any of the three formats.

    Raises:
        ValueError: the file is missing, damaged, of another format, or holds anything but tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"weights file not found: {path}")
    with path.open("rb") as file:
        start = file.read(9)
    if _header_length(path) is not None:
        return _read_safetensors(path)
    if start[:4] == b"PK\x03\x04":
        return WeightFile(_read_torch(path))
    if start[:1] == b"\x80":
        return WeightFile(_read_pickle(path))
    if start[8:] == b"{":
        raise ValueError(f"{path}: damaged weights file: it ends within its header")
    raise ValueError(
        f"{path}: not a weights file; expected safetensors, a PyTorch file or Detectron2's .pkl, "
        f"got a file that starts with {start[:8]!r}"
    )


def read_metadata(path: str | Path) -> dict[str, str]:
    """What a safetensors file says about itself, without reading its tensors; other files say nothing.

    Raises:
        ValueError: the file is missing or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"weights file not found: {path}")
    length = _header_length(path)
    if length is None:
        return {}
    with path.open("rb") as file:
        file.seek(8)
        header = file.read(length)
    try:
        metadata = json.loads(header).get("__metadata__", {})
    except (UnicodeDecodeError, json.JSONDecodeError, AttributeError) as error:
        raise ValueError(f"{path}: damaged weights file: {error}") from error
    return {str(name): str(value) for name, value in metadata.items()}


def _header_length(path: Path) -> int | None:
    """Of a safetensors file, in bytes; None for other files.

    The first eight bytes are that length, so they can begin like a pickle or a zip; but those as a
    length would exceed the file.
    """
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] != b"{":
        return None
    length = struct.unpack("<Q", start[:8])[0]
    return length if length <= path.stat().st_size - 8 else None


def _read_safetensors(path: Path) -> WeightFile:
    try:
        return WeightFile(_of_one_device(load_file(str(path))), read_metadata(path))
    except SafetensorError as error:
        raise ValueError(f"{path}: damaged weights file: {error}") from error


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{path}: refused: it holds more than tensors and could run code ({reason}); "
            "save the state dict alone, or as safetensors"
        ) from error
    except (RuntimeError, EOFError, KeyError, ValueError) as error:
        raise ValueError(f"{path}: damaged weights file: {str(error).splitlines()[0]}") from error
    return _only_tensors(loaded, path)


def _read_pickle(path: Path) -> dict[str, Tensor]:
    data = path.read_bytes()
    try:
        loaded = _ArraysOnly(io.BytesIO(data), encoding="latin1").load()
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path}: refused: {error}") from error
    except Exception as error:  # a damaged pickle can fail in any way
        raise ValueError(f"{path}: damaged weights file: {error}") from error
    return _only_tensors(loaded, path)


# how NumPy itself pickles an array and a number, wherever this version keeps the functions
_RECONSTRUCT: Any = np.zeros(1).__reduce__()[0]
_SCALAR: Any = np.float64(0).__reduce__()[0]


class _ArraysOnly(pickle.Unpickler):
    """Builds containers, numbers, strings and NumPy arrays of numbers; refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        multiarray = module in ("numpy.core.multiarray", "numpy._core.multiarray")
        if multiarray and name == "_reconstruct":
            return _RECONSTRUCT
        if multiarray and name == "scalar":
            return _SCALAR
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("_codecs", "encode"):  # how Python 3 writes bytes in Python 2's protocol
            return _latin1_bytes
        raise pickle.UnpicklingError(
            f"it names {module}.{name}, which could run code; only NumPy arrays are read from a .pkl"
        )


def _latin1_bytes(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(
            f"it encodes text as {encoding!r}; only NumPy arrays are read from a .pkl"
        )
    return text.encode("latin1")


def _only_tensors(loaded: Any, path: Path) -> dict[str, Tensor]:
    """The state dict, wherever common formats keep it: at the top, under ``model`` or ``state_dict``."""
    for key in ("model", "state_dict"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
            break
    if not isinstance(loaded, Mapping):
        raise ValueError(f"{path}: expected a state dict (names to tensors), got {type(loaded).__name__}")
    tensors = {}
    for name, value in loaded.items():
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
            value = torch.from_numpy(np.ascontiguousarray(value))
        if not isinstance(value, Tensor):
            raise ValueError(f"{path}: expected tensors only, got {type(value).__name__} for {name!r}")
        tensors[str(name)] = value
    if not tensors:
        raise ValueError(f"{path}: there are no weights in it")
    return _of_one_device(tensors)


def _of_one_device(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same under the names that a network has outside PyTorch's ``DataParallel``, which puts ``module.`` before all."""
    if not all(name.startswith("module.") for name in tensors):
        return tensors
    return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
