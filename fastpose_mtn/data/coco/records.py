"""Reads COCO-style JSON files into people with the files' own joints, checked record by record.

An annotation that cannot be used (a box without area, outside the image or not finite) is left out, and
one warning a kind says how many there were and which was the first; so it is with what is used but odd.
What cannot be meant is an error.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastpose_mtn.data.dataset import PersonSearchQuery
from fastpose_mtn.data.problems import KEPT, LEFT_OUT, Problems
from fastpose_mtn.errors import InputError
from fastpose_mtn.skeletons import common_name

# A person with joints but no box gets the joints' extent, each side moved out by this share of it; joints
# lie inside a body. PoseTrack's own boxes are made so.
_MARGIN_AROUND_JOINTS = 0.15
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
    """

    joint_offset: float = 0.5
    joints: tuple[str, ...] | None = None
    ignore_unlabelled: bool = False
    sequences: bool = False
    tasks: frozenset[str] | None = None
    queries: Callable[[Path, int | None], list[PersonSearchQuery] | None] | None = None
    domain: str = ""


@dataclass(frozen=True)
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
    """

    def __init__(self, form: CocoJsonFormat, problems: Problems | None = None) -> None:
        self._form = form
        self.problems = problems or Problems()
        self.records: list[ImageRecord] = []
        self.identities: dict[tuple[str, ...], int] = {}
        self.joints: list[str] = []
        self._position: dict[str, int] = {}  # in joints, by the name that files are matched by

    def read(self, path: Path) -> None:
        """Reads one more file: adds its images and people to those of the files before.

        Raises:
            InputError: the file or one of its records cannot be meant; names the file and the record.
        """
        content = _load(path)
        images: dict[int, ImageRecord] = {}
        for number, image in enumerate(content["images"]):
            where = f"{path}: images[{number}]"
            with self.problems.within(where):
                record = self._image(image, where, path)
                if record.image_id in images:
                    raise InputError(f"{where}: an id that appears twice, got {record.image_id}")
                images[record.image_id] = record
                if image.get("is_labeled", True):
                    self.records.append(record)
        categories = {c.get("id"): c for c in content.get("categories", []) if isinstance(c, dict)}
        people_ids = {i for i, c in categories.items() if c.get("name") == "person"} or set(categories)
        positions = {i: self._joint_positions(categories[i], path) for i in people_ids}
        seen: set[Any] = set()
        for number, annotation in enumerate(content["annotations"]):
            where = f"{path}: annotations[{number}]"
            if not isinstance(annotation, dict):
                with self.problems.within(where):
                    raise InputError(f"{where}: expected an object, got {type(annotation).__name__}")
                continue
            if categories and annotation.get("category_id") not in people_ids:
                continue
            where = f"{where} (id {annotation.get('id')})"
            if "id" in annotation:
                if str(annotation["id"]) in seen:
                    self.problems.add(KEPT, "annotations with an id that appears twice", where)
                seen.add(str(annotation["id"]))
            with self.problems.within(where):
                self._add(annotation, images, positions.get(annotation.get("category_id")), where)

    def _add(
        self,
        annotation: Mapping[str, Any],
        images: Mapping[int, ImageRecord],
        positions: np.ndarray | None,
        where: str,
    ) -> None:
        image_id = annotation.get("image_id")
        image = images.get(image_id) if isinstance(image_id, int) else None
        if image is None:
            raise InputError(
                f"{where}: image_id is none of the file's {len(images)} images, got {image_id!r}"
            )
        person = self._person(annotation, image, positions, where)
        if person is not None:
            image.people.append(person)

    def _image(self, image: Any, where: str, path: Path) -> ImageRecord:
        if not isinstance(image, dict) or not isinstance(image.get("id"), int):
            raise InputError(f"{where}: expected an object with a whole number as id")
        if not isinstance(image.get("file_name"), str):
            raise InputError(f"{where} (id {image['id']}): expected a file_name")
        try:
            size = (int(image.get("width") or 0), int(image.get("height") or 0))
        except (TypeError, ValueError):
            raise InputError(
                f"{where} (id {image['id']}): expected width and height in pixels, got {image.get('width')!r} and "
                f"{image.get('height')!r}"
            ) from None
        record = ImageRecord(
            image_id=image["id"],
            file_name=image["file_name"],
            size_wh=size if min(size) > 0 else (0, 0),
            # The file too: PoseTrack's vid_id is a number that two sources of video share.
            video=f"{path.stem}/{image.get('vid_id') or Path(image['file_name']).parent}",
            people=[],
        )
        for polygon in _polygons(image, f"{where} (id {image['id']})"):
            low, high = polygon.min(axis=0), polygon.max(axis=0)
            box = self._usable_box((*low, *high), record, where)
            if box is not None:
                record.people.append(LabelledPerson(box, self._no_joints(), -1, ignore=True))
        return record

    def _person(
        self, annotation: Mapping[str, Any], image: ImageRecord, positions: np.ndarray | None, where: str
    ) -> LabelledPerson | None:
        keypoints = self._joints(annotation, positions, where)
        labelled = keypoints[:, 2] > 0
        corners = _corners(annotation, where)
        if corners is None and labelled.any():
            low, high = keypoints[labelled, :2].min(axis=0), keypoints[labelled, :2].max(axis=0)
            margin = _MARGIN_AROUND_JOINTS * (high - low)
            self.problems.add(KEPT, "annotations with joints but no box, which is drawn around them", where)
            corners = (*(low - margin).tolist(), *(high + margin).tolist())
        if corners is None:
            self._leave_out("neither a box nor a labelled joint", where)
            return None
        box = self._usable_box(corners, image, where)
        if box is None:
            return None
        self._note_what_lies_outside(keypoints, corners, image, where)
        ignore = bool(annotation.get("iscrowd")) or (self._form.ignore_unlabelled and not labelled.any())
        return LabelledPerson(
            box, keypoints, -1 if ignore else self._identity(annotation, image, where), ignore=ignore
        )

    def _note_what_lies_outside(
        self, keypoints: np.ndarray, corners: Sequence[float], image: ImageRecord, where: str
    ) -> None:
        width, height = image.size_wh
        if not width:
            return
        x1, y1, x2, y2 = corners
        if min(x1, y1, width - x2, height - y2) < -_OVER_THE_BORDER:
            self.problems.add(
                KEPT, "annotations with a box that reaches over the image's border, cut to it", where
            )
        xy, labelled = keypoints[:, :2], keypoints[:, 2] > 0
        if (labelled & ((xy < 0) | (xy > image.size_wh)).any(axis=1)).any():
            self.problems.add(KEPT, "annotations with joints outside the image, which train nothing", where)

    def _joint_positions(self, category: Mapping[str, Any], path: Path) -> np.ndarray | None:
        """(J,) position in ``joints`` of each of the category's joints; new ones are added there."""
        names = [str(name) for name in self._form.joints or category.get("keypoints") or ()]
        if not names:
            return None
        keys = [name if common_name(name) in names else common_name(name) for name in names]
        if len(set(keys)) < len(keys):
            raise InputError(f"{path}: two joints of the file have the same name: {', '.join(names)}")
        for key, name in zip(keys, names, strict=True):
            if key not in self._position:
                self._position[key] = len(self.joints)
                self.joints.append(name)
        return np.array([self._position[key] for key in keys], np.int64)

    def _joints(self, annotation: Mapping[str, Any], positions: np.ndarray | None, where: str) -> np.ndarray:
        out = self._no_joints()
        values = annotation.get("keypoints")
        if not values or positions is None:
            return out
        try:
            joints = np.asarray(values, np.float64).reshape(-1, 3)
        except (TypeError, ValueError):
            raise InputError(f"{where}: keypoints: expected x, y, v for each joint, numbers all") from None
        if len(joints) != len(positions):
            raise InputError(
                f"{where}: keypoints: expected {3 * len(positions)} numbers, x, y, v for each of the category's "
                f"{len(positions)} joints, got {3 * len(joints)}"
            )
        bad = ~np.isfinite(joints).all(axis=1)
        if bad.any():
            self._leave_out("joints that are not finite (the joints alone are left out)", where)
            joints[bad] = 0
        wrong = ~np.isin(joints[:, 2], (0, 1, 2))
        if wrong.any():
            raise InputError(f"{where}: keypoints: expected v of 0, 1 or 2, got {joints[wrong][0, 2]:g}")
        labelled = joints[:, 2] > 0
        out[positions[labelled], :2] = joints[labelled, :2] + self._form.joint_offset
        out[positions[labelled], 2] = joints[labelled, 2]
        return out

    def _no_joints(self) -> np.ndarray:
        return np.zeros((len(self.joints), 3), np.float32)

    def _usable_box(self, corners: Sequence[float], image: ImageRecord, where: str) -> list[float] | None:
        """The box inside the image, or None after counting why there is none."""
        width, height = image.size_wh if image.size_wh[0] else (math.inf, math.inf)
        with np.errstate(over="ignore"):
            x1, y1, x2, y2 = np.asarray(
                corners, np.float32
            ).tolist()  # as they are kept: what is thinner has no area
        if not all(map(math.isfinite, (x1, y1, x2, y2))):
            self._leave_out("a box that is not finite", where)
            return None
        if x2 <= x1 or y2 <= y1:
            self._leave_out("a box without area", where)
            return None
        box = [max(x1, 0.0), max(y1, 0.0), min(x2, width), min(y2, height)]
        if box[2] <= box[0] or box[3] <= box[1]:
            self._leave_out("a box outside the image", where)
            return None
        return box

    def _identity(self, annotation: Mapping[str, Any], image: ImageRecord, where: str) -> int:
        """Persons are numbered as they come: ``person_id`` is the dataset's, ``track_id`` its video's."""
        for field, context in (("person_id", ()), ("track_id", (image.video,))):
            value = annotation.get(field)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int):
                raise InputError(f"{where}: {field}: expected a whole number, got {value!r}")
            if value < 0:  # CUHK-SYSU and PRW mark unknown people so
                return -1
            return self.identities.setdefault((field, *context, str(value)), len(self.identities))
        return -1

    def _leave_out(self, problem: str, where: str) -> None:
        self.problems.add(LEFT_OUT, f"annotations with {problem}", where)


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: not JSON, or cut short: {error}") from None
    for field in ("images", "annotations"):
        if not isinstance(content, dict) or not isinstance(content.get(field), list):
            raise InputError(
                f"{path}: expected COCO-style JSON, an object with the lists images and annotations"
            )
    return content


def _corners(annotation: Mapping[str, Any], where: str) -> tuple[float, ...] | None:
    values = annotation.get("bbox")
    if not values:
        return None
    try:
        x, y, width, height = (float(v) for v in values)
    except (TypeError, ValueError):
        raise InputError(f"{where}: bbox: expected 4 numbers x, y, width, height, got {values!r}") from None
    return x, y, x + width, y + height


def _polygons(image: Mapping[str, Any], where: str) -> Iterator[np.ndarray]:
    """(M, 2) corners of each ignore region; a single region may come without its outer list."""
    xs, ys = image.get("ignore_regions_x") or [], image.get("ignore_regions_y") or []
    if xs and not isinstance(xs[0], list):
        xs, ys = [xs], [ys]
    try:
        regions = [np.array([x, y], np.float64).T for x, y in zip(xs, ys, strict=True)]
    except (TypeError, ValueError):
        raise InputError(
            f"{where}: ignore_regions_x and _y: expected as many numbers in one as in the other"
        ) from None
    return (region for region in regions if region.size)
