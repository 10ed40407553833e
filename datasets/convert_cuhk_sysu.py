"""CUHK-SYSU (the paper's SSM) to COCO-style JSON: ``python datasets/convert_cuhk_sysu.py``.

Read, below ``annotation/``: ``Images.mat``, where ``Img(i)`` has ``imname`` and ``box(k)`` with ``idlocate``
(x, y, width, height) and ``ishard``; ``pool.mat``, the names of the test images; ``test/train_test/Train.mat``, a
cell for each person of the training images, and ``TestG50.mat``, a query for each person of the test images: both
name the images and the boxes that show the person.

Everybody has a box; a person whom neither file names gets ``person_id`` -1. Boxes stay as they are written, as in
the dataset's own evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastpose_mtn.data.coco.writing import CocoJsonWriter
from fastpose_mtn.data.conversion import parse_conversion
from fastpose_mtn.data.matlab import load_matlab, number, records, shown
from fastpose_mtn.errors import InputError, exit_on_error
from fastpose_mtn.ops.overlap import box_iou

_SAME_BOX = 0.7  # IoU at which a named person's box is one of the image's, where none is equal

# (name of the person, image, box xywh, where that is written)
Sighting = tuple[str, str, np.ndarray, str]


def convert_cuhk_sysu(root: Path, *, skip_missing: bool = False) -> list[tuple[Path, str]]:
    """Writes ``root/cuhk_sysu_train.json`` and ``root/cuhk_sysu_test.json``.

    Args:
        root: the folder with ``Image/SSM/`` and ``annotation/``.

    Returns:
        The files, and what is in each in words.

    Raises:
        InputError: a file is missing or is not what CUHK-SYSU hands out; names the file and the record.
    """
    folder = root / "annotation"
    people = _people(folder / "Images.mat")
    test = set(_names(folder / "pool.mat"))
    unknown = sorted(test - people.keys())
    if unknown:
        raise InputError(
            f"{folder / 'pool.mat'}: {len(unknown)} images that Images.mat lacks, first {unknown[0]}"
        )
    splits = {
        "train": (train_sightings(folder / "test" / "train_test" / "Train.mat"), people.keys() - test),
        "test": (test_sightings(folder / "test" / "train_test" / "TestG50.mat"), test),
    }
    out = []
    for split, (sightings, names) in splits.items():
        writer = CocoJsonWriter(root / "Image" / "SSM", skip_missing=skip_missing)
        _convert_split(writer, {name: people[name] for name in people if name in names}, sightings)
        target = root / f"cuhk_sysu_{split}.json"
        writer.write(target, {"description": f"CUHK-SYSU person search, {split} images"})
        out.append((target, writer.summary()))
    return out


def _convert_split(
    writer: CocoJsonWriter, people: dict[str, list[tuple[np.ndarray, bool]]], sightings: Iterator[Sighting]
) -> None:
    number_of: dict[str, int] = {}
    identities = {name: [-1] * len(boxes) for name, boxes in people.items()}
    for person, image, box, where in sightings:
        if image not in people:
            writer.note("sightings in images that this split lacks, left out", where)
            continue
        identity = number_of.setdefault(person, len(number_of) + 1)
        row = _same_box([candidate for candidate, _ in people[image]], box)
        if row is None:
            writer.note("sightings whose box Images.mat lacks, added", where)
            people[image].append((box, False))
            identities[image].append(identity)
        elif identities[image][row] not in (-1, identity):
            writer.note("boxes that two people share, the first kept", where)
        else:
            identities[image][row] = identity
    for name, boxes in people.items():
        image_id = writer.image(name)
        if image_id is None:
            continue
        for (box, hard), identity in zip(boxes, identities[name], strict=True):
            if (box[2:] <= 0).any():
                writer.note("boxes without area, left out", name)
            else:
                writer.person(image_id, box.tolist(), person_id=identity, ishard=int(hard))


def train_sightings(path: Path) -> Iterator[Sighting]:
    """Who is seen where in the training images."""
    for index, cell in enumerate(load_matlab(path, "Train"), 1):
        where = f"{path}: Train({index})"
        try:
            for person in records(cell):
                for scene in records(person["scene"]):
                    yield person["idname"], scene["imname"], _box(scene["idlocate"]), where
        except (KeyError, ValueError) as error:
            raise InputError(
                f"{where}: expected idname and scene with imname and idlocate: {error}"
            ) from error


def test_sightings(path: Path) -> Iterator[Sighting]:
    """Who is seen where in the test images: in the query, and in the gallery where it has a box."""
    for index, item in enumerate(records(load_matlab(path, "TestG50")), 1):
        where = f"{path}: TestG50({index})"
        try:
            query = records(item["Query"])[0]
            for seen in (query, *records(item["Gallery"])):
                if len(seen["idlocate"]) and np.size(seen["idlocate"]):
                    yield query["idname"], seen["imname"], _box(seen["idlocate"]), where
        except (KeyError, IndexError, ValueError) as error:
            raise InputError(
                f"{where}: expected Query and Gallery with imname and idlocate: {error}"
            ) from error


test_sightings.__test__ = False  # type: ignore[attr-defined]  # not one of pytest's tests


def _people(path: Path) -> dict[str, list[tuple[np.ndarray, bool]]]:
    """Each image's boxes, and whether each is hard to recognise."""
    out: dict[str, list[tuple[np.ndarray, bool]]] = {}
    for index, image in enumerate(records(load_matlab(path, "Img")), 1):
        try:
            boxes = [(_box(b["idlocate"]), bool(_hard(b))) for b in records(image["box"])]
            out.setdefault(image["imname"], []).extend(boxes)
        except (KeyError, ValueError) as error:
            raise InputError(
                f"{path}: Img({index}): expected imname and box with idlocate: {error}"
            ) from error
    return out


def _hard(box: Mapping[str, Any]) -> float:
    return number(box["ishard"]) or 0.0 if "ishard" in box else 0.0


def _names(path: Path) -> list[str]:
    names = load_matlab(path, "pool")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path}: expected pool to be a list of image names, got {shown(names)}")
    return names


def _box(value: Any) -> np.ndarray:
    """(4,) x, y, width, height; MATLAB's whole numbers may be unsigned."""
    box = np.asarray(value).ravel()
    if box.shape != (4,) or box.dtype.kind not in "iuf":
        raise ValueError(f"expected idlocate to be x, y, width, height, got {shown(value)}")
    return box.astype(np.float64)


def _same_box(boxes: Sequence[np.ndarray], box: np.ndarray) -> int | None:
    """The box that is equal to this one, or else the one that overlaps it most, from ``_SAME_BOX`` on."""
    if not boxes:
        return None
    known = np.stack(boxes)
    overlap = box_iou(_corners(known), _corners(box))
    equal = np.flatnonzero((known == box).all(axis=1))
    best = int(equal[0]) if len(equal) else int(overlap.argmax())
    return best if len(equal) or overlap[best] >= _SAME_BOX else None


def _corners(boxes_xywh: np.ndarray) -> np.ndarray:
    return np.concatenate([boxes_xywh[..., :2], boxes_xywh[..., :2] + boxes_xywh[..., 2:]], axis=-1)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with exit_on_error():
        asked = parse_conversion(arguments, name="cuhk_sysu", description=__doc__)
        for path, summary in convert_cuhk_sysu(asked.root, skip_missing=asked.skip_missing):
            print(f"{path}: {summary}")


if __name__ == "__main__":
    main()
