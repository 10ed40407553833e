"""Who is searched for in collages of crops: each person from one camera, in the pictures of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastpose_mtn.data.crops.folder import UNKNOWN_CAMERA
from fastpose_mtn.data.dataset import PersonSearchQuery


@dataclass(frozen=True, eq=False)
class SeenPerson:
    """One person in one collage.

    Attributes:
        image: the collage's number.
        identity: the person's.
        camera: of the picture, ``UNKNOWN_CAMERA`` where nobody knows.
        box: (4,) xyxy, pixels.
    """

    image: int
    identity: int
    camera: int
    box: np.ndarray


def queries_across_cameras(
    people: Sequence[SeenPerson], images: int, gallery_size: int | None, seed: int = 0
) -> list[PersonSearchQuery]:
    """Each person once from each camera, searched for in the collages that show them from another.

    As in Market-1501's protocol the same person from the same camera is neither right nor wrong: such collages
    are left out of the gallery. A picture of an unknown camera counts as one of another camera.

    Args:
        people: in any order, each person at most once in a collage.
        images: how many collages there are.
        gallery_size: collages a query, at random beside those that show the person, and more where more show
            them; None: all others.
        seed: of the random choice.
    """
    rng = np.random.default_rng(seed)
    seen: dict[int, list[SeenPerson]] = {}
    for person in sorted(people, key=lambda person: person.image):
        seen.setdefault(person.identity, []).append(person)
    queries = []
    for identity in sorted(seen):
        asked: set[int] = set()
        for person in seen[identity]:
            if person.camera in asked:
                continue
            asked.add(person.camera)
            others = [other for other in seen[identity] if other is not person]
            matches = {str(o.image): o.box for o in others if _another_camera(person.camera, o.camera)}
            if not matches:
                continue
            barred = {other.image for other in seen[identity]}
            rest = np.array([image for image in range(images) if image not in barred], np.int64)
            if gallery_size is not None:
                rest = np.sort(rng.permutation(rest)[: max(0, gallery_size - len(matches))])
            gallery = (*matches, *map(str, rest.tolist()))
            queries.append(PersonSearchQuery(str(person.image), person.box, gallery, matches, identity))
    return queries


def _another_camera(first: int, second: int) -> bool:
    return first != second or first == UNKNOWN_CAMERA
