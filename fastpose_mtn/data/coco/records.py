"""COCO-style JSON files as people with the files' own joints.

``data/labels`` reads them, and says what it repairs, leaves out and refuses; here people get their boxes cut to the
image, continuous joints, identities that are numbered over all files, and the word whether they are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastpose_mtn.data.dataset import PersonSearchQuery
from fastpose_mtn.data.labels.annotations import Annotation
from fastpose_mtn.data.labels.boxes import box_faults
from fastpose_mtn.data.labels.file import LabelFile, read_label_file
from fastpose_mtn.data.labels.images import ImageEntry
from fastpose_mtn.data.labels.rules import LabelRules
from fastpose_mtn.data.problems import KEPT, LEFT_OUT, Problems
from fastpose_mtn.errors import InputError
from fastpose_mtn.joint_names import common_name

_OVER_THE_BORDER = 1.0  # pixels that a box may reach over the image's border before it is worth a word


@dataclass(frozen=True)
class CocoJsonFormat:
    """What differs between datasets of this kind and is not in their files.

    Attributes:
        joint_offset: pixels added to joints: 0.5 where they are pixel indices (COCO), 0 where continuous.
        joints: names of the joints, for files that do not give them (Halpe).
        ignore_unlabelled: people without a labelled joint are ignored, boxes and all (PoseTrack), and not
            examples of a person without joints (COCO).
        sequences: each file is one sequence, people's track ids are theirs in it, and PoseTrack's evaluation
            applies (PoseTrack).
        tasks: what the images train; None: what there are labels for.
        queries: gives the people of its own search protocol from the folder of images and the size of a gallery,
            None where that folder lacks the protocol's files; see ``PoseDataset.queries``.
        domain: see ``PoseDataset``; "": the dataset's name.
        people: the categories that are people's, by name or id; (): those called person and the like.
        part_fields, labelled_from: see ``LabelRules``.
    """

    joint_offset: float = 0.5
    joints: tuple[str, ...] | None = None
    ignore_unlabelled: bool = False
    sequences: bool = False
    tasks: frozenset[str] | None = None
    queries: Callable[[Path, int | None], list[PersonSearchQuery] | None] | None = None
    domain: str = ""
    people: tuple[str, ...] = ()
    part_fields: tuple[tuple[str, int], ...] = ()
    labelled_from: float | None = None

    @property
    def rules(self) -> LabelRules:
        """How its files are read."""
        return LabelRules(
            joints=self.joints,
            people=self.people,
            wants_joints=self.tasks is None or "keypoints" in self.tasks,
            joint_offset=self.joint_offset,
            part_fields=self.part_fields,
            labelled_from=self.labelled_from,
        )


@dataclass(frozen=True, slots=True)
class LabelledPerson:
    """A person as a file labels them, joints in the order of ``CocoJsonReader.joints``."""

    box: Sequence[float]  # xyxy
    keypoints: np.ndarray  # (J, 3) of the joints that were known when the person was read
    identity: int
    ignore: bool


@dataclass
class ImageRecord:
    """An image as a file describes it, with its people."""

    image_id: int
    file_name: str
    size_wh: tuple[int, int]  # (0, 0) where the file does not say
    video: str
    people: list[LabelledPerson]


class CocoJsonReader:
    """Reads files one after the other; identities are numbered over all of them.

    Args:
        problems: where oddities are counted; without it the first error is raised.

    Attributes:
        joints: names of all files' joints, as the first that has one spells it; more may come with each file.
        num_people: annotations of all files that are used.
        num_lost: and those that cannot be, for a fault of theirs.
    """

    def __init__(self, form: CocoJsonFormat, problems: Problems | None = None) -> None:
        self._form = form
        self.problems = problems or Problems()
        self.records: list[ImageRecord] = []
        self.identities: dict[tuple[str, ...], int] = {}
        self.joints: list[str] = []
        self.num_people = self.num_lost = 0
        self._position: dict[str, int] = {}  # in joints, by the name that files are matched by

    def read(self, path: Path) -> None:
        """Reads one more file: adds its images and people to those of the files before.

        Raises:
            InputError: the file or one of its records cannot be meant; names the file and the record.
        """
        file = read_label_file(path, self._form.rules, self.problems)
        self.num_lost += file.num_lost
        self.num_people += len(file.people.annotations)
        columns = self._columns(file.categories.joints)
        records = [self._record(entry, path) for entry in file.images.entries]
        annotations, numbers = file.people.annotations, file.people.joints
        keypoints = np.zeros((len(annotations), len(self.joints), 3), np.float32)
        labelled = numbers[..., 2] > 0
        moved = numbers + np.array([self._form.joint_offset, self._form.joint_offset, 0.0])
        keypoints[:, columns] = np.where(labelled[..., None], moved, 0)
        self._note_what_lies_outside(file, moved, labelled)
        sizes = np.array([records[a.image].size_wh for a in annotations], np.float64).reshape(-1, 2)
        boxes = _cut_boxes(file.people.boxes_xywh, sizes).tolist()
        counts = labelled.sum(axis=1).tolist()
        named: set[tuple[int, int]] = set()
        for row, annotation in enumerate(annotations):
            image = records[annotation.image]
            ignore = annotation.crowd or (self._form.ignore_unlabelled and not counts[row])
            identity = -1 if ignore else self._identity(annotation, image.video)
            if identity >= 0:
                if (annotation.image, identity) in named:
                    kind = "annotations with the person_id or track_id of somebody else in their image"
                    self.problems.add(KEPT, kind, file.place(annotation))
                named.add((annotation.image, identity))
            image.people.append(LabelledPerson(boxes[row], keypoints[row], identity, ignore))
        for entry, record in zip(file.images.entries, records, strict=True):
            if entry.is_labeled is not False:
                self.records.append(record)
        self._count_unlabelled(file)

    def check_somebody_is_left(self, name: str, annotations: Path) -> None:
        """Refuses a dataset all of whose annotations are left out for faults: its images would train as empty ones.

        Raises:
            InputError: nobody is left; the counts say why.
        """
        if self.num_lost and not self.num_people:
            raise InputError(
                f"dataset {name}: expected people in {annotations}, but none of its {self.num_lost} annotations can be "
                "used; what is left out says why"
            )

    def _record(self, entry: ImageEntry, path: Path) -> ImageRecord:
        record = ImageRecord(
            image_id=entry.number,
            file_name=entry.file_name,
            size_wh=entry.size_wh,
            # The file too: PoseTrack's vid_id is a number that two sources of video share.
            video=f"{path.stem}/{entry.fields.get('vid_id') or Path(entry.file_name).parent}",
            people=[],
        )
        for polygon in entry.regions:
            low, high = polygon.min(axis=0), polygon.max(axis=0)
            box, size = np.concatenate([low, high - low])[None], np.array([entry.size_wh], np.float64)
            if box_faults(box, np.where(size > 0, size, np.inf))[0]:
                self.problems.add(
                    LEFT_OUT, "ignore regions without area, outside the image or not finite", entry.place
                )
                continue
            record.people.append(
                LabelledPerson(
                    _cut_boxes(box, size)[0].tolist(), np.zeros((0, 3), np.float32), -1, ignore=True
                )
            )
        return record

    def _note_what_lies_outside(self, file: LabelFile, joints: np.ndarray, labelled: np.ndarray) -> None:
        """Counts boxes and joints (N, J, 3) that lie over the border of their image."""
        people = file.people
        sizes = np.array([file.images.entries[a.image].size_wh for a in people.annotations]).reshape(-1, 2)
        known = sizes[:, 0] > 0
        low, high = people.boxes_xywh[:, :2], people.boxes_xywh[:, :2] + people.boxes_xywh[:, 2:]
        over = (np.minimum(low, sizes - high) < -_OVER_THE_BORDER).any(axis=1)
        xy = joints[..., :2]
        outside = (labelled & ((xy < 0) | (xy > sizes[:, None])).any(axis=2)).any(axis=1)
        for found, kind in (
            (over, "annotations with a box that reaches over the image's border, cut to it"),
            (outside, "annotations with joints outside the image, which train nothing"),
        ):
            for row in np.flatnonzero(known & found).tolist():
                self.problems.add(KEPT, kind, file.place(people.annotations[row]))

    def _count_unlabelled(self, file: LabelFile) -> None:
        for annotation in file.people.annotations:
            if file.images.entries[annotation.image].is_labeled is False:
                self.problems.add(
                    LEFT_OUT, "annotations of images that say is_labeled false (PoseTrack's evaluation counts them)",
                    file.place(annotation),
                )  # fmt: skip

    def _columns(self, names: Sequence[str]) -> np.ndarray:
        """(J,) position in ``joints`` of each of a file's joints; new ones are added there."""
        keys = [name if common_name(name) in names else common_name(name) for name in names]
        for key, name in zip(keys, names, strict=True):
            if key not in self._position:
                self._position[key] = len(self.joints)
                self.joints.append(name)
        return np.array([self._position[key] for key in keys], np.int64)

    def _identity(self, annotation: Annotation, video: str) -> int:
        """Persons are numbered as they come: ``person_id`` is the dataset's, ``track_id`` its video's."""
        for field, value, context in (
            ("person_id", annotation.person_id, ()),
            ("track_id", annotation.track_id, (video,)),
        ):
            if value is None:
                continue
            if isinstance(value, int) and value < 0:  # CUHK-SYSU and PRW mark unknown people so
                return -1
            return self.identities.setdefault((field, *context, str(value)), len(self.identities))
        return -1


def _cut_boxes(boxes_xywh: np.ndarray, sizes_wh: np.ndarray) -> np.ndarray:
    """(N, 4) float32 xyxy, cut to images of these sizes (N, 2), 0 where unknown."""
    limits = np.where(sizes_wh > 0, sizes_wh, np.inf)
    low, high = boxes_xywh[:, :2], boxes_xywh[:, :2] + boxes_xywh[:, 2:]
    return np.concatenate([np.maximum(low, 0), np.minimum(high, limits)], axis=1).astype(np.float32)
