"""A folder of person crops: one folder for each person, with pictures that are cut out around them.

Market-1501, DukeMTMC, MSMT17 and CUHK03 come in this form or are sorted into it. The camera is read from names
like theirs: ``0002_c1s1_000551_01.jpg`` is of camera 1, ``0005_c2_f0046985.jpg`` of camera 2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fastpose_mtn.data.image_file import image_size_wh, is_image
from fastpose_mtn.data.problems import KEPT, LEFT_OUT, Problems
from fastpose_mtn.errors import InputError

UNKNOWN_CAMERA = -1
_CAMERA = re.compile(r"(?:^|_)c(\d+)")


@dataclass(frozen=True)
class PersonCrop:
    """One picture of one person.

    Attributes:
        path: of the file.
        size_wh: pixels.
        identity: the person's number, from 0 up.
        camera: its number, or ``UNKNOWN_CAMERA``.
    """

    path: Path
    size_wh: tuple[int, int]
    identity: int
    camera: int


def read_crop_folder(
    folder: Path, split: tuple[int, int] | None, name: str, problems: Problems
) -> list[PersonCrop]:
    """The crops of the chosen people in order of their names; people without one get no number.

    Args:
        folder: holds one folder for each person.
        split: positions of the first and last person among the folders, sorted by name, from 0 up; None: all.
            It counts empty folders too, so that splits that are apart stay so whatever a folder holds.
        name: of the dataset.
        problems: where what is left out, and what is odd, is counted.

    Raises:
        InputError: there is no such folder, no person in it, fewer people than the split says, or no picture.
    """
    if not folder.is_dir():
        raise InputError(f"dataset {name}: no such folder, got {folder}; expected FOLDER/PERSON/*.jpg")
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    people = [entry for entry in entries if entry.is_dir()]
    strays = sorted(set(entries) - set(people))
    if not people:
        raise InputError(
            f"dataset {name}: no person in {folder}; expected a folder for each person, FOLDER/PERSON/*.jpg"
        )
    if split is not None:
        if split[1] >= len(people):
            raise InputError(
                f"dataset {name}: split ends at person {split[1]}, but {folder} has {len(people)}, 0 to "
                f"{len(people) - 1}"
            )
        people = people[split[0] : split[1] + 1]
    for stray in strays:
        problems.add(LEFT_OUT, "files that lie in no person's folder", str(stray))
    crops: list[PersonCrop] = []
    for person in people:
        own = _pictures(person, 1 + crops[-1].identity if crops else 0, problems)
        if not own:
            problems.add(LEFT_OUT, "people without a picture", str(person))
        elif len(own) == 1:
            problems.add(KEPT, "people with one picture, who can be found in no other", str(person))
        crops += own
    if not crops:
        raise InputError(f"dataset {name}: no picture of anybody in {folder}; expected FOLDER/PERSON/*.jpg")
    return crops


def _pictures(person: Path, identity: int, problems: Problems) -> list[PersonCrop]:
    crops = []
    for path in sorted(person.iterdir()):
        if path.name.startswith("."):
            continue
        try:
            size = image_size_wh(path) if is_image(path) else None
        except InputError:
            size = None
        if size is None:
            problems.add(LEFT_OUT, "files that are no images", str(path))
            continue
        camera = _CAMERA.search(path.stem)
        crops.append(PersonCrop(path, size, identity, int(camera[1]) if camera else UNKNOWN_CAMERA))
    return crops


def read_background_folder(folder: Path, name: str) -> Sequence[Path]:
    """The pictures of a folder, in order of their names.

    Raises:
        InputError: there is no such folder, or no picture in it.
    """
    paths = sorted(path for path in folder.iterdir() if is_image(path)) if folder.is_dir() else []
    if not paths:
        raise InputError(f"dataset {name}: backgrounds: expected a folder of pictures, got {folder}")
    return paths
