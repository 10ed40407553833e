"""Person search by CUHK-SYSU's protocol: on its own galleries, and on any labelled images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fastpose_mtn.data.dataset import PersonSearchQuery
from fastpose_mtn.data.person_search import CUHK_SYSU_GALLERY_SIZES, cuhk_sysu_queries
from fastpose_mtn.evaluation.reid.search import (
    PersonSearchGallery,
    PersonSearchResult,
    evaluate_person_search,
)
from fastpose_mtn.structures import PersonTargets


def evaluate_cuhk_sysu(
    root: str | Path,
    query_embeddings: np.ndarray,
    gallery: PersonSearchGallery,
    gallery_sizes: tuple[int, ...] = CUHK_SYSU_GALLERY_SIZES,
) -> dict[int, PersonSearchResult]:
    """CUHK-SYSU's numbers by gallery size.

    Args:
        root: the dataset's folder.
        query_embeddings: (2900, D) identity vectors of the queries, in the order of ``TestG50.mat``.
        gallery: detections of all test images.
        gallery_sizes: which of the six.
    """
    return {
        size: evaluate_person_search(cuhk_sysu_queries(root, size), query_embeddings, gallery)
        for size in gallery_sizes
    }


def queries_from_targets(
    images: Mapping[str, PersonTargets], gallery_size: int | None = None, seed: int = 0
) -> list[PersonSearchQuery]:
    """Queries in the manner of CUHK-SYSU for any images whose people have identities.

    Every person seen in two images or more is searched for once, from the first of these, in all the
    others and in images chosen at random.

    Args:
        images: labelled people by image; ignored people and those of identity -1 are not searched for.
        gallery_size: images a gallery, more where the person is in more; None for all others.
        seed: of the random choice.
    """
    seen: dict[int, dict[str, np.ndarray]] = {}
    for image_id, targets in images.items():
        targets = targets.numpy()
        for i in np.flatnonzero((targets.identities >= 0) & ~targets.ignore):
            box = targets.boxes[i].astype(np.float64)
            seen.setdefault(int(targets.identities[i]), {}).setdefault(image_id, box)
    rng, queries = np.random.default_rng(seed), []
    for identity in sorted(seen):
        (image_id, box), *others = seen[identity].items()
        if not others:
            continue
        matches = dict(others)
        rest = [other for other in images if other != image_id and other not in matches]
        if gallery_size is not None:
            chosen = rng.permutation(len(rest))[: max(0, gallery_size - len(matches))]
            rest = [rest[i] for i in sorted(chosen)]
        queries.append(PersonSearchQuery(image_id, box, (*matches, *rest), matches, identity))
    return queries
