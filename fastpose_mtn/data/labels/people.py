"""Boxes and joints of a label file's people, as arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastpose_mtn.data.json_fields import shown
from fastpose_mtn.data.labels.annotations import Annotation, People, annotation_place
from fastpose_mtn.data.labels.boxes import settle_boxes, usable_area
from fastpose_mtn.data.labels.categories import Categories
from fastpose_mtn.data.labels.images import LARGEST, ImageEntries
from fastpose_mtn.data.labels.plausibility import (
    count_repeated,
    count_specks,
    count_strays,
    refuse_corners,
    refuse_other_orders,
    refuse_shares,
)
from fastpose_mtn.data.labels.rules import LabelRules
from fastpose_mtn.data.labels.values import is_missing, number_rows
from fastpose_mtn.data.problems import KEPT, LEFT_OUT, REPAIRED, Problems
from fastpose_mtn.errors import InputError


class PeopleReader:
    """Reads the numbers of all annotations at once.

    Args:
        images: of the file.
        categories: of the file, whose joints the people have.
        rules: what differs between such files.
        path: of the file, for messages.
        problems: counts what is repaired and left out, and raises or counts what is refused.
    """

    def __init__(
        self, images: ImageEntries, categories: Categories, rules: LabelRules, path: str, problems: Problems
    ) -> None:
        self._images, self._categories, self._rules = images, categories, rules
        self._path, self._problems = path, problems

    def read(self, kept: list[Annotation]) -> People:
        """The people of these annotations; what is wrong with one is counted, or raised as an ``InputError``."""
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
            refuse_corners(boxes, sizes, f"{self._path}: annotations")
            refuse_other_orders(boxes, joints, f"{self._path}: annotations")
            self._count_joints(kept, joints, usable)
            self._count_areas(kept, usable)

        def place_of(row: int) -> str:
            return self.place(kept[row])

        usable &= settle_boxes(boxes, joints, sizes, usable, self._rules, place_of, self._problems)
        if not self._rules.poseval:
            count_strays(boxes, joints, usable, place_of, self._problems)
            count_specks(boxes, usable, place_of, self._problems)
            single = usable & ~np.array([annotation.crowd for annotation in kept], bool)
            images = np.array([annotation.image for annotation in kept], np.int64)
            count_repeated(images, boxes, joints, single, place_of, self._problems)
        if usable.all():
            return People(kept, boxes, joints)
        rows = np.flatnonzero(usable)
        return People([kept[row] for row in rows.tolist()], boxes[rows], joints[rows])

    def place(self, annotation: Annotation) -> str:
        """Words for a message: where in the file an annotation is."""
        return annotation_place(self._path, annotation.position, annotation.fields)

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
