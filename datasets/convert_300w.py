"""300W's faces to COCO-style JSON: ``python datasets/convert_300w.py``.

Read: every ``NAME.pts`` below the folder, 68 points of a face in the iBUG order, and the picture of the same name beside it.
Points are counted from 1, the JSON's from 0. What lies in ``testset``, ``ibug``, ``01_Indoor`` and ``02_Outdoor`` is the
test's, as in the benchmark; everything else the training's.

A face is somebody of whom the face alone is labelled (``face_0`` to ``face_67``); its box is drawn around the points.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fastpose_mtn.data.coco.writing import CocoJsonWriter
from fastpose_mtn.data.conversion import parse_conversion
from fastpose_mtn.errors import InputError, exit_on_error
from fastpose_mtn.skeletons import HALPE136, skeleton_of

_FACE = skeleton_of([HALPE136.joints[i] for i in HALPE136.parts["face"]])
_TEST = {"testset", "ibug", "01_Indoor", "02_Outdoor"}
_PICTURES = (".jpg", ".png", ".jpeg")


def convert_300w(root: Path, *, skip_missing: bool = False) -> list[tuple[Path, str]]:
    """Writes ``root/300w_train.json`` and ``root/300w_test.json``, of the parts that are there.

    Returns:
        The files, and what is in each in words.

    Raises:
        InputError: there are no points, or a file of them is none; names the file.
    """
    files = sorted(root.rglob("*.pts"))
    if not files:
        raise InputError(
            f"{root}: no NAME.pts in it or below; expected 300W's folders, such as helen/trainset"
        )
    out = []
    for split in ("train", "test"):
        own = [file for file in files if bool(_TEST & set(file.relative_to(root).parts)) == (split == "test")]
        if not own:
            continue
        writer = CocoJsonWriter(root, skeleton=_FACE, skip_missing=skip_missing)
        for file in own:
            image_id = writer.image(_picture(file).relative_to(root).as_posix())
            if image_id is not None:
                writer.person_of_points(image_id, read_points(file) - 1.0)
        path = root / f"300w_{split}.json"
        writer.write(path, {"description": f"300W faces, {split}"})
        out.append((path, writer.summary()))
    return out


def read_points(path: Path) -> np.ndarray:
    """(68, 2) x, y of a file, counted from 1.

    Raises:
        InputError: it holds something else.
    """
    inside = re.search(r"\{(.*)\}", path.read_text(encoding="utf-8", errors="replace"), re.S)
    try:
        points = np.array([float(word) for word in inside[1].split()] if inside else []).reshape(-1, 2)
    except ValueError:
        points = np.zeros((0, 2))
    if points.shape != (len(_FACE), 2) or not np.isfinite(points).all():
        raise InputError(f"{path}: expected {{ x y ... }} of {len(_FACE)} points, got {len(points)}")
    return points


def _picture(file: Path) -> Path:
    """The picture beside a file of points; of none the one that is most usual, which is then told to be missing."""
    return next(
        (file.with_suffix(e) for e in _PICTURES if file.with_suffix(e).is_file()), file.with_suffix(".jpg")
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with exit_on_error():
        asked = parse_conversion(arguments, name="300w", description=__doc__)
        for path, summary in convert_300w(asked.root, skip_missing=asked.skip_missing):
            print(f"{path}: {summary}")


if __name__ == "__main__":
    main()
