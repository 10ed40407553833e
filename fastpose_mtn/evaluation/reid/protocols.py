"""Who is searched where: the test protocols of CUHK-SYSU and PRW, and the same for any labelled images.

CUHK-SYSU gives each query its own gallery of 50 to 4000 images, in ``TestG50.mat`` and so on. PRW
searches all other test frames. Both mark boxes in MATLAB's pixels as x, y, width, height; their
evaluation code reads these as x1 = x, x2 = x + width, in whole numbers, and so do we.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fastpose_mtn.data.matlab import load_matlab_arrays
from fastpose_mtn.evaluation.reid.search import (
    PersonSearchGallery,
    PersonSearchQuery,
    PersonSearchResult,
    evaluate_person_search,
)
from fastpose_mtn.structures import PersonTargets

CUHK_SYSU_GALLERY_SIZES = (50, 100, 500, 1000, 2000, 4000)


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


def evaluate_cuhk_sysu(
    root: str | Path,
    query_embeddings: np.ndarray,
    gallery: PersonSearchGallery,
    gallery_sizes: tuple[int, ...] = CUHK_SYSU_GALLERY_SIZES,
) -> dict[int, PersonSearchResult]:
    """CUHK-SYSU's numbers by gallery size.

    Args:
        root: the dataset's folder.
        query_embeddings: (2900, D) identity vectors of the queries, in the order of ``TestG50.mat``.
        gallery: detections of all test images.
        gallery_sizes: which of the six.
    """
    return {
        size: evaluate_person_search(cuhk_sysu_queries(root, size), query_embeddings, gallery)
        for size in gallery_sizes
    }


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


def queries_from_targets(
    images: Mapping[str, PersonTargets], gallery_size: int | None = None, seed: int = 0
) -> list[PersonSearchQuery]:
    """Queries in the manner of CUHK-SYSU for any images whose people have identities.

    Every person seen in two images or more is searched for once, from the first of these, in all the
    others and in images chosen at random.

    Args:
        images: labelled people by image; ignored people and those of identity -1 are not searched for.
        gallery_size: images a gallery, more where the person is in more; None for all others.
        seed: of the random choice.
    """
    seen: dict[int, dict[str, np.ndarray]] = {}
    for image_id, targets in images.items():
        targets = targets.numpy()
        for i in np.flatnonzero((targets.identities >= 0) & ~targets.ignore):
            box = targets.boxes[i].astype(np.float64)
            if (box[:2] < box[2:]).all():
                seen.setdefault(int(targets.identities[i]), {}).setdefault(image_id, box)
    rng, queries = np.random.default_rng(seed), []
    for identity in sorted(seen):
        (image_id, box), *others = seen[identity].items()
        if not others:
            continue
        matches = dict(others)
        rest = [other for other in images if other != image_id and other not in matches]
        if gallery_size is not None:
            chosen = rng.permutation(len(rest))[: max(0, gallery_size - len(matches))]
            rest = [rest[i] for i in sorted(chosen)]
        queries.append(PersonSearchQuery(image_id, box, (*matches, *rest), matches, identity))
    return queries


def _load(path: Path, name: str) -> np.ndarray:
    content = load_matlab_arrays(path)
    if name not in content:
        raise ValueError(f"{path}: expected a MATLAB file with the variable {name}")
    return content[name]


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
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
