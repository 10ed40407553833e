"""What the arrays of ``NAME.detections.npz`` have to be; see ``detections_file``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fastpose_mtn.data.labels.plausibility import are_shares, of_shares
from fastpose_mtn.errors import InputError

# Each array's kinds of dtype and its axes: F frames, N people, K joints, or a number; "*" is anything.
LAYOUT: dict[str, tuple[str, tuple[str | int, ...]]] = {
    "format": ("U", ()),
    "source": ("U", ()),
    "skeleton": ("U", ()),
    "frame_numbers": ("i", ("F",)),
    "times_s": ("f", ("F",)),
    "image_sizes_hw": ("i", ("F", 2)),
    "people": ("i", ("F",)),
    "boxes": ("f", ("N", 4)),
    "scores": ("f", ("N",)),
    "keypoints": ("f", ("N", "K", 3)),
    "embeddings": ("f", ("N", "*")),
    "file_names": ("U", ("F",)),
    "scene_cuts": ("b", ("F",)),
    "independent": ("b", ()),
}
OPTIONAL = {"embeddings", "file_names", "independent", "scene_cuts"}  # files of before have no scene cuts


def check_arrays(path: Path, arrays: Mapping[str, np.ndarray], joints: int) -> None:
    """Refuses arrays that are no video's people.

    Args:
        path: of their file, for messages.
        arrays: by their names.
        joints: of the file's skeleton.

    Raises:
        InputError: naming the array: it has another shape or kind, or its values contradict each other.
    """
    if arrays["people"].ndim != 1 or arrays["people"].dtype.kind != "i" or (arrays["people"] < 0).any():
        raise InputError(f"{path}: people: expected counts, one a frame, got {arrays['people'].dtype}")
    sizes = {"F": len(arrays["people"]), "N": int(arrays["people"].sum()), "K": joints}
    for name, array in arrays.items():
        kind, axes = LAYOUT[name]
        wanted = [sizes.get(axis, -1) if isinstance(axis, str) else axis for axis in axes]
        fits = array.ndim == len(wanted) and all(
            w in (-1, g) for w, g in zip(wanted, array.shape, strict=True)
        )
        if array.dtype.kind != kind or not fits:
            shape = ", ".join("*" if w == -1 else str(w) for w in wanted)
            raise InputError(
                f"{path}: {name}: expected shape ({shape}) of kind {kind!r}, got {array.shape} {array.dtype}"
            )
    _check_frames(path, arrays)
    boxes = arrays["boxes"][np.isfinite(arrays["boxes"]).all(axis=1)]  # of others it is told by their frame
    if are_shares(boxes):
        raise InputError(f"{path}: boxes: {of_shares(boxes)}")


def _check_frames(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Refuses sizes, numbers, times and names that a video's frames cannot have."""
    if (arrays["image_sizes_hw"] < 0).any():
        raise InputError(f"{path}: image_sizes_hw: expected pixels, got {arrays['image_sizes_hw'].min()}")
    numbers = arrays["frame_numbers"]
    if len(numbers) and numbers[0] < 0:
        raise InputError(f"{path}: frame_numbers: expected 0 or more, got {numbers[0]}")
    if len(falling := np.flatnonzero(np.diff(numbers) <= 0)):
        first = int(falling[0])
        raise InputError(
            f"{path}: frame_numbers: expected each larger than the one before, got {numbers[first + 1]} after "
            f"{numbers[first]}; sort all arrays by time and number the frames in their order"
        )
    times = arrays["times_s"]
    if not np.isfinite(times).all():
        bad = int(np.flatnonzero(~np.isfinite(times))[0])
        raise InputError(f"{path}: times_s: expected seconds, got {times[bad]} for frame {numbers[bad]}")
    if len(falling := np.flatnonzero(np.diff(times) < 0)):
        first = int(falling[0])
        raise InputError(
            f"{path}: times_s: expected seconds that never go back, got {times[first + 1]:g} for frame "
            f"{numbers[first + 1]} after {times[first]:g}"
        )
    names = [str(name) for name in arrays.get("file_names", ()) if name]
    if strange := [name for name in names if Path(name).name != name]:
        raise InputError(f"{path}: file_names: expected plain names, without folders, got {strange[0]!r}")
    if len(set(names)) < len(names):
        twice = next(name for index, name in enumerate(names) if name in names[:index])
        raise InputError(f"{path}: file_names: expected each name once, got {twice!r} twice")
