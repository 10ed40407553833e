"""The annotations of a label file that are people, as arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastpose_mtn.data.json_fields import JsonObject, shown
from fastpose_mtn.data.labels.annotations import Annotation, People
from fastpose_mtn.data.labels.boxes import settle_boxes, usable_area
from fastpose_mtn.data.labels.categories import Categories
from fastpose_mtn.data.labels.images import LARGEST, ImageEntries, count_if_respelled
from fastpose_mtn.data.labels.plausibility import count_strays, refuse_corners, refuse_shares
from fastpose_mtn.data.labels.rules import LabelRules
from fastpose_mtn.data.labels.values import Identifier, flag, identifier, is_missing, number_rows
from fastpose_mtn.data.problems import KEPT, LEFT_OUT, REPAIRED, Problems
from fastpose_mtn.errors import InputError

_MISSING = object()


class PeopleReader:
    """Reads annotations one by one, then their numbers at once.

    Args:
        places: gives the words for an annotation's place in the file.
    """

    def __init__(
        self, images: ImageEntries, categories: Categories, rules: LabelRules, path: str, problems: Problems
    ) -> None:
        self._images, self._categories, self._rules = images, categories, rules
        self._path, self._problems = path, problems
        self._seen: dict[Identifier, JsonObject] = {}
        self._in_merged: set[tuple[int, str]] = set()
        self.of_others = 0

    def read(self, values: Sequence[Any]) -> People:
        """The people; what is wrong with one is counted, or raised as an ``InputError``."""
        kept = []
        for position, fields in enumerate(values):
            try:
                annotation = self._plain_annotation(position, fields) or self._odd_annotation(
                    position, fields
                )
            except InputError as error:
                self._problems.refuse(self._place(position, fields), error)
                continue
            if annotation is not None:
                kept.append(annotation)
        joints, wrong = self._joints(kept)
        boxes, wrong_boxes = self._boxes(kept)
        for row, text in sorted((wrong_boxes | wrong).items()):
            place = self.place(kept[row])
            self._problems.refuse(place, InputError(f"{place}: {text}"))
        usable = np.ones(len(kept), bool)
        usable[[*wrong, *wrong_boxes]] = False
        sizes = np.array([entry.size_wh for entry in self._images.entries], np.float64).reshape(-1, 2)
        sizes = sizes[np.array([annotation.image for annotation in kept], np.int64)]
        if not self._rules.poseval:
            refuse_shares(boxes, joints, self._path)
            refuse_corners(boxes, sizes, self._path)
            self._count_joints(kept, joints, usable)
            self._count_areas(kept, usable)

        def place_of(row: int) -> str:
            return self.place(kept[row])

        usable &= settle_boxes(boxes, joints, sizes, usable, self._rules, place_of, self._problems)
        if not self._rules.poseval:
            count_strays(boxes, joints, usable, place_of, self._problems)
        if usable.all():
            return People(kept, boxes, joints)
        rows = np.flatnonzero(usable)
        return People([kept[row] for row in rows.tolist()], boxes[rows], joints[rows])

    def place(self, annotation: Annotation) -> str:
        """Words for a message: where in the file an annotation is."""
        return self._place(annotation.position, annotation.fields)

    def _place(self, position: int, fields: Any) -> str:
        place = f"{self._path}: annotations[{position}]"
        return f"{place} (id {shown(fields.get('id'))})" if isinstance(fields, dict) else place

    def _plain_annotation(self, position: int, fields: Any) -> Annotation | None:
        """The fast path, which cannot say what is wrong: ids and flags as the format has them, and none twice."""
        if type(fields) is not dict:
            return None
        get = fields.get
        number, key, category, crowd = get("id"), get("image_id"), get("category_id"), get("iscrowd")
        if not (type(number) is type(key) is type(category) is type(crowd) is int):
            return None
        person_id, track_id = get("person_id"), get("track_id")
        image = self._images.position.get(key)
        if (
            image is None
            or self._images.entries[image].merged
            or number in self._seen
            or category not in self._categories.people
            or crowd not in (0, 1)
            or not (person_id is None or type(person_id) is int)
            or not (track_id is None or type(track_id) is int)
        ):
            return None
        self._seen[number] = fields
        return Annotation(position, image, category, crowd == 1, person_id, track_id, fields)

    def _odd_annotation(self, position: int, fields: Any) -> Annotation | None:
        place = functools.partial(self._place, position, fields)  # words are made where they are needed
        if not isinstance(fields, dict):
            raise InputError(f"{place()}: expected an object, got {shown(fields)}")
        category = self._category(fields, place)
        if category is None:
            return None
        image = self._image(fields, place)
        if image is None or self._is_repeated(fields, image, place):
            return None
        crowd = fields.get("iscrowd")
        if type(crowd) is not int or crowd not in (0, 1):
            crowd = self._crowd(crowd, place)
        return Annotation(
            position, image, category, bool(crowd),
            self._identity(fields, "person_id", place), self._identity(fields, "track_id", place), fields,
        )  # fmt: skip

    def _category(self, fields: JsonObject, place: Callable[[], str]) -> Identifier | None:
        value, categories = fields.get("category_id", _MISSING), self._categories
        if type(value) is int and value in categories.people:
            return value
        if value is None or value is _MISSING:
            if categories.only is None:
                self._leave_out("annotations without a category_id", place())
                return None
            self._problems.add(
                REPAIRED, "annotations without a category_id, of the file's only category", place()
            )
            return categories.only
        key = identifier(value)
        if key is None:
            raise InputError(
                f"{place()}: category_id: expected one of the file's categories ({categories.listed()}), got "
                f"{shown(value)}"
            )
        if key in categories.people:
            count_if_respelled(value, key, "category_id", place(), self._problems)
            return key
        if key in categories.others:
            self.of_others += 1
            name = categories.others[key]
            self._leave_out("annotations of categories that are not people's", f"{place()}, got {name}")
        else:
            self._leave_out(
                f"annotations whose category_id no category has (the file's are {categories.listed()})",
                f"{place()}, got {shown(value)}",
            )
        return None

    def _image(self, fields: JsonObject, place: Callable[[], str]) -> int | None:
        value = fields.get("image_id")
        key = value if type(value) is int else identifier(value)
        if key is None:
            raise InputError(
                f"{place()}: image_id: expected the id of one of the file's images, got {shown(value)}"
            )
        image = self._images.position.get(key)
        if image is None:
            self._leave_out("annotations whose image_id no image has", f"{place()}, got {shown(value)}")
        elif type(value) is not int:
            count_if_respelled(value, key, "image_id", place(), self._problems)
        return image

    def _is_repeated(self, fields: JsonObject, image: int, place: Callable[[], str]) -> bool:
        """Whether the same annotation was there before; ids are numbered anew, so any other may share one."""
        value = fields.get("id")
        key = value if type(value) is int else identifier(value)
        if key is None:
            if not self._rules.poseval:
                self._problems.add(REPAIRED, "annotations without an id, which are numbered", place())
        else:
            before = self._seen.setdefault(key, fields)
            if before is not fields:
                if before == fields:
                    self._leave_out("annotations that are listed twice", place())
                    return True
                self._problems.add(
                    REPAIRED, "annotations with an id that appears twice, which are numbered anew", place()
                )
        if self._images.entries[image].merged:
            person = (image, _shown_whole(fields))
            if person in self._in_merged:
                self._leave_out("people that two images of one file have both", place())
                return True
            self._in_merged.add(person)
        return False

    def _crowd(self, value: object, place: Callable[[], str]) -> bool:
        if value is None:
            return False
        crowd = flag(value)
        if crowd is None:
            raise InputError(f"{place()}: iscrowd: expected 0 or 1, got {shown(value)}")
        if isinstance(value, str):
            self._problems.add(REPAIRED, "annotations whose iscrowd is text, read as 0 or 1", place())
        return crowd

    def _identity(self, fields: JsonObject, field: str, place: Callable[[], str]) -> Identifier | None:
        value = fields.get(field)
        if value is None or type(value) is int:
            return value
        key = identifier(value)
        if key is None:
            raise InputError(f"{place()}: {field}: expected a whole number or text, got {shown(value)}")
        count_if_respelled(value, key, field, place(), self._problems)
        return key

    def _joints(self, kept: Sequence[Annotation]) -> tuple[np.ndarray, dict[int, str]]:
        joints = np.zeros((len(kept), len(self._categories.joints), 3))
        wrong: dict[int, str] = {}
        for key, columns in self._categories.columns.items():
            own = [row for row, a in enumerate(kept) if a.category == key]
            for field, part in self._joint_fields(columns):
                rows = [row for row in own if not is_missing(kept[row].fields.get(field))]
                if self._rules.poseval and len(rows) < len(own):
                    self._count_without_keypoints([kept[row] for row in sorted(set(own) - set(rows))])
                values = [self._flat(kept[row], field) for row in rows]
                if not len(columns):
                    self._refuse_unnamed([(kept[row], v) for row, v in zip(rows, values, strict=True)])
                    continue
                parts = f"x, y, v for each of the {len(part)} joints of the category"
                numbers, errors = number_rows(values, 3 * len(part), field, parts)
                wrong |= {rows[row]: text for row, text in errors.items()}
                joints[np.array(rows, np.int64)[:, None], part] = numbers.reshape(-1, len(part), 3)
        self._clear_bad_joints(kept, joints)
        if self._rules.labelled_from is not None:
            self._settle_shares(kept, joints, self._rules.labelled_from)
        if not self._rules.poseval:
            for row, joint in np.argwhere(~np.isin(joints[..., 2], (0, 1, 2))).tolist():
                wrong.setdefault(row, f"keypoints: expected v of 0, 1 or 2, got {joints[row, joint, 2]:g}")
        return joints, wrong

    def _joint_fields(self, columns: np.ndarray) -> list[tuple[str, np.ndarray]]:
        """The fields that hold a category's joints, each with the columns of its own; ``keypoints`` has the rest."""
        sizes = [count for _, count in self._rules.part_fields]
        parts = np.split(columns, len(columns) - np.cumsum(sizes[::-1])[::-1]) if sizes else [columns]
        names = ["keypoints", *(field for field, _ in self._rules.part_fields)]
        return list(zip(names, parts, strict=True))

    def _settle_shares(self, kept: Sequence[Annotation], joints: np.ndarray, labelled_from: float) -> None:
        """Makes v from 0 to 2 one of 0, 1 and 2, in place; others stay for whoever refuses them."""
        v = joints[..., 2]
        share = (v > 0) & (v < 2) & (v != 1)
        for row in np.flatnonzero(share.any(axis=1)).tolist():
            self._problems.add(
                REPAIRED, f"annotations with joints whose v is a share, labelled from {labelled_from:g} on",
                self.place(kept[row]),
            )  # fmt: skip
        v[share] = np.where(v[share] > 1.5, 2, np.where(v[share] >= labelled_from, 1, 0))

    def _count_without_keypoints(self, annotations: Sequence[Annotation]) -> None:
        for annotation in annotations:
            self._problems.add(KEPT, "annotations without keypoints", self.place(annotation))

    def _flat(self, annotation: Annotation, field: str) -> object:
        values = annotation.fields[field]
        if not isinstance(values, list) or not isinstance(values[0], list):
            return values
        if all(isinstance(v, list) and len(v) == 3 for v in values):
            self._problems.add(
                REPAIRED, "annotations whose keypoints are a list for each joint, read as one list",
                self.place(annotation),
            )  # fmt: skip
            return [number for value in values for number in value]
        return values

    def _refuse_unnamed(self, given: Sequence[tuple[Annotation, object]]) -> None:
        """Joints that no category names; a list of zeros labels none."""
        labelled = [annotation for annotation, values in given if not isinstance(values, list) or any(values)]
        if labelled and self._rules.wants_joints:
            category = self._categories.people[labelled[0].category]
            raise InputError(
                f"{category.place} ({category.name}): keypoints: expected the names of the joints that "
                f"{len(labelled)} annotations label, got none; add them, or train boxes alone with tasks=boxes"
            )
        for annotation in labelled:
            self._leave_out(
                "annotations with joints that no category names (the joints alone)", self.place(annotation)
            )

    def _clear_bad_joints(self, kept: Sequence[Annotation], joints: np.ndarray) -> None:
        if np.isfinite(joints).all() and (self._rules.poseval or np.abs(joints).max(initial=0) <= LARGEST):
            return  # as nearly always: joint by joint takes longer
        with np.errstate(invalid="ignore"):
            bad = ~np.isfinite(joints).all(axis=2)
            if not self._rules.poseval:
                bad |= (np.abs(joints[..., :2]) > LARGEST).any(axis=2)
        labels_one = (bad & ((joints[..., 2] != 0) | self._rules.poseval)).any(axis=1)
        joints[bad] = 0
        for row in np.flatnonzero(labels_one).tolist():
            self._leave_out(
                "annotations with joints that are not finite (the joints alone are left out)",
                self.place(kept[row]),
            )

    def _count_joints(self, kept: Sequence[Annotation], joints: np.ndarray, usable: np.ndarray) -> None:
        if not (self._rules.wants_joints and self._categories.joints):
            return
        labelled = joints[..., 2] > 0
        counted = len(self._categories.joints) - sum(count for _, count in self._rules.part_fields)
        for row in np.flatnonzero(
            (labelled & (joints[..., :2] == 0).all(axis=2)).any(axis=1) & usable
        ).tolist():
            self._problems.add(
                KEPT, "annotations that label joints at exactly 0, 0 (v of a joint that is not labelled is 0)",
                self.place(kept[row]),
            )  # fmt: skip
        counts = labelled[:, :counted].sum(axis=1).tolist()  # num_keypoints is that of the field keypoints
        for row, (annotation, count) in enumerate(zip(kept, counts, strict=True)):
            said = annotation.fields.get("num_keypoints")
            if said is not None and said != count and usable[row]:
                self._problems.add(
                    REPAIRED, "annotations whose num_keypoints is not how many joints they label, counted anew",
                    f"{self.place(annotation)}, got {shown(said)} instead of {count}",
                )  # fmt: skip

    def _count_areas(self, kept: Sequence[Annotation], usable: np.ndarray) -> None:
        for row, annotation in enumerate(kept):
            said = annotation.fields.get("area")
            if said is not None and usable[row] and usable_area(annotation.fields) is None:
                self._problems.add(
                    REPAIRED, "annotations whose area is no number above 0, evaluated with a share of the box",
                    f"{self.place(annotation)}, got {shown(said)}",
                )  # fmt: skip

    def _boxes(self, kept: Sequence[Annotation]) -> tuple[np.ndarray, dict[int, str]]:
        """(N, 4), NaN where there is none; by row what is wrong with those that are none."""
        boxes = np.full((len(kept), 4), np.nan)
        rows = [row for row, a in enumerate(kept) if not is_missing(a.fields.get("bbox"))]
        numbers, wrong = number_rows(
            [kept[row].fields["bbox"] for row in rows], 4, "bbox", "x, y, width, height"
        )
        numbers[np.isnan(numbers)] = np.inf  # NaN stands for "no box"
        boxes[rows] = numbers
        return boxes, {rows[row]: text for row, text in wrong.items()}

    def _leave_out(self, kind: str, place: str) -> None:
        self._problems.add(LEFT_OUT, kind, place)


def _shown_whole(fields: JsonObject) -> str:
    """Box and joints as text: what tells a person from another in one image."""
    return f"{fields.get('bbox')} {fields.get('keypoints')}"
