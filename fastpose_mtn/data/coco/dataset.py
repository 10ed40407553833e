"""Datasets in COCO-style JSON: COCO, PoseTrack18, CrowdPose, Halpe, and what is converted to it.

Fields read: ``images`` (id, file_name, width, height, is_labeled, vid_id, ignore_regions_x/y),
``annotations`` (id, image_id, category_id, bbox, keypoints, iscrowd, person_id or track_id) and
``categories`` (name, keypoints); ``data/labels`` says what becomes of wrong ones. People are in the skeleton of the
joints that the files name.

* A person is ignored where ``iscrowd`` is set, and where nothing is labelled on purpose: PoseTrack's
  ignore regions (the box around each polygon) and, with ``ignore_unlabelled``, people without joints.
* A dataset whose ``v`` is never 2 (PoseTrack) does not tell hidden joints from visible ones: its labelled
  joints are taken as visible.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from fastpose_mtn.data.coco.ground_truth import CocoLabels, read_coco_labels
from fastpose_mtn.data.coco.records import CocoJsonFormat, CocoJsonReader, ImageRecord
from fastpose_mtn.data.coco.sequences import sequences_in_files
from fastpose_mtn.data.dataset import FRAME_RATE, LabelledSequence, PersonSearchQuery, PoseDataset
from fastpose_mtn.data.image_file import IMAGE_SUFFIXES, read_image
from fastpose_mtn.data.problems import ERROR, LEFT_OUT, Problems
from fastpose_mtn.data.sample import TASKS, LabelledImage
from fastpose_mtn.errors import InputError
from fastpose_mtn.skeletons import Skeleton, skeleton_of
from fastpose_mtn.structures import PersonTargets

_LOG = logging.getLogger("fastpose_mtn")


class CocoJsonDataset(PoseDataset):
    """Images and people of one or more COCO-style files.

    Args:
        name: as in ``DATASETS``.
        annotations: a file, or a folder of files (PoseTrack: one a sequence), read in order of name.
        images: the folder that ``file_name`` starts from.
        filter_empty: leave out images without anybody to learn from (training).
        skip_missing: leave out images that are missing, with a warning that counts them.

    Raises:
        InputError: a file cannot be used or images are missing; names the file and the record.
    """

    def __init__(
        self,
        name: str,
        annotations: Path,
        images: Path,
        *,
        form: CocoJsonFormat | None = None,
        filter_empty: bool = False,
        skip_missing: bool = False,
    ) -> None:
        self.name, self.annotations, self.folder = name, annotations, images
        self.form = form = form or CocoJsonFormat()
        problems = Problems()
        reader, kept = read_records(
            name, annotations, images, form, problems, filter_empty=filter_empty, skip_missing=skip_missing
        )
        self._file_names = np.array([r.file_name for r in kept])
        self._image_ids = _unique_ids([r.image_id for r in kept])
        self._sizes_wh = np.array([r.size_wh for r in kept], np.int64).reshape(-1, 2)
        # Long arrays, not objects: they stay shared between worker processes.
        people = [person for r in kept for person in r.people]
        self._ends = np.cumsum([len(r.people) for r in kept])
        self._boxes = np.array([p.box for p in people], np.float32).reshape(-1, 4)
        self.skeleton = skeleton_of(reader.joints)
        self._keypoints = np.zeros((len(people), len(self.skeleton), 3), np.float32)
        for row, person in zip(self._keypoints, people, strict=True):
            row[: len(person.keypoints)] = person.keypoints  # later files may have named more joints
        self._identities = np.array([p.identity for p in people], np.int64)
        self._ignore = np.array([p.ignore for p in people], bool)
        visibility = self._keypoints[..., 2]
        if not (visibility == 2).any():
            visibility[visibility > 0] = 2
        self._num_identities = len(reader.identities)
        labelled = self._labelled_tasks()
        self.tasks = labelled if form.tasks is None else labelled & form.tasks
        for task in sorted((form.tasks or labelled) - labelled) if people else ():
            _LOG.warning("dataset %s: trains no %s, as it is asked to: nobody in it has any", name, task)
        if not people:  # as is right of one of backgrounds, among others
            _LOG.info(
                "dataset %s: nobody is labelled in its %d images: they train as background, and measure nothing",
                name, len(self),
            )  # fmt: skip

    @property
    def domain(self) -> str:
        """Whose way of labelling it is: the format's ``domain``, or else the dataset's name."""
        return self.form.domain or super().domain

    @property
    def num_identities(self) -> int:
        """People that the files tell apart; 0 where the dataset does not train identities."""
        return self._num_identities if "identities" in self.tasks else 0

    def __len__(self) -> int:
        return len(self._image_ids)

    def image_size_wh(self, index: int) -> tuple[int, int]:
        """From the file; (1, 1) where the file does not say."""
        width, height = self._sizes_wh[index].tolist()
        return (width, height) if width > 0 else (1, 1)

    def image_file(self, index: int) -> Path:
        """The image's path: the folder of images and the record's ``file_name``."""
        return self.folder / str(self._file_names[index])

    def image_id(self, index: int) -> int:
        """The image's ``id`` in its JSON file; a number of its own where that is text or in several files."""
        return int(self._image_ids[index])

    def targets(self, index: int) -> PersonTargets:
        """Copies of the image's labels, in its pixels; the image itself is not read."""
        rows = slice(int(self._ends[index - 1]) if index else 0, int(self._ends[index]))
        return PersonTargets(
            boxes=self._boxes[rows].copy(),
            keypoints=self._keypoints[rows].copy(),
            identities=self._identities[rows].copy(),
            ignore=self._ignore[rows].copy(),
        )

    def __getitem__(self, index: int) -> LabelledImage:
        path = self.image_file(index)
        image = read_image(path)
        height, width = image.shape[:2]
        said = tuple(self._sizes_wh[index].tolist())
        if said[0] > 0 and said != (width, height):
            raise InputError(
                f"{path}: the image is {width}x{height}, but dataset {self.name} says {said[0]}x{said[1]} "
                f"(image id {self._image_ids[index]}); its labels would not fit"
            )
        return LabelledImage(
            image=image,
            targets=self.targets(index),
            tasks=self.tasks,
            image_id=int(self._image_ids[index]),
            file_name=str(self._file_names[index]),
        )

    def coco_labels(self) -> CocoLabels:
        """Read again: what ``annotations_file`` holds is not kept besides the arrays."""
        return read_coco_labels(self.annotations, self.form, Problems())

    def annotations_file(self, skeleton: Skeleton) -> Path | None:
        """The JSON file, if it is a single one and its joints have sigmas and are all in ``skeleton``; or None."""
        measured = bool(self.skeleton.sigmas) and all(map(skeleton.has, self.skeleton.joints))
        return self.annotations if measured and self.annotations.is_file() else None

    @property
    def has_sequences(self) -> bool:
        """Whether each file of the format is one video sequence."""
        return self.form.sequences

    def sequences(
        self, *, warn: Callable[[str], None], frame_rate: float = FRAME_RATE
    ) -> list[LabelledSequence]:
        """Reads each file as one sequence of PoseTrack18; an empty list where the format has no sequences.

        Args:
            warn: takes one line of text for each oddity of a file.
            frame_rate: frames a second, which the files do not say.

        Raises:
            InputError: a file holds something else than one sequence; names the file.
        """
        if not self.form.sequences:
            return []
        index_of = {self.image_file(index): index for index in range(len(self))}
        files = annotation_files(self.annotations, self.name)
        return sequences_in_files(
            files, self.folder, index_of, people=self.form.people, warn=warn, frame_rate=frame_rate
        )

    def queries(self, gallery_size: int | None) -> list[PersonSearchQuery] | None:
        """The people to find of the format's own search protocol; None: it has none, or its files are not there."""
        return None if self.form.queries is None else self.form.queries(self.folder, gallery_size)

    def _labelled_tasks(self) -> frozenset[str]:
        labelled = {
            "boxes": True,
            "keypoints": bool((self._keypoints[..., 2] > 0).any()),
            "identities": bool((self._identities >= 0).any()),
        }
        return frozenset(task for task in TASKS if labelled[task])


def read_records(
    name: str,
    annotations: Path,
    images: Path,
    form: CocoJsonFormat,
    problems: Problems,
    *,
    filter_empty: bool,
    skip_missing: bool,
) -> tuple[CocoJsonReader, list[ImageRecord]]:
    """Everything that is read of a dataset before its first image, for use and for a check alike.

    Args:
        name: of the dataset, for messages.
        annotations: a file, or a folder of files.
        images: the folder that ``file_name`` starts from.
        form: what differs between such datasets and is not in their files.
        problems: where everything is counted; unless it collects errors, counts are logged here, also before an error.
        filter_empty: leave out images without anybody to learn from.
        skip_missing: leave out images that are missing.

    Returns:
        The reader of all files, and the images that are used.

    Raises:
        InputError: see ``CocoJsonDataset``.
    """
    reader = CocoJsonReader(form, problems)
    kept: list[ImageRecord] = []
    place = f"dataset {name}"
    try:
        with problems.within(place):
            for path in annotation_files(annotations, name):
                with problems.within(str(path)):
                    reader.read(path)
            reader.check_somebody_is_left(name, annotations)
            used = with_people(reader.records) if filter_empty else reader.records
            kept = _there(name, images, used, problems, skip_missing=skip_missing)
            if not kept and not problems.count(ERROR):
                raise nothing_left(name, annotations, filter_empty=filter_empty)
    finally:
        if not problems.collects_errors:
            problems.log(name)
    return reader, kept


def with_people(records: Sequence[ImageRecord]) -> list[ImageRecord]:
    """The images with somebody to learn from, which ``filter_empty`` keeps."""
    return [record for record in records if not all(person.ignore for person in record.people)]


def nothing_left(name: str, annotations: Path, *, filter_empty: bool) -> InputError:
    """What is said of a dataset without an image to use."""
    remedy = "; DATALOADER.FILTER_EMPTY_ANNOTATIONS False trains on images without people"
    return InputError(
        f"dataset {name}: no {'image with people' if filter_empty else 'labelled image'} in {annotations}"
        f"{remedy if filter_empty else ''}"
    )


def _there(
    name: str, folder: Path, records: Sequence[ImageRecord], problems: Problems, *, skip_missing: bool
) -> list[ImageRecord]:
    """The images whose file is there."""
    missing = missing_images(folder, records)
    if missing and not skip_missing and not problems.collects_errors:
        raise InputError(
            f"dataset {name}: {len(missing)} of {len(records)} images are missing, the first is "
            f"{image_place(folder, missing[0])}{_found_elsewhere(folder, missing[0])}; DATALOADER.SKIP_BAD_IMAGES True "
            "leaves them out"
        )
    for i, record in enumerate(missing):
        severity = LEFT_OUT if skip_missing else ERROR
        hint = "" if i else _found_elsewhere(folder, record)
        problems.add(severity, "images that are missing", f"{image_place(folder, record)}{hint}")
    absent = {id(record) for record in missing}
    return [record for record in records if id(record) not in absent]


def _unique_ids(image_ids: Sequence[int]) -> np.ndarray:
    """(N,) int64: the ids, or numbers from 1 where several files count from the same."""
    ids = np.array(image_ids, np.int64)
    return ids if len(np.unique(ids)) == len(ids) else np.arange(1, len(ids) + 1)


def missing_images(folder: Path, records: Sequence[ImageRecord]) -> list[ImageRecord]:
    """The images whose file is not there: found before training, not hours into it; a folder is listed once."""
    listed: dict[Path, set[str]] = {}
    missing = []
    for record in records:
        path = folder / record.file_name
        if path.parent not in listed:
            there = path.parent.is_dir()
            listed[path.parent] = {p.name for p in path.parent.iterdir()} if there else set()
        if path.name not in listed[path.parent]:
            missing.append(record)
    return missing


def _found_elsewhere(folder: Path, record: ImageRecord) -> str:
    """``"; FILE is there"`` where the name says the folder too, leaves folders out, or has another case or ending."""
    asked = folder / record.file_name
    with contextlib.suppress(OSError):  # a name longer than any file's
        for path in (folder / asked.name, folder.parent / record.file_name):
            if path.is_file():
                return f"; {path} is there"
    beside = sorted(asked.parent.iterdir()) if asked.parent.is_dir() else []
    alike = [path for path in beside if path.name.casefold() == asked.name.casefold()]
    alike += [path for path in beside if path.stem == asked.stem and path.suffix.lower() in IMAGE_SUFFIXES]
    return f"; {alike[0]} is there" if alike else ""


def image_place(folder: Path, record: ImageRecord) -> str:
    """Words for a message: an image's file and id."""
    return f"{folder / record.file_name} (image id {record.image_id})"


def annotation_files(annotations: Path, name: str) -> list[Path]:
    """One file, or those of a folder in order of name.

    Raises:
        InputError: there is none.
    """
    if annotations.is_dir():
        files = sorted(annotations.glob("*.json"))
        if not files:
            raise InputError(f"dataset {name}: no .json file in {annotations}")
        return files
    if not annotations.is_file():
        raise InputError(f"dataset {name}: annotations not found: {annotations}")
    return [annotations]
