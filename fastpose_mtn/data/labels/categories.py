"""Which categories of a label file are people's, and what their joints are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastpose_mtn.data.json_fields import shown
from fastpose_mtn.data.labels.rules import LabelRules
from fastpose_mtn.data.labels.values import Identifier, identifier, is_missing
from fastpose_mtn.data.problems import KEPT, REPAIRED, Problems
from fastpose_mtn.errors import InputError
from fastpose_mtn.joint_names import common_name, respelled
from fastpose_mtn.skeletons import SKELETONS

_PEOPLE = frozenset(
    [
        "person",
        "persons",
        "people",
        "human",
        "humans",
        "pedestrian",
        "pedestrians",
        "man",
        "men",
        "woman",
        "women",
        "child",
        "children",
        "adult",
        "adults",
        "boy",
        "boys",
        "girl",
        "girls",
    ]
)
# A category with joints is people's whatever it is called ("player", "pose"), unless these tell of an animal.
_ANIMALS = frozenset(
    [
        "animal",
        "animals",
        "bird",
        "birds",
        "cat",
        "cats",
        "dog",
        "dogs",
        "horse",
        "horses",
        "sheep",
        "cow",
        "cows",
        "cattle",
        "elephant",
        "bear",
        "zebra",
        "giraffe",
        "pig",
        "monkey",
        "mouse",
        "rat",
        "rabbit",
        "fly",
        "fish",
    ]
)
_KNOWN_JOINTS = frozenset(common_name(joint) for skeleton in SKELETONS.values() for joint in skeleton.joints)
_ANIMAL_JOINTS = ("tail", "paw", "hoof", "withers", "wing", "beak", "fin")


@dataclass(frozen=True)
class Category:
    """One entry of ``categories``.

    Attributes:
        place: file and position, for messages.
        key: its id.
        name: "" where it has none.
        joints: their names, () where nobody names them.
        named: as the file itself names them.
    """

    place: str
    key: Identifier
    name: str
    joints: tuple[str, ...]
    named: tuple[str, ...] = ()

    @property
    def is_an_animal(self) -> bool:
        """Whether name or joints say so."""
        words = {word for joint in self.joints for word in joint.lower().replace("-", "_").split("_")}
        return self.name.lower() in _ANIMALS or not words.isdisjoint(_ANIMAL_JOINTS)


@dataclass(frozen=True)
class Categories:
    """The categories of a file.

    Attributes:
        people: those whose annotations are people, by id.
        others: the names of those whose are not, by id.
        joints: the names of the people's joints, each once, in the first spelling.
        columns: of each of ``people`` the positions in ``joints`` of its joints, in its own order.
    """

    people: dict[Identifier, Category]
    others: dict[Identifier, str]
    joints: tuple[str, ...]
    columns: dict[Identifier, np.ndarray]

    @property
    def only(self) -> Identifier | None:
        """The id of the file's one category; None where it has several."""
        return next(iter(self.people)) if len(self.people) == 1 and not self.others else None

    def listed(self) -> str:
        """``1 person, 18 dog``, for a message."""
        names = {key: category.name for key, category in self.people.items()} | self.others
        words = [f"{key} {name}".strip() for key, name in list(names.items())[:5]]
        return ", ".join(words) + (" ..." if len(names) > 5 else "")


def read_categories(
    value: object, annotations: Sequence[Any], rules: LabelRules, path: str, problems: Problems
) -> Categories:
    """The categories of a file of which ``value`` is the field.

    Raises:
        InputError: there are none although something is annotated, they cannot be told apart, it cannot be told
            which are people's, or joints are labelled that nothing names.
    """
    categories = _entries(value, rules, path, problems)
    if not annotations:
        people = [c for c in categories if c.name.lower() in _PEOPLE]
    elif not categories and all(map(_is_a_mere_box, annotations)):
        problems.add(KEPT, "files of boxes without any category, which are taken as people's", path)
        people = [Category(f"{path}: categories", 1, "person", ())]
    elif not categories:
        raise InputError(
            f"{path}: categories: expected a list that says what is annotated, got {shown(value)}; for people with "
            '17 joints add "categories": [{"id": 1, "name": "person", "keypoints": ["nose", ...17 names]}]'
        )
    else:
        people = _people(categories, rules, path, problems)
    positions: dict[str, int] = {}
    spelled: list[str] = []
    columns = {}
    for category in people:
        keys = _matched_names(category)
        for key, name in zip(keys, category.joints, strict=True):
            if key not in positions:
                positions[key] = len(spelled)
                spelled.append(name)
        columns[category.key] = np.array([positions[key] for key in keys], np.int64)
    by_key = {category.key: category for category in people}
    others = {category.key: category.name for category in categories if category.key not in by_key}
    return Categories(by_key, others, tuple(spelled), columns)


def _is_a_mere_box(annotation: object) -> bool:
    """Whether an annotation says neither what it is nor where its joints are."""
    if not isinstance(annotation, dict):
        return False
    return annotation.get("category_id") is None and is_missing(annotation.get("keypoints"))


def _entries(value: object, rules: LabelRules, path: str, problems: Problems) -> list[Category]:
    if is_missing(value):
        # Halpe's and evaluated files: whoever reads them says what the joints are, so whoever is in them is a person.
        return [] if rules.joints is None else [Category(f"{path}: categories", 1, "person", rules.joints)]
    if isinstance(value, dict) and "id" in value:
        problems.add(REPAIRED, "categories that are one object, read as a list of one", f"{path}: categories")
        value = [value]
    if not isinstance(value, list):
        raise InputError(f"{path}: categories: expected a list, got {shown(value)}")
    categories: dict[Identifier, Category] = {}
    for number, entry in enumerate(value):
        place = f"{path}: categories[{number}]"
        if not isinstance(entry, dict):
            raise InputError(f"{place}: expected an object with id and name, got {shown(entry)}")
        key = identifier(entry.get("id"))
        if key is None:
            raise InputError(f"{place}: id: expected a whole number, got {shown(entry.get('id'))}")
        name = entry.get("name")
        name = name.strip() if isinstance(name, str) else "" if name is None else str(name)
        named = _joint_names(entry.get("keypoints"), place, problems)
        category = Category(place, key, name, named if rules.joints is None else rules.joints, named)
        known = categories.setdefault(key, category)
        if (known.name, known.named) != (category.name, category.named):
            raise InputError(
                f"{place}: id: expected an id of its own, got {key!r}, which is {known.name}'s too"
            )
    return list(categories.values())


def _joint_names(value: object, place: str, problems: Problems) -> tuple[str, ...]:
    if is_missing(value):
        return ()
    if not isinstance(value, list) or not all(isinstance(name, str) and name.strip() for name in value):
        raise InputError(f"{place}: keypoints: expected a list of joint names, got {shown(value)}")
    names = tuple(respelled(name, _KNOWN_JOINTS) for name in value)
    for name, written in zip(names, value, strict=True):
        if name != written:
            problems.add(
                REPAIRED, "names of joints in another spelling, read as the usual one",
                f"{place}, got {shown(written)} for {name}",
            )  # fmt: skip
    return names


def _people(
    categories: Sequence[Category], rules: LabelRules, path: str, problems: Problems
) -> list[Category]:
    if rules.people:
        wanted = {name.strip().lower() for name in rules.people}
        people = [c for c in categories if wanted & {c.name.lower(), str(c.key).lower()}]
        if not people:
            raise InputError(
                f"{path}: categories: expected one called {' or '.join(rules.people)}, as category= asks, got "
                f"{_names(categories)}"
            )
        return people
    named = [c for c in categories if c.name.lower() in _PEOPLE]
    with_joints = [c for c in categories if c.joints]
    if named and (any(c.joints for c in named) or all(c.is_an_animal for c in with_joints)):
        return named
    if not named and len(with_joints) == 1 and not with_joints[0].is_an_animal:
        only = with_joints[0]
        if rules.joints is None:
            problems.add(
                KEPT, "categories that are taken as people's, for they have joints",
                f"{only.place} ({only.name or 'without a name'})",
            )  # fmt: skip
        return with_joints
    raise InputError(
        f"{path}: categories: expected one called person that has the people's joints, got {_names(categories)}; "
        "say which are people: call them person, or put category=NAME after the dataset's address "
        "(json://...?images=...&category=NAME)"
    )


def _names(categories: Sequence[Category]) -> str:
    words = [
        f"{c.name or c.key}{f' with {len(c.joints)} joints' if c.joints else ''}" for c in categories[:6]
    ]
    return ", ".join(words) + (f" and {len(categories) - 6} more" if len(categories) > 6 else "")


def _matched_names(category: Category) -> list[str]:
    """The names by which the category's joints are matched with others."""
    names = category.joints
    keys = [name if common_name(name) in names else common_name(name) for name in names]
    if len(set(keys)) < len(keys):
        raise InputError(
            f"{category.place}: keypoints: two joints of the file have the same name: {', '.join(names)}"
        )
    return keys
