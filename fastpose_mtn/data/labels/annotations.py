"""What a label file says of its people: the fields of each, and the numbers of all as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastpose_mtn.data.json_fields import JsonObject, shown
from fastpose_mtn.data.labels.values import Identifier


@dataclass(slots=True, eq=False)
class Annotation:
    """What is known of a person besides box and joints.

    Attributes:
        position: in the file's ``annotations``.
        image: position of the image among ``ImageEntries.entries``.
        category: the id of the category.
        crowd: ``iscrowd``.
        person_id, track_id: None where the file does not say.
        fields: as read.
    """

    position: int
    image: int
    category: Identifier
    crowd: bool
    person_id: Identifier | None
    track_id: Identifier | None
    fields: JsonObject


@dataclass(frozen=True, eq=False)
class People:
    """N people in the file's order.

    Attributes:
        annotations: of each what is neither box nor joint.
        boxes_xywh: (N, 4) float64 pixels, inside the image or over its border, with area; NaN where PoseTrack's
            protocol lets it be missing.
        joints: (N, J, 3) float64 x, y, v in the file's own numbers, in the order of ``Categories.joints``; all 0
            where a joint is not given. v is 0, 1 or 2 but in PoseTrack's protocol.
    """

    annotations: list[Annotation]
    boxes_xywh: np.ndarray
    joints: np.ndarray

    @property
    def have_joints(self) -> bool:
        """Whether any of them has joints, labelled or not."""
        return self.joints.shape[1] > 0 and any("keypoints" in a.fields for a in self.annotations)


def annotation_place(path: str, position: int, fields: object) -> str:
    """Words for a message: where in a file an annotation is, and its id where it has one."""
    place = f"{path}: annotations[{position}]"
    return f"{place} (id {shown(fields.get('id'))})" if isinstance(fields, dict) else place
