"""PRW (Person Re-identification in the Wild) to COCO-style JSON: ``python datasets/convert_prw.py``.

Read: ``frame_train.mat`` and ``frame_test.mat``, the names of each split's frames (``img_index_train``,
``img_index_test``), and for each frame ``annotations/NAME.jpg.mat``, a table of identity, x, y, width, height
called ``box_new``, in some files ``anno_file`` or ``anno_previous``. ``ID_train.mat`` and ``ID_test.mat``, where
they are, say who belongs to which split, and are compared.

An identity of -2, a person whom nobody could name, becomes -1. Boxes that reach over the image's border, some do,
are cut to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fastpose_mtn.data.coco.writing import CocoJsonWriter
from fastpose_mtn.data.conversion import parse_conversion
from fastpose_mtn.data.matlab import load_matlab, shown
from fastpose_mtn.errors import InputError, exit_on_error


def convert_prw(root: Path, *, skip_missing: bool = False) -> list[tuple[Path, str]]:
    """Writes ``root/prw_train.json`` and ``root/prw_test.json``.

    Args:
        root: the folder with ``frames/``, ``annotations/`` and the lists of frames.

    Returns:
        The files, and what is in each in words.

    Raises:
        InputError: a file is missing or is not what PRW hands out; names the file.
    """
    out = []
    for split, identities in (("train", ("ID_train",)), ("test", ("ID_test2", "ID_test"))):
        writer = CocoJsonWriter(root / "frames", skip_missing=skip_missing)
        known = _identities(root / f"ID_{split}.mat", identities)
        for frame in _frames(root / f"frame_{split}.mat", f"img_index_{split}"):
            image_id = writer.image(frame)
            if image_id is not None:
                _convert_frame(writer, image_id, root / "annotations" / f"{frame}.mat", known)
        target = root / f"prw_{split}.json"
        writer.write(target, {"description": f"PRW person search, {split} frames"})
        out.append((target, writer.summary()))
    return out


def _convert_frame(writer: CocoJsonWriter, image_id: int, path: Path, known: frozenset[int]) -> None:
    table = load_matlab(path, "box_new", "anno_file", "anno_previous")
    if not isinstance(table, np.ndarray) or (table.size and (table.ndim != 2 or table.shape[1] != 5)):
        raise InputError(
            f"{path}: expected a table with rows of identity, x, y, width, height, got {shown(table)}"
        )
    for row, (identity, *box) in enumerate(table.astype(np.float64).reshape(-1, 5).tolist(), 1):
        where = f"{path}, row {row}"
        if min(box[2:]) <= 0 or not np.isfinite(box).all():
            writer.note("boxes without area, left out", where)
            continue
        if identity >= 0 and known and int(identity) not in known:
            writer.note("people whom the split's list of identities lacks, kept", where)
        x1, y1 = max(box[0], 0.0), max(box[1], 0.0)
        cut = [x1, y1, box[0] + box[2] - x1, box[1] + box[3] - y1]
        writer.person(image_id, cut, person_id=int(identity) if identity >= 0 else -1)


def _frames(path: Path, name: str) -> list[str]:
    frames = load_matlab(path, name)
    if not isinstance(frames, list) or not all(isinstance(frame, str) for frame in frames):
        raise InputError(f"{path}: expected {name} to be a list of frame names, got {shown(frames)}")
    return [f"{frame}.jpg" for frame in frames]


def _identities(path: Path, names: Sequence[str]) -> frozenset[int]:
    """The split's people; nobody where the file is absent, as in PRW's first release."""
    if not path.is_file():
        return frozenset()
    return frozenset(np.asarray(load_matlab(path, *names)).astype(np.int64).ravel().tolist())


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with exit_on_error():
        asked = parse_conversion(arguments, name="prw", description=__doc__)
        for path, summary in convert_prw(asked.root, skip_missing=asked.skip_missing):
            print(f"{path}: {summary}")


if __name__ == "__main__":
    main()
