"""Person search within scenes: how well each person's other pictures are found there, by identity vectors alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fastpose_mtn.evaluation.reid.search import average_precision
from fastpose_mtn.ops.overlap import box_intersection

if TYPE_CHECKING:
    from experiment_figures import SeenImage

Record = dict[str, Any]
Queries = list[list[float]]  # a row a person: AP, whether the most similar picture is theirs, overlap
_OVERLAP = 0.3  # share of a person's box that another's covers, from which people count as overlapped


def search_records(images: Sequence[SeenImage]) -> list[Queries]:
    """The queries of each image: its people who are in others of the scene.

    The gallery are all people of the scene's other images, look-alikes among them. People were given, so that vectors are in
    the order of the labels that are not ignored.
    """
    scenes: dict[int, list[SeenImage]] = defaultdict(list)
    for image in images:
        scenes[image.scene].append(image)
    return [
        _queries(image, [other for other in scenes[image.scene] if other is not image]) for image in images
    ]


def _queries(image: SeenImage, others: Sequence[SeenImage]) -> Queries:
    people = image.targets[~image.targets.ignore]
    identities, vectors = _described(image)
    gallery = [_described(other) for other in others]
    if not gallery:
        return []
    searched = np.concatenate([own for own, _ in gallery])
    similarity = vectors @ np.concatenate([own for _, own in gallery]).T
    rows = []
    for identity, scores, overlap in zip(identities, similarity, _overlaps(people.boxes), strict=True):
        right = searched == identity
        if identity >= 0 and right.any():
            rows.append([average_precision(scores, right), float(right[scores.argmax()]), overlap])
    return np.array(rows).reshape(-1, 3).round(5).tolist()


def _described(image: SeenImage) -> tuple[np.ndarray, np.ndarray]:
    """Identities (N,) and vectors (N, E) of an image's people."""
    assert image.found.embeddings is not None
    return image.targets.identities[~image.targets.ignore], image.found.embeddings


def _overlaps(boxes_xyxy: np.ndarray) -> np.ndarray:
    """(N,): the greatest share of each box (N, 4) that another covers."""
    common = box_intersection(boxes_xyxy[:, None], boxes_xyxy[None])
    area = np.maximum(common.diagonal(), 1e-9)
    np.fill_diagonal(common, 0.0)
    return common.max(axis=1, initial=0.0) / area


def _mean(
    records: Sequence[Record], *, column: int, least: float = 0.0, most: float = np.inf
) -> Callable[[np.ndarray], float]:
    """The mean of a column over the people whose overlap is from ``least`` to below ``most``."""
    values = [[row[column] for row in record["search"] if least <= row[2] < most] for record in records]
    sums, counts = np.array([sum(own) for own in values]), np.array([len(own) for own in values])

    def value(weights: np.ndarray) -> float:
        total = weights @ counts
        return float(weights @ sums / total) if total else float("nan")

    return value


SEARCH_FIGURES: Mapping[str, Callable[[Sequence[Record]], Callable[[np.ndarray], float]]] = {
    "search/mAP": partial(_mean, column=0),
    "search/rank1": partial(_mean, column=1),
    "search/mAP_overlapped": partial(_mean, column=0, least=_OVERLAP),
    "search/mAP_apart": partial(_mean, column=0, most=_OVERLAP),
}
