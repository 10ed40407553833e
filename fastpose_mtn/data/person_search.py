"""Who is searched for where in CUHK-SYSU's and PRW's test images.

CUHK-SYSU gives each query its own gallery of 50 to 4000 images, in ``TestG50.mat`` and so on. PRW
searches all other test frames. Both mark boxes in MATLAB's pixels as x, y, width, height; their
evaluation code reads these as x1 = x, x2 = x + width, in whole numbers, and so do we.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from fastpose_mtn.data.dataset import PersonSearchQuery
from fastpose_mtn.data.matlab import load_matlab_arrays

CUHK_SYSU_GALLERY_SIZES = (50, 100, 500, 1000, 2000, 4000)


def cuhk_sysu_queries_of(images: Path, gallery_size: int | None) -> list[PersonSearchQuery] | None:
    """``cuhk_sysu_queries`` of the dataset whose images lie here, in ``Image/SSM``; None without its protocol."""
    root = images.parents[1]
    return cuhk_sysu_queries(root, gallery_size) if (root / "annotation" / "test").is_dir() else None


def prw_queries_of(images: Path, gallery_size: int | None) -> list[PersonSearchQuery] | None:
    """``prw_queries`` of the dataset whose images lie here, in ``frames``; None without its protocol."""
    return prw_queries(images.parent) if (images.parent / "query_info.txt").is_file() else None


def cuhk_sysu_queries(root: str | Path, gallery_size: int | None = 100) -> list[PersonSearchQuery]:
    """The 2,900 queries of CUHK-SYSU.

    Args:
        root: the dataset's folder; ``annotation/test/train_test/TestG<size>.mat`` is read.
        gallery_size: 50, 100 (what papers report), 500, 1000, 2000 or 4000 images a query, or None
            for all 6,978 test images (``annotation/pool.mat``).

    Raises:
        ValueError: the size is not one of these, or a file is missing or not of this kind.
    """
    if gallery_size is not None and gallery_size not in CUHK_SYSU_GALLERY_SIZES:
        raise ValueError(
            f"gallery_size: expected one of {', '.join(map(str, CUHK_SYSU_GALLERY_SIZES))} or None for all "
            f"images, got {gallery_size}"
        )
    folder = Path(root) / "annotation"
    name = f"TestG{gallery_size or CUHK_SYSU_GALLERY_SIZES[0]}"
    path = folder / "test" / "train_test" / f"{name}.mat"
    protocol = _load(path, name).ravel()
    pool = None
    if gallery_size is None:
        pool = [str(cell[0]) for cell in _load(folder / "pool.mat", "pool").ravel()]
    queries = []
    names: dict[str, str] = {}  # one string object an image: 4000 names a query are a lot otherwise
    for number, record in enumerate(protocol):
        try:
            query = record["Query"].ravel()[0]
            image_id, box = str(query["imname"].ravel()[0]), _corners(query["idlocate"])
            gallery: dict[str, None] = {}  # in order; an image counts once
            matches: dict[str, np.ndarray] = {}
            for item in record["Gallery"].ravel():
                searched = str(item["imname"].ravel()[0])
                gallery.setdefault(names.setdefault(searched, searched))
                if item["idlocate"].size:
                    matches[searched] = _corners(item["idlocate"])
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path}: {name}[{number}]: expected Query and Gallery with imname and idlocate ({error})"
            ) from error
        if pool is not None:
            gallery.update(dict.fromkeys(searched for searched in pool if searched != image_id))
        queries.append(PersonSearchQuery(image_id, box, tuple(gallery), matches))
    return queries


def prw_queries(root: str | Path, across_cameras: bool = False) -> list[PersonSearchQuery]:
    """The 2,057 queries of PRW, each searched for in all other test frames.

    Args:
        root: the dataset's folder with ``query_info.txt``, ``frame_test.mat`` and ``annotations/``.
        across_cameras: search the frames of other cameras only. Reported apart; the common number
            searches all.

    Raises:
        ValueError: a file is missing or not of this kind; names it and the line.
    """
    root = Path(root)
    frames = [f"{cell[0]}.jpg" for cell in _load(root / "frame_test.mat", "img_index_test").ravel()]
    labels = {frame: _prw_labels(root / "annotations" / f"{frame}.mat") for frame in frames}
    where_is: dict[int, dict[str, np.ndarray]] = {}
    for frame, (identities, boxes) in labels.items():
        for identity, box in zip(identities.tolist(), boxes, strict=True):
            where_is.setdefault(identity, {}).setdefault(frame, box)
    path, queries = root / "query_info.txt", []
    for number, line in enumerate(_read_text(path).split("\n"), 1):
        words = line.split()
        if not words:
            continue
        try:
            identity, (x, y, w, h) = int(words[0]), map(float, words[1:5])
            image_id = f"{words[5]}.jpg"
        except (IndexError, ValueError) as error:
            raise ValueError(
                f"{path}: line {number}: expected identity, x, y, width, height and frame, got {line.strip()!r}"
            ) from error
        box = np.clip(np.array([x, y, x + w, y + h]).astype(np.int32), 0, None).astype(np.float64)
        gallery = tuple(
            frame
            for frame in frames
            if frame != image_id and not (across_cameras and _camera(frame) == _camera(image_id))
        )
        searched = set(gallery)
        matches = {f: b for f, b in where_is.get(identity, {}).items() if f in searched}
        queries.append(PersonSearchQuery(image_id, box, gallery, matches))
    return queries


def _load(path: Path, name: str) -> np.ndarray:
    content = load_matlab_arrays(path)
    if name not in content:
        raise ValueError(f"{path}: expected a MATLAB file with the variable {name}")
    return content[name]


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error}") from error


def _corners(xywh: Any) -> np.ndarray:
    """x, y, width, height, of whole numbers, as x1, y1, x2, y2."""
    x, y, w, h = np.asarray(xywh).ravel().astype(np.int32)
    return np.array([x, y, x + w, y + h], np.float64)


def _prw_labels(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(N,) identities, without the unlabelled, and (N, 4) boxes of a PRW frame."""
    content = load_matlab_arrays(path)
    table = next((content[k] for k in ("box_new", "anno_file", "anno_previous") if k in content), None)
    if table is None or table.ndim != 2 or table.shape[1] != 5:
        raise ValueError(f"{path}: expected a table box_new with rows of identity, x, y, width, height")
    boxes = np.clip(table[:, 1:].astype(np.float64), 0, None)
    boxes[:, 2:] += boxes[:, :2]
    known = table[:, 0] >= 0  # -2: nobody knows who this is
    return table[known, 0].astype(np.int64), boxes[known].astype(np.int32).astype(np.float64)


def _camera(frame: str) -> str:
    found = re.search(r"c\d", frame)
    if not found:
        raise ValueError(f"PRW frame {frame!r}: expected a name with a camera such as c1s1_000151.jpg")
    return found.group()
