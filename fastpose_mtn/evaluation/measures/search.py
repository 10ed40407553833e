"""Person search on a dataset: people are looked for in other images, by their identity vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fastpose_mtn.data.dataset import PersonSearchQuery, PoseDataset
from fastpose_mtn.errors import InputError
from fastpose_mtn.evaluation.measures.measure import EvaluatedImage
from fastpose_mtn.evaluation.reid.protocols import queries_from_targets
from fastpose_mtn.evaluation.reid.search import (
    SCORE_THRESHOLD,
    PersonSearchGallery,
    evaluate_person_search,
)
from fastpose_mtn.structures import PersonDetections, PersonTargets

GALLERY_SIZE = 100  # images a query, what papers report on CUHK-SYSU

# name of the image, its labels and the people found, both without keypoints, embeddings of queries by their key
SearchEntry = tuple[str, PersonTargets, PersonDetections, dict[int, np.ndarray]]


class SearchMeasure:
    """Person search: ``search/mAP``, ``search/top1``, ... in [0, 1].

    A dataset's own queries and galleries (``cuhk_sysu_test``, ``prw_test``) are used where it has them.
    Elsewhere each person who is seen twice is searched for, see ``queries_from_targets``.

    Args:
        dataset: whose people have identities.
        gallery_size: images a query, more where the person is in more; None: all others. PRW's is all others.

    Raises:
        ValueError: the dataset's people have none, or a file of its protocol cannot be used.
    """

    def __init__(self, dataset: PoseDataset, gallery_size: int | None = GALLERY_SIZE) -> None:
        if "identities" not in dataset.tasks:
            raise InputError(f"dataset {dataset.name}: its people have no identities to search for")
        self._dataset, self._gallery_size = dataset, gallery_size
        self._queries = dataset.queries(gallery_size)
        self._boxes_of: dict[str, dict[int, np.ndarray]] = {}  # by image and number of the official query
        for number, query in enumerate(self._queries or ()):
            self._boxes_of.setdefault(query.image_id, {})[number] = query.box
        self._described: set[int] = set()

    def reset(self) -> None:
        """Forgets whose embeddings there are."""
        self._described = set()

    def entry(self, image: EvaluatedImage, found: PersonDetections) -> SearchEntry:
        """The labels, the people and the embeddings of who is searched for from this image.

        Raises:
            InputError: the network has no identity vectors.
        """
        if found.embeddings is None or image.describe is None:
            raise InputError("person search needs identity vectors: MODEL.REID_ON True")
        name = self._name(image.index)
        wanted = self._newly_seen(image) if self._queries is None else self._boxes_of.get(name, {})
        queries: dict[int, np.ndarray] = {}
        if wanted:
            vectors = image.describe(np.array(list(wanted.values()), np.float32))
            queries = dict(zip(wanted, vectors, strict=True))
        kept = found[found.scores >= SCORE_THRESHOLD]
        return (
            name,
            replace(image.targets, keypoints=image.targets.keypoints[:, :0]),
            replace(kept, keypoints=kept.keypoints[:, :0]),
            queries,
        )

    def evaluate(self, entries: Sequence[SearchEntry]) -> dict[str, float]:
        """``search/mAP`` and top-k; {} where nobody is seen twice."""
        found = {name: people for name, _, people, _ in entries}
        vectors: dict[int, np.ndarray] = {}
        for _, _, _, described in entries:
            vectors = described | vectors
        pairs = self._query_pairs(entries)
        if not pairs:
            return {}
        absent = [query.image_id for key, query in pairs if key not in vectors]
        if absent:
            raise InputError(
                f"dataset {self._dataset.name}: image {absent[0]}, of a query, is not part of it; convert it again"
            )
        queries, searched = [query for _, query in pairs], np.array([vectors[key] for key, _ in pairs])
        return evaluate_person_search(queries, searched, PersonSearchGallery(found)).as_dict()

    def _query_pairs(self, entries: Sequence[SearchEntry]) -> list[tuple[int, PersonSearchQuery]]:
        """The queries, each with the key of its embedding: the official ones' numbers, or else the person's identity."""
        if self._queries is not None:
            return list(enumerate(self._queries))
        images = {name: targets for name, targets, _, _ in entries}
        return [(query.identity, query) for query in queries_from_targets(images, self._gallery_size)]

    def _name(self, index: int) -> str:
        """What the official queries call an image; elsewhere its number."""
        file = None if self._queries is None else self._dataset.image_file(index)
        return str(index) if file is None else file.name

    def _newly_seen(self, image: EvaluatedImage) -> dict[int, np.ndarray]:
        """Boxes by identity. Who is searched for is so from the first image, the first of a process's share too."""
        targets = image.targets
        new: dict[int, np.ndarray] = {}
        for row in np.flatnonzero((targets.identities >= 0) & ~targets.ignore):
            identity = int(targets.identities[row])
            if identity not in self._described:
                new.setdefault(identity, targets.boxes[row])
        self._described |= new.keys()
        return new
