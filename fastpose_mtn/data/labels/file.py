"""One label file: the one way in for training, evaluation, checks and PoseTrack's sequences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastpose_mtn.data.json_fields import collection_paused, expect_list, load_json, shown
from fastpose_mtn.data.labels.annotation_reader import AnnotationReader
from fastpose_mtn.data.labels.annotations import Annotation, People
from fastpose_mtn.data.labels.categories import Categories, read_categories
from fastpose_mtn.data.labels.images import ImageEntries, read_images
from fastpose_mtn.data.labels.people import PeopleReader
from fastpose_mtn.data.labels.rules import LabelRules
from fastpose_mtn.data.problems import Problems
from fastpose_mtn.errors import InputError


@dataclass(frozen=True, eq=False)
class LabelFile:
    """What a file says, after what is wrong with it was counted.

    Attributes:
        images: each once, in the file's order.
        categories: whose annotations are people, and their joints.
        people: the annotations that can be used.
        num_lost: annotations that cannot, for a fault of theirs; those of other categories are none.
        place: words for where in the file an annotation is.
    """

    images: ImageEntries
    categories: Categories
    people: People
    num_lost: int
    place: Callable[[Annotation], str]


def read_label_file(path: Path, rules: LabelRules, problems: Problems) -> LabelFile:
    """Reads COCO-style JSON.

    Args:
        path: the file.
        rules: what differs between such files.
        problems: counts what is repaired and left out, and raises or counts what is refused.

    Raises:
        InputError: the file cannot be meant; the text names file, record and field, and the remedy.
        OSError: it cannot be read.
    """
    return read_labels(load_json(path), str(path), rules, problems)


def read_labels(content: Any, path: str, rules: LabelRules, problems: Problems) -> LabelFile:
    """``read_label_file`` of a file's JSON value; ``path`` is for messages."""
    if not isinstance(content, dict) or not {"images", "annotations"} <= content.keys():
        raise InputError(
            f"{path}: expected COCO-style JSON, an object with the lists images and annotations, got {shown(content)}"
        )
    image_values, values = (
        expect_list(content[name], f"{path}: {name}") for name in ("images", "annotations")
    )
    with collection_paused():
        images = read_images(image_values, rules, path, problems)
        categories = read_categories(content.get("categories"), values, rules, path, problems)
        annotations = AnnotationReader(images, categories, rules, path, problems)
        reader = PeopleReader(images, categories, rules, path, problems)
        people = reader.read(annotations.read(values))
    num_lost = len(values) - annotations.of_others - len(people.annotations)
    return LabelFile(images, categories, people, num_lost, reader.place)
