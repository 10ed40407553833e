"""Which annotations of a label file are people, of which image and category, and who they are: all but their numbers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from fastpose_mtn.data.json_fields import JsonObject, shown
from fastpose_mtn.data.labels.annotations import Annotation, annotation_place
from fastpose_mtn.data.labels.categories import Categories
from fastpose_mtn.data.labels.images import ImageEntries, count_if_respelled
from fastpose_mtn.data.labels.rules import LabelRules
from fastpose_mtn.data.labels.values import Identifier, flag, identifier
from fastpose_mtn.data.problems import LEFT_OUT, REPAIRED, Problems
from fastpose_mtn.errors import InputError

_MISSING = object()


class AnnotationReader:
    """Reads annotations one by one.

    Args:
        images: of the file.
        categories: of the file.
        rules: what differs between such files.
        path: of the file, for messages.
        problems: counts what is repaired and left out, and raises or counts what is refused.

    Attributes:
        of_others: annotations read so far whose categories are not people's.
    """

    def __init__(
        self, images: ImageEntries, categories: Categories, rules: LabelRules, path: str, problems: Problems
    ) -> None:
        self._images, self._categories, self._rules = images, categories, rules
        self._path, self._problems = path, problems
        self._seen: dict[Identifier, JsonObject] = {}
        self._in_merged: set[tuple[int, str]] = set()
        self.of_others = 0

    def read(self, values: Sequence[Any]) -> list[Annotation]:
        """Those that are people; what is wrong with one is counted, or raised as an ``InputError``."""
        kept = []
        for position, fields in enumerate(values):
            try:
                annotation = self._plain_annotation(position, fields) or self._odd_annotation(
                    position, fields
                )
            except InputError as error:
                self._problems.refuse(annotation_place(self._path, position, fields), error)
                continue
            if annotation is not None:
                kept.append(annotation)
        return kept

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
        # words are made where they are needed
        place = functools.partial(annotation_place, self._path, position, fields)
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

    def _leave_out(self, kind: str, place: str) -> None:
        self._problems.add(LEFT_OUT, kind, place)


def _shown_whole(fields: JsonObject) -> str:
    """Box and joints as text: what tells a person from another in one image."""
    return f"{fields.get('bbox')} {fields.get('keypoints')}"
